"""
The older generations of a log, in real directories.
"""

import bz2
import errno
import gzip
import lzma
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from exporter import siblings
from exporter.siblings import Compressed, Plain, list_siblings, open_plain, read_sibling

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),  # the usual preset takes fifty times as long
    ".zst": zstd.compress,
}
DATA = b"".join(b"line %d\n" % i for i in range(1000))


def names(path: Path) -> list[str]:
    """
    List the names of a log's older generations, oldest first.
    """
    return [sibling.path.name for sibling in list_siblings(path)]


@pytest.mark.parametrize(
    "expected",
    [
        ["mail.log.10", "mail.log.2", "mail.log.1"],
        ["mail.log.4.zst", "mail.log.3.gz", "mail.log.2.xz", "mail.log.1.bz2"],
        ["mail.log-20251231", "mail.log-20260101.gz", "mail.log-20261122"],
        ["mail.log-2026-11-21", "mail.log-2026-11-22.xz"],
        ["mail.log-20261122", "mail.log-2026112223"],
        ["mail.log-20261121-1795300000", "mail.log-20261122-1795385937.gz"],
        ["mail.log.20261121", "mail.log.20261122"],
        ["mail.log.2026-11-22_10", "mail.log.2026-11-22_11"],
    ],
)
def test_order(expected: list[str], tmp_path: Path) -> None:
    """
    The names of logrotate and its like are put in order, oldest first.
    """
    for name in sorted(expected):
        (tmp_path / name).touch()

    assert expected == names(tmp_path / "mail.log")


@pytest.mark.parametrize(
    "name",
    [
        "mail.log", "mail.log.gz", "mail.log.old", "mail.log.1~", "mail.log.1.gz.tmp",
        "mail.log.1.lz4", "mail.log1", "mail.login.1", "xmail.log.1", "mail.log.123456",
        "mail.log.-1", "mail.log-2026", "mail.log.1\n", ".mail.log.1.swp",
    ],
)  # fmt: skip
def test_no_generation(name: str, tmp_path: Path) -> None:
    """
    Other files that lie beside a log are not touched.
    """
    (tmp_path / name).touch()

    assert [] == names(tmp_path / "mail.log")


def test_both_forms(tmp_path: Path) -> None:
    """
    While a generation is being compressed its plain form counts, in whatever order they are listed.
    """
    for name in ("mail.log.1", "mail.log.1.gz", "mail.log.2.gz", "mail.log.2.xz", "mail.log.2"):
        (tmp_path / name).touch()

    assert ["mail.log.2", "mail.log.1"] == names(tmp_path / "mail.log")


def test_no_file(tmp_path: Path) -> None:
    """
    What is no regular file, or nothing behind a link, is none of them.
    """
    (tmp_path / "mail.log.1").mkdir()
    os.mkfifo(tmp_path / "mail.log.2")
    (tmp_path / "mail.log.3").symlink_to("nothing")

    assert [] == names(tmp_path / "mail.log")
    assert read_sibling(tmp_path / "mail.log.2") is None


def test_most_siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of too many the newest are looked at.
    """
    monkeypatch.setattr(siblings, "MOST_SIBLINGS", 3)
    for i in range(1, 9):
        (tmp_path / f"mail.log.{i}").touch()

    assert ["mail.log.3", "mail.log.2", "mail.log.1"] == names(tmp_path / "mail.log")


def test_no_directory(tmp_path: Path) -> None:
    """
    A directory that is not there holds none.
    """
    assert [] == list_siblings(tmp_path / "nowhere" / "mail.log")


def test_unreadable_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of a directory that cannot be read nothing is known.
    """

    def fail(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "listdir", fail)
    monkeypatch.setattr(os, "scandir", fail)

    with pytest.raises(PermissionError):
        list_siblings(tmp_path / "mail.log")


@pytest.mark.parametrize("suffix", ["", *COMPRESSORS])
def test_read(suffix: str, tmp_path: Path) -> None:
    """
    A generation gives its lines' bytes at any place, and tells the file it is in.
    """
    file = tmp_path / f"mail.log.1{suffix}"
    file.write_bytes(COMPRESSORS.get(suffix, bytes)(DATA))
    (sibling,) = list_siblings(tmp_path / "mail.log")
    source = sibling.open()

    assert DATA[500:510] == source.read_at(500, 10)
    assert DATA[:10] == source.read_at(0, 10)
    assert DATA[-5:] == source.read_at(len(DATA) - 5, 10)
    assert b"" == source.read_at(len(DATA) + 10, 10)
    assert sibling.identity == (source.status().st_dev, source.status().st_ino)
    assert isinstance(source, Compressed if suffix else Plain)

    source.close()


