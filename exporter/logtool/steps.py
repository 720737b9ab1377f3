"""
Chunks of a log -> pieces, each with the step of time that it belongs to; time never goes back.

A line counts when it comes: one whose stamp is older than what was reached is of the step that was
reached, as a scrape would have seen it (`slices` tells what a line's own time is instead, which is
what a chart wants).  Local time follows the environment's TZ.  Knows stamps and nothing else of a
line, and never holds more than the chunk.
"""

import re
from collections.abc import Iterator
from datetime import datetime

from exporter.logtool.slices import HEAD
from exporter.stamp import read_stamp

DISORDER_SECONDS = 300.0
"""Neighbouring lines of a log are out of order by seconds."""
BACK_SECONDS = 3600.0
"""What is so long before its neighbours is of another file, or of a clock that was wrong."""
DAY_SECONDS = 86400.0
HALF_A_YEAR_SECONDS = 183 * DAY_SECONDS
EARLIEST = 1199145600.0
"""2008, when milter-manager was begun: what is before is of a clock that was not set yet."""
LONGEST_STEP_SECONDS = 300
"""Prometheus takes a series to be over when its last sample is older than that."""

# As in `record`, but with the seconds apart: what a minute is, is worked out once for its lines.
STAMPS = re.compile(
    rb"\n" + HEAD + rb"(?>"
    rb"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d):(\d\d)(?>[.,]\d{1,9}|)(Z|[+-]\d\d:?+\d\d|)(?=[ \]])|"
    rb"([A-Z][a-z][a-z] [ \d]\d \d\d:\d\d):(\d\d)(?>\.\d{1,9}|)(?= ))"
)


class BackwardsError(Exception):
    """
    A file begins long before the time that the files in front of it have reached.
    """


class Steps:
    """
    The time in the files of one log, oldest first, in steps of some seconds.
    """

    def __init__(self, seconds: int, present: float, year: int | None) -> None:
        """
        Start before the first line; `present` is now, `year` that of the first stamp without one.
        """
        self._seconds = seconds
        self._latest = present + DAY_SECONDS
        self._year = year
        self._written = present
        self._minute = (b"", b"")
        self._minute_begins: float | None = None
        self._step = 0
        self.begun = False
        """Whether a time was found in this file."""
        self.time = 0.0
        """The newest so far, whole seconds since the epoch."""
        self.late_lines = 0
        """Lines of this file whose stamps are long before what was reached."""

    @property
    def now(self) -> float:
        """
        Give the moment by which `read_stamp` tells the year of a stamp that lacks it.
        """
        if self._year is None:
            return self._written
        if self.time:
            return self.time + HALF_A_YEAR_SECONDS
        return datetime(self._year + 1, 1, 1).timestamp() - 1 - DAY_SECONDS  # noqa: DTZ001 - local

    def begin(self, written: float) -> None:
        """
        Begin a file that was written to until then.
        """
        self._written = written
        self._minute = (b"", b"")
        self.begun = False
        self.late_lines = 0

    def cut(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """
        Cut a chunk (see `Grammar.find_rows`) where a step ends; give each piece with its step.

        Step n is of the lines before n times its seconds.  Chunks in front of a file's first time
        are left out: either nothing of them counts, or nothing in the file has a time.
        """
        start = 0
        for found in STAMPS.finditer(chunk):
            time = self._read(found)
            if time is None or not EARLIEST <= time <= self._latest:
                continue
            if not self.begun:
                self._begin_at(time)
            if time <= self.time:
                self.late_lines += time < self.time - BACK_SECONDS
                continue
            if time >= self._step * self._seconds:
                if start < found.start():
                    yield self._step, chunk[start : found.start()]
                start = found.start()
                self._step = int(time) // self._seconds + 1
            self.time = time
        if self.begun:
            yield self._step, chunk[start:]

    def _begin_at(self, time: float) -> None:
        if time < self.time - BACK_SECONDS:
            reached = show_time(self.time)
            raise BackwardsError(f"begins at {show_time(time)}, after lines of {reached}")
        self.begun = True
        if time > self.time:
            self.time = time
            self._step = int(time) // self._seconds + 1

    def _read(self, found: re.Match[bytes]) -> float | None:
        dated, second, zone, undated, undated_second = found.groups(b"")
        minute = (dated or undated, zone)
        if minute != self._minute:
            stamp = dated + b":00" + zone if dated else undated + b":00"
            self._minute = minute
            self._minute_begins = self._unfold(read_stamp(stamp, self.now), local=not zone)
        begins = self._minute_begins
        return None if begins is None else begins + int(second or undated_second)

    def _unfold(self, time: float | None, *, local: bool) -> float | None:
        """
        Take the later of the two readings, in the hour that a clock shows twice, if it went back.
        """
        if time is None or not local or time >= self.time - DISORDER_SECONDS:
            return time
        return datetime.fromtimestamp(time).replace(fold=1).timestamp()  # noqa: DTZ006 - local


def show_time(time: float) -> str:
    """
    Write a moment for a person, in local time.
    """
    return datetime.fromtimestamp(time).astimezone().isoformat(" ", "seconds")


def parse_step(text: str) -> int:
    """
    Read the seconds of "30s", "1m" or "5m"; ValueError says what is wrong.
    """
    found = re.fullmatch(r"([1-9]\d{0,2})(s|m)", text)
    seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 0
    if not 0 < seconds <= LONGEST_STEP_SECONDS:
        raise ValueError(f"must be like 15s or 1m, at most 5m, not {text!r}")
    return seconds
