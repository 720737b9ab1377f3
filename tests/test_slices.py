"""
Chunks cut by time.
"""

import io
import lzma
import os
import time
from collections.abc import Iterator
from math import inf
from pathlib import Path

import pytest
from counted import NOW, PROGRAMS
from dialects import DATA, OWN, SYSLOG, chunk_of, read_own_file, render
from hypothesis import given
from hypothesis import strategies as st

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_BUCKETS
from exporter.counting import Counting
from exporter.logtool.slices import (
    HOUR,
    MINUTE,
    RUNS,
    SECOND,
    TEN_MINUTES,
    Period,
    SlicedCounting,
    Slices,
    cut_runs,
    written_before,
)
from exporter.logtool.sources import Source, feed
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.stamp import read_stamp
from exporter.tally import Snapshot, Tally

CAPTURES = ("native.log", "native-pid-name.log", "repeated.log", "syslog-rfc3164.log")
SAID = list(read_own_file((DATA / "native-pid-name.log").read_bytes()))
DIALECTS = {**SYSLOG, "own": OWN["own"], "own-level": OWN["own-level"], "own-all": OWN["own-all"]}


def at(text: str) -> float:
    """
    Read a local time.
    """
    moment = read_stamp(text.encode(), NOW)
    assert moment is not None
    return moment


def count(path: Path, counting: Counting, tally: Tally) -> Snapshot:
    """
    Count a file.
    """
    for _ in feed(Source(str(path), io.BytesIO()), counting, tally):
        pass
    return tally.snapshot()


def count_whole(path: Path) -> Snapshot:
    """
    Count a file as the daemon does.
    """
    tally = Tally(DEFAULT_BUCKETS)
    recogniser = Recogniser(load_catalogue(), MilterNames())
    return count(path, Counting("x", Grammar(PROGRAMS), recogniser, tally, lambda: NOW), tally)


def count_sliced(path: Path, seconds: int, period: Period | None = None) -> Snapshot:
    """
    Count it piece by piece.
    """
    tally = Tally(DEFAULT_BUCKETS)
    slices = Slices(NOW, period or Period(), lambda _: None)
    slices.seconds = seconds
    recogniser = Recogniser(load_catalogue(), MilterNames())
    return count(path, SlicedCounting("x", Grammar(PROGRAMS), recogniser, tally, slices), tally)


def pieces(
    lines: list[bytes], seconds: int = MINUTE, period: Period | None = None
) -> list[tuple[float | None, int]]:
    """
    Give the time and the number of lines of each piece.
    """
    times: list[float | None] = []
    slices = Slices(NOW, period or Period(), times.append)
    slices.seconds = seconds
    cut = list(slices.cut(b"".join(b"\n" + line for line in lines)))
    return list(zip(times, (piece.count(b"\n") for piece in cut), strict=True))


@pytest.mark.parametrize("name", CAPTURES)
@pytest.mark.parametrize("seconds", list(RUNS))
def test_same_numbers(name: str, seconds: int) -> None:
    """
    Piece by piece every capture gives the daemon's numbers, exemplars and processes included.
    """
    path = DATA / name

    assert count_whole(path) == count_sliced(path, seconds)


@pytest.mark.parametrize("dialect", list(DIALECTS))
def test_every_dialect_is_cut(dialect: str, tmp_path: Path) -> None:
    """
    In every dialect the pieces are the seconds of the log, and no byte is lost.
    """
    log = render(DIALECTS[dialect], SAID)
    chunk = chunk_of(log)
    runs = list(cut_runs(chunk, SECOND))

    assert chunk == b"".join(runs)
    assert len({one.time.replace(microsecond=0) for one in SAID}) == len(runs)

    path = tmp_path / "log"
    path.write_bytes(log)

    assert count_whole(path) == count_sliced(path, SECOND)


@given(
    st.lists(
        st.sampled_from(
            [
                b"Nov 22 22:07:33 vm x: a",
                b"Nov 22 22:08:33 vm x: a",
                b"2026-11-22T23:07:33Z vm x: a",
                b"<21>1 2026-11-22T23:07:33Z vm x - - - a",
                b"[2026-11-22T23:07:33Z]: a",
                b"[error][manager][2026-11-22T23:07:33Z]: a",
                b"[error",
                b"Nov 22 22:0",
                b"\tfolded",
                b"",
                b"\xff\r",
            ]
        )
    ),
    st.sampled_from(list(RUNS)),
)
def test_nothing_is_lost(lines: list[bytes], seconds: int) -> None:
    """
    Whatever the lines are, the pieces put together are the chunk.
    """
    chunk = b"".join(b"\n" + line for line in lines)

    assert chunk == b"".join(cut_runs(chunk, seconds))


def test_lines_without_a_stamp() -> None:
    """
    They go on with the line before, in the next chunk too; before any stamp no time is known.
    """
    times: list[float | None] = []
    slices = Slices(NOW, Period(), times.append)
    first = list(slices.cut(b"\nfolded\nNov 22 22:07:33 vm a: b\n\tmore\nNov 22 22:08:01 vm a: b"))
    second = list(slices.cut(b"\n\tmore\nNov 22 22:08:02 vm a: b"))
    minutes = [at("Nov 22 22:07:33"), at("Nov 22 22:08:01"), at("Nov 22 22:08:02")]

    assert [1, 2, 1] == [piece.count(b"\n") for piece in first]
    assert [1, 1] == [piece.count(b"\n") for piece in second]
    assert [None, *minutes[:2], minutes[1], minutes[2]] == times
    assert (minutes[0], minutes[2]) == (slices.first, slices.last)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(SECOND, 4), (MINUTE, 3), (TEN_MINUTES, 2), (HOUR, 1)]
)
def test_lengths(seconds: int, expected: int) -> None:
    """
    A piece is as long as was asked for.
    """
    lines = [b"Nov 22 22:%s vm a: b" % clock for clock in (b"07:33", b"07:34", b"08:00", b"10:00")]

    assert expected == len(pieces(lines, seconds))


