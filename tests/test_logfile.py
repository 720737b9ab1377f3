"""
The log's reader, stepped by hand on real files, with a clock of its own.
"""

import errno
import gzip
import os
import shutil
import tempfile
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.generation import CHUNK_BYTES, LINE_BYTES
from exporter.logfile import (
    GRACE_SECONDS,
    HEAD_BYTES,
    MOST_FILES,
    MOST_LEFT,
    Chunk,
    LogFile,
    Register,
    find_line_start,
)
from exporter.mark import Mark
from exporter.siblings import Compressed, Plain, Sibling, list_siblings

REASONS = {
    errno.EACCES: "Permission denied",
    errno.EMFILE: "Too many open files",
    errno.EIO: "Input/output error",
}


@dataclass(slots=True)
class Reader:
    """
    A log that is read when the test says so, and the time that passes when the test says so.
    """

    log: LogFile
    now: float = 0.0
    chunks: list[Chunk] = field(default_factory=list)

    def read(self) -> list[bytes]:
        """
        Look once; give the lines that came, newlines left out.
        """
        self.chunks = list(self.log.read(self.now))
        return split(self.chunks)

    def wait(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self.now += seconds


def split(chunks: Iterable[Chunk]) -> list[bytes]:
    """
    Take chunks apart, and check that each line is led by its newline.
    """
    lines: list[bytes] = []
    for chunk in chunks:
        first, *rest = chunk.lines.split(b"\n")
        assert b"" == first
        lines += rest
    return lines


def append(path: Path, data: bytes) -> None:
    """
    Write at the end of a file, and make it if need be.
    """
    with path.open("ab") as file:
        file.write(data)


def open_descriptors() -> int:
    """
    Count this process's open files.
    """
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used as paths


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    Where the log will be.
    """
    return tmp_path / "mail.log"


@pytest.fixture
def reader(path: Path) -> Iterator[Reader]:
    """
    A reader of everything.
    """
    log = LogFile(path, from_beginning=True)
    yield Reader(log)
    log.close()


@pytest.fixture
def tail(path: Path) -> Iterator[Reader]:
    """
    A reader of what is written from now on.
    """
    log = LogFile(path, from_beginning=False)
    yield Reader(log)
    log.close()


# --- where it starts ----------------------------------------------------------------------------


def test_not_there_yet(path: Path, tail: Reader) -> None:
    """
    A log that appears after the start is read whole; that it was missing is no problem.
    """
    assert [] == tail.read()
    assert "" == tail.log.problem
    assert 0 == tail.log.statistics.read_errors

    append(path, b"first\nsecond\n")

    assert [b"first", b"second"] == tail.read()
    assert 0 == tail.log.statistics.rotations


def test_directory_not_there_yet(tmp_path: Path) -> None:
    """
    The directory may be missing as well.
    """
    path = tmp_path / "later" / "mail.log"
    reader = Reader(LogFile(path, from_beginning=False))

    assert [] == reader.read()

    path.parent.mkdir()
    append(path, b"line\n")

    assert [b"line"] == reader.read()
    reader.log.close()


def test_from_beginning(path: Path, reader: Reader) -> None:
    """
    From the beginning everything that is there is read.
    """
    append(path, b"first\nsecond\n")

    assert [b"first", b"second"] == reader.read()
    assert [] == reader.read()


def test_from_end(path: Path, tail: Reader) -> None:
    """
    From the end what is there is left out and what comes is read.
    """
    append(path, b"old\n")

    assert [] == tail.read()

    append(path, b"new\n")

    assert [b"new"] == tail.read()
    assert len(b"new\n") == tail.log.statistics.read_bytes


def test_from_end_in_a_line(path: Path, tail: Reader) -> None:
    """
    From the end means from the beginning of a last line that is still being written.
    """
    append(path, b"old\nhalf of ")

    assert [] == tail.read()

    append(path, b"a line\n")

    assert [b"half of a line"] == tail.read()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", 0),
        (b"\n", 1),
        (b"half", 0),
        (b"line\n", 5),
        (b"line\nhalf", 5),
        (b"x" * LINE_BYTES, 0),
        (b"\n" + b"x" * LINE_BYTES, 1),
        (b"\n\n" + b"x" * LINE_BYTES, 2),
        (b"\n" + b"x" * (LINE_BYTES + 5), 5),
    ],
)
def test_line_start(data: bytes, expected: int, path: Path) -> None:
    """
    The start of a line is found as long as it is not overlong; of one that is, too much is left.
    """
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    start = find_line_start(Plain(descriptor), len(data))
    os.close(descriptor)

    assert expected == start


def test_from_end_in_an_overlong_line(path: Path, tail: Reader) -> None:
    """
    The end of a line that is overlong already is never taken for a line.
    """
    append(path, b"x" * (LINE_BYTES + 1000))
    tail.read()
    append(path, b"\nline\n")

    assert [b"line"] == tail.read()
    assert 1 == tail.log.statistics.overlong_lines


def test_replaced_before_it_could_be_read(
    path: Path, tail: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The end is that of the file of the first look, so that its successor is read whole.
    """
    append(path, b"old\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse(errno.EACCES))
        tail.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"new\n")

    assert [b"new"] == tail.read()


# --- lines and chunks ---------------------------------------------------------------------------


def test_partial_line(path: Path, reader: Reader) -> None:
    """
    A line waits for its newline, however many pieces it comes in, and is unread until then.
    """
    for piece in (b"a ", b"line", b" in pieces"):
        append(path, piece)

        assert [] == reader.read()

    assert len(b"a line in pieces") == reader.log.statistics.unread_bytes

    append(path, b"\nnext\n")

    assert [b"a line in pieces", b"next"] == reader.read()
    assert 0 == reader.log.statistics.unread_bytes


def test_empty_lines(path: Path, reader: Reader) -> None:
    """
    An empty line is a line.
    """
    append(path, b"\n\nline\n\n")

    assert [b"", b"", b"line", b""] == reader.read()


def test_chunks(path: Path, reader: Reader) -> None:
    """
    Much comes in several chunks of one file, none much longer than what is read at a time.
    """
    lines = [b"line %d of many" % i for i in range(50_000)]
    append(path, b"\n".join(lines) + b"\n")

    assert lines == reader.read()
    assert 1 < len(reader.chunks)
    assert {1} == {chunk.file for chunk in reader.chunks}
    assert CHUNK_BYTES + 20 > max(len(chunk.lines) for chunk in reader.chunks)
    assert not any(chunk.lines.endswith(b"\n") for chunk in reader.chunks)


def test_head(path: Path, reader: Reader) -> None:
    """
    The first lines of a file bring the file's first bytes, and no others do.
    """
    append(path, b"line\n" * 100_000)
    reader.read()

    assert [(b"line\n" * HEAD_BYTES)[:HEAD_BYTES]] == [c.head for c in reader.chunks if c.head]
    assert b"" != reader.chunks[0].head

    path.rename(path.with_suffix(".1"))
    append(path, b"next\n")
    reader.read()

    assert [b"next\n"] == [chunk.head for chunk in reader.chunks]


def test_head_from_end(path: Path, tail: Reader) -> None:
    """
    The head is the file's even where its lines are not read.
    """
    append(path, b"old\n")
    tail.read()
    append(path, b"new\n")
    tail.read()

    assert [b"old\nnew\n"] == [chunk.head for chunk in tail.chunks]


@given(st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"\n\n", b"\0\n", b"a\nb"])))
def test_any_pieces(pieces: list[bytes]) -> None:
    """
    Any bytes, written in any pieces, come out as the same lines, NUL bytes left out.
    """
    *lines_written, rest = b"".join(pieces).split(b"\n")
    expected = [line.replace(b"\0", b"") for line in lines_written]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "mail.log")
        reader = Reader(LogFile(path, from_beginning=True))
        lines: list[bytes] = []
        for piece in pieces:
            append(path, piece)
            lines += reader.read()
        reader.log.close()

    assert expected == lines
    assert len(rest.lstrip(b"\0")) == reader.log.statistics.unread_bytes
    assert len(b"".join(pieces)) == reader.log.statistics.read_bytes


