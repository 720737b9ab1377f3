"""
Chunks of a log -> pieces of one time, for the daemon's own counting.

A piece holds the lines of one second, minute, ten minutes or hour, as the stamp of its first line
says; a line without a stamp goes on with the one before.  Cutting does not change what is counted,
as the daemon's chunks end anywhere too.  Knows nothing of what lines mean.

Where hosts in different time zones write one file, each with its own offset, neighbouring lines
with the same digits are taken for simultaneous: that moves a line on a chart, no total.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from exporter.counting import Counting
from exporter.logtool.sources import STANDARD_INPUT, Source
from exporter.recognise import Recogniser
from exporter.record import FULL, ISO, TRADITIONAL, UNIX, Grammar
from exporter.stamp import read_stamp
from exporter.tally import Tally

# What stands before a time: syslog's PRI with the version of RFC 5424, or the own file's items.
HEAD = rb"(?><\d{1,3}>(?>1 |)|(?>\[[a-z|]++\]|)(?>\[[\w-]*+\](?=\[)|)\[|)"
DAY = rb"(?>[A-Z][a-z][a-z] [ \d]\d \d\d|(?>[A-Z][a-z][a-z] |)\d{4}-\d\d-\d\d[T ]\d\d)"
STAMP = re.compile(rb"\n" + HEAD + rb"(" + rb"|".join((TRADITIONAL, ISO, FULL, UNIX)) + rb")")


def runs_of(clock: bytes, unix: int) -> re.Pattern[bytes]:
    """
    Make the pattern of neighbouring lines whose stamps agree in their first bytes.

    `unix` is by how many of its ten digits a number of seconds has to agree.

    One step for thousands of lines: it takes about a seventh of the time that counting does.
    """
    digits = rb"(?>" + DAY + clock + rb"|\d{%d}(?=\d{%d}\.\d{6} ))" % (unix, 10 - unix)
    going_on = rb"(?>\n(?:" + HEAD + rb"(?P=digits)|(?!" + HEAD + digits + rb")).*+)"
    return re.compile(rb"\n" + HEAD + rb"(?P<digits>" + digits + rb").*+(?>" + going_on + rb"*)")


SECOND = 1
MINUTE = 60
TEN_MINUTES = 600
HOUR = 3600
RUNS = {
    SECOND: runs_of(rb":\d\d:\d\d", 10),
    MINUTE: runs_of(rb":\d\d", 9),
    TEN_MINUTES: runs_of(rb":\d", 8),
    HOUR: runs_of(rb"", 7),
}


@dataclass(frozen=True, slots=True)
class Period:
    """
    From when, and until before when; in seconds since the epoch.
    """

    since: float = -inf
    until: float = inf

    @property
    def limited(self) -> bool:
        """
        Say whether it leaves anything out.
        """
        return self != Period()

    def cuts(self, moment: float, seconds: int) -> bool:
        """
        Say whether one of its ends may lie within so many seconds of a moment.
        """
        return any(abs(end - moment) <= seconds for end in (self.since, self.until))

    def has(self, moment: float | None) -> bool:
        """
        Say whether a moment is inside; one that is not known is only where there are no limits.
        """
        return self.since <= moment < self.until if moment is not None else not self.limited


class Slices:
    """
    Cuts the chunks of one file, one after the other.
    """

    def __init__(self, now: float, period: Period, begin: Callable[[float | None], object]) -> None:
        """
        Take stamps without a year for those of the year before `now`; leave out what `period` does.

        `begin` is told each piece's time, in seconds since the epoch, before it is given.
        """
        self._begin = begin
        self.now = now
        self.seconds = MINUTE
        """How long a piece is: one of RUNS; for the next chunk."""
        self._period = period
        self._moment: float | None = None
        self.first: float | None = None
        """The time of the first line that was not left out."""
        self._last = b""
        self.left_out = 0
        """Lines outside the period."""

    def cut(self, chunk: bytes) -> Iterator[bytes]:
        """
        Give the pieces of a chunk that are inside the period.
        """
        seconds = self.seconds
        for lines in cut_runs(chunk, seconds):
            moment = self._read(lines)
            if self._period.limited and moment and self._period.cuts(moment, seconds):
                for line in cut_runs(lines, SECOND):
                    yield from self._admit(self._read(line), line)
            else:
                yield from self._admit(moment, lines)

    def _read(self, lines: bytes) -> float | None:
        """
        Read the time at the head of the first line; without one it is still that of the last.
        """
        self._moment = self._time_of(lines, self._moment)
        return self._moment

    @property
    def timed(self) -> bool:
        """
        Say whether any line so far had a time.
        """
        return self._moment is not None

    @property
    def last(self) -> float | None:
        """
        Give the time of the last line that was not left out.
        """
        return self._time_of(self._last, self.first)

    def _time_of(self, lines: bytes, default: float | None) -> float | None:
        found = STAMP.match(lines)
        moment = read_stamp(found[1], self.now) if found else None
        return default if moment is None else moment

    def _admit(self, moment: float | None, lines: bytes) -> Iterator[bytes]:
        if not self._period.has(moment):
            self.left_out += lines.count(b"\n")
            return
        self.first = moment if self.first is None else self.first
        self._last = lines[lines.rindex(b"\n") :]
        self._begin(moment)
        yield lines


def cut_runs(chunk: bytes, seconds: int) -> Iterator[bytes]:
    """
    Cut a chunk where the stamps' digits change; lines without a stamp may come first.
    """
    end = 0
    for run in RUNS[seconds].finditer(chunk):
        if run.start() > end:
            yield chunk[end : run.start()]
        yield run[0]
        end = run.end()
    if end < len(chunk):
        yield chunk[end:]


class SlicedCounting(Counting):
    """
    The daemon's counting, piece by piece.
    """

    def __init__(
        self,
        file: str,
        grammar: Grammar,
        recogniser: Recogniser,
        tally: Tally,
        slices: Slices,
    ) -> None:
        """
        Count what `slices` make of the log `file`.
        """
        super().__init__(file, grammar, recogniser, tally, lambda: slices.now)
        self._slices = slices

    def add(self, chunk: bytes) -> None:
        """
        Count the lines of a chunk, those of the period.
        """
        for lines in self._slices.cut(chunk):
            super().add(lines)


def written_before(source: Source, now: float) -> float:
    """
    Say when a file was last written to: its stamps that lack the year are of none after it.
    """
    if source.argument == STANDARD_INPUT:
        return now
    with suppress(OSError, ValueError):
        return min(Path(source.argument).stat().st_mtime, now)
    return now
