"""
Many streams of bytes in one temporary file: written as they come, read one by one.

Holds a bounded number of bytes in memory, however much goes through.  Knows nothing of what it
holds; the file has no name, so that nothing is left of it whatever happens.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from exporter.tally import Key

HELD_BYTES = 16 * 1024 * 1024


class Spool:
    """
    Streams by key; what is read of one comes in pieces that end where an `append` ended.
    """

    def __init__(self, directory: Path | None, held_bytes: int = HELD_BYTES) -> None:
        """
        Open its file in a directory, else where the system has its temporary files.
        """
        self._file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed by __exit__
        self._limit = held_bytes
        self._held = 0
        self._buffers: dict[Key, bytearray] = {}
        self._extents: dict[Key, list[tuple[int, int]]] = {}
        """Key -> where its pieces begin, and their lengths."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def keys(self) -> list[Key]:
        """
        Give the keys of all streams, sorted.
        """
        return sorted(self._extents.keys() | self._buffers.keys())

    def append(self, key: Key, data: bytes) -> None:
        """
        Add to the end of a stream.
        """
        self._buffers.setdefault(key, bytearray()).extend(data)
        self._held += len(data)
        if self._held >= self._limit:
            self._flush()

    def read(self, key: Key) -> Iterator[bytes]:
        """
        Give a stream from its beginning.
        """
        for begin, length in self._extents.get(key, ()):
            self._file.seek(begin)
            yield self._file.read(length)
        yield bytes(self._buffers.get(key, b""))

    def _flush(self) -> None:
        for key, buffer in self._buffers.items():
            self._extents.setdefault(key, []).append((self._file.tell(), len(buffer)))
            self._file.write(buffer)
        self._buffers.clear()
        self._held = 0