@pytest.mark.parametrize("pieces", [1, 3, 100])
@pytest.mark.parametrize(
    ("length", "overlong"),
    [(LINE_BYTES - 1, 0), (LINE_BYTES, 0), (LINE_BYTES + 1, 1), (2 * LINE_BYTES, 1)],
)
def test_overlong(length: int, overlong: int, pieces: int, path: Path, reader: Reader) -> None:
    """
    A line of more than 1 MiB is skipped and counted, to the byte, in whatever pieces it comes.
    """
    line = b"x" * length
    written = b"before\n" + line + b"\nafter\n"
    step = -(-len(written) // pieces)
    lines: list[bytes] = []
    for start in range(0, len(written), step):
        append(path, written[start : start + step])
        lines += reader.read()

    assert [b"before", *[line] * (1 - overlong), b"after"] == lines
    assert overlong == reader.log.statistics.overlong_lines


def test_overlong_lines_in_a_row(path: Path, reader: Reader) -> None:
    """
    Each overlong line counts, with nothing between them or with a line.
    """
    line = b"x" * (LINE_BYTES + 1) + b"\n"
    append(path, line + line + b"between\n" + line)

    assert [b"between"] == reader.read()
    assert 3 == reader.log.statistics.overlong_lines


def test_overlong_in_little_memory(path: Path, reader: Reader) -> None:
    """
    A line of 64 MiB is never held in memory.
    """
    piece = b"x" * LINE_BYTES
    append(path, b"before\n")
    reader.read()
    tracemalloc.start()
    for _ in range(64):
        append(path, piece)

        assert [] == reader.read()

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    append(path, b"\nafter\n")

    assert [b"after"] == reader.read()
    assert 1 == reader.log.statistics.overlong_lines
    assert 8 * LINE_BYTES > most


def test_nul_bytes(path: Path, reader: Reader) -> None:
    """
    NUL bytes, as a crash leaves them, are left out, and the line they stand in is read.
    """
    append(path, b"first\n" + b"\0" * 300_000 + b"sec\0ond\n\0")

    assert [b"first", b"second"] == reader.read()
    assert 0 == reader.log.statistics.overlong_lines


def test_hole(path: Path, reader: Reader) -> None:
    """
    A writer that keeps its offset after copytruncate leaves a hole, and its lines are read.
    """
    with path.open("wb", buffering=0) as writer:
        writer.write(b"old line\n" * 1000)
        reader.read()
        os.truncate(path, 0)
        reader.read()
        writer.write(b"new\n")

        assert [b"new"] == reader.read()

    assert 1 == reader.log.statistics.truncations


# --- rotation -----------------------------------------------------------------------------------


def test_rename_and_create(path: Path, reader: Reader) -> None:
    """
    After a rotation the old file is read to its end before the new one.
    """
    append(path, b"one\n")
    reader.read()
    append(path, b"two\n")
    path.rename(path.with_suffix(".1"))
    append(path, b"three\n")

    assert [b"two", b"three"] == reader.read()
    assert 1 == reader.log.statistics.rotations
    assert [1, 2] == [chunk.file for chunk in reader.chunks]


def test_rename_without_create(path: Path, reader: Reader) -> None:
    """
    While there is no file of the log's name, the renamed one is the log, for however long.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    for i in range(3):
        append(path.with_suffix(".1"), b"late %d\n" % i)

        assert [b"late %d" % i] == reader.read()

        reader.wait(GRACE_SECONDS)

    assert [] == reader.read()
    assert {1} == reader.log.numbers
    assert "" == reader.log.problem

    append(path, b"new\n")

    assert [b"new"] == reader.read()


def test_late_writes(path: Path, reader: Reader) -> None:
    """
    A writer may go on with the renamed file after the new one has lines.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"new\n")
    reader.read()
    append(path.with_suffix(".1"), b"late\n")
    append(path, b"newer\n")

    assert [b"late", b"newer"] == reader.read()


