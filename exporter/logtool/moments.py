"""
--since and --until -> moments: ISO 8601, and a few words.

Pure: the present comes in as an argument, the time zone from the C library.
"""

import re
from datetime import UTC, datetime, timedelta

HELP = '2026-11-22, "2026-11-22 18:30", today, yesterday, now, "2 hours ago"'
AGO = re.compile(r"(\d{1,6}) ?(second|minute|hour|day|week)s? ago")


def parse_moment(text: str, now: float) -> float:
    """
    Read a moment, seconds since the epoch; ValueError for what is none.

    Without an offset it is local time, and a date alone is its midnight, so that "--since yesterday
    --until today" is yesterday from end to end.
    """
    try:
        return _parse(text.strip().lower(), datetime.fromtimestamp(now, UTC).astimezone())
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: write {HELP}") from None


def _parse(text: str, now: datetime) -> float:
    # Midnight by the clock on the wall, without an offset: it may have been another one then.
    midnight = datetime(now.year, now.month, now.day)  # noqa: DTZ001 - see above
    ago = AGO.fullmatch(text)
    if ago:
        return (now - timedelta(**{f"{ago[2]}s": int(ago[1])})).timestamp()
    match text:
        case "now":
            return now.timestamp()
        case "today":
            return midnight.timestamp()
        case "yesterday":
            return (midnight - timedelta(days=1)).timestamp()
        case _:
            return datetime.fromisoformat(text.upper()).timestamp()
