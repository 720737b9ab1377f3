"""
The search for files that were read, in real directories.
"""

import errno
import gzip
import os
from pathlib import Path
from typing import NoReturn

import pytest

from exporter.mark import Mark, fingerprint
from exporter.search import find_again, find_all, find_copy, find_later, is_copy
from exporter.siblings import Sibling, list_siblings

PRESENT = Path("mail.log")
"""The log itself, which is none of the generations here."""


def mark_of(path: Path, data: bytes, modified: int = 0) -> Mark:
    """
    Make the mark of a file of which some bytes were read.
    """
    status = path.stat()
    digest = fingerprint(data)
    return Mark(status.st_dev, status.st_ino, len(data), digest, digest, modified)


@pytest.fixture
def files(tmp_path: Path) -> list[Sibling]:
    """
    Three older generations, the newest last; the oldest two begin alike.
    """
    (tmp_path / "mail.log.3.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    (tmp_path / "mail.log.2").write_bytes(b"one\nthree\n")
    (tmp_path / "mail.log.1").write_bytes(b"four\n")
    for i in range(1, 4):
        os.utime(next(tmp_path.glob(f"mail.log.{i}*")), (100 - i, 100 - i))
    return list_siblings(tmp_path / "mail.log")


def names(siblings: list[Sibling]) -> list[str]:
    """
    Give their names.
    """
    return [sibling.path.name for sibling in siblings]


def test_by_inode(files: list[Sibling]) -> None:
    """
    Of two files with the bytes the one with the inode is meant.
    """
    for file in files[:2]:
        found = find_again(mark_of(file.path, b"one\n"), files, PRESENT)

        assert found
        assert file == found[0]

        found[1].close()


def test_by_bytes(tmp_path: Path, files: list[Sibling]) -> None:
    """
    Without its inode it is the one with its bytes; one that has neither is not found.
    """
    other = tmp_path / "other"
    other.touch()
    found = find_again(mark_of(other, b"one\ntwo\n"), files, PRESENT)

    assert found
    assert files[0] == found[0]
    assert find_again(mark_of(other, b"five\n"), files, PRESENT) is None
    assert find_again(mark_of(other, b""), files, PRESENT) is None
    assert files[1] == find_copy(mark_of(other, b"one\n"), files)
    assert find_copy(mark_of(other, b""), files) is None
    assert not is_copy(files[2], [mark_of(other, b""), mark_of(other, b"one\n")])

    found[1].close()


def test_inode_of_another(files: list[Sibling]) -> None:
    """
    A file with the inode and other bytes is another one.
    """
    found = find_again(mark_of(files[2].path, b"one\nthree\n"), files, PRESENT)

    assert found
    assert files[1] == found[0]

    found[1].close()


def test_empty_ones_last(files: list[Sibling]) -> None:
    """
    A file that has bytes of one mark is not taken for the empty one of another.
    """
    path = files[1].path
    found = find_all([mark_of(path, b""), mark_of(path, b"one\nthree\n")], files, path)

    assert {1} == found.keys()

    found[1][1].close()


@pytest.mark.parametrize(("at", "later"), [(0, 2), (1, 1), (2, 0)])
def test_later(at: int, later: int, files: list[Sibling]) -> None:
    """
    What is newer than an open file is told by its inode, empty or not.
    """
    assert files[3 - later :] == find_later(mark_of(files[at].path, b""), files)


def test_later_by_bytes_or_time(tmp_path: Path, files: list[Sibling]) -> None:
    """
    Of an open file that has gone it is told by the bytes, compressed too, else by the time.
    """
    other = tmp_path / "other"
    other.touch()

    assert files[1:] == find_later(mark_of(other, b"one\ntwo\n"), files)
    assert files[2:] == find_later(mark_of(other, b"none\n", 99 * 10**9), files)


def refuse(number: int) -> object:
    """
    Make a system call that always fails.
    """

    def fail(*_: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ENOENT])
def test_cannot_be_opened(
    number: int, files: list[Sibling], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nothing is said of files that cannot be opened, but of those that are too old for it.
    """
    monkeypatch.setattr(os, "open", refuse(number))
    path = files[1].path

    with pytest.raises(OSError, match=os.strerror(number)):
        find_copy(mark_of(path, b"one\n"), files[1:])
    if number == errno.EACCES:
        assert find_copy(mark_of(path, b"one\n", 100 * 10**9), files[1:]) is None


def test_cannot_be_read(files: list[Sibling], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk that does not give its bytes tells nothing, and nothing stays open.
    """
    marks = [mark_of(files[0].path, b"one\ntwo\n"), mark_of(files[2].path, b"four\n")]
    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(os, "pread", refuse(errno.EIO))

    with pytest.raises(OSError, match="Input/output error"):
        find_all(marks, files, PRESENT)

    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_damaged(files: list[Sibling]) -> None:
    """
    A damaged file is passed over.
    """
    data = files[0].path.read_bytes()
    files[0].path.write_bytes(data[:12])

    assert not is_copy(files[0], [mark_of(files[0].path, b"one\ntwo\n")])
    assert ["mail.log.2"] == names([f for f in files if is_copy(f, [mark_of(f.path, b"one\n")])])