def test_grace(path: Path, reader: Reader) -> None:
    """
    A renamed file is left when it has been quiet for long enough, counted from its last line.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"new\n")
    reader.wait(GRACE_SECONDS - 1)
    append(path.with_suffix(".1"), b"late\n")
    reader.read()
    reader.wait(GRACE_SECONDS - 1)
    reader.read()

    assert {1, 2} == reader.log.numbers

    reader.wait(1)
    reader.read()

    assert {2} == reader.log.numbers


def test_grace_waits_for_the_new_file(path: Path, reader: Reader) -> None:
    """
    A renamed file is not left before the new one has bytes: its writer has not moved yet.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    path.touch()
    reader.wait(10 * GRACE_SECONDS)
    reader.read()
    append(path.with_suffix(".1"), b"late\n")

    assert [b"late"] == reader.read()


def test_several_rotations(path: Path, reader: Reader) -> None:
    """
    Every file of several rotations is read while its writer may go on with it, oldest first.
    """
    for i in range(4):
        append(path, b"line of %d\n" % i)
        reader.read()
        for j in range(i, 0, -1):
            path.with_suffix(f".{j}").rename(path.with_suffix(f".{j + 1}"))
        path.rename(path.with_suffix(".1"))
    for i in range(4):
        append(path.with_suffix(f".{4 - i}"), b"late in %d\n" % i)

    assert [b"late in %d" % i for i in range(4)] == reader.read()
    assert 3 == reader.log.statistics.rotations


