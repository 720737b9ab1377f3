"""
Rotations of every kind, at every time, with stops and faults in between: each line counted once.

`World` is a log with its writers, its rotator and its reader, without sleeps and with times of
its own.  What the state machine has to find, tried by hand on a copy of the reader:

- no comparison of the bytes before the position (`Generation._take`; that of `_stands`, for a file
  of the same size and time, has a test by itself below)
- no search for generations that came and went between two looks (`LogFile._fill_gap`)
- no search for what was copied away before it was read (`LogFile._open_missed`)
- no search for the copy of what was truncated (`LogFile._find_copies`)
- a renamed file left at once (`GRACE_SECONDS` 0)
- no memory of what was read and left (`Register.position_in`, `LogFile._is_copy`)
- half a line taken for a position (`Generation._advance` to the end of what was read)
- a saved place ahead of what was counted (`LogFile.places` with `scanned`), or behind it
- a fingerprint that is not looked at after a restart (`Mark.fits` always, or never)
- a search that takes what cannot be opened for what is not there (`search.open_with`)
- marks given up when the log cannot be read at a restart (`LogFile._resume`)
- a truncated file read from its beginning though a part of it is still there
- files opened anew by name instead of by what they are (`logfile.open_again`)
"""

import bz2
import errno
import gzip
import lzma
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NoReturn
from unittest import mock

import pytest
from backports import zstd
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from exporter import logfile, siblings
from exporter.generation import CHUNK_BYTES, LINE_BYTES, Generation, Statistics
from exporter.logfile import GRACE_SECONDS, MOST_FILES, LogFile, Register
from exporter.mark import FINGERPRINT_BYTES, Mark
from exporter.siblings import Plain, Sibling, open_plain

EXAMPLES = int(os.environ.get("ROTATION_EXAMPLES", "150"))
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),  # the usual preset takes fifty times as long
    ".zst": zstd.compress,
}
SECOND = 1_000_000_000


@dataclass(slots=True)
class Saved:
    """
    What a state file would hold.
    """

    marks: list[Mark]
    left: list[Mark]
    statistics: Statistics
    counted: list[bytes]


