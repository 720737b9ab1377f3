"""
A stream that cannot be read twice: standard input, or a FIFO; complete lines in chunks.

Rule 1: it is only read when there is something, and only so much at a time.
Rule 2: standard input ends, a FIFO never does: when its last writer is gone it is opened anew,
before the old descriptor is closed, so that nothing a next writer says is lost between the two.
Rule 3: what has no newline when its writer goes never gets one: it is counted as cut.

There is no place to go back to: what was read is gone, and a restart goes on with what comes.
Knows nothing of what the lines mean, and never waits.
"""

import errno
import os
import select
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exporter.config import STANDARD_INPUT
from exporter.generation import CHUNK_BYTES, LINE_BYTES, Statistics
from exporter.kernelpipe import waiting_bytes, widen
from exporter.logfile import HEAD_BYTES, Chunk
from exporter.mark import Mark

TURN_BYTES = 4 * 1024 * 1024
"""After so many the other inputs have their turn: a writer may be faster than any reader."""


def is_pipe(path: Path) -> bool:
    """
    Say whether a name is standard input's or a FIFO's.
    """
    return path == STANDARD_INPUT or stat.S_ISFIFO(mode_of(path))


def is_file(path: Path) -> bool:
    """
    Say whether a name is a regular file's.
    """
    return stat.S_ISREG(mode_of(path))


def mode_of(path: Path) -> int:
    """
    Give the mode of what a name stands for, 0 where that cannot be seen.
    """
    try:
        return path.stat().st_mode
    except OSError:
        return 0


@dataclass(slots=True)
class Pipe:
    """
    Follows standard input, or the FIFO of a name.
    """

    path: Path
    statistics: Statistics = field(default_factory=Statistics)
    problem: str = ""
    """Why it cannot be read at the moment."""
    notes: list[str] = field(default_factory=list)
    resumed: dict[int, int] = field(default_factory=dict)
    marks: list[Mark] = field(default_factory=list)
    """An earlier run's, when the name was a file's: there is no place in a pipe."""
    ended: bool = False
    """Whether nothing will come any more."""
    half_lines: int = 0
    """None is ever read again."""
    _descriptor: int | None = None
    _identity: tuple[int, int] | None = None
    _number: int = 0
    """Changes with the writers: the next may write something else."""
    _pending: bytearray = field(default_factory=bytearray)
    """A line that has not ended."""
    _overlong: bool = False
    """Whether what comes up to the next newline belongs to a line that is too long."""
    _fresh: bool = True
    """Whether no line of these writers was handed out yet."""

    @property
    def numbers(self) -> set[int]:
        """
        Give the number of the stream that may still have lines to come.
        """
        return {self._number} if self._descriptor is not None else set()

    @property
    def unread_bytes(self) -> int:
        """
        Count the bytes that wait in the pipe.
        """
        return 0 if self._descriptor is None else waiting_bytes(self._descriptor)

    @property
    def descriptor(self) -> int | None:
        """
        Give what becomes readable when there is something new; None when a timer has to do.
        """
        return None if self.problem else self._descriptor

    def places(self) -> list[tuple[int, Mark]]:
        """
        Give no place: there is none to go back to.
        """
        return []

    def reopen(self) -> None:
        """
        Leave it alone: what is in it would be lost.
        """

    def read(self, now: float) -> Iterator[Chunk]:  # noqa: ARG002 - as a log file has it
        """
        Give the lines written since the last time, or as many as are one turn's.
        """
        self.problem, self.marks = "", []
        try:
            self._open()
            yield from self._read_turn()
        except OSError as error:
            self.statistics.read_errors += 1
            self.problem = error.strerror or str(error)
        self.statistics.unread_bytes = self.unread_bytes

    def close(self) -> None:
        """
        Close it; standard input is the process's own.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None and self.path != STANDARD_INPUT:
            os.close(descriptor)

    def leave(self) -> None:
        """
        Be done with the name for good: it stands for something that is no FIFO.
        """
        self._give_up()
        self.close()

    def _open(self) -> None:
        """
        Open it, or what is called so by now.
        """
        if self.ended:
            return
        if self.path == STANDARD_INPUT:
            if self._descriptor is None:
                widen(0)
            self._descriptor = 0
            return
        if self._is_readable():
            return
        try:
            status = self.path.stat()
        except FileNotFoundError:
            if self._descriptor is None:
                raise
            return  # its writer may still have it
        if self._descriptor is None or self._identity != (status.st_dev, status.st_ino):
            self._open_fifo()

    def _open_fifo(self) -> None:
        """
        Open the FIFO, without waiting for a writer, in the place of what was open.
        """
        # For reading only: who could write as well would never hear that the last writer is gone.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        if not stat.S_ISFIFO(status.st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no FIFO any more")
        self._give_up()
        self.close()
        widen(descriptor)
        self._descriptor, self._identity = descriptor, (status.st_dev, status.st_ino)

    def _read_turn(self) -> Iterator[Chunk]:
        """
        Read what there is.
        """
        most = self.statistics.read_bytes + TURN_BYTES
        while self.statistics.read_bytes < most and self._is_readable():
            assert self._descriptor is not None  # noqa: S101 - it is readable
            data = os.read(self._descriptor, CHUNK_BYTES)
            if not data:
                self._end()
                return
            self.statistics.read_bytes += len(data)
            lines = self._cut(data)
            head = lines[1 : HEAD_BYTES + 1] if self._fresh else b""
            self._fresh = self._fresh and not lines
            yield Chunk(self._number, lines, head)

    def _is_readable(self) -> bool:
        """
        Say whether a read would not wait; standard input may be another's too, and stays as it is.
        """
        if self._descriptor is None:
            return False
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(0))

    def _end(self) -> None:
        """
        Have the last writer gone.
        """
        if self.path == STANDARD_INPUT:
            self._give_up()
            self.ended, self._descriptor = True, None
        else:
            self._open_fifo()

    def _give_up(self) -> None:
        """
        Count a line that will never end, and be ready for other writers.
        """
        if self._overlong:
            self.statistics.overlong_lines += 1
        elif self._pending:
            self.statistics.cut_lines += 1
        self._pending.clear()
        self._overlong, self._fresh = False, True
        self._number += 1

    def _cut(self, data: bytes) -> bytes:
        """
        Give the complete lines, each led by its newline; keep what is behind the last.
        """
        data = data.replace(b"\0", b"")
        first = data.find(b"\n")
        if first < 0:
            self._keep(data)
            return b""
        if self._overlong or len(self._pending) + first > LINE_BYTES:
            self.statistics.overlong_lines += 1
            self._overlong = False
            self._pending.clear()
            data = data[first:]
        else:
            data = b"\n" + bytes(self._pending) + data
            self._pending.clear()
        end = data.rfind(b"\n")
        self._keep(data[end + 1 :])
        return data[:end]

    def _keep(self, data: bytes) -> None:
        """
        Keep the beginning of a line, as long as it may be one.
        """
        if self._overlong:
            return
        self._pending += data
        if len(self._pending) > LINE_BYTES:
            self._pending.clear()
            self._overlong = True