def test_most_files(path: Path, reader: Reader) -> None:
    """
    Of many renamed files only the newest stay open, though none has been quiet for long.
    """
    for i in range(3 * MOST_FILES):
        append(path, b"line %d\n" % i)

        assert [b"line %d" % i] == reader.read()
        assert MOST_FILES >= len(reader.log.numbers)

        path.rename(path.with_suffix(f".{i}"))

    assert set(range(2 * MOST_FILES + 1, 3 * MOST_FILES + 1)) == reader.log.numbers


def test_cut_line(path: Path, reader: Reader) -> None:
    """
    A last line that never gets its newline is not counted as a line when its file is left.
    """
    append(path, b"one\nhalf")
    reader.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"new\n")

    assert [b"new"] == reader.read()
    assert 0 == reader.log.statistics.cut_lines

    reader.wait(GRACE_SECONDS)

    assert [] == reader.read()
    assert 1 == reader.log.statistics.cut_lines


def test_renamed_back(path: Path, reader: Reader) -> None:
    """
    A renamed file that gets its name back is not read again.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"two\n")
    reader.read()
    path.rename(path.with_suffix(".2"))
    path.with_suffix(".1").rename(path)
    append(path, b"three\n")

    assert [b"three"] == reader.read()
    assert 2 == reader.log.statistics.rotations


def test_symlink_switched(tmp_path: Path, path: Path, reader: Reader) -> None:
    """
    A link is followed to another file, and back to the first, where it was left.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    append(first, b"one\n")
    append(second, b"two\n")
    path.symlink_to(first)
    lines = reader.read()
    for target in (second, first):
        path.unlink()
        path.symlink_to(target)
        lines += reader.read()
    append(first, b"three\n")
    append(second, b"four\n")

    assert [b"one", b"two"] == lines
    assert [b"four", b"three"] == reader.read()


def test_dangling_symlink(tmp_path: Path, path: Path, reader: Reader) -> None:
    """
    A link to nothing is a log that is not there yet.
    """
    path.symlink_to(tmp_path / "target")

    assert [] == reader.read()
    assert "" == reader.log.problem

    append(tmp_path / "target", b"line\n")

    assert [b"line"] == reader.read()


def test_deleted(path: Path, reader: Reader) -> None:
    """
    A deleted file is the log for as long as there is no other: what its writer adds is read.
    """
    with path.open("wb", buffering=0) as writer:
        writer.write(b"one\n")
        reader.read()
        path.unlink()
        writer.write(b"two\n")

        assert [b"two"] == reader.read()

    append(path, b"three\n")

    assert [b"three"] == reader.read()
    assert 1 == reader.log.statistics.rotations


def test_no_descriptor_leak(path: Path, reader: Reader) -> None:
    """
    A thousand rotations leave no more files open than a few.
    """
    before = open_descriptors()
    for i in range(1000):
        append(path, b"line %d\n" % i)

        assert [b"line %d" % i] == reader.read()

        path.rename(path.with_suffix(".1"))
        reader.wait(1)

    assert before + MOST_FILES >= open_descriptors()

    reader.log.close()

    assert before == open_descriptors()


# --- truncation ---------------------------------------------------------------------------------


def test_truncated(path: Path, reader: Reader) -> None:
    """
    A file that has become shorter is read anew, as another file as far as its lines go.
    """
    append(path, b"one\ntwo\n")
    reader.read()
    os.truncate(path, 0)

    assert [] == reader.read()

    append(path, b"three\n")

    assert [b"three"] == reader.read()
    assert 1 == reader.log.statistics.truncations
    assert 0 == reader.log.statistics.rotations
    assert [(2, b"three\n")] == [(chunk.file, chunk.head) for chunk in reader.chunks]


def test_truncated_in_a_line(path: Path, reader: Reader) -> None:
    """
    Half a line from before a truncation is never joined to what comes after it.
    """
    append(path, b"one\nhalf")
    reader.read()
    os.truncate(path, 0)
    append(path, b"new\n")

    assert [b"new"] == reader.read()
    assert 1 == reader.log.statistics.cut_lines