class Writer:
    """
    A program that writes lines to the log, and keeps its file until it is told to reopen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.half = b""
        self.descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    @property
    def inode(self) -> int:
        """
        Say which file it writes to.
        """
        return os.fstat(self.descriptor).st_ino

    def reopen(self) -> None:
        """
        Go over to what has the log's name now, or make it.
        """
        os.close(self.descriptor)
        self.descriptor = self._open()


class World:
    """
    A log, two that write it, one that rotates it, and the reader of it.
    """

    def __init__(self, directory: Path, *, dateext: bool = False, preserve: bool = True) -> None:
        self.path = directory / "mail.log"
        self.dateext = dateext
        self.preserve = preserve
        """Whether copies bear the time of what they are copies of."""
        self.now = 0.0
        self.times = time.time_ns()
        self.rotations = 0
        self.lines = 0
        self.written: list[bytes] = []
        self.overlong = 0
        self.counted: list[bytes] = []
        self.writers = [Writer(self.path), Writer(self.path)]
        self.log = LogFile(self.path, from_beginning=True)
        self.look()
        self.saved = self.state()

    # --- the writers

    def write(self, count: int = 1, length: int = 10, *, late: bool = False) -> None:
        """
        Write some lines, after the end of what was half written; `late` for the second writer.
        """
        writer = self.writers[late]
        if not writer.half and self._is_halfway(writer.inode):
            return
        for _ in range(count):
            if writer.half:
                line, writer.half = writer.half + b" and the rest", b""
                self._append(writer, b" and the rest\n")
            else:
                line = self._next_line()
                line += (line * (length // len(line) + 1))[:length]
                self._append(writer, line + b"\n")
            if len(line) > LINE_BYTES:
                self.overlong += 1
            else:
                self.written.append(line)

    def write_half(self) -> None:
        """
        Write a line without its end.
        """
        writer = self.writers[0]
        if not self._is_halfway(writer.inode):
            writer.half = self._next_line() + b"half of it"
            self._append(writer, writer.half)

    def _next_line(self) -> bytes:
        self.lines += 1
        return b"line %d " % self.lines

    def _append(self, writer: Writer, data: bytes) -> None:
        os.write(writer.descriptor, data)
        self._stamp(writer.descriptor)

    def _stamp(self, file: int | Path) -> None:
        self.times += SECOND
        os.utime(file, ns=(self.times, self.times))

    def _is_halfway(self, inode: int) -> bool:
        return any(writer.half and writer.inode == inode for writer in self.writers)

    def reopen(self, *, late: bool = False) -> None:
        """
        Have a writer go over to the present file; in the middle of a line none does.
        """
        if not self.writers[late].half:
            there = self.path.exists()
            self.writers[late].reopen()
            if not there:
                self._stamp(self.path)

    # --- the rotator

    def generations(self) -> list[Path]:
        """
        List the older files, the newest first.
        """
        names = sorted(self.path.parent.glob("mail.log[.-]*"))
        return names[::-1] if self.dateext else sorted(names, key=number_of)

    def _make_room(self) -> Path:
        """
        Give the name for the next older file, and free it.
        """
        self.rotations += 1
        if self.dateext:
            return self.path.with_name(f"mail.log-{20260000 + self.rotations}")
        for file in reversed(self.generations()):
            suffix = file.suffix if file.suffix in COMPRESSORS else ""
            file.rename(file.with_name(f"mail.log.{number_of(file) + 1}{suffix}"))
        return self.path.with_name("mail.log.1")

    def rename(self, *, create: bool = True, reopen: bool = True) -> None:
        """
        Rotate by renaming, with a new file at once or not; the writers may be told at once.
        """
        if not self.path.exists():
            return
        self.path.rename(self._make_room())
        if create:
            self.path.touch()
            self._stamp(self.path)
        if reopen:
            for late in (False, True):
                self.reopen(late=late)
        self._bring_along()

    def _bring_along(self) -> None:
        """
        Let no writer keep a file that the reader gives up, being one of too many.
        """
        kept = {file.stat().st_ino for file in self.generations()[: MOST_FILES - 4]}
        for i, writer in enumerate(self.writers):
            if not self.path.exists() or writer.inode not in kept | {self.path.stat().st_ino}:
                if writer.half:
                    self.write()
                self.reopen(late=bool(i))

    def copytruncate(self) -> None:
        """
        Rotate by copying and truncating.
        """
        if self.path.exists() and not self._is_halfway(self.path.stat().st_ino):
            copy = self._make_room()
            shutil.copy2(self.path, copy)
            if not self.preserve:
                self._stamp(copy)
            self.truncate(0)
            self._bring_along()

    def copy(self, share: float, copy: Path | None = None) -> Path:
        """
        Copy the log as far as that got by now, or go on with a copy.
        """
        copy = copy or self._make_room()
        data = self.path.read_bytes()
        copy.write_bytes(data[: int(share * len(data))])
        self._stamp(copy)
        return copy

    def truncate(self, length: int) -> None:
        """
        Cut the present file.
        """
        os.truncate(self.path, length)
        self._stamp(self.path)

    def truncate_to(self, kept: float) -> None:
        """
        Cut some lines off that were read, and look before there are others.
        """
        if not self.path.exists() or self._is_halfway(self.path.stat().st_ino):
            return
        self.look()
        lines = self.path.read_bytes().splitlines(keepends=True)
        self.truncate(sum(map(len, lines[: int(kept * len(lines))])))
        self.look()
        self.save()

    def delete(self) -> None:
        """
        Delete the present file once it was read; those that wrote it make another.
        """
        if not self.path.exists() or self._is_halfway(self.path.stat().st_ino):
            return
        self.look()
        self.save()
        inode = self.path.stat().st_ino
        self.path.unlink()
        for late in (False, True):
            if self.writers[late].inode == inode:
                self.reopen(late=late)

    def compress(self, which: int, suffix: str = ".gz") -> None:
        """
        Compress an older file that nobody writes to.
        """
        files = self.generations()[which : which + 1]
        busy = {writer.inode for writer in self.writers}
        for file in files:
            status = file.stat()
            if file.suffix not in COMPRESSORS and status.st_ino not in busy:
                target = file.with_name(file.name + suffix)
                target.write_bytes(COMPRESSORS[suffix](file.read_bytes()))
                os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
                file.unlink()

    # --- the reader

    def look(self, chunks: int = 1_000_000) -> None:
        """
        Have the log read, for a number of chunks.
        """
        self.now += 0.1
        reading = self.log.read(self.now)
        for chunk in reading:
            if chunk.lines:
                self.counted += chunk.lines[1:].split(b"\n")
            chunks -= 1
            if not chunks:
                self.halfway = self.state()
                break

    def look_in_vain(self, number: int) -> None:
        """
        Have the log read while no file can be opened and no directory be listed.
        """

        def fail(*_: object, **__: object) -> NoReturn:
            raise OSError(number, os.strerror(number))

        with (
            mock.patch("os.open", fail),
            mock.patch("os.listdir", fail),
            mock.patch("os.scandir", fail),
            mock.patch("builtins.open", fail),
            mock.patch("io.open", fail),
        ):
            self.look()

    def wait(self) -> None:
        """
        Let the time pass after which quiet files are left; by then all writers have reopened.
        """
        if self.path.exists() and not any(writer.half for writer in self.writers):
            for late in (False, True):
                self.reopen(late=late)
            self.look()
            self.now += GRACE_SECONDS
            self.look()

    def state(self) -> Saved:
        """
        Give what a state file would hold now.
        """
        log = self.log
        marks, left = [mark for _, mark in log.places()], log.register.left.copy()
        return Saved(marks, left, replace(log.statistics), self.counted.copy())

    def save(self) -> None:
        """
        Save the state.
        """
        self.saved = self.state()

    def restart(self) -> None:
        """
        Kill the reader and start another, from what was saved last.
        """
        self.log.close()
        saved = self.saved
        register, statistics = Register(left=saved.left.copy()), replace(saved.statistics)
        self.log = LogFile(
            self.path, from_beginning=True, register=register, marks=saved.marks.copy(),
            statistics=statistics,
        )  # fmt: skip
        self.counted = saved.counted.copy()

    def check(self) -> None:
        """
        See that no line was counted twice, and none that was not written.
        """
        assert len(self.counted) == len(set(self.counted))
        assert set() == set(self.counted) - set(self.written)

    def end(self) -> None:
        """
        See that after some more looks all that was written is counted.
        """
        for writer in self.writers:
            if writer.half:
                self.write()
        for seconds in (1.0, 1.0, GRACE_SECONDS, GRACE_SECONDS):
            self.look()
            self.now += seconds
        self.check()

        assert set() == set(self.written) - set(self.counted)
        assert self.overlong == self.log.statistics.overlong_lines
        assert 0 == self.log.statistics.cut_lines

    def close(self) -> None:
        """
        Close all files.
        """
        self.log.close()
        for writer in self.writers:
            os.close(writer.descriptor)


def number_of(file: Path) -> int:
    """
    Give the number in the name of an older file.
    """
    return int(file.name.split(".")[2])


# --- any order of things ------------------------------------------------------------------------

LATE = st.booleans()
LENGTHS = st.sampled_from([10, 10, 3_000, CHUNK_BYTES - 10, CHUNK_BYTES + 5])


class Rotations(RuleBasedStateMachine):
    """
    A world in which anything may happen next.
    """

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.world = World(Path(self.directory.name))

    @precondition(lambda self: not self.world.lines and not self.world.rotations)
    @rule(dateext=st.booleans(), preserve=st.booleans())
    def choose(self, *, dateext: bool, preserve: bool) -> None:
        """
        Have it the administrator's way.
        """
        self.world.dateext, self.world.preserve = dateext, preserve

    @rule(count=st.integers(1, 4), late=LATE)
    def write(self, count: int, *, late: bool) -> None:
        """
        Write some lines, to a renamed file perhaps.
        """
        self.world.write(count, late=late)

    @rule(length=LENGTHS)
    def write_long(self, length: int) -> None:
        """
        Write a line that may be longer than what is read at a time.
        """
        self.world.write(1, length)

    @rule()
    def write_overlong(self) -> None:
        """
        Write a line that is longer than what is taken for one.
        """
        if self.world.overlong < 2:
            self.world.write(1, LINE_BYTES + 5)

    @rule()
    def write_half(self) -> None:
        """
        Write half a line.
        """
        self.world.write_half()

    @rule(create=st.booleans(), reopen=st.booleans())
    def rename(self, *, create: bool, reopen: bool) -> None:
        """
        Rotate by renaming.
        """
        self.world.rename(create=create, reopen=reopen)

    @rule()
    def copytruncate(self) -> None:
        """
        Rotate by copying.
        """
        self.world.copytruncate()

    @rule(late=LATE)
    def reopen(self, *, late: bool) -> None:
        """
        Have a writer reopen the log.
        """
        self.world.reopen(late=late)

    @rule(which=st.integers(0, 2), suffix=st.sampled_from(list(COMPRESSORS)))
    def compress(self, which: int, suffix: str) -> None:
        """
        Compress an older file.
        """
        self.world.compress(which, suffix)

    @rule(kept=st.sampled_from([0.0, 0.5, 0.9]))
    def truncate(self, kept: float) -> None:
        """
        Cut the log.
        """
        self.world.truncate_to(kept)

    @rule()
    def delete(self) -> None:
        """
        Delete the log and make another.
        """
        self.world.delete()

    @rule()
    def look(self) -> None:
        """
        Read what is there.
        """
        self.world.look()

    @rule()
    def look_and_save_between(self) -> None:
        """
        Read one chunk, save and stop.
        """
        self.world.look(1)
        self.world.save()

    @rule()
    def reopen_log(self) -> None:
        """
        Have the reader open its files anew, as SIGHUP does.
        """
        self.world.log.reopen()

    @rule(number=st.sampled_from([errno.EACCES, errno.EMFILE]))
    def look_in_vain(self, number: int) -> None:
        """
        Try to read while nothing can be opened.
        """
        self.world.look_in_vain(number)

    @rule()
    def wait(self) -> None:
        """
        Let a minute pass.
        """
        self.world.wait()

    @rule()
    def save(self) -> None:
        """
        Save the state.
        """
        self.world.save()

    @rule()
    def restart(self) -> None:
        """
        Kill the reader and start it again.
        """
        self.world.restart()

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        """
        At any time what is counted was written, and counted once.
        """
        self.world.check()

    def teardown(self) -> None:
        """
        In the end all is counted.
        """
        try:
            self.world.end()
        finally:
            self.world.close()
            self.directory.cleanup()


def test_anything() -> None:
    """
    Whatever happens in whatever order, each line is counted once.
    """
    run_state_machine_as_test(
        Rotations,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


# --- each combination by itself -----------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """
    A log that is looked at by hand.
    """
    world = World(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("rotations", [0, 1, 2, 3])
@pytest.mark.parametrize("down", [False, True], ids=["running", "down"])
@pytest.mark.parametrize("writer", ["reopens", "reopens late", "keeps"])
@pytest.mark.parametrize("mode", ["create", "nocreate", "copytruncate", "dateext"])
def test_rotation(  # noqa: PLR0913 - the axes of the table
    mode: str, writer: str, suffix: str, world: World, *, rotations: int, down: bool
) -> None:
    """
    Nothing is lost or counted twice, in any kind of rotation and any number of them.
    """
    world.dateext = mode == "dateext"
    world.write(3)
    world.look()
    world.save()
    world.write(2)
    for _ in range(rotations):
        if mode == "copytruncate":
            world.copytruncate()
        else:
            world.rename(create=mode != "nocreate", reopen=writer == "reopens")
        world.write(2)
        world.write(1, late=True)
        if writer == "reopens late":
            world.reopen()
            world.write(1)
        if suffix:
            world.compress(0, suffix)
    if down:
        world.restart()
    world.look()
    world.look()

    assert sorted(world.written) == sorted(world.counted)

    world.end()

    assert rotations == 0 or not down or suffix or len(world.log.numbers) <= rotations + 1


@pytest.mark.parametrize("rotations", [1, 2, 3])
def test_order(rotations: int, world: World) -> None:
    """
    What was written first is counted first, where each file was left before the next was begun.
    """
    for _ in range(rotations):
        world.write(2)
        world.rename()
    world.write(2)
    world.look()

    assert world.written == world.counted


def test_copied_again(world: World) -> None:
    """
    A copy of what has not been truncated yet is not read: the file itself is.
    """
    world.write(2)
    world.look()
    world.write(2)
    world.copytruncate()
    world.write(9)
    world.path.with_name("mail.log.1").rename(world.path.with_name("mail.log.2"))
    shutil.copy2(world.path, world.path.with_name("mail.log.1"))
    world.look()

    assert world.written == world.counted

    world.truncate(0)
    world.write(2)
    world.end()


def test_late_after_a_quiet_hour(world: World) -> None:
    """
    The grace time begins with the new file's first line: the log may have been quiet before.
    """
    world.write()
    world.look()
    world.now += 3600
    world.rename(reopen=False)
    world.reopen()
    world.write()
    world.look()
    world.write(late=True)
    world.look()

    assert world.written == world.counted


@pytest.mark.parametrize("empty", [False, True])
def test_clock_set_back(world: World, *, empty: bool) -> None:
    """
    The order of rotated files comes from their names, whatever the clock was.
    """
    world.write(0 if empty else 2)
    world.look()
    for _ in range(2):
        world.times -= 3600 * SECOND
        world.rename()
        world.write(2)
    world.look()

    assert world.written == world.counted


# --- what is the same file, and what is not -----------------------------------------------------


def same_length(world: World, *, same_head: bool) -> None:
    """
    Put as many other bytes in the place of those that were read.
    """
    data = world.path.read_bytes()
    lines = data.splitlines()
    kept = lines[: 2 * FINGERPRINT_BYTES // len(lines[0])] if same_head else []
    other = [*kept, *(line.swapcase() for line in lines[len(kept) :])]
    world.path.write_bytes(b"\n".join(other) + b"\n")
    world.written += other[len(kept) :]


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize("down", [False, True])
def test_regrown_to_the_old_size(world: World, *, down: bool, keep_time: bool) -> None:
    """
    A file that was truncated and has grown to exactly its old size is another one.
    """
    world.write(100)
    world.look()
    world.save()
    status = world.path.stat()
    same_length(world, same_head=False)
    if keep_time:
        os.utime(world.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    if down:
        world.restart()
    world.end()

    assert down or 1 == world.log.statistics.truncations


def test_same_head(world: World) -> None:
    """
    Two files that begin with the same KiB and more are told apart by what stands before the place.
    """
    world.write(500)
    world.look()
    same_length(world, same_head=True)
    world.end()

    assert 1 == world.log.statistics.truncations


@pytest.mark.parametrize("length", [0, 30])
def test_offset_beyond_the_end(length: int, world: World) -> None:
    """
    A file that is shorter than what was read of it is another one, also after a restart.
    """
    world.write(100)
    world.look()
    world.save()
    world.path.write_bytes(b"other line\n"[-length:] * bool(length))
    world.written += [b"other line"] * bool(length)
    world.restart()
    world.write(2)
    world.end()


def test_inode_reused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A new file with the inode of one that was read is a new file.
    """
    world.write(3)
    world.wait()
    world.rename()
    world.write(3)
    world.look()
    world.wait()
    old = world.log.register.left[-1]
    status = world.path.stat()
    world.log.register.left.append(replace(old, device=status.st_dev, inode=status.st_ino))
    world.save()
    world.saved.marks = [replace(old, device=status.st_dev, inode=status.st_ino)]
    world.saved.counted = world.counted[:3]
    with monkeypatch.context():
        world.restart()
    world.write(1)
    world.end()


