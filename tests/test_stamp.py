"""
Stamps of every dialect, read as seconds since the epoch.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.stamp import MONTHS, read_stamp


def seconds(text: str) -> float:
    """
    Give the seconds since the epoch of a time with its offset.
    """
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture(autouse=True)
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Let the machine's zone be the test's mark `zone`, else UTC.
    """
    monkeypatch.setenv("TZ", getattr(request, "param", "UTC"))
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"2026-11-22T22:07:33Z", "2026-11-22T22:07:33+00:00"),
        (b"2026-11-22T22:07:33.019444+00:00", "2026-11-22T22:07:33.019444+00:00"),
        (b"2026-11-22T22:07:33,019444+09:00", "2026-11-22T13:07:33.019444+00:00"),
        (b"2026-11-22T22:07:33-03:30", "2026-11-23T01:37:33+00:00"),
        (b"2026-11-22T22:07:33+0900", "2026-11-22T13:07:33+00:00"),
        (b"2021-06-28 16:16:13.4302", "2021-06-28T16:16:13.4302+00:00"),
        (b"[2026-11-22T22:04:44.591879Z]", "2026-11-22T22:04:44.591879+00:00"),
        (b"[2026-11-22T22:04:44Z]", "2026-11-22T22:04:44+00:00"),
        (b"[statistics][milter-manager][2026-11-22T22:05:21Z]", "2026-11-22T22:05:21+00:00"),
        (b"<21>1 2026-11-22T22:07:33.019444+00:00", "2026-11-22T22:07:33.019444+00:00"),
        (b"<21>Nov 22 22:07:33", "2026-11-22T22:07:33+00:00"),
        (b"Nov 22 22:07:33", "2026-11-22T22:07:33+00:00"),
        (b"1795385937.123456", "2026-11-22T22:18:57.123456+00:00"),
        (b"Nov  2 22:07:33", "2026-11-02T22:07:33+00:00"),
        (b"Nov 22 22:07:33.25", "2026-11-22T22:07:33.250000+00:00"),
        (b"2024-02-29T00:00:00Z", "2024-02-29T00:00:00+00:00"),
        (b"2026-11-22T22:07:33+99:99", "2026-11-22T22:07:33+00:00"),
        (b"2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00"),
        (b"Nov 22 21:59:60", "2026-11-22T22:00:00+00:00"),
    ],
)
def test_stamp(stamp: bytes, expected: str) -> None:
    """
    Every dialect's stamp is read, with its own offset or else in local time.
    """
    actual = read_stamp(stamp, seconds("2026-11-22T23:00:00+00:00"))

    assert actual is not None
    assert seconds(expected) == pytest.approx(actual, abs=1e-6)


@pytest.mark.parametrize(
    "stamp",
    [
        b"",
        b"-",
        b"<21>1 -",
        b"Nov 22",
        b"1795385937.12345",
        b"Foo 22 22:07:33",
        b"Nov 31 22:07:33",
        b"Feb 30 22:07:33",
        b"Nov  0 22:07:33",
        b"Nov 22 24:00:00",
        b"Nov 22 22:60:00",
        b"Nov 22 22:07:61",
        b"2023-02-29T00:00:00Z",
        b"2026-13-01T00:00:00Z",
        b"0000-01-01T00:00:00Z",
        b"\xff\xfe\x00",
    ],
)
def test_impossible(stamp: bytes) -> None:
    """
    A moment that does not exist is no time.
    """
    actual = read_stamp(stamp, seconds("2026-11-22T23:00:00+00:00"))

    assert actual is None


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        (b"Dec 31 23:59:59", "2027-01-01T00:00:10+00:00", "2026-12-31T23:59:59+00:00"),
        (b"Jan  1 00:00:10", "2027-01-01T00:00:10+00:00", "2027-01-01T00:00:10+00:00"),
        (b"Dec 31 23:59:59", "2026-12-31T23:59:58+00:00", "2026-12-31T23:59:59+00:00"),
        (b"Jan  1 00:00:10", "2026-12-31T23:59:58+00:00", "2027-01-01T00:00:10+00:00"),
        (b"Nov 23 20:00:00", "2026-11-22T23:00:00+00:00", "2026-11-23T20:00:00+00:00"),
        (b"Nov 25 20:00:00", "2026-11-22T23:00:00+00:00", "2025-11-25T20:00:00+00:00"),
        (b"Feb 29 12:00:00", "2028-02-29T12:00:01+00:00", "2028-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2028-02-28T13:00:00+00:00", "2028-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2027-03-01T00:00:00+00:00", "2024-02-29T12:00:00+00:00"),
        (b"Feb 29 12:00:00", "2103-03-01T00:00:00+00:00", "2096-02-29T12:00:00+00:00"),
        (b"Dec 31 23:59:60", "2027-01-01T00:00:10+00:00", "2027-01-01T00:00:00+00:00"),
    ],
)
def test_year(stamp: bytes, now: str, expected: str) -> None:
    """
    A stamp without a year is of the latest one that is not more than a day ahead.
    """
    actual = read_stamp(stamp, seconds(now))

    assert seconds(expected) == actual


@pytest.mark.parametrize(
    ("_zone", "stamp", "now", "expected"),
    [
        ("Asia/Tokyo", b"Nov 22 22:07:33", "2026-11-22T14:00:00+00:00", "2026-11-22T13:07:33Z"),
        ("Asia/Tokyo", b"Jan  1 08:00:00", "2026-12-31T23:00:01+00:00", "2026-12-31T23:00:00Z"),
        ("America/Los_Angeles", b"Dec 31 16:00:05", "2027-01-01T00:00:10Z", "2027-01-01T00:00:05Z"),
        ("Europe/Berlin", b"2021-06-28 16:16:13", "2026-11-22T14:00:00Z", "2021-06-28T14:16:13Z"),
        ("Europe/Berlin", b"2021-12-28 16:16:13", "2026-11-22T14:00:00Z", "2021-12-28T15:16:13Z"),
        ("Asia/Tokyo", b"2026-11-22T22:07:33Z", "2026-11-22T22:08:00Z", "2026-11-22T22:07:33Z"),
        ("Asia/Tokyo", b"[2026-11-22T22:07:33Z]", "2026-11-22T22:08:00Z", "2026-11-22T22:07:33Z"),
    ],
    indirect=["_zone"],
)
def test_local_time(stamp: bytes, now: str, expected: str) -> None:
    """
    A stamp without an offset is in the machine's own zone, summer time included.
    """
    actual = read_stamp(stamp, seconds(now))

    assert seconds(expected) == actual


@settings(max_examples=200)
@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)),  # noqa: DTZ001 - made UTC below
    st.integers(0, 360),
)
def test_recent(moment: datetime, days: int) -> None:
    """
    The time of any line that is less than a year old comes out whole.
    """
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    stamp = f"{MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S}".encode()

    actual = read_stamp(stamp, (moment + timedelta(days=days)).timestamp())

    assert moment.timestamp() == actual


@settings(max_examples=300)
@given(
    st.from_regex(r"[A-Z][a-z][a-z] [ 0-9]\d \d\d:\d\d:\d\d(\.\d{1,9})?", fullmatch=True)
    | st.from_regex(
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?", fullmatch=True
    )
    | st.text()
)
def test_anything(text: str) -> None:
    """
    Whatever the grammar takes for a stamp is a number or None, never an exception.
    """
    actual = read_stamp(text.encode("utf-8", "replace"), 1.8e9)

    assert actual is None or isinstance(actual, float)
