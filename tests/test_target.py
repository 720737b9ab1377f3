"""
A file that is written: whole or not at all, and nothing is overwritten by accident.
"""

import os
import threading
from pathlib import Path

import pytest

from exporter.logtool.target import ExistsError, new_file


def test_whole(tmp_path: Path) -> None:
    """
    The file has its name when all is written, not before.
    """
    path = tmp_path / "out"
    with new_file(path, force=False) as file:
        file.write(b"all")

        assert not path.exists()

    assert {"out": b"all"} == {one.name: one.read_bytes() for one in tmp_path.iterdir()}


def test_failure(tmp_path: Path) -> None:
    """
    After a failure, Ctrl-C too, what was there before is there still, and nothing else.
    """
    path = tmp_path / "out"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with new_file(path, force=True) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert {"out": b"old"} == {one.name: one.read_bytes() for one in tmp_path.iterdir()}


def test_exists(tmp_path: Path) -> None:
    """
    A file that exists is written over only by force.
    """
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(ExistsError, match="--force"), new_file(path, force=False):
        pass

    assert b"old" == path.read_bytes()

    with new_file(path, force=True) as file:
        file.write(b"new")

    assert b"new" == path.read_bytes()


def test_pipe(tmp_path: Path) -> None:
    """
    What is no regular file, a pipe or /dev/null, is written to and stays what it is.
    """
    path = tmp_path / "pipe"
    os.mkfifo(path)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()
    with new_file(path, force=False) as file:
        file.write(b"all")
    reader.join()

    assert [b"all"] == found
    assert path.is_fifo()