# --- links and directories ----------------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("deep", [1, 2])
def test_symlink(deep: int, tmp_path: Path, *, relative: bool) -> None:
    """
    A link is followed, also to another link, through rotations of what it leads to.
    """
    (tmp_path / "real").mkdir()
    (tmp_path / "link").mkdir()
    world = World(tmp_path / "real")
    target = Path("../real/mail.log") if relative else world.path
    for i in range(deep):
        link = tmp_path / "link" / f"log{i}"
        link.symlink_to(target)
        target = Path(link.name) if relative else link
    world.log.close()
    world.log = LogFile(tmp_path / "link" / f"log{deep - 1}", from_beginning=True)
    path, world.path = world.path, tmp_path / "link" / f"log{deep - 1}"
    world.write(2)
    world.look()
    world.save()
    world.path = path
    for _ in range(3):
        world.rename()
        world.write(2)
    world.look()

    assert world.written == world.counted

    world.rename()
    world.write(2)
    world.compress(0)
    world.path = tmp_path / "link" / f"log{deep - 1}"
    world.restart()
    world.end()
    world.close()


def test_symlink_to_the_next_file(world: World) -> None:
    """
    A link that is switched from day to day, to nothing at times, is one log.
    """
    world.path.unlink()
    for day in range(3):
        target = world.path.with_name(f"day{day}")
        world.path.unlink(missing_ok=True)
        world.path.symlink_to(target.name)
        world.look()
        world.reopen()
        world.reopen(late=True)
        world.write(2)
        world.look()

    assert world.written == world.counted


