"""
Files and standard input as chunks of lines.
"""

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_PROGRAMS
from exporter.counting import Counting
from exporter.generation import LINE_BYTES
from exporter.logtool.sources import Counted, Source, SourceError, arrange, feed
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Tally

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),  # the usual preset takes twelve times as long
    ".zst": zstd.compress,
}
DATA = b"".join(b"line %d\n" % i for i in range(100_000))


def read(source: Source) -> bytes:
    """
    Put a source's chunks together again.
    """
    return b"".join(source.chunks())


def order(arguments: list[str]) -> list[str]:
    """
    Give the order in which files would be read.
    """
    return [source.argument for source in arrange(arguments, io.BytesIO()).sources]


@pytest.mark.parametrize("suffix", list(COMPRESSORS))
@pytest.mark.parametrize("times", [1, 2])
def test_compression(suffix: str, times: int, tmp_path: Path) -> None:
    """
    The first bytes tell how a file is compressed, whatever its name; several may be put together.
    """
    path = tmp_path / "log"
    path.write_bytes(COMPRESSORS[suffix](DATA) * times)
    source = Source(str(path), io.BytesIO())
    piped = Source("-", io.BytesIO(path.read_bytes()))

    assert read(source) == b"\n" + (DATA * times)[:-1] == read(piped).replace(b"\n\n", b"\n")
    assert path.stat().st_size == source.done
    assert len(DATA) * times == source.statistics.read_bytes
    assert source.head == DATA[: len(source.head)]
    assert len(source.head) == 64 * 1024


@pytest.mark.parametrize("suffix", [suffix for suffix in COMPRESSORS if suffix])
def test_damage(suffix: str, tmp_path: Path) -> None:
    """
    A compressed file that is cut gives its first lines, then one line that says so.
    """
    noise = random.Random(1).randbytes(3_000_000).hex().encode().replace(b"0", b"\n")  # noqa: S311
    data = COMPRESSORS[suffix](noise)
    path = tmp_path / "mail.log.2"
    path.write_bytes(data[: len(data) // 2])
    source = Source(str(path), io.BytesIO())
    chunks: list[bytes] = []

    def read_on() -> None:
        for lines in source.chunks():
            chunks.append(lines)  # noqa: PERF402 - what came before the damage counts

    with pytest.raises(SourceError, match=r"mail\.log\.2: damaged or cut off: ") as caught:
        read_on()

    assert "\n" not in str(caught.value)
    assert (b"\n" + noise).startswith(b"".join(chunks))
    assert len(noise) // 10 < len(b"".join(chunks)) < len(noise)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing", "No such file or directory"), (".", "Is a directory")],
)
def test_unreadable(name: str, reason: str, tmp_path: Path) -> None:
    """
    What cannot be opened is said with its name and the reason.
    """
    [source] = arrange([f"{tmp_path}/{name}"], io.BytesIO()).sources

    with pytest.raises(SourceError, match=reason):
        read(source)


def test_hostile_name(tmp_path: Path) -> None:
    """
    A name that would move the cursor is escaped.
    """
    [source] = arrange([f"{tmp_path}/\x1b[2J\n"], io.BytesIO()).sources

    assert source.name == f"{tmp_path}/\\x1b[2J\\n"


@pytest.mark.parametrize(
    "expected",
    [
        ["mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log"],
        ["mail.log-20261121.zst", "mail.log-20261122.xz", "mail.log"],
        ["a/mail.log.1", "a/mail.log", "b/mail.log.2.bz2", "b/mail.log"],
        ["-", "x.log"],
        ["z.log", "a.log"],
    ],
)
def test_order(expected: list[str]) -> None:
    """
    The generations of a log come oldest first, and different logs as they were given.
    """
    mixed = sorted(expected, reverse=expected[0] > expected[-1])

    assert expected == order(mixed if expected[0] != "-" else expected)


def test_order_of_shell() -> None:
    """
    What `mail.log*` expands to is put in order.
    """
    expanded = ["mail.log", "mail.log.1", "mail.log.10.gz", "mail.log.2.gz"]

    assert order(expanded) == ["mail.log.10.gz", "mail.log.2.gz", "mail.log.1", "mail.log"]


def test_twins(tmp_path: Path) -> None:
    """
    A file given twice, by a link, or beside its compressed form is read once, and that is said.
    """
    for name in ("mail.log", "mail.log.1", "mail.log.1.gz"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "link").symlink_to("mail.log")
    names = ["mail.log", "mail.log", "link", "mail.log.1.gz", "mail.log.1", "-", "-"]
    arguments = [name if name == "-" else str(tmp_path / name) for name in names]
    arrangement = arrange(arguments, io.BytesIO())
    sizes = [(Path(source.argument).name, source.size) for source in arrangement.sources]

    assert sizes == [("mail.log.1", 10), ("mail.log", 8), ("-", None)]
    assert len(arrangement.notes) == 2
    assert arrangement.notes[0].endswith(f"{tmp_path}/mail.log.1 has the same lines")


def test_fifo(tmp_path: Path) -> None:
    """
    A pipe by name, as <(zcat ...) gives one, is read to its end.
    """
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(DATA,))
    writer.start()
    [source] = arrange([str(path)], io.BytesIO()).sources

    assert source.size is None
    assert read(source).replace(b"\n\n", b"\n") == b"\n" + DATA[:-1]
    writer.join()


