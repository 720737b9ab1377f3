"""
--since and --until.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.moments import parse_moment

ZONE = "Asia/Tokyo"
TOKYO = ZoneInfo(ZONE)
NOW = datetime(2026, 11, 22, 23, 30, 15, tzinfo=TOKYO)


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Put the machine into Japan.
    """
    monkeypatch.setenv("TZ", ZONE)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("today", datetime(2026, 11, 22, tzinfo=TOKYO)),
        (" Yesterday ", datetime(2026, 11, 21, tzinfo=TOKYO)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=TOKYO)),
        ("2026-11-22 18:30", datetime(2026, 11, 22, 18, 30, tzinfo=TOKYO)),
        ("2026-11-22T18:30:05", datetime(2026, 11, 22, 18, 30, 5, tzinfo=TOKYO)),
        ("2026-11-22t18:30:05z", datetime(2026, 11, 22, 18, 30, 5, tzinfo=UTC)),
        ("2026-11-22T18:30+01:00", datetime(2026, 11, 22, 17, 30, tzinfo=UTC)),
        ("15 seconds ago", datetime(2026, 11, 22, 23, 30, tzinfo=TOKYO)),
        ("30 minutes ago", datetime(2026, 11, 22, 23, 0, 15, tzinfo=TOKYO)),
        ("1 hour ago", datetime(2026, 11, 22, 22, 30, 15, tzinfo=TOKYO)),
        ("2days ago", datetime(2026, 11, 20, 23, 30, 15, tzinfo=TOKYO)),
        ("1 week ago", datetime(2026, 11, 15, 23, 30, 15, tzinfo=TOKYO)),
    ],
)
def test_forms(text: str, expected: datetime) -> None:
    """
    ISO 8601 and a few words, in local time unless there is an offset.
    """
    assert expected.timestamp() == parse_moment(text, NOW.timestamp())


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "22.11.2026", "2026-13-01", "1e9", "999999 weeks ago", "-1 days ago"]
)
def test_no_time(text: str) -> None:
    """
    Anything else is refused, with the forms that are taken.
    """
    with pytest.raises(ValueError, match=r"is no time: write 2026-11-22, .* today"):
        parse_moment(text, NOW.timestamp())


@given(st.text())
def test_any_text(text: str) -> None:
    """
    No text does anything but be read or be refused.
    """
    try:
        moment = parse_moment(text, NOW.timestamp())
    except ValueError:
        return

    assert isinstance(moment, float)
