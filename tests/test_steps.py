"""
The time in a log: where steps end, what years and clocks do, and what is not believed.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.steps import BackwardsError, Steps, parse_step, show_time

PRESENT = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC).timestamp()
HOUR = 3600


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Be in Berlin, by POSIX' own notation, which needs no files.
    """
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """
    Be in Greenwich, if nowhere else.
    """
    if "_berlin" not in request.fixturenames:
        monkeypatch.setenv("TZ", "UTC0")
        time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def cut(steps: Steps, *lines: str) -> list[tuple[int, list[str]]]:
    """
    Cut a chunk of lines; give each piece's step and lines.
    """
    chunk = "".join(f"\n{line}" for line in lines).encode()
    return [(step, piece.decode().split("\n")[1:]) for step, piece in steps.cut(chunk)]


def times_of(steps: Steps, *lines: str) -> list[float]:
    """
    Give the time that is reached with each line.
    """
    reached = []
    for line in lines:
        cut(steps, line)
        reached.append(steps.time)
    return reached


def iso(seconds: float) -> str:
    """
    Write a line with a time.
    """
    stamp = datetime.fromtimestamp(seconds, UTC).isoformat()
    return f"{stamp} mail milter-manager[1]: [session][end]"


DIALECTS = (
    "Nov 22 10:00:07 mail milter-manager[1]: ",
    "Nov 22 10:00:07.123456 mail milter-manager[1]: ",
    "<21>Nov 22 10:00:07 mail milter-manager[1]: ",
    "2026-11-22T10:00:07.019444+00:00 mail milter-manager[1]: ",
    "2026-11-22T11:00:07+01:00 mail milter-manager[1]: ",
    "2026-11-22T05:00:07-0500 mail milter-manager[1]: ",
    "2026-11-22 10:00:07.0194 milter-manager[1]:",
    "<21>1 2026-11-22T10:00:07.019444+00:00 mail milter-manager 1 - -  ",
    "[2026-11-22T10:00:07.591879Z]: ",
    "[2026-11-22T10:00:07Z] [milter-manager][1]: ",
    "[statistics][milter-manager][2026-11-22T10:00:07.9Z] [milter-manager][1] a.c:6: cb(): ",
)


@pytest.mark.parametrize("start", DIALECTS)
def test_dialects(start: str) -> None:
    """
    Every dialect's stamp is read, fractions left out.
    """
    steps = Steps(60, PRESENT, None)

    assert [MIDNIGHT + 10 * HOUR + 7] == times_of(steps, f"{start}[session][end]")


def test_cut() -> None:
    """
    A step holds the lines before its end; one at its end is of the next; the rest goes on with it.
    """
    steps = Steps(60, PRESENT, None)
    first = int(MIDNIGHT) // 60 + 1
    a, b, c, d = (iso(MIDNIGHT + seconds) for seconds in (0, 59, 60, 300))

    assert [
        (first, [a, b]),
        (first + 1, [c, "without", "Nov 31 10:00:00 a time"]),
        (first + 5, [d]),
    ] == cut(steps, a, b, c, "without", "Nov 31 10:00:00 a time", d)
    assert [(first + 5, ["without"])] == cut(steps, "without")


def test_first_line_without_a_time() -> None:
    """
    Chunks in front of a file's first time are left out; in its own chunk nothing is.
    """
    steps = Steps(60, PRESENT, None)

    assert [] == cut(steps, "[session][end]")
    assert not steps.begun
    assert [["text", iso(MIDNIGHT)]] == [lines for _, lines in cut(steps, "text", iso(MIDNIGHT))]
    assert steps.begun