def test_impossible_stamp() -> None:
    """
    What only looks like a time does not move the clock.
    """
    lines = [b"Nov 22 22:07:33 vm a: b", b"Nov 99 22:08:33 vm a: b", b"Nov 22 22:09:xx vm a: b"]
    moment = at("Nov 22 22:07:33")

    assert [(moment, 1)] * 3 == pieces(lines)


@pytest.mark.parametrize("seconds", list(RUNS))
@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("Nov 22 22:07:33", "Nov 22 22:07:34", 2),
        ("Nov 22 22:07:34", "Nov 22 23:00:00", 3),
        ("Nov 22 22:00:00", "Nov 22 22:07:33", 0),
        ("Nov 22 22:09:00", "Nov 22 22:10:00", 1),
        ("Nov 22 00:00:00", "Nov 23 00:00:00", 5),
        ("Nov 21 00:00:00", "Nov 22 00:00:00", 0),
    ],
)
def test_period(seconds: int, since: str, until: str, expected: int) -> None:
    """
    A period holds its first second and not its last one, however long the pieces are.
    """
    stamps = ("22:07:33", "22:07:33", "22:07:34", "22:08:00", "22:09:59")
    lines = [f"Nov 22 {stamp} vm a: b".encode() for stamp in stamps]
    found = pieces(lines, seconds, Period(at(since), at(until)))

    assert expected == sum(number for _, number in found)


def test_left_out() -> None:
    """
    Lines outside a period are counted; those without a time are outside of any.
    """
    slices = Slices(NOW, Period(at("Nov 22 22:08:00"), inf), lambda _: None)
    kept = list(
        slices.cut(b"\nbare\nNov 22 22:07:59 vm a: b\n\tmore\nNov 22 22:08:00 vm a: c\n\tmore")
    )

    assert [b"\nNov 22 22:08:00 vm a: c\n\tmore"] == kept
    assert 3 == slices.left_out
    assert slices.timed
    assert not Slices(NOW, Period(), lambda _: None).timed


def test_period_of_a_capture() -> None:
    """
    Two halves of a capture add up to the whole.
    """
    path = DATA / "syslog-rfc3164.log"
    middle = at("Nov 22 22:13:07")
    whole = count_whole(path).counts
    halves = [
        count_sliced(path, MINUTE, period).counts
        for period in (Period(until=middle), Period(since=middle))
    ]

    assert all(half["lines", "recognised"] for half in halves)
    assert whole == {
        key: sum(half.get(key, 0) for half in halves) for key in whole | halves[0] | halves[1]
    }


def test_year_of_an_old_log(tmp_path: Path) -> None:
    """
    A stamp without the year is of none after the file was last written to.
    """
    path = tmp_path / "mail.log"
    path.touch()
    old = at("2023-11-22T22:10:00")
    os.utime(path, (old, old))
    now = written_before(Source(str(path), io.BytesIO()), NOW)
    slices = Slices(now, Period(), lambda _: None)
    list(slices.cut(b"\nNov 22 22:07:33 vm a: b\nDec 30 01:00:00 vm a: b"))

    assert old == now
    assert at("2023-11-22T22:07:33") == slices.first
    assert at("2022-12-30T01:00:00") == slices.last


@pytest.mark.parametrize("name", ["-", "/nowhere/mail.log", "nul\0"])
def test_unknown_age(name: str) -> None:
    """
    Where a file's age is not known its stamps are of the latest year possible.
    """
    assert NOW == written_before(Source(name, io.BytesIO()), NOW)


def test_file_of_the_future(tmp_path: Path) -> None:
    """
    A file cannot be younger than now.
    """
    path = tmp_path / "mail.log"
    path.touch()
    os.utime(path, (NOW + 1e6, NOW + 1e6))

    assert NOW == written_before(Source(str(path), io.BytesIO()), NOW)


def test_hostile_chunk() -> None:
    """
    Cutting takes time in proportion to the bytes, whatever they are.
    """
    for piece in (b"\n[", b"\n[a", b"\nNov 22 22:0", b"\n[a][b][c]", b"\n<1>1 ", b"[[[[", b"\n"):
        chunk = b"\n" + piece * (1_000_000 // len(piece))
        started = time.perf_counter()

        assert chunk == b"".join(cut_runs(chunk, MINUTE))
        assert time.perf_counter() - started < 5


def test_little_slower_than_the_daemon(tmp_path: Path) -> None:
    """
    Cutting costs a fraction of counting: a tenth is measured, a half is allowed here.
    """
    path = tmp_path / "volume.log"
    path.write_bytes(lzma.decompress((DATA / "volume.log.xz").read_bytes()))

    def seconds_of(run: Iterator[object]) -> float:
        started = time.process_time()
        for _ in run:
            pass
        return time.process_time() - started

    def whole() -> Iterator[object]:
        yield count_whole(path)

    def cutting() -> Iterator[object]:
        for chunk in Source(str(path), io.BytesIO()).chunks():
            yield from cut_runs(chunk, MINUTE)

    ratio = min(seconds_of(cutting()) for _ in range(3)) / min(
        seconds_of(whole()) for _ in range(3)
    )

    assert ratio < 0.5
