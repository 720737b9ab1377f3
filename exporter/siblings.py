"""
The other generations of a log: what logrotate and its like leave beside it, and in which order.

Knows names and compression, not positions or lines.
"""

import bz2
import errno
import gzip
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from exporter.zstd import ZstdError, ZstdFile

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
"""What compressors append to a name."""
# logrotate(8): "start count" makes mail.log.1, "dateext" with its formats mail.log-20261122,
# -2026112223, -20261122-1795385937 or 2026-11-22, each with the compressor's ending.
GENERATION = re.compile(
    r"(?:\.(?P<number>\d{1,5})|[.-]?(?P<date>\d{4}-?\d\d-?\d\d(?:[-_T.]?\d{1,10})*))"
    rf"(?P<suffix>{'|'.join(map(re.escape, SUFFIXES))})?"
)
MOST_SIBLINGS = 1_000
BLOCK_BYTES = 1024 * 1024


def do_nothing() -> None:
    """
    Have nothing to see to.
    """


class Plain:
    """
    An open file.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read_at(self, position: int, length: int) -> bytes:
        """
        Read up to `length` bytes, fewer only at the end.
        """
        return os.pread(self.descriptor, length, position)

    def status(self) -> os.stat_result:
        """
        Give the file's status.
        """
        return os.fstat(self.descriptor)

    def close(self) -> None:
        """
        Close it.
        """
        os.close(self.descriptor)


class Compressed:
    """
    What is in a compressed file; meant to be read from front to back.

    To get to a place takes 10 s a GiB with gzip, 80 s with bzip2: `between` is called meanwhile,
    and gives up by raising an OSError with a number.
    """

    def __init__(self, path: Path, suffix: str, between: Callable[[], None] = do_nothing) -> None:
        self._path = path
        self._between = between
        self._file = open_compressed(path, suffix)
        self._last = b""
        """What was read last, up to where the file stands; nothing after a fault."""

    def read_at(self, position: int, length: int) -> bytes:
        """
        Read up to `length` bytes, fewer only at the end; OSError when it is damaged or unfinished.
        """
        try:
            # Each chunk begins a little before the end of the last one, and to go back in the file
            # is to begin at its first byte.
            last, self._last = self._last, b""
            back = self._file.tell() - position
            if not 0 <= back <= len(last):
                last, back = b"", 0
                self._skip_to(position)
            known = last[len(last) - back :][:length]
            if length > len(known) == back:
                # Here too: a directory full of them takes its time, one block of bzip2 0.1 s.
                self._between()
                last = known = known + self._file.read(length - len(known))
        except (EOFError, lzma.LZMAError, zlib.error, ZstdError) as error:
            raise OSError(None, f"{self._path.name}: {error}") from error
        self._last = last
        return known

    def _skip_to(self, position: int) -> None:
        """
        Go to a place block by block, or to the end if that comes before.
        """
        before, here = -1, self._file.tell()
        if position < here:
            here = self._file.seek(0)
        while before < here < position:
            self._between()
            before, here = here, self._file.seek(min(here + BLOCK_BYTES, position))

    def status(self) -> os.stat_result:
        """
        Give the status of the compressed file.
        """
        return os.fstat(self._file.fileno())

    def close(self) -> None:
        """
        Close it.
        """
        self._file.close()


def open_compressed(
    path: Path, suffix: str
) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | ZstdFile:
    """
    Open a compressed file by its ending.
    """
    match suffix:
        case ".gz":
            return gzip.GzipFile(path)
        case ".bz2":
            return bz2.BZ2File(path)
        case ".zst":
            return ZstdFile(path)
        case _:
            return lzma.LZMAFile(path)


@dataclass(frozen=True, slots=True)
class Sibling:
    """
    One older generation of a log.
    """

    path: Path
    suffix: str
    """The compressor's ending, or empty."""
    device: int
    inode: int
    modified: int
    """Nanoseconds since the epoch."""
    order: tuple[str, int]
    """Rises from the oldest to the newest."""
    between: Callable[[], None] = field(default=do_nothing, compare=False, repr=False)
    """Called between two blocks of a compressed one; see `Compressed`."""

    @property
    def identity(self) -> tuple[int, int]:
        """
        Give device and inode.
        """
        return (self.device, self.inode)

    def open(self) -> Plain | Compressed:
        """
        Open it; OSError when that cannot be done, or when another has its name by now.
        """
        path, suffix = self.path, self.suffix
        source = Compressed(path, suffix, self.between) if suffix else Plain(open_plain(path))
        status = source.status()
        if (status.st_dev, status.st_ino) == self.identity:
            return source
        source.close()
        raise OSError(errno.ESTALE, "was replaced just now", str(self.path))


def open_plain(path: Path) -> int:
    """
    Open a regular file for reading; OSError for anything else.
    """
    # A FIFO is not even opened: who waits to write to it would lose what it writes then.  Without
    # O_NONBLOCK one that has come by now would hold the daemon until somebody writes to it.
    if stat.S_ISREG(path.stat().st_mode):
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    raise OSError(None, "is not a regular file")


def list_siblings(path: Path, between: Callable[[], None] = do_nothing) -> list[Sibling]:
    """
    List the older generations of a log, oldest first; OSError when the directory cannot be read.

    While a generation is being compressed both forms are there, and only the plain one is whole.
    """
    found: dict[str, Sibling] = {}
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except FileNotFoundError:
        return []
    for name in names:
        match = GENERATION.fullmatch(name, len(path.name)) if name.startswith(path.name) else None
        if match is None:
            continue
        order = (match["date"] or "", -int(match["number"] or 0))
        suffix = match["suffix"] or ""
        sibling = read_sibling(path.with_name(name), suffix, order, between)
        stem = name.removesuffix(suffix)
        if sibling and (stem not in found or not suffix):
            found[stem] = sibling
    return sorted(found.values(), key=lambda sibling: sibling.order)[-MOST_SIBLINGS:]


def read_sibling(
    path: Path,
    suffix: str = "",
    order: tuple[str, int] = ("", 0),
    between: Callable[[], None] = do_nothing,
) -> Sibling | None:
    """
    Look at one file; None when it is gone or no regular file.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return Sibling(path, suffix, status.st_dev, status.st_ino, status.st_mtime_ns, order, between)
