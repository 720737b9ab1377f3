"""
One file of a log, read by hand.
"""

import gzip
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import generation
from exporter.generation import (
    CHUNK_BYTES,
    LINE_BYTES,
    RECENT_BYTES,
    Generation,
    Statistics,
    common_length,
)
from exporter.mark import FINGERPRINT_BYTES
from exporter.siblings import Compressed, Plain


class Reader:
    """
    A generation, and what came of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self.statistics = Statistics()
        source = Plain(os.open(path, os.O_RDONLY))
        status = source.status()
        self.file = Generation(1, path, source, status.st_dev, status.st_ino)
        self.gone = False

    def read(self) -> list[bytes]:
        """
        Give the lines; `gone` tells whether what was read before is gone.
        """
        lines: list[bytes] = []
        reading = self.file.read(0.0, self.statistics)
        while True:
            try:
                chunk = next(reading)
            except StopIteration as end:
                self.gone = bool(end.value)
                return lines
            lines += chunk[1:].split(b"\n") if chunk else []

    def append(self, data: bytes) -> None:
        """
        Write at the end.
        """
        with self.path.open("ab") as file:
            file.write(data)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """
    A reader of an empty file.
    """
    reader = Reader(tmp_path / "mail.log")
    yield reader
    reader.file.source.close()


def numbered(first: int, last: int) -> list[bytes]:
    """
    Make lines that are all different.
    """
    return [b"line %d" % i for i in range(first, last)]


def joined(lines: list[bytes]) -> bytes:
    """
    Make a file of lines.
    """
    return b"".join(line + b"\n" for line in lines)


@pytest.mark.parametrize("length", [3, 300, 20_000, 60_000])
def test_mark(length: int, reader: Reader) -> None:
    """
    The mark is behind the last complete line and fits the file, also when it has grown.
    """
    data = joined(numbered(0, length))
    reader.append(data + b"half")
    reader.read()
    mark = reader.file.mark()
    reader.append(b" and the rest\nmore\n")

    assert len(data) == mark.position
    assert mark.fits(reader.file.source)
    assert mark == reader.file.footprint()


@given(st.lists(st.integers(0, 2 * FINGERPRINT_BYTES), max_size=6), st.booleans())
def test_any_mark(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], again: bool) -> None:  # noqa: FBT001
    """
    However a file was written and read, the place reached is known again.
    """
    reader = Reader(tmp_path_factory.mktemp("generation") / "mail.log")
    for size in sizes:
        reader.append(bytes(97 + i % 26 for i in range(size)) + b"\n" * (size % 3))
        reader.read()
    mark = reader.file.mark()
    if again:
        reader.file.go_to(mark.position)

    assert mark.fits(reader.file.source)
    assert (mark.head, mark.tail) == (reader.file.mark().head, reader.file.mark().tail)

    reader.file.source.close()


def test_beginning(reader: Reader) -> None:
    """
    Before anything is read a file is known by what it begins with.
    """
    reader.append(joined(numbered(0, 500)))
    mark = reader.file.footprint()

    assert FINGERPRINT_BYTES == mark.position
    assert mark.fits(reader.file.source)
    assert 0 == reader.file.mark().position


@pytest.mark.parametrize("keep_time", [False, True])
def test_other_bytes(reader: Reader, *, keep_time: bool) -> None:
    """
    Bytes that follow others than those that were read are not handed out.
    """
    reader.append(joined(numbered(0, 10)))
    reader.read()
    status = reader.path.stat()
    reader.path.write_bytes(joined(numbered(10, 20))[: status.st_size])
    if keep_time:
        os.utime(reader.path, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert [] == reader.read()
    assert reader.gone


@pytest.mark.parametrize("read", [5, 300, 100_000])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("new", [0, 1, 2_000])
def test_cut(read: int, kept: float, new: int, reader: Reader) -> None:
    """
    What stood before a cut is not handed out again, and what was written after it is.
    """
    lines = numbered(0, read)
    reader.append(joined(lines))
    reader.read()
    rest = lines[: int(kept * read)]
    if sum(map(len, lines)) > RECENT_BYTES and kept < 0.9:
        # Further back than is remembered: only a look before there is more is exact.
        os.truncate(reader.path, len(joined(rest)))
        reader.read()
        reader.file.go_back()
    else:
        os.truncate(reader.path, len(joined(rest)))
    more = numbered(read, read + new)
    reader.append(joined(more))
    found = reader.read()
    if reader.gone:
        reader.file.go_back()
        found += reader.read()

    assert more == found
    assert len(joined(rest + more)) == reader.file.position
    assert reader.file.mark().fits(reader.file.source)


def test_cut_in_a_line(reader: Reader) -> None:
    """
    A line that was cut was handed out; what is added to it is read as what it is.
    """
    reader.append(b"one\ntwo\n")
    reader.read()
    os.truncate(reader.path, 6)
    reader.read()
    reader.file.go_back()
    reader.append(b"three\n")

    assert [b"three"] == reader.read()


def test_another_beginning(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file that begins differently, and has outgrown what is remembered, is new from its beginning.
    """
    monkeypatch.setattr(generation, "RECENT_BYTES", 10)
    reader.append(joined(numbered(0, 50_000)))
    reader.read()
    other = numbered(100_000, 150_000)
    reader.path.write_bytes(joined(other))
    reader.read()
    reader.file.go_back()

    assert other == reader.read()