def test_directory_renamed(tmp_path: Path) -> None:
    """
    When the log's directory is renamed and another made, the old file's end is read.
    """
    directory = tmp_path / "log"
    directory.mkdir()
    world = World(directory)
    world.write(2)
    world.look()
    world.write(2)
    directory.rename(tmp_path / "old")
    directory.mkdir()
    world.reopen()
    world.write(2)
    world.write(2, late=True)
    world.end()
    world.close()


def test_directory_replaced(tmp_path: Path) -> None:
    """
    When a copy of the log's directory takes its place, what was read is not read again.
    """
    directory = tmp_path / "log"
    directory.mkdir()
    world = World(directory)
    world.write(200)
    world.rename()
    world.write(200)
    world.look()
    shutil.copytree(directory, tmp_path / "copy")
    directory.rename(tmp_path / "old")
    (tmp_path / "copy").rename(directory)
    world.reopen()
    world.reopen(late=True)
    world.write(2)
    world.end()
    world.close()


# --- several logs -------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["link", "file"])
def test_one_file_by_two_names(first: str, tmp_path: Path) -> None:
    """
    A file that two pathnames stand for is read once, before and after rotations and restarts.
    """
    world = World(tmp_path)
    link = tmp_path / "current"
    link.symlink_to(world.path)
    for i in range(3):
        (tmp_path / f"mail.log.{i + 7}").write_bytes(b"from before %d\n" % i)
        os.utime(tmp_path / f"mail.log.{i + 7}", (0, 0))
    paths = [link, world.path] if first == "link" else [world.path, link]
    register = Register()
    marks: dict[Path, list[Mark]] = {path: [] for path in paths}
    world.log.close()
    for turn in range(4):
        logs = [LogFile(path, True, register, marks[path]) for path in paths]  # noqa: FBT003
        for _ in range(2):
            world.write(3)
            for _ in range(2):
                for log in logs:
                    world.log = log
                    world.look()
            world.rename()
            world.check()
        marks = {log.path: [mark for _, mark in log.places()] for log in logs}
        for log in logs:
            log.close()
        register = Register(left=register.left)
        if turn % 2:
            paths.reverse()

    assert sorted(world.written) == sorted(world.counted)

    world.close()