def test_truncated_in_an_overlong_line(path: Path, reader: Reader) -> None:
    """
    The rest of an overlong line is not looked for after a truncation.
    """
    append(path, b"x" * (2 * LINE_BYTES))
    reader.read()
    os.truncate(path, 0)
    append(path, b"new\n")

    assert [b"new"] == reader.read()
    assert 1 == reader.log.statistics.overlong_lines
    assert 0 == reader.log.statistics.cut_lines


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_rest_in_the_copy(suffix: str, path: Path, reader: Reader) -> None:
    """
    What was not read before a copytruncate is read from the copy, as lines of the same file.
    """
    append(path, b"one\n")
    reader.read()
    append(path, b"two\n")
    data = path.read_bytes()
    path.with_name(f"mail.log.1{suffix}").write_bytes(gzip.compress(data) if suffix else data)
    os.truncate(path, 0)
    append(path, b"three\n" * 9)

    assert [b"two", *[b"three"] * 9] == reader.read()
    assert [1, 2] == [chunk.file for chunk in reader.chunks]
    assert 1 == reader.log.statistics.truncations
    assert {2} == reader.log.numbers


def test_stopped_in_the_copy(path: Path, reader: Reader) -> None:
    """
    A reader that is stopped in the rest of a copy goes on there, and its place is kept.
    """
    append(path, b"one\n")
    reader.read()
    append(path, b"two\n" * 100_000)
    path.with_suffix(".log.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)
    append(path, b"three\n")
    first = next(reader.log.read(0.0))

    assert [1, 2] == [number for number, _ in reader.log.places()]

    lines = [*split([first]), *reader.read()]

    assert [b"two"] * 100_000 + [b"three"] == lines


def test_copy_cannot_be_opened(path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of two copies that are to be read either both are or none yet, and nothing is left open.
    """
    append(path, b"one\n")
    reader.read()
    append(path, b"two\n")
    path.with_suffix(".log.2").write_bytes(path.read_bytes())
    path.with_suffix(".log.1").write_bytes(b"three\n")
    path.write_bytes(b"four, longer than that\n")
    before = open_descriptors()
    opened = 0

    def run_out(sibling: Sibling) -> Plain | Compressed:
        nonlocal opened
        opened += sibling.path.suffix == ".2"
        if opened > 1 and sibling.path.suffix == ".1":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(sibling.path))
        return really_open(sibling)

    really_open = Sibling.open
    with monkeypatch.context() as patched:
        patched.setattr(Sibling, "open", run_out)

        assert [] == reader.read()

    assert f"{path}.1: Too many open files" == reader.log.problem
    assert before == open_descriptors()
    assert [b"two", b"three", b"four, longer than that"] == reader.read()
    assert 1 == reader.log.statistics.truncations


# --- after a restart ----------------------------------------------------------------------------


def resume(reader: Reader) -> Reader:
    """
    Go on with another reader where one was.
    """
    marks = [mark for _, mark in reader.log.places()]
    register = Register(left=reader.log.register.left)
    reader.log.close()
    reader.log = LogFile(reader.log.path, from_beginning=False, register=register, marks=marks)
    return reader


def test_resumed(path: Path, reader: Reader) -> None:
    """
    Each file is read on from its place, and known by it.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".log.1"))
    append(path, b"two\n")
    reader.read()
    resume(reader)

    assert [-2, -1] == [number for number, _ in reader.log.places()]

    append(path.with_suffix(".log.1"), b"late\n")
    append(path, b"three\n")

    assert [b"late", b"three"] == reader.read()
    assert {1: 0, 2: 1} == reader.log.resumed
    assert [] == reader.log.notes


def test_resumed_before_there_was_a_log(path: Path, reader: Reader) -> None:
    """
    A log that did not exist at the last save is read whole, with what was rotated of it.
    """
    reader.read()
    resume(reader)
    (nothing,) = reader.log.marks
    append(path, b"one\n")
    os.utime(path, ns=(0, nothing.modified + 1))
    path.rename(path.with_suffix(".log.1"))
    append(path, b"two\n")

    assert 0 == nothing.position
    assert [b"one", b"two"] == reader.read()


def test_nothing_to_keep_yet(path: Path, reader: Reader) -> None:
    """
    Before the first look there is no place to keep.
    """
    append(path, b"one\n")

    assert [] == reader.log.places()