@pytest.mark.parametrize("before", [b"", b"line\n"])
def test_line_that_is_gone(before: bytes, reader: Reader) -> None:
    """
    A line that was cut off before its end is counted as such, and not joined to the next.
    """
    reader.append(before + b"half of a line")
    reader.read()
    os.truncate(reader.path, len(before))
    reader.append(b"next\n")
    lines = reader.read()
    if reader.gone:
        reader.file.give_up(reader.statistics)
        lines = reader.read()

    assert [b"next"] == lines
    assert (1, 0) == (reader.statistics.cut_lines, reader.statistics.overlong_lines)


def test_overlong_line_that_is_gone(reader: Reader) -> None:
    """
    So is one that was overlong by then, and one whose file has gone with it.
    """
    for data in (b"line\n", b"", b"other\n"):
        reader.append(data + b"x" * (LINE_BYTES + CHUNK_BYTES))
        reader.read()
        os.truncate(reader.path, len(data) if data == b"line\n" else 0)
        reader.read()
        if reader.gone:
            reader.file.give_up(reader.statistics)
            reader.file.go_back()

    assert 3 == reader.statistics.overlong_lines


def test_overlong_line_replaced(reader: Reader) -> None:
    """
    The end of an overlong line is not looked for behind other bytes.
    """
    reader.append(b"line\n" + b"x" * (LINE_BYTES + CHUNK_BYTES))
    reader.read()
    reader.path.write_bytes(b"next\n" + b"y" * (3 * LINE_BYTES))

    assert [] == reader.read()
    assert reader.gone


def test_recent(reader: Reader) -> None:
    """
    Only so much is remembered of what was handed out.
    """
    reader.append(joined(numbered(0, 300_000)))
    reader.read()

    assert RECENT_BYTES <= len(b"".join(reader.file.recent)) <= RECENT_BYTES + CHUNK_BYTES


def test_recent_in_little_memory(reader: Reader) -> None:
    """
    Of many small reads no more is kept than of a large one.
    """
    for line in numbered(0, 1000):
        reader.append(line + b"\n")
        reader.read()

    assert sum(sys.getsizeof(part.obj) for part in reader.file.recent) <= 12 * reader.file.position


def test_nul_bytes_before_a_line(reader: Reader) -> None:
    """
    Of NUL bytes and a line, the line is read in the same look.
    """
    reader.append(b"\0" * 100 + b"line\n")

    assert [b"line"] == reader.read()
    assert 105 == reader.statistics.read_bytes


def test_compressed(tmp_path: Path) -> None:
    """
    What is compressed is read from a place on, with overlong lines skipped, to its end.
    """
    path = tmp_path / "mail.log.1.gz"
    lines = [b"first", b"x" * (LINE_BYTES + 1), *numbered(0, 50_000)]
    path.write_bytes(gzip.compress(joined(lines), 1))
    file = Generation(1, path, Compressed(path, ".gz"), 1, 2)
    file.go_to(6)
    statistics = Statistics()
    found: list[bytes] = []
    for _ in range(2):
        for chunk in file.read(0.0, statistics):
            found += chunk[1:].split(b"\n") if chunk else []

    assert lines[2:] == found
    assert 1 == statistics.overlong_lines

    file.source.close()


@given(st.binary(), st.binary(), st.binary())
def test_common_length(common: bytes, one: bytes, other: bytes) -> None:
    """
    Up to the length that is found bytes are alike, and the next ones, if any, are not.
    """
    one, other = common + one, common + other
    length = common_length(one, other)

    assert len(common) <= length
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]