def test_left_by_the_second_log(world: World) -> None:
    """
    A file that another log reads is left without a word about it.
    """
    other = LogFile(world.path, True, world.log.register)  # noqa: FBT003
    first = world.log
    for _ in range(MOST_FILES + 2):
        world.write()
        for log in (first, other):
            world.log = log
            world.look()
        world.rename()

    assert world.written == world.counted
    assert MOST_FILES == len(other.numbers)
    assert [0] == [number for number, _ in other.places()]
    assert 2 == len(world.log.register.left)

    other.close()
    world.log = first
    world.end()


def test_rotated_name_is_an_input_too(world: World) -> None:
    """
    A rotated file whose new name is followed as well is read on by the log that has it.
    """
    older = LogFile(world.path.with_name("mail.log.1"), True, world.log.register)  # noqa: FBT003
    newer = world.log
    for _ in range(MOST_FILES + 4):
        world.write(3)
        world.look()
        world.rename(reopen=False)
        world.write(2)
        for log in (older, newer, older, newer):
            world.log = log
            world.look()
        world.reopen()
        world.reopen(late=True)
    world.log = older
    world.look()
    world.log = newer
    world.end()
    older.close()


# --- what cannot be read ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
@pytest.mark.parametrize("rotated", [False, True])
def test_unreadable_at_a_restart(number: int, world: World, *, rotated: bool) -> None:
    """
    The places of the last run are kept until the log can be read.
    """
    world.write(3)
    world.look()
    world.save()
    world.write(2)
    if rotated:
        world.rename()
        world.write(2)
    world.restart()
    for _ in range(3):
        world.look_in_vain(number)
        marks = world.saved.marks
        world.save()

        assert marks == world.saved.marks
        assert os.strerror(number) in world.log.problem

    world.restart()
    world.look()

    assert world.written == world.counted
    assert "" == world.log.problem