@given(st.lists(st.integers(0, 10_000), min_size=1), st.integers(1, 300), st.integers(1, 9))
def test_anything(moments: list[int], seconds: int, chunks: int) -> None:
    """
    However lines are ordered and chunks are cut, each is of the step of the newest one so far.
    """
    steps = Steps(seconds, PRESENT, None)
    lines = [iso(MIDNIGHT + moment) for moment in moments]
    size = max(len(lines) // chunks, 1)
    found = [
        (step, line)
        for i in range(0, len(lines), size)
        for step, piece in cut(steps, *lines[i : i + size])
        for line in piece
    ]
    expected = []
    newest = 0
    for moment, line in zip(moments, lines, strict=True):
        newest = max(newest, moment)
        expected.append((int(MIDNIGHT + newest) // seconds + 1, line))

    assert expected == found
    assert sum(1 for i, m in enumerate(moments) if m < max(moments[: i + 1]) - 3600) == (
        steps.late_lines
    )


def test_future() -> None:
    """
    A time that is more than a day ahead of us is not believed: one such line may be anybody's.
    """
    steps = Steps(60, PRESENT, None)

    assert [MIDNIGHT, MIDNIGHT, MIDNIGHT + 1] == times_of(
        steps, iso(MIDNIGHT), iso(PRESENT + 90_000), iso(MIDNIGHT + 1)
    )


def test_past() -> None:
    """
    A time before there was a milter-manager is not believed: it is a clock that was not set.
    """
    steps = Steps(60, PRESENT, None)
    reached = times_of(steps, "0001-01-01 00:00:00 mail x: ", iso(0), iso(MIDNIGHT), iso(0))

    assert [0, 0, MIDNIGHT, MIDNIGHT] == reached


def test_files() -> None:
    """
    The next file may begin a little before the last one ends, but not an hour.
    """
    steps = Steps(60, PRESENT, None)
    cut(steps, iso(MIDNIGHT))
    steps.begin(PRESENT)

    assert [MIDNIGHT, MIDNIGHT + 1] == times_of(steps, iso(MIDNIGHT - 5), iso(MIDNIGHT + 1))

    steps.begin(PRESENT)
    with pytest.raises(BackwardsError, match=r"2026-11-21 22:00:00.*2026-11-22 00:00:01"):
        cut(steps, iso(MIDNIGHT - 2 * HOUR))


def test_year_by_the_file() -> None:
    """
    A stamp without a year is of the last one that does not put it behind the file's last change.
    """
    steps = Steps(60, PRESENT, None)
    steps.begin(datetime(2024, 1, 5, tzinfo=UTC).timestamp())
    reached = times_of(steps, "Dec 31 23:59:59 mail x: ", "Jan  1 00:00:00 mail x: ")

    assert ["2023-12-31 23:59:59+00:00", "2024-01-01 00:00:00+00:00"] == [*map(show_time, reached)]


def test_year_as_told() -> None:
    """
    With the first line's year given it goes on from there, over any number of years.
    """
    steps = Steps(60, PRESENT, 2022)
    stamps = ("Jan  1 00:00:00", "Jun 10 10:00:00", "Nov 30 23:00:00", "Jan  1 01:00:00",
              "May  1 00:00:00", "Oct  1 00:00:00", "Jan  2 00:00:00")  # fmt: skip
    reached = times_of(steps, *(f"{stamp} mail x: " for stamp in stamps))

    assert [2022, 2022, 2022, 2023, 2023, 2023, 2024] == [
        datetime.fromtimestamp(moment, UTC).year for moment in reached
    ]


@pytest.mark.usefixtures("_berlin")
def test_clock_put_back() -> None:
    """
    In the hour that a local clock shows twice, the second time is seen by what came before.
    """
    steps = Steps(60, PRESENT, None)
    begin = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    lines = [f"Oct 25 {clock} mail x: " for clock in
             ("02:30:00", "02:59:59", "02:59:58", "02:00:00", "02:50:00", "03:00:00")]  # fmt: skip

    assert [0, 1799, 1799, 1800, 4800, 5400] == [
        reached - begin for reached in times_of(steps, *lines)
    ]
    assert 0 == steps.late_lines


@pytest.mark.usefixtures("_berlin")
def test_clock_put_forward() -> None:
    """
    The hour that a local clock leaves out takes no time.
    """
    steps = Steps(60, PRESENT, None)
    before, after = times_of(steps, "Mar 29 01:59:59 mail x: ", "Mar 29 03:00:00 mail x: ")

    assert 1 == after - before


@pytest.mark.parametrize(("text", "seconds"), [("15s", 15), ("1m", 60), ("5m", 300), ("300s", 300)])
def test_step(text: str, seconds: int) -> None:
    """
    A step is written as Prometheus writes durations.
    """
    assert seconds == parse_step(text)


@pytest.mark.parametrize("text", ["", "0s", "1", "6m", "301s", "1h", "-1s", "1.5m", " 1m"])
def test_bad_step(text: str) -> None:
    """
    A step over five minutes would leave holes in every graph, and is refused as what is none.
    """
    with pytest.raises(ValueError, match="at most 5m"):
        parse_step(text)