def test_gone(path: Path, reader: Reader) -> None:
    """
    That a file with its unread lines is gone is told.
    """
    append(path, b"one\n")
    reader.read()
    resume(reader)
    path.unlink()
    append(path, b"two\n")

    assert [b"two"] == reader.read()
    assert ["the file that was read up to byte 4 is gone"] == reader.log.notes


@pytest.mark.parametrize("failing", [1, 2, 3, 4, 5, 6])
def test_read_error_at_a_restart(
    failing: int, path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whichever read fails, the places are kept and no file is left open.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".log.1"))
    append(path, b"two\n")
    reader.read()
    resume(reader)
    before, calls, pread = open_descriptors(), 0, os.pread

    def fail(descriptor: int, length: int, position: int) -> bytes:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return pread(descriptor, length, position)

    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", fail)

        assert [] == reader.read()

    assert 2 == len(reader.log.marks)
    assert before == open_descriptors()

    append(path, b"three\n")

    assert [b"three"] == reader.read()
    assert {1, 2} == set(reader.log.resumed) & reader.log.numbers or reader.log.numbers


def test_most_left(path: Path, reader: Reader) -> None:
    """
    Only so many of the files that were left are remembered.
    """
    for i in range(MOST_LEFT + 50):
        reader.log.register.leave(Mark(1, i, 2, "", ""))

    assert MOST_LEFT == len(reader.log.register.left)
    assert MOST_LEFT + 49 == reader.log.register.left[-1].inode
    assert not path.exists()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_first_start_after_a_rotation(path: Path, suffix: str) -> None:
    """
    With a log that was empty at a first start nothing older counts, save what is written to it yet.
    """
    older = path.with_name(f"mail.log.1{suffix}")
    data = b"yesterday\nlast night\n"
    older.write_bytes(gzip.compress(data) if suffix else data)
    os.utime(older, (2, 2))
    path.touch()
    os.utime(path, (1, 1))  # and its writer was told to reopen a second later
    reader = Reader(LogFile(path, from_beginning=False))

    assert [] == reader.read()

    append(path, b"today\n")
    expected = [b"today"]
    if not suffix:
        append(older, b"late\n")
        expected = [b"late", b"today"]

    assert expected == sorted(reader.read() + reader.read())

    reader.log.close()


# --- what cannot be read ------------------------------------------------------------------------