def test_half_lines() -> None:
    """
    The last line without a newline is kept apart, and counted as the daemon counts it.
    """
    source = Source("-", io.BytesIO(b"one\ntwo"))

    assert (b"\none", b"two", 1) == (read(source), source.unfinished, source.statistics.cut_lines)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("extra", [1, 200 * 1024, 256 * 1024 - 1, 256 * 1024, 300 * 1024])
def test_overlong(end: bytes, extra: int) -> None:
    """
    A line longer than the daemon takes is counted and left out, from a pipe too.
    """
    data = b"one\n" + b"x" * (LINE_BYTES + extra) + b"\ntwo\n" + b"y" * (LINE_BYTES + 300_000) + end
    source = Source("-", io.BytesIO(data))

    assert read(source) == b"\none\ntwo"
    assert (2, 0, b"") == (
        source.statistics.overlong_lines, source.statistics.cut_lines, source.unfinished,
    )  # fmt: skip


def test_overlong_first() -> None:
    """
    The first bytes stay known though an overlong line comes before the first chunk of lines.
    """
    source = Source("-", io.BytesIO(b"x" * (LINE_BYTES * 2) + b"\ntwo\n"))

    assert read(source) == b"\ntwo"
    assert source.head == b"x" * 64 * 1024


def test_does_not_wait() -> None:
    """
    Lines of a pipe are handed out when they come, not when a buffer is full.
    """
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as file, os.fdopen(writing, "wb", 0) as writer:
        chunks = Source("-", file).chunks()
        writer.write(b"1\n")
        first = next(chunks)
        writer.write(b"two\n")
        second = next(chunks)

    assert (b"\n1", b"\ntwo") == (first, second)


@given(st.binary(max_size=30))
def test_look_ahead(data: bytes) -> None:
    """
    Looking at the first bytes takes none of them away.
    """
    counted = Counted(io.BytesIO(data))
    ahead = counted.look_ahead()

    assert data.startswith(ahead)
    assert data == counted.readall()
    assert len(data) == counted.done
    assert counted.readable()


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes(lines: list[bytes]) -> None:
    """
    Every complete line comes out once, without NUL bytes; nothing of arbitrary bytes is raised.
    """
    data = b"".join(line.replace(b"\n", b"") + b"\n" for line in lines)
    source = Source("-", io.BytesIO(b"plain\n" + data))
    without = data.replace(b"\0", b"")

    assert read(source) == b"\nplain" + b"".join(b"\n" + x for x in without.split(b"\n")[:-1])


def count(data: bytes, chunk_by_chunk: bool) -> Tally:  # noqa: FBT001
    """
    Count a log by `feed`, or by the daemon's counting alone.
    """
    tally = Tally([1.0])
    grammar = Grammar(DEFAULT_PROGRAMS)
    recogniser = Recogniser(load_catalogue(), MilterNames())
    counting = Counting("standard input", grammar, recogniser, tally, time.time)
    if chunk_by_chunk:
        source = Source("-", io.BytesIO(data))
        done = [0, *feed(source, counting, tally)]
        assert done[-1] == len(data)
    else:
        counting.start(data)
        counting.add(b"\n" + data.rstrip(b"\n"))
        counting.finish()
    return tally


def test_feed() -> None:
    """
    What is fed counts as what the daemon reads: the first bytes decide about lines without a stamp.
    """
    data = b"[session][end][quit][pass][0.5](1)\nNov 22 22:07:33 vm milter-manager[5]: [x]\n" * 9000
    fed = count(data, chunk_by_chunk=True).snapshot().counts
    fed = {key: value for key, value in fed.items() if value}

    assert count(data, chunk_by_chunk=False).snapshot().counts == fed
    assert (fed["lines", "malformed"], fed["lines", "unknown"]) == (9000, 9000)


def test_feed_of_nothing() -> None:
    """
    Nothing counts nothing, and half a line is malformed, as one that the daemon leaves.
    """
    assert count(b"", chunk_by_chunk=True).snapshot().counts["lines", "malformed"] == 0
    assert count(b"half", chunk_by_chunk=True).snapshot().counts["lines", "malformed"] == 1


def test_memory(tmp_path: Path) -> None:
    """
    A small file that unpacks to 200 MB does not take the memory.
    """
    path = tmp_path / "bomb.zst"
    path.write_bytes(zstd.compress(b"Nov 22 22:07:33 vm postfix[5]: x\n" * 6_000_000))
    program = (
        "import io, re, sys\n"
        "from exporter.logtool.sources import Source\n"
        "n = sum(map(len, Source(sys.argv[1], io.BytesIO()).chunks()))\n"
        "print(n, re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=True)
    length, kibibytes = map(int, done.stdout.split())

    assert length == 6_000_000 * 33
    assert kibibytes < 120_000


@pytest.mark.parametrize("suffix", list(COMPRESSORS))
def test_empty(suffix: str, tmp_path: Path) -> None:
    """
    An empty file is excused where others of its log are read too, a missing one never.
    """
    empty, full, alone = (tmp_path / f"{name}{suffix}" for name in ("a.1", "a.2", "b"))
    for path, data in ((empty, b""), (full, DATA), (alone, b"")):
        path.write_bytes(COMPRESSORS[suffix](data))
    names = [str(one) for one in (empty, full, alone, tmp_path / "a.3")]
    found = {}
    for source in arrange(names, io.BytesIO()).sources:
        with suppress(SourceError):
            read(source)
        found[Path(source.argument).name] = source.excused

    assert {empty.name: True, full.name: False, alone.name: False, "a.3": False} == found