def test_unreadable_directory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While a directory cannot be listed the new file is read, and what came between is read later.
    """

    def fail(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(world.path.parent))

    world.write(3)
    world.look()
    world.rename()
    world.write(2)
    world.rename()
    world.write(2)
    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", fail)
        patched.setattr(os, "scandir", fail)
        world.look()

    assert f"{world.path.parent}: Permission denied" == world.log.problem
    assert world.written[:3] + world.written[5:] == world.counted

    world.save()
    world.restart()
    world.end()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_unread_copy_cannot_be_looked_for(number: int, world: World) -> None:
    """
    What was copied away before it was read is found later when it cannot be looked for now.
    """
    world.write_half()
    world.look()
    world.write(2)
    world.copytruncate()
    world.look_in_vain(number)
    world.write(2)
    world.end()


def test_one_unreadable_of_two(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    At a restart nothing is read while one of the last run's files cannot be: order would be lost.
    """
    world.write(2)
    world.look()
    world.rename()
    world.write(2)
    world.look()
    world.save()
    world.write(2)
    world.restart()
    opened = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if path.name == "mail.log.1":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        world.look()

    assert world.written[:4] == world.counted
    assert 2 == len(world.log.marks)

    world.end()


def test_forbidden_and_older(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An older file that is forbidden to us holds nobody up, if it is older than what is looked for.
    """
    world.rename()
    world.write(3)
    world.wait()
    world.save()
    world.path.unlink()
    world.reopen()
    world.write()
    opened = os.open

    def refuse(path: Path, *arguments: int) -> int:
        if path.name == "mail.log.1":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments)

    world.restart()
    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        world.look()

    assert "" == world.log.problem
    assert world.written == world.counted
    assert [f"the file that was read up to byte {world.saved.marks[0].position} is gone"] == (
        world.log.notes
    )


@pytest.mark.parametrize("kind", ["cut", "damaged", "empty", "no gzip"])
def test_damaged(kind: str, world: World) -> None:
    """
    A compressed file that is damaged, or yet to be finished, is passed over.
    """
    world.write(50)
    world.look()
    world.save()
    world.rename()
    data = gzip.compress(world.path.with_name("mail.log.1").read_bytes())
    target = world.path.with_name("mail.log.2.gz")
    match kind:
        case "cut":
            target.write_bytes(data[: len(data) // 2])
        case "damaged":
            target.write_bytes(data[:40] + bytes(reversed(data[40:])))
        case "empty":
            target.touch()
        case _:
            target.write_bytes(b"no gzip at all")
    world.write(2)
    world.look()
    world.restart()
    world.look()

    assert world.written == world.counted


def test_unfinished_beside_the_whole(world: World) -> None:
    """
    While an older file is being compressed its plain form is read.
    """
    world.write(50)
    world.look()
    world.save()
    world.write(3)
    world.rename()
    world.path.with_name("mail.log.1.gz").write_bytes(b"\x1f\x8b\x08")
    world.restart()
    world.look()

    assert world.written == world.counted


def test_olddir(world: World) -> None:
    """
    A file that is moved to another directory is read to its end, but not found after a restart.
    """
    other = world.path.with_name("older")
    other.mkdir()
    world.write(2)
    world.look()
    world.save()
    world.write(1)
    world.path.rename(other / "mail.log.1")
    world.reopen()
    world.write(1)
    world.write(1, late=True)
    world.look()

    assert sorted(world.written) == sorted(world.counted)

    world.restart()
    world.look()

    assert [*world.written[:2], world.written[3]] == world.counted
    assert 1 == len(world.log.notes)


def test_reopened(world: World) -> None:
    """
    Files that are opened anew go on where they were, also in the midst of a line or a chunk.
    """
    world.write(3)
    world.look()
    world.rename(reopen=False)
    world.write(2)
    world.write_half()
    world.look()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used as paths
    for _ in range(3):
        world.look(1)
        world.log.reopen()

    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    world.reopen()
    world.write(2, CHUNK_BYTES)
    world.look(1)
    world.log.reopen()
    world.end()


def test_reopened_without_a_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What cannot be opened anew stays open: deleted, moved away, forbidden, its directory too.
    """
    other = world.path.with_name("older")
    other.mkdir()
    world.write(2)
    world.look()
    world.path.rename(other / "mail.log.1")
    world.reopen()
    world.write(1)
    world.look()
    world.path.unlink()
    world.write(2)
    world.write(2, late=True)
    world.log.reopen()
    world.look()

    assert sorted(world.written) == sorted(world.counted)

    world.reopen()
    world.write(1)
    world.look()

    def fail(path: Path, *_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    for function in ("open", "listdir", "scandir"):
        with monkeypatch.context() as patched:
            patched.setattr(os, function, fail)
            world.log.reopen()
        world.write(1)
        world.look()

    assert sorted(world.written) == sorted(world.counted)


def test_reopened_mends(world: World) -> None:
    """
    A file that can no longer be read, as after a file server's restart, can be read again.
    """
    world.write(2)
    world.look()
    source = world.log._files[0].source  # noqa: SLF001 - what else breaks an open file
    assert isinstance(source, Plain)
    nothing = os.open(world.path.parent, os.O_RDONLY)
    os.dup2(nothing, source.descriptor)
    os.close(nothing)
    world.write(2)
    world.look()

    assert "Is a directory" == world.log.problem

    world.log.reopen()
    world.look()

    assert "" == world.log.problem
    assert world.written == world.counted


def test_rotated_before_it_is_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A log that is rotated between the look at its name and the opening counts as what it was.
    """
    world.write(2)
    world.look()
    world.rename()
    world.write(3)

    def rotate_and_open(path: Path) -> int:
        monkeypatch.setattr(logfile, "open_plain", open_plain)
        world.rename()
        world.write(4)
        return open_plain(path)

    monkeypatch.setattr(logfile, "open_plain", rotate_and_open)
    for _ in range(3):
        world.look()

    assert world.written == world.counted
    assert 2 == world.log.statistics.rotations


def test_missed_by_a_listing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file that is renamed while a directory is listed may be missed: then it is listed again.
    """
    listings: list[list[Sibling]] = [[]]

    def list_siblings(path: Path, *_: Callable[[], None]) -> list[Sibling]:
        return listings.pop() if listings else siblings.list_siblings(path)

    world.write(2)
    world.look()
    for _ in range(2):
        world.rename()
        world.write(2)
    monkeypatch.setattr(logfile, "list_siblings", list_siblings)
    world.look()

    assert "was rotated just now" == world.log.problem

    world.end()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_copy_that_is_being_made(share: float, world: World, *, read: bool) -> None:
    """
    A copy that copytruncate is still at is no generation of its own, and no rest that is new.
    """
    world.rename()
    world.look()
    if read:
        world.write(3)
        world.look()
    world.save()
    world.rename()
    # With an empty file gone that the state knows, all that is younger is looked through.
    world.compress(0)
    world.write(5)
    copy = world.copy(share)
    world.restart()
    world.look()
    world.copy(1.0, copy)
    world.look()
    world.check()
    world.truncate(0)
    world.look()
    world.write(2)
    world.end()


def test_copied_in_the_midst(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A copy that was begun before a look, and is done before the log's turn in it, counts once.
    """
    world.rename()
    world.look()
    world.save()
    world.rename()
    world.compress(0)
    world.write(5)
    copy = world.copy(0.0)
    world.restart()
    world.look()
    world.write(1)
    read, steps = Generation.read, [copy]

    def finish_and_read(
        file: Generation, now: float, statistics: Statistics
    ) -> Generator[bytes, None, bool]:
        if steps and file.path.name == world.path.name:
            world.copy(1.0, steps.pop())
            world.truncate(0)
        return read(file, now, statistics)

    monkeypatch.setattr(Generation, "read", finish_and_read)
    world.look()
    world.check()
    world.write(2)
    world.end()

    assert not steps


def test_read_error_in_the_midst(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where another file cannot be read just then, the lines in hand are read once more.
    """
    world.write(2)
    world.look()
    for _ in range(2):
        world.rename()
        world.write(2)
    broken = world.generations()[-1].stat().st_ino
    errors: list[int] = []
    read_at, ending = Plain.read_at, Generation.ending

    def fail_once(source: Plain, position: int, length: int) -> bytes:
        if errors and source.status().st_ino == broken:
            raise OSError(errors.pop(), "it is broken")
        return read_at(source, position, length)

    def break_it(file: Generation) -> Mark:
        monkeypatch.setattr(Generation, "ending", ending)
        errors.append(errno.EIO)
        return file.ending()

    monkeypatch.setattr(Generation, "ending", break_it)
    monkeypatch.setattr(Plain, "read_at", fail_once)
    world.look()
    world.save()
    world.restart()
    world.end()

    assert ending is Generation.ending
    assert not errors


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_search_is_broken_off(suffix: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The search for a place in a compressed file can be put off, and is no error then.
    """
    monkeypatch.setattr(siblings, "BLOCK_BYTES", 1000)
    world.write(100, 100)
    world.look()
    world.write(100, 100)
    world.save()
    world.rename()
    world.compress(0, suffix)
    world.restart()
    stopping = True
    told = 0

    def stop() -> None:
        nonlocal told
        told += 1
        if stopping:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))

    world.log.between = stop
    marks = world.log.marks
    world.look()

    assert marks
    assert marks == world.log.marks
    assert ("", 0) == (world.log.problem, world.log.statistics.read_errors)

    stopping, told = False, 0
    world.look()
    world.log.reopen()
    world.end()

    assert 10 < told


def test_a_thousand_rotations(world: World) -> None:
    """
    A thousand rotations leave no more open than a few files.
    """

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used as paths

    before = count()
    for i in range(1000):
        world.write()
        if i % 3:
            world.path.rename(world.path.with_name("mail.log.1"))
            world.reopen()
            world.reopen(late=True)
        else:
            shutil.copy2(world.path, world.path.with_name("mail.log.1"))
            world.truncate(0)
        world.look()

    assert world.written == world.counted
    assert before + MOST_FILES >= count()

    world.log.close()

    assert before - 1 == count()