@pytest.mark.parametrize("suffix", [*COMPRESSORS])
@pytest.mark.parametrize("damage", ["cut", "garbled", "foreign"])
def test_damaged(suffix: str, damage: str, tmp_path: Path) -> None:
    """
    What is wrong inside a compressed file is an OSError without a number.
    """
    file = tmp_path / f"mail.log.1{suffix}"
    data = COMPRESSORS[suffix](DATA)
    garbled = data[:60] + bytes(reversed(data[60:-20])) + data[-20:]
    file.write_bytes({"cut": data[:-60], "garbled": garbled, "foreign": DATA}[damage])
    (sibling,) = list_siblings(tmp_path / "mail.log")
    source = sibling.open()
    with pytest.raises(OSError, match=r".") as caught:
        source.read_at(0, len(DATA) + 1)
    source.close()

    assert caught.value.errno is None


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_replaced(suffix: str, tmp_path: Path) -> None:
    """
    A name that another file has since the directory was listed is not opened as the first.
    """
    file = tmp_path / f"mail.log.1{suffix}"
    file.write_bytes(gzip.compress(DATA))
    (sibling,) = list_siblings(tmp_path / "mail.log")
    file.rename(tmp_path / "mail.log.2")
    file.write_bytes(gzip.compress(DATA))

    with pytest.raises(OSError, match="replaced") as caught:
        sibling.open()

    assert errno.ESTALE == caught.value.errno


def test_replaced_by_a_fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A FIFO that took a file's place just before it was opened is closed again.
    """
    path = tmp_path / "log"
    path.write_bytes(b"")
    reading, writing = os.pipe()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *_: reading)
        with pytest.raises(OSError, match="is not a regular file"):
            open_plain(path)

    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")

    os.close(writing)


def test_open_plain(tmp_path: Path) -> None:
    """
    A FIFO is refused at once, without waiting for its writer.
    """
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(OSError, match="is not a regular file"):
        open_plain(tmp_path / "fifo")


@pytest.fixture(scope="module")
def compressed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """
    Have the data compressed, by the compressor's ending.
    """
    directory = tmp_path_factory.mktemp("compressed")
    paths = {suffix: directory / f"mail.log.1{suffix}" for suffix in COMPRESSORS}
    for suffix, path in paths.items():
        path.write_bytes(COMPRESSORS[suffix](DATA))
    return paths


@given(
    suffix=st.sampled_from(list(COMPRESSORS)),
    reads=st.lists(
        st.tuples(st.integers(0, len(DATA) + 9), st.integers(0, len(DATA) + 9)), max_size=9
    ),
)
def test_read_anywhere(
    suffix: str, reads: list[tuple[int, int]], compressed: dict[str, Path]
) -> None:
    """
    Whatever was read before, what is compressed can be read at any place, and beyond its end.
    """
    source = Compressed(compressed[suffix], suffix)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(siblings, "BLOCK_BYTES", 1000)
        found = [source.read_at(position, length) for position, length in reads]
    source.close()

    assert [DATA[position : position + length] for position, length in reads] == found


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_blocks(suffix: str, compressed: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each block on the way to a place is told, and each read: bytes that were just read cost nothing.
    """
    told: list[int] = []
    monkeypatch.setattr(siblings, "BLOCK_BYTES", 100)
    source = Compressed(compressed[suffix], suffix, lambda: told.append(1))
    source.read_at(2000, 500)
    on_the_way = len(told)
    for position in (2499, 2700, 3010, 3500):
        source.read_at(position, 500)
    forward = len(told)
    source.read_at(1000, 1)
    source.close()

    assert [20 + 1, 21 + 4, 25 + 10 + 1] == [on_the_way, forward, len(told)]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_broken_off(
    suffix: str, compressed: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The way to a place can be broken off, and taken again.
    """
    told: list[int] = []

    def break_off() -> None:
        told.append(1)
        if len(told) == 3:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))

    monkeypatch.setattr(siblings, "BLOCK_BYTES", 100)
    (sibling,) = list_siblings(compressed[suffix].with_name("mail.log"), break_off)[-1:]
    source = Compressed(compressed[suffix], suffix, sibling.between)
    with pytest.raises(InterruptedError):
        source.read_at(2000, 500)
    found = source.read_at(2000, 500)
    source.close()

    assert DATA[2000:2500] == found
