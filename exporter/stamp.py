"""
A line's stamp -> seconds since the epoch.

Pure: the present and the machine's time zone come in as arguments or from the C library; nothing
is guessed but the year that RFC 3164 leaves out.
"""

import re
from datetime import UTC, datetime, timedelta, timezone

ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(Z| UTC| GMT| ?[+-]\d\d:?(?:\d\d)?)?",
)
UTC_NAMES = ("Z", "UTC", "GMT")
TRADITIONAL = re.compile(
    r"([A-Z][a-z][a-z]) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?",
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

UNIX = re.compile(r"\d{9,11}\.\d{6}")

# A log's clock may run ahead of ours, or be of a zone up to fourteen hours to the east.
AHEAD = timedelta(days=1)
# The longest time between two 29ths of February (1896 to 1904, 2096 to 2104).
LEAP_YEARS_APART = 8


def read_stamp(stamp: bytes, now: float) -> float | None:
    """
    Read the time in a stamp: seconds since the epoch, or None where there is none.

    A stamp without an offset is local time.  One without a year (RFC 3164) is of the latest year
    that does not put it more than a day after `now`, so that December read in January is last
    year's, and 29 February is of a leap year.
    """
    text = stamp.decode("ascii", "replace")
    iso = ISO.search(text)
    if iso:
        return _read_iso(iso)
    if UNIX.fullmatch(text):
        return float(text)
    traditional = TRADITIONAL.search(text)
    return _read_traditional(traditional, now) if traditional else None


def _read_iso(found: re.Match[str]) -> float | None:
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    return _seconds((year, month, day, hour, minute, second), found[7], _read_offset(found[8]))


def _read_offset(text: str | None) -> timezone | None:
    """
    Read "Z", "+09:00", " +09" or " UTC"; None is local time, as another zone's name is.
    """
    if text is None:
        return None
    text = text.strip()
    if text in UTC_NAMES:
        return UTC
    digits = text.replace(":", "")
    offset = timedelta(hours=int(digits[1:3]), minutes=int(digits[3:5] or "0"))
    if offset >= timedelta(days=1):
        return UTC
    return timezone(-offset if text[0] == "-" else offset)


def _read_traditional(found: re.Match[str], now: float) -> float | None:
    if found[1] not in MONTHS:
        return None
    month = MONTHS.index(found[1]) + 1
    day, hour, minute, second = (int(found[i]) for i in range(2, 6))
    latest = datetime.fromtimestamp(now, UTC) + AHEAD
    for year in range(latest.year, latest.year - LEAP_YEARS_APART - 1, -1):
        seconds = _seconds((year, month, day, hour, minute, second), found[6], None)
        if seconds is not None and seconds <= latest.timestamp():
            return seconds
    return None


def _seconds(
    moment: tuple[int, int, int, int, int, int], fraction: str | None, zone: timezone | None
) -> float | None:
    """
    Give the seconds since the epoch; None for a moment that does not exist.
    """
    year, month, day, hour, minute, second = moment
    try:
        # A leap second (60) is the second after it, as POSIX has it.
        whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
        seconds = whole.timestamp() + (1 if second == 60 else 0)  # noqa: PLR2004
    except (ValueError, OverflowError, OSError):
        return None
    if second > 60:  # noqa: PLR2004
        return None
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)
