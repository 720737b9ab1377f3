"""
FILE arguments -> logs in the order they were written, as chunks of complete lines.

Compressed or not is told by a file's first bytes, not by its name, so that standard input may be
either.  Lines are cut the way the daemon cuts them, by its own `Generation`: the same are overlong,
the same are unfinished.  Never holds more of a file than a chunk and one line, never looks for
files that were not named, and knows nothing of what lines mean.
"""

import bz2
import gzip
import io
import lzma
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from exporter.counting import Counting
from exporter.generation import LINE_BYTES, Generation, Statistics
from exporter.logfile import HEAD_BYTES
from exporter.logtool.terminal import shown
from exporter.mark import FINGERPRINT_BYTES
from exporter.siblings import GENERATION, SUFFIXES, Compressed
from exporter.tally import Tally
from exporter.zstd import ZstdError, ZstdFile

STANDARD_INPUT = "-"
MAGIC_BYTES = 6
"""As many as the longest of the marks that compressed files begin with."""
BUFFER_BYTES = 128 * 1024

NAME = re.compile(rf"(?P<log>.+?){GENERATION.pattern}", re.DOTALL)
NEWEST = ("\N{REPLACEMENT CHARACTER}", 0)
"""The order of the file that has the log's own name: behind every date."""


class SourceError(Exception):
    """
    A file cannot be read, or not to its end; the text names it and says why in one line.
    """


class Counted(io.RawIOBase):
    """
    A file that knows how many of its bytes were read, and shows the first ones beforehand.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ahead = b""
        self.done = 0

    def look_ahead(self) -> bytes:
        """
        Give the first bytes, which `read` gives again; fewer only where a line or the file ends.
        """
        while len(self._ahead) < MAGIC_BYTES and b"\n" not in self._ahead:
            data = self._take(MAGIC_BYTES - len(self._ahead))
            if not data:
                break
            self._ahead += data
        return self._ahead

    def readable(self) -> bool:
        """
        Say that it can be read.
        """
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """
        Read what there is at once, as much as the buffer takes at most.
        """
        size = len(buffer)
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data = data or self._take(size)
        buffer[: len(data)] = data
        self.done += len(data)
        return len(data)

    def _take(self, size: int) -> bytes:
        # A pipe's reader shall not wait for more than there is: somebody may be typing.
        file = self._file
        return file.read1(size) if isinstance(file, io.BufferedReader) else file.read(size)


def decompress(file: Counted) -> Callable[[int], bytes]:
    """
    Give what reads a file, whatever its first bytes say it was compressed with.
    """
    magic = file.look_ahead()
    buffered = io.BufferedReader(file, BUFFER_BYTES)
    if magic.startswith(b"\x1f\x8b"):  # RFC 1952, 2.3.1
        return Filled(gzip.GzipFile(fileobj=buffered).read1)
    if magic.startswith(b"BZh"):
        return Filled(bz2.BZ2File(buffered).read1)
    if magic.startswith(b"\xfd7zXZ\0"):
        return Filled(lzma.LZMAFile(buffered).read1)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):  # RFC 8878, 3.1.1
        return Filled(ZstdFile(buffered).read1)
    return buffered.read1


class Filled:
    """
    Reads all that it is asked for, as long as there is some; damage counts after what was before.

    So the first bytes of a compressed file are as many as the daemon looks at.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._error: OSError | None = None

    def __call__(self, size: int) -> bytes:
        """
        Read up to `size` bytes, fewer only at the end or before damage.
        """
        if self._error:
            raise self._error
        data = bytearray()
        try:
            while len(data) < size and (more := self._read(size - len(data))):
                data += more
        except (EOFError, OSError, lzma.LZMAError, zlib.error, ZstdError) as error:
            self._error = OSError(None, f"damaged or cut off: {error}")
            self._error.__cause__ = error
            if not data:
                raise self._error from error
        return bytes(data)


class Stream(Compressed):
    """
    What a `Generation` reads: any file from front to back, never twice.
    """

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.head = b""
        """The first bytes, as far as they were read."""
        self._window = b""
        self._start = 0
        """Where in the file the window begins."""

    def read_at(self, position: int, length: int) -> bytes:
        """
        Read up to `length` bytes where the last call left off, a little before, or at the start.
        """
        if position < self._start:
            return self.head[position : position + length]
        missing = position + length - self._start - len(self._window)
        if missing > 0:
            behind = max(position - self._start - FINGERPRINT_BYTES, 0)
            self._window = self._window[behind:] + self._read(missing)
            self._start += behind
        if len(self.head) < HEAD_BYTES and not self._start:
            self.head = self._window[:HEAD_BYTES]
        return self._window[position - self._start :][:length]


def show_name(argument: str) -> str:
    """
    Write a FILE argument so that it can be shown.
    """
    return "standard input" if argument == STANDARD_INPUT else shown(os.fsencode(argument))


