"""
Numbers by time.
"""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.timeline import (
    DAY,
    HOUR,
    MINUTE,
    RESOLUTIONS,
    Archive,
    Bucket,
    Plot,
    Resolution,
    Series,
    Timeline,
    epoch_of,
    wall_of,
)

ZONE = "Europe/Berlin"
BERLIN = ZoneInfo(ZONE)
ONE: Mapping[Series, int] = {("sessions", "pass"): 1}
START = datetime(2026, 11, 22, tzinfo=BERLIN).timestamp()


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Put the machine where summers have an hour more.
    """
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def filled(*moments: float, latest: float = START * 2) -> Timeline:
    """
    Make a timeline with a session at each moment.
    """
    timeline = Timeline(latest)
    for moment in moments:
        timeline.add(moment, ONE, 1)
    return timeline


def sessions(plot: Plot | None) -> list[int]:
    """
    Give the sessions of a plot.
    """
    assert plot is not None
    return plot.values(("sessions", "pass"))


@pytest.mark.parametrize(
    ("span", "seconds"),
    [
        (59 * MINUTE, MINUTE),
        (HOUR, 10 * MINUTE),
        (DAY - 1, 10 * MINUTE),
        (DAY, HOUR),
        (7 * DAY - 1, HOUR),
        (7 * DAY, 6 * HOUR),
        (31 * DAY - 1, 6 * HOUR),
        (31 * DAY, DAY),
        (366 * DAY - 1, DAY),
        (366 * DAY, 7 * DAY),
        (30 * 366 * DAY, 7 * DAY),
    ],
)
def test_whole(span: int, seconds: int) -> None:
    """
    All of a log is given as finely as it is kept, and nothing of it is missing.
    """
    timeline = filled(START, START + span)
    plot = timeline.whole()

    assert plot is not None
    assert seconds == plot.seconds
    assert 2 == sum(sessions(plot))
    assert span == timeline.span


@pytest.mark.parametrize(
    ("span", "names"),
    [
        (0, ["hour"]),
        (HOUR - 1, ["hour"]),
        (HOUR, ["day"]),
        (DAY, ["day", "week"]),
        (8 * DAY, ["day", "week", "month"]),
        (40 * DAY, ["day", "week", "month", "year"]),
        (400 * DAY, ["day", "week", "month", "year", "ever"]),
    ],
)
def test_names(span: int, names: list[str]) -> None:
    """
    A stretch is shown when the log is longer than the stretch before it.
    """
    assert names == filled(START, START + span).names()


def test_recent() -> None:
    """
    The last day is the day up to the last line, and no more than there is.
    """
    timeline = filled(START, START + 2 * DAY - HOUR, START + 2 * DAY)

    assert [1, 1] == [value for value in sessions(timeline.recent("day")) if value]
    assert 144 == len(sessions(timeline.recent("day")))
    assert 49 == len(sessions(timeline.recent("week")))
    assert 3 == sum(sessions(timeline.recent("week")))


def test_nothing() -> None:
    """
    Without times there is nothing to draw.
    """
    timeline = filled()

    assert timeline.whole() is None
    assert timeline.recent("day") is None
    assert 0 == timeline.span
    assert MINUTE == timeline.pace(START)


def test_future() -> None:
    """
    What claims to be later than now is left out, as it would push everything else off the chart.
    """
    timeline = filled(START, START + 400 * DAY, latest=START + DAY)

    assert [1] == sessions(timeline.whole())


@given(
    st.lists(st.integers(0, 5000), min_size=1),
    st.integers(1, 100),
    st.integers(1, 50),
)
def test_archive(times: list[int], seconds: int, buckets: int) -> None:
    """
    In any order of times: never more buckets than asked for, and none of the newest ones is lost.
    """
    archive = Archive(Resolution("any", seconds, buckets))
    for moment in times:
        archive.add(moment, ONE, 0)
    newest = max(times) // seconds
    kept = [moment for moment in times if moment // seconds > newest - buckets]

    assert len(archive.buckets) <= buckets
    assert len(kept) == sum(sessions(archive.plot(min(times), max(times))))


def test_day_of_the_wall() -> None:
    """
    A day's bucket goes from midnight to midnight, also where it has 25 hours.
    """
    first = datetime(2026, 10, 25, 0, 30, tzinfo=BERLIN).timestamp()
    last = datetime(2026, 10, 25, 23, 30, tzinfo=BERLIN).timestamp()
    after = datetime(2026, 12, 25, tzinfo=BERLIN).timestamp()
    plot = filled(first, last, after).whole()

    assert plot is not None
    assert 24 * HOUR == last - first
    assert 2 == sessions(plot)[0]
    assert datetime(2026, 10, 25, tzinfo=BERLIN).timestamp() == plot.starts[0]
    assert first == epoch_of(wall_of(first))


def test_fold() -> None:
    """
    Neighbours put together add up; of sessions in progress the most counts.
    """
    buckets = tuple(Bucket({("a",): i}, i) for i in range(5))
    plot = Plot(60, (0.0, 60.0, 120.0, 180.0, 240.0), buckets)
    folded = plot.fold(2)

    assert plot is plot.fold(5)
    assert Plot(180, (0.0, 180.0), (Bucket({("a",): 3}, 2), Bucket({("a",): 7}, 4))) == folded
    assert [3, 7] == folded.values(("a",), ("b",))


def test_pace() -> None:
    """
    Only what may still be looked at in detail is added in detail.
    """
    timeline = filled(START, START + HOUR)
    year = START + 366 * DAY

    assert MINUTE == timeline.pace(year)

    timeline.add(START + HOUR + 1, ONE, 1)

    assert 10 * MINUTE == timeline.pace(year)

    timeline.add(START + 3 * DAY, ONE, 1)

    assert HOUR == timeline.pace(year)
    assert ["week"] == timeline.names()
    assert 10 * MINUTE == timeline.pace(START + 4 * DAY)

    timeline.add(START + 4 * DAY + 1, ONE, 1)

    assert ["day", "week"] == timeline.names()


def test_memory() -> None:
    """
    However long a log is, the buckets are as many.
    """
    timeline = Timeline(START * 2)
    moment = START
    # Each step fills the buckets of another fineness, and the last one those of all of it.
    for step in (61, 599, 7919, 86_399, 7 * 86_400):
        for _ in range(2_500):
            moment += step
            timeline.add(moment, ONE, 0)
    kept = sum(len(archive.buckets) for archive in timeline._archives)  # noqa: SLF001 - its memory

    assert kept <= sum(one.buckets for one in RESOLUTIONS)
