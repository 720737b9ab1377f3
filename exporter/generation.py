"""
One file of a log, read line by line: from a position on, and only while the bytes before it stay.

Rule 1: a position is always the start of a line, and moves only over lines that were handed out.
Rule 2: before bytes are believed to follow a position, those just before it are compared with what
stood there: a file may have been cut and have grown again between two looks.

Knows nothing of names and of other files, and never waits.
"""

import errno
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from exporter.mark import FINGERPRINT_BYTES, Mark, fingerprint
from exporter.siblings import Compressed, Plain

CHUNK_BYTES = 256 * 1024
LINE_BYTES = 1024 * 1024
RECENT_BYTES = 256 * 1024
NEWLINE = ord("\n")


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


@dataclass(slots=True, eq=False)
class Generation:
    """
    One file being read.
    """

    number: int
    path: Path
    source: Plain | Compressed
    device: int
    inode: int
    position: int = 0
    """Where the first line begins that was not handed out."""
    scanned: int = 0
    """There is no newline between `position` and here."""
    head: bytes = b""
    """The file's first bytes, at most `FINGERPRINT_BYTES` and none beyond `position`."""
    tail: bytes = b""
    """The bytes just before `position`, at most `FINGERPRINT_BYTES`."""
    modified: int = 0
    """When the file had been written to before it was last read, nanoseconds since the epoch."""
    fresh: bool = True
    """Whether no line was handed out yet."""
    borrowed: bool = False
    """Whether another log reads it already."""
    quiet_since: float = 0.0
    superseded: bool = False
    """Whether a newer file has lines; until then its writer may not know of that one."""
    recent: list[memoryview] = field(default_factory=list)
    """What was handed out last, up to `position`: about `RECENT_BYTES`, to find where a cut was."""

    @property
    def identity(self) -> tuple[int, int]:
        """
        Give device and inode.
        """
        return (self.device, self.inode)

    def mark(self) -> Mark:
        """
        Give the place that was reached.
        """
        head, tail = fingerprint(self.head), fingerprint(self.tail)
        return Mark(self.device, self.inode, self.position, head, tail, self.modified)

    def beginning(self) -> Mark:
        """
        Give a mark at the end of the bytes that the file begins with now.
        """
        head = self.source.read_at(0, FINGERPRINT_BYTES)
        digest = fingerprint(head)
        return Mark(self.device, self.inode, len(head), digest, digest, self.modified)

    def ending(self) -> Mark:
        """
        Give a mark at the end of the bytes that the file has now.
        """
        size = self._size()
        length = min(size, FINGERPRINT_BYTES)
        head = fingerprint(self.source.read_at(0, length))
        tail = fingerprint(self.source.read_at(size - length, length))
        return Mark(self.device, self.inode, size, head, tail, self.modified)

    def footprint(self) -> Mark:
        """
        Give the mark to find this file by, or a copy of it.
        """
        return self.mark() if self.position else self.beginning()

    def go_to(self, position: int) -> None:
        """
        Go on from a position, with the bytes that stand before it now.
        """
        length = min(position, FINGERPRINT_BYTES)
        self.head = self.source.read_at(0, length)
        self.tail = self.source.read_at(position - length, length)
        self.position = self.scanned = position
        self.recent.clear()

    def go_on(self, mark: Mark) -> bool:
        """
        Go on at a mark, or at the end of what a cut has left of a file; say whether it was cut.

        OSError when neither is there by now: it is being cut, or copied and emptied.
        """
        cut = isinstance(self.source, Plain) and mark.was_cut_to(self.source, self._size())
        self.go_to(self._size() if cut else mark.position)
        whole = len(self.tail) == min(self.position, FINGERPRINT_BYTES)
        same = fingerprint(self.head) == mark.head and (cut or fingerprint(self.tail) == mark.tail)
        if whole and same:
            return cut
        raise OSError(errno.ESTALE, "was cut just now", str(self.path))

    def read(self, now: float, statistics: Statistics) -> Generator[bytes, None, bool]:
        """
        Hand out complete lines until there are no more; True when the bytes before are gone.

        Each chunk has its lines led by their newlines and none at the end.  An empty one comes
        where no line ends, so that whoever reads gets to stop in the longest line or hole too.
        """
        while self._has_changed():
            if self._size() < self.scanned and isinstance(self.source, Plain):
                # The line that was being written is gone, with the file or by itself.
                if not self.position:
                    return True
                if self._stands():
                    self.give_up(statistics)
            start = self.scanned
            overlong = start - self.position > LINE_BYTES
            lines = self._skip(statistics) if overlong else self._take()
            if lines is None:
                return True
            if self.scanned <= start:
                return False
            self.quiet_since = now
            statistics.read_bytes += self.scanned - start
            yield lines
        return False

    def _has_changed(self) -> bool:
        """
        Say whether there may be something new since the last time; what is compressed must be read.
        """
        if isinstance(self.source, Compressed):
            return True
        status = self.source.status()
        before, self.modified = self.modified, status.st_mtime_ns
        if (status.st_size, status.st_mtime_ns) != (self.scanned, before):
            return True
        # Cut and grown again to the old size, within one tick of the clock that gives the times.
        return not self._stands()

    def _stands(self) -> bool:
        """
        Say whether the bytes before the position are what they were.
        """
        length = len(self.tail)
        return self.source.read_at(self.position - length, length) == self.tail

    def _take(self) -> bytes | None:
        """
        Read the next lines; None when the bytes before the position are not what they were.
        """
        # What is compressed does not change, and going back in it is dear.
        before = len(self.tail) if isinstance(self.source, Plain) else 0
        pending = self.scanned - self.position
        data = self.source.read_at(self.position - before, before + pending + CHUNK_BYTES)
        if not data.startswith(self.tail[:before]):
            return None
        if data.startswith(b"\0", before):
            # What a crash leaves, or a writer that keeps its offset after copytruncate.
            self._advance(data, before, len(data) - len(data[before:].lstrip(b"\0")))
            self.scanned = self.position
            return b""
        first, end = data.find(b"\n", before), data.rfind(b"\n", before)
        if first < 0 or first - before > LINE_BYTES:
            self.scanned = self.position + (len(data) if first < 0 else first) - before
            return b""
        # In front of a position there is a newline nearly always.
        led = before > 0 and data[before - 1] == NEWLINE
        lines = data[before - 1 : end] if led else b"\n" + data[before:end]
        self._advance(data, before, end + 1)
        return lines.replace(b"\0", b"")

    def _skip(self, statistics: Statistics) -> bytes | None:
        """
        Look for the end of an overlong line; None when the bytes before it are not what they were.

        It is counted only once it ends: after a restart it is met again.
        """
        # What is compressed does not change, and going back in it is dear.
        if isinstance(self.source, Plain) and not self._stands():
            return None
        data = self.source.read_at(self.scanned, CHUNK_BYTES)
        end = data.find(b"\n")
        if end < 0:
            self.scanned += len(data)
        else:
            self.go_to(self.scanned + end + 1)
            statistics.overlong_lines += 1
        return b""

    def _advance(self, data: bytes, before: int, end: int) -> None:
        """
        Move the position from `before` to `end` in `data`.
        """
        if len(self.head) < FINGERPRINT_BYTES:
            self.head = (self.head + data[before:end])[:FINGERPRINT_BYTES]
        new = data[max(end - FINGERPRINT_BYTES, before) : end]
        self.tail = (self.tail + new)[-FINGERPRINT_BYTES:]
        self.position += end - before
        self.scanned = self.position + len(data) - end
        taken = memoryview(data)[before:end]
        # A part keeps all of `data` in memory, and a copy takes its time.
        self.recent.append(taken if 2 * len(taken) > len(data) else memoryview(bytes(taken)))
        while sum(map(len, self.recent[1:])) > RECENT_BYTES:
            del self.recent[0]

    def give_up(self, statistics: Statistics) -> None:
        """
        Count a line that will never end.
        """
        if self.scanned - self.position > LINE_BYTES:
            statistics.overlong_lines += 1
        elif self.scanned > self.position:
            statistics.cut_lines += 1
        self.scanned = self.position

    def go_back(self) -> None:
        """
        Go on in a file that was cut: at the first line that was not handed out.
        """
        cut = self._find_cut()
        handed_out = b"".join(self.recent)
        kept = handed_out[: max(cut - (self.position - len(handed_out)), 0)]
        self.go_to(cut)
        self.recent.append(memoryview(kept))

    def _find_cut(self) -> int:
        """
        Find how far a file still has the lines that were handed out.

        With more than `RECENT_BYTES` cut off, or after a restart, all that is there is held for
        old: it was read before, or written between the cut and this look.
        """
        handed_out = b"".join(self.recent)
        start, size = self.position - len(handed_out), self._size()
        if start and self.source.read_at(0, len(self.head)) != self.head[:size]:
            return 0
        if size < start:
            # Cut before what is remembered, and all before that was handed out.
            return size
        common = common_length(handed_out, self.source.read_at(start, len(handed_out)))
        if start + common == size:
            return size
        return start + handed_out.rfind(b"\n", 0, common) + 1

    def _size(self) -> int:
        return self.source.status().st_size if isinstance(self.source, Plain) else 0


def common_length(one: bytes, other: bytes) -> int:
    """
    Count the bytes that two begin with alike.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
