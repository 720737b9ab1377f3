"""
How far a file was read, and how to know it again: device, inode, and what its bytes look like.

A name says nothing about a log after a rotation, and an inode little: it is reused, kept by
copytruncate, and changed by gzip.  So a mark also holds a fingerprint of the file's head and one of
the bytes just before the position.
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

FINGERPRINT_BYTES = 1024


class Source(Protocol):
    """
    Bytes that can be read at an offset: a file, or what is in a compressed one.
    """

    def read_at(self, position: int, length: int) -> bytes:
        """
        Read up to `length` bytes, fewer only at the end.
        """
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """
    A place in a file, always at the start of a line.
    """

    device: int
    inode: int
    position: int
    head: str
    """The fingerprint of the first `FINGERPRINT_BYTES`, or of all before the position."""
    tail: str
    """The same of the bytes just before the position."""
    modified: int = 0
    """When the file was last written to, nanoseconds since the epoch."""
    cursor: str = ""
    """In the systemd journal: the last entry that was read; there the rest says nothing."""

    def fits(self, source: Source) -> bool:
        """
        Say whether a source has the bytes that stood before this place.
        """
        length = min(self.position, FINGERPRINT_BYTES)
        if length == 0:
            return True
        head = source.read_at(0, length)
        if len(head) != length or fingerprint(head) != self.head:
            return False
        tail = source.read_at(self.position - length, length)
        return len(tail) == length and fingerprint(tail) == self.tail

    def was_cut_to(self, source: Source, size: int) -> bool:
        """
        Say whether a file of `size` bytes is this one, cut to a part of what was read of it.

        A part of less than the fingerprint's bytes cannot be told from a new file.
        """
        if not FINGERPRINT_BYTES <= size < self.position:
            return False
        return fingerprint(source.read_at(0, FINGERPRINT_BYTES)) == self.head


def fingerprint(data: bytes) -> str:
    """
    Give a short digest; 16 hexadecimal digits tell a billion files apart.
    """
    return hashlib.blake2b(data, digest_size=8).hexdigest()
