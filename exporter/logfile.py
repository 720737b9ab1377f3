"""
One pathname as one endless log: complete lines in chunks, through rotations and truncations.

Strategy: the file that is open is the truth and the name only tells when there is a newer one.
After a rename the old file stays open beside the new one, since its writer goes on with it until
it is told to reopen, and is left when it has been quiet for a while.  What is read is told by
device and inode, never by name.

Knows nothing of what the lines mean, and never waits.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHUNK_BYTES = 128 * 1024
LINE_BYTES = 1024 * 1024
HEAD_BYTES = 64 * 1024
GRACE_SECONDS = 60.0
"""How long a renamed file has to be quiet before it is left, once the new one has lines."""
MOST_FILES = 8
"""Files of one name open at a time; workers that never reopen keep theirs busy for ever."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Complete lines of one file.
    """

    file: int
    """Changes whenever the bytes begin anew: another file, or the same one truncated."""
    lines: bytes
    """
    Each line led by its newline, none at the end; NUL bytes are left out.

    Empty where no line ends: whoever reads gets to stop in the longest line or hole too.
    """
    head: bytes
    """With the first lines of a file: the file's first bytes, up to `HEAD_BYTES`."""


@dataclass(slots=True)
class Statistics:
    """
    What happened to one log so far.
    """

    read_bytes: int = 0
    unread_bytes: int = 0
    rotations: int = 0
    truncations: int = 0
    read_errors: int = 0
    overlong_lines: int = 0
    cut_lines: int = 0
    """Last lines without a newline, left behind with their file."""


@dataclass(slots=True)
class OpenFile:
    """
    One file being read.
    """

    number: int
    descriptor: int
    identity: tuple[int, int]
    position: int
    carry: bytes = b"\n"
    """The beginning of the line to come, behind the newline that leads it."""
    skipping: bool = False
    fresh: bool = True
    quiet_since: float = 0.0


@dataclass(slots=True)
class LogFile:
    """
    Follows one pathname; a file that is there at the start is read from its end.
    """

    path: Path
    from_beginning: bool
    statistics: Statistics = field(default_factory=Statistics)
    problem: str = ""
    """Why the log cannot be read at the moment; empty when it can, or is not there."""
    _files: list[OpenFile] = field(default_factory=list)
    _numbers: int = 0
    _skip: tuple[tuple[int, int], int] | None = None
    _looked: bool = False

    @property
    def numbers(self) -> set[int]:
        """
        Give the numbers of the files that may still have lines to come.
        """
        return {file.number for file in self._files}

    def read(self, now: float) -> Iterator[Chunk]:
        """
        Give the lines written since the last time; `now` is a clock that never goes back.
        """
        self._look(now)
        for file in self._files.copy():
            yield from self._read_file(file, now)
        self._leave_old_files(now)
        self.statistics.unread_bytes = sum(map(self._count_unread, self._files))

    def close(self) -> None:
        """
        Close all files.
        """
        while self._files:
            os.close(self._files.pop().descriptor)

    def _look(self, now: float) -> None:
        """
        Open what the pathname stands for now, if that is not the newest file already.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self.problem = ""
            self._looked = True
            return
        except OSError as error:
            self._fail(error)
            return
        identity = (status.st_dev, status.st_ino)
        first, self._looked = not self._looked, True
        if first and not self.from_beginning:
            self._skip = (identity, status.st_size)
        try:
            if not self._is_open(identity):
                self._open(now)
        except OSError as error:
            self._fail(error)
            return
        self.problem = ""

    def _is_open(self, identity: tuple[int, int]) -> bool:
        """
        Say whether a file is open already; it is the newest from now on, a renamed one come back.
        """
        for i, file in enumerate(self._files):
            if file.identity == identity:
                if file is not self._files[-1]:
                    self.statistics.rotations += 1
                    self._files.append(self._files.pop(i))
                return True
        return False

    def _open(self, now: float) -> None:
        # Without O_NONBLOCK a FIFO would hold the daemon until somebody writes to it.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        identity = (status.st_dev, status.st_ino)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            self._skip = None
            raise OSError(None, "is not a regular file")
        position = 0
        if self._skip and self._skip[0] == identity:
            position = find_line_start(descriptor, min(self._skip[1], status.st_size))
        self._skip = None
        if self._files:
            self.statistics.rotations += 1
        self._numbers += 1
        self._files.append(
            OpenFile(self._numbers, descriptor, identity, position, quiet_since=now),
        )

    def _fail(self, error: OSError) -> None:
        self.statistics.read_errors += 1
        self.problem = error.strerror or str(error)

    def _read_file(self, file: OpenFile, now: float) -> Iterator[Chunk]:
        try:
            if os.fstat(file.descriptor).st_size < file.position:
                self._restart(file)
            while data := os.pread(file.descriptor, CHUNK_BYTES, file.position):
                file.quiet_since = now
                file.position += len(data)
                self.statistics.read_bytes += len(data)
                lines, head = self._take_lines(file, data), b""
                if lines and file.fresh:
                    head = os.pread(file.descriptor, HEAD_BYTES, 0)
                    file.fresh = False
                yield Chunk(file.number, lines, head)
        except OSError as error:
            self._fail(error)

    def _restart(self, file: OpenFile) -> None:
        """
        Begin a file anew that has become shorter.
        """
        self.statistics.truncations += 1
        self._drop_carry(file)
        self._numbers += 1
        file.number, file.position, file.fresh = self._numbers, 0, True

    def _take_lines(self, file: OpenFile, data: bytes) -> bytes:
        """
        Put what was read behind the carry; give the complete lines.
        """
        if b"\0" in data:
            # What a crash leaves, or a writer that keeps its offset after copytruncate.
            data = data.replace(b"\0", b"")
        if file.skipping:
            end = data.find(b"\n")
            if end < 0:
                return b""
            file.skipping, data = False, data[end + 1 :]
        lines = file.carry + data
        first_end = lines.find(b"\n", len(file.carry))
        if first_end - 1 > LINE_BYTES:
            self.statistics.overlong_lines += 1
            lines, first_end = lines[first_end:], 0
        end = 0 if first_end < 0 else lines.rfind(b"\n")
        file.carry = lines[end:]
        if len(file.carry) - 1 > LINE_BYTES:
            self.statistics.overlong_lines += 1
            file.carry, file.skipping = b"\n", True
        return lines[:end]

    def _drop_carry(self, file: OpenFile) -> None:
        if len(file.carry) > 1:
            self.statistics.cut_lines += 1
        file.carry, file.skipping = b"\n", False

    def _leave_old_files(self, now: float) -> None:
        """
        Close the files that have been quiet for long, if a newer one has bytes.
        """
        while len(self._files) > 1:
            oldest = self._files[0]
            quiet = now - oldest.quiet_since >= GRACE_SECONDS
            newer = any(file.position for file in self._files[1:])
            if not (quiet and newer) and len(self._files) <= MOST_FILES:
                return
            self._drop_carry(oldest)
            os.close(self._files.pop(0).descriptor)

    def _count_unread(self, file: OpenFile) -> int:
        try:
            size = os.fstat(file.descriptor).st_size
        except OSError:
            return 0
        return max(size - file.position, 0) + len(file.carry) - 1


def find_line_start(descriptor: int, position: int) -> int:
    """
    Find where the line begins that `position` stands in; one that is overlong by then stays so.
    """
    start = max(position - LINE_BYTES - 1, 0)
    before = os.pread(descriptor, position - start, start)
    return start + before.rfind(b"\n") + 1
