"""
Marks, on bytes that are held in memory.
"""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.mark import FINGERPRINT_BYTES, Mark, fingerprint


@dataclass(frozen=True, slots=True)
class Bytes:
    """
    A source that is what it is.
    """

    data: bytes

    def read_at(self, position: int, length: int) -> bytes:
        """
        Read up to `length` bytes, fewer only at the end.
        """
        return self.data[position : position + length]


def mark_at(data: bytes, position: int) -> Mark:
    """
    Make the mark of a place.
    """
    length = min(position, FINGERPRINT_BYTES)
    head, tail = data[:length], data[position - length : position]
    return Mark(1, 2, position, fingerprint(head), fingerprint(tail))


DATA = bytes(range(256)) * 20


@given(st.binary(max_size=3 * FINGERPRINT_BYTES), st.binary(max_size=10), st.data())
def test_fits(data: bytes, more: bytes, draw: st.DataObject) -> None:
    """
    A mark fits what it was made of, whatever came after it.
    """
    position = draw.draw(st.integers(0, len(data)))

    assert mark_at(data, position).fits(Bytes(data[:position] + more))


@pytest.mark.parametrize("changed", [0, 500, 1023, 3000, 4000, 4023])
def test_changed_byte(changed: int) -> None:
    """
    A byte that is another one, in the first KiB or the last before the place, tells files apart.
    """
    mark = mark_at(DATA, 4024)
    data = bytearray(DATA)
    data[changed] ^= 1
    seen = changed < FINGERPRINT_BYTES or changed >= 4024 - FINGERPRINT_BYTES

    assert seen != mark.fits(Bytes(bytes(data)))


@pytest.mark.parametrize("length", [0, 1, 99, 1500, 4023])
def test_too_short(length: int) -> None:
    """
    A file that ends before the place is another one.
    """
    assert not mark_at(DATA, 4024).fits(Bytes(DATA[:length]))


def test_short_file() -> None:
    """
    Of a short file all bytes count, and those after the place do not.
    """
    mark = mark_at(b"line\n", 5)

    assert mark.fits(Bytes(b"line\nmore"))
    assert not mark.fits(Bytes(b"lime\nmore"))


def test_empty() -> None:
    """
    At the beginning there is nothing to compare.
    """
    assert mark_at(b"", 0).fits(Bytes(b"anything"))


def test_inode_is_no_matter() -> None:
    """
    Device, inode and time do not decide: a compressed file has others.
    """
    assert replace(mark_at(DATA, 9), device=7, inode=8, modified=9).fits(Bytes(DATA))


def test_fingerprint() -> None:
    """
    The digest stays the same from version to version, as it is kept in the state file.
    """
    assert "e4a6a0577479b2b4" == fingerprint(b"")
    assert 16 == len(fingerprint(DATA))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (DATA[:1024], True),
        (DATA[:2000], True),
        (DATA[:1023], False),
        (DATA, False),
        (b"other" + DATA[5:2000], False),
    ],
)
def test_was_cut_to(data: bytes, expected: bool) -> None:  # noqa: FBT001
    """
    A shorter file with the same head is the same one, cut, unless it is too short to tell.
    """
    assert expected == mark_at(DATA, len(DATA)).was_cut_to(Bytes(data), len(data))