@dataclass(slots=True)
class Source:
    """
    One file to be read, once.
    """

    argument: str
    """As it was given, or "-"."""
    standard_input: BinaryIO
    size: int | None = None
    """Bytes on the disk; None where that is not known."""
    head: bytes = b""
    """The first bytes, decompressed; known from the first chunk on."""
    unfinished: bytes = b""
    """The last line, where it has no newline; known in the end, and in no chunk."""
    statistics: Statistics = field(default_factory=Statistics)
    rotated: bool = False
    """Whether other generations of its log are to be read too."""
    empty: bool = False
    """Whether there is not a byte in it; known in the end."""
    _counted: Counted | None = None

    @property
    def name(self) -> str:
        """
        Give its name, fit to be shown.
        """
        return show_name(self.argument)

    @property
    def excused(self) -> bool:
        """
        Say whether it is empty as one of a rotated log may well be, the new one for instance.
        """
        return self.empty and self.rotated

    @property
    def done(self) -> int:
        """
        Give how many of its bytes on the disk were read so far.
        """
        return self._counted.done if self._counted else 0

    def chunks(self) -> Iterator[bytes]:
        """
        Give complete lines, each led by its newline; SourceError where that ends before the file.

        A chunk is empty where no line ends, so that whoever reads can show that it goes on.
        """
        try:
            with self._open() as file:
                self._counted = Counted(file)
                stream = Stream(decompress(self._counted))
                generation = Generation(0, Path(self.argument), stream, 0, 0)
                for lines in generation.read(0.0, self.statistics):
                    if lines and generation.fresh:
                        self.head = stream.head
                        generation.fresh = False
                    yield lines
                if generation.scanned - generation.position <= LINE_BYTES:
                    self.unfinished = stream.read_at(generation.position, LINE_BYTES)
                generation.give_up(self.statistics)
                self.empty = not self.statistics.read_bytes
        except OSError as error:
            raise SourceError(f"{self.name}: {error.strerror or error}") from error

    def _open(self) -> AbstractContextManager[BinaryIO]:
        if self.argument == STANDARD_INPUT:
            return nullcontext(self.standard_input)
        return Path(self.argument).open("rb")


@dataclass(frozen=True, slots=True)
class Arrangement:
    """
    What to read, in this order.
    """

    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    """One line each on a file that is left out since another has the same lines."""


@dataclass(frozen=True, slots=True)
class Named:
    """
    What a file's name says.
    """

    argument: str
    log: str
    """The log that it is a generation of; itself where it does not look like one."""
    order: tuple[str, int]
    """Rises from the oldest generation to the newest."""
    uncompressed: str
    """The name without the compressor's ending, empty where it has none."""


def read_name(argument: str) -> Named:
    """
    Tell from a file's name which log it is of, and how old.
    """
    path = str(Path(argument))
    plain = path
    for suffix in SUFFIXES:
        plain = plain.removesuffix(suffix)
    match = NAME.fullmatch(plain)
    uncompressed = "" if plain == path else plain
    if match is None:
        return Named(argument, path, NEWEST, uncompressed)
    order = (match["date"] or "", -int(match["number"] or 0))
    return Named(argument, match["log"], order, uncompressed)


def arrange(arguments: Iterable[str], standard_input: BinaryIO) -> Arrangement:
    """
    Put the generations of each log in order, oldest first; different logs stay as they were given.

    A file given twice counts once, as does one beside its compressed form, which may be unfinished.
    """
    logs: dict[str, list[Named]] = {}
    for argument in dict.fromkeys(arguments):
        named = read_name(argument)
        logs.setdefault(named.log, []).append(named)
    paths = {str(Path(argument)) for argument in arguments}
    sources: list[Source] = []
    notes: list[str] = []
    files: dict[tuple[int, int], str] = {}
    for generations in logs.values():
        for named in sorted(generations, key=lambda generation: generation.order):
            source = Source(named.argument, standard_input, rotated=len(generations) > 1)
            twin = named.uncompressed if named.uncompressed in paths else named.argument
            status = _look(named.argument)
            if status and twin == named.argument:
                source.size = status.st_size
                twin = files.setdefault((status.st_dev, status.st_ino), twin)
            if twin == named.argument:
                sources.append(source)
            else:
                notes.append(f"{source.name}: left out, {show_name(twin)} has the same lines")
    return Arrangement(tuple(sources), tuple(notes))


def _look(argument: str) -> os.stat_result | None:
    """
    Give the status of a regular file; None for anything else, which may still be read.
    """
    if argument == STANDARD_INPUT:
        return None
    try:
        status = Path(argument).stat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def feed(source: Source, counting: Counting, tally: Tally) -> Iterator[int]:
    """
    Count a source as the daemon would; give after each chunk how many bytes on the disk are done.

    SourceError where it cannot be read on; what came before is counted.
    """
    started = False
    try:
        for lines in source.chunks():
            if lines and not started:
                counting.start(source.head)
                started = True
            if lines:
                counting.add(lines)
            yield source.done
    finally:
        counting.finish()
        tally.count(("lines", "overlong"), source.statistics.overlong_lines)
        tally.count(("lines", "malformed"), source.statistics.cut_lines)