def refuse(number: int) -> object:
    """
    Make a system call that always fails.
    """

    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_cannot_be_opened(
    number: int, path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A log that cannot be opened is a problem, counted at each look, and read when it can be.
    """
    append(path, b"line\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse(number))

        assert [] == reader.read() + reader.read()

    assert REASONS[number] == reader.log.problem
    assert 2 == reader.log.statistics.read_errors
    assert [b"line"] == reader.read()
    assert "" == reader.log.problem
    assert 2 == reader.log.statistics.read_errors


def test_from_end_of_what_cannot_be_opened(
    path: Path, tail: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    From the end means from the end at the start, not at the time the log could be opened.
    """
    append(path, b"old\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse(errno.EACCES))
        tail.read()
    append(path, b"new\n")

    assert [b"new"] == tail.read()


def test_permission(path: Path, reader: Reader) -> None:
    """
    The kernel's own refusal is told in its own words.
    """
    append(path, b"line\n")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # who may read everything
        os.seteuid(65534)
    try:
        assert [] == reader.read()
    finally:
        os.seteuid(user)

    assert "Permission denied" == reader.log.problem
    assert 1 == reader.log.statistics.read_errors

    path.chmod(0o600)

    assert [b"line"] == reader.read()
    assert "" == reader.log.problem


def test_unreadable_successor(path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While the new file cannot be opened, the old one is read on.
    """
    append(path, b"one\n")
    reader.read()
    path.rename(path.with_suffix(".1"))
    append(path, b"new\n")
    append(path.with_suffix(".1"), b"late\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse(errno.EMFILE))

        assert [b"late"] == reader.read()

    assert "Too many open files" == reader.log.problem
    assert [b"new"] == reader.read()


def test_read_error(path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk that does not give its bytes is a problem until it does; nothing is lost.
    """
    append(path, b"line\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "pread", refuse(errno.EIO))

        assert [] == reader.read()

    assert "Input/output error" == reader.log.problem
    assert 1 == reader.log.statistics.read_errors
    assert [b"line"] == reader.read()
    assert "" == reader.log.problem


def test_stale_file(path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file whose size cannot be asked for (NFS) has no unread bytes that anyone knows of.
    """
    append(path, b"line\nhalf")
    reader.read()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstat", refuse(errno.ESTALE))

        assert [] == reader.read()

    assert "Stale file handle" == reader.log.problem
    assert 0 == reader.log.statistics.unread_bytes


def test_loop_of_symlinks(path: Path, reader: Reader) -> None:
    """
    A link to itself is a problem, and none any more once it is a file.
    """
    path.symlink_to(path)

    assert [] == reader.read()
    assert "Too many levels of symbolic links" == reader.log.problem

    path.unlink()
    append(path, b"line\n")

    assert [b"line"] == reader.read()
    assert "" == reader.log.problem


def test_vanished_problem(path: Path, reader: Reader) -> None:
    """
    What is not there any more is no problem either.
    """
    path.mkdir()
    reader.read()
    path.rmdir()
    reader.read()

    assert "" == reader.log.problem
    assert 1 == reader.log.statistics.read_errors


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_not_a_file(kind: str, path: Path, tail: Reader) -> None:
    """
    A directory or a FIFO in a log's place holds nobody up; the file that replaces it is read whole.
    """
    before = open_descriptors()
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(path)

    assert [] == tail.read() + tail.read()
    assert "is not a regular file" == tail.log.problem
    assert 2 == tail.log.statistics.read_errors
    assert before == open_descriptors()

    if kind == "directory":
        path.rmdir()
    else:
        path.unlink()
    # With luck of the same inode.
    append(path, b"line\n" * 2000)

    assert 2000 == len(tail.read())
    assert "" == tail.log.problem


def test_unread_bytes(path: Path, reader: Reader) -> None:
    """
    What a reader that was stopped in the middle has left is told as unread at its next look.
    """
    lines = b"line\n" * 100_000
    append(path, lines)
    first = next(reader.log.read(0.0))

    assert len(lines) > reader.log.statistics.read_bytes

    rest = reader.read()

    assert 100_000 == len(split([first])) + len(rest)
    assert 0 == reader.log.statistics.unread_bytes


def test_cut_while_down(path: Path) -> None:
    """
    What is left of a log that was cut while nobody looked is not read again; what follows is read.
    """
    lines = [b"line %03d %s" % (i, b"x" * 90) for i in range(100)]
    append(path, b"\n".join(lines) + b"\n")
    before = LogFile(path, from_beginning=True)

    assert lines == split(before.read(0.0))

    marks = [mark for _, mark in before.places()]
    before.close()
    os.truncate(path, 40 * 100)
    after = LogFile(path, from_beginning=True, marks=marks)

    assert [] == split(after.read(0.0))

    append(path, b"new\n")

    assert [b"new"] == split(after.read(1.0))
    assert 1 == after.statistics.truncations
    assert [] == after.notes

    after.close()


def test_rotated_during_the_search(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A rotation between listing the files and opening them is waited for, not taken for a loss.
    """
    before = LogFile(path, from_beginning=True)
    append(path, b"zero\n")

    assert [b"zero"] == split(before.read(0.0))

    path.rename(path.with_name("mail.log.1"))
    append(path, b"one\n")

    assert [b"one"] == split(before.read(1.0))

    marks = [mark for _, mark in before.places()]
    before.close()
    listings: list[Path] = []

    def list_and_rotate(base: Path, *_: object) -> list[Sibling]:
        listings.append(base)
        found = list_siblings(base)
        if len(listings) == 1:
            shutil.copy2(path, path.with_name("mail.log-20261122"))
            os.truncate(path, 0)
            append(path, b"two\n")
        return found

    monkeypatch.setattr("exporter.logfile.list_siblings", list_and_rotate)
    descriptors = open_descriptors()
    after = LogFile(path, from_beginning=True, marks=marks)

    assert [] == split(after.read(2.0))
    assert "was rotated just now" == after.problem
    assert descriptors == open_descriptors()
    assert [b"two"] == split(after.read(3.0))
    assert [] == after.notes

    after.close()


def test_half_lines(path: Path, reader: Reader) -> None:
    """
    Bytes of a line that has not ended are counted apart.
    """
    append(path, b"one\ntw")
    reader.read()

    assert 2 == reader.log.half_lines
