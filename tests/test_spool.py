"""
Many streams in one file: what goes in comes out, in little memory, and nothing is left behind.
"""

import tracemalloc
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.spool import Spool
from exporter.tally import Key

KEYS = st.sampled_from([("a",), ("a", "b"), ("b", "")])


@given(st.lists(st.tuples(KEYS, st.binary(max_size=9))), st.integers(1, 50))
def test_anything(appended: list[tuple[Key, bytes]], held_bytes: int) -> None:
    """
    Each stream is what was appended to it, however little is held in memory.
    """
    expected: dict[Key, bytes] = defaultdict(bytes)
    with Spool(None, held_bytes) as spool:
        for key, data in appended:
            spool.append(key, data)
            expected[key] += data

        assert sorted(expected) == spool.keys()
        assert expected == {key: b"".join(spool.read(key)) for key in spool.keys()}  # noqa: SIM118
        assert b"" == b"".join(spool.read(("never",)))


def test_pieces() -> None:
    """
    A piece ends where something that was appended ends.
    """
    with Spool(None, 10) as spool:
        for _ in range(1000):
            spool.append(("a",), b"1234")

        assert {0} == {len(piece) % 4 for piece in spool.read(("a",))}


def test_memory() -> None:
    """
    Memory does not grow with what goes through, here a hundred times what may be held.
    """
    limit = 100_000
    record = bytes(1000)
    tracemalloc.start()
    with Spool(None, limit) as spool:
        for _ in range(100 * limit // len(record)):
            spool.append(("a",), record)
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 3 * limit > peak


def test_no_file_is_left(tmp_path: Path) -> None:
    """
    Not even while it is open does the file have a name, so that a kill leaves nothing.
    """
    with Spool(tmp_path, 1) as spool:
        spool.append(("a",), b"1234")

        assert [] == list(tmp_path.iterdir())


def test_no_directory(tmp_path: Path) -> None:
    """
    Where there is no room for it, the system says so.
    """
    with pytest.raises(FileNotFoundError):
        Spool(tmp_path / "missing")
