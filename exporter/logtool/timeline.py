"""
What happened when: numbers by time, at six resolutions, each for as long as it is of use.

Like RRDtool's archives: the last two hours by the minute, the last two years by the day.  Each
resolution keeps a fixed number of buckets and forgets the oldest, so that memory does not grow with
the log, and a stray line of 1970 squeezes nothing.  Knows nothing of metrics and of drawing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import TypeAlias

Series: TypeAlias = tuple[str, ...]
"""What is counted: a kind, then whose or which."""

MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Resolution:
    """
    How long a bucket is, and how many there are.
    """

    name: str
    seconds: int
    buckets: int

    @property
    def span(self) -> int:
        """
        Give the seconds that it can show: a half of what it keeps.
        """
        return self.seconds * self.buckets // 2


RESOLUTIONS = (
    Resolution("hour", MINUTE, 120),
    Resolution("day", 10 * MINUTE, 288),
    Resolution("week", HOUR, 336),
    Resolution("month", 6 * HOUR, 248),
    Resolution("year", DAY, 732),
    Resolution("ever", 7 * DAY, 2000),
)


@dataclass(slots=True)
class Bucket:
    """
    What happened in one stretch of time.
    """

    counts: dict[Series, int] = field(default_factory=dict)
    in_progress: int = 0
    """The most sessions in progress at the times looked at."""


@dataclass(frozen=True, slots=True)
class Plot:
    """
    Buckets one after the other, without a gap, ready to be drawn.
    """

    seconds: int
    """How long each is."""
    starts: tuple[float, ...]
    """When each begins, seconds since the epoch."""
    buckets: tuple[Bucket, ...]

    def values(self, *series: Series) -> list[int]:
        """
        Give the numbers of some series together, bucket by bucket.
        """
        return [sum(one.counts.get(name, 0) for name in series) for one in self.buckets]

    def fold(self, most: int) -> "Plot":
        """
        Put neighbours together until there are no more than `most` buckets.
        """
        times = -(-len(self.buckets) // most)
        if times <= 1:
            return self
        groups = [self.buckets[i : i + times] for i in range(0, len(self.buckets), times)]
        return Plot(
            self.seconds * times, self.starts[::times], tuple(merge(group) for group in groups)
        )


def merge(buckets: Iterable[Bucket]) -> Bucket:
    """
    Put buckets together: counts add up, of sessions in progress the most counts.
    """
    merged = Bucket()
    for bucket in buckets:
        add_to(merged, bucket.counts, bucket.in_progress)
    return merged


def add_to(bucket: Bucket, counts: Mapping[Series, int], in_progress: int) -> None:
    """
    Add to a bucket.
    """
    for series, times in counts.items():
        bucket.counts[series] = bucket.counts.get(series, 0) + times
    bucket.in_progress = max(bucket.in_progress, in_progress)


class Archive:
    """
    The buckets of one resolution, the newest ones.
    """

    def __init__(self, resolution: Resolution) -> None:
        self.resolution = resolution
        self.buckets: dict[int, Bucket] = {}
        self._newest: int | None = None

    def add(self, wall: int, counts: Mapping[Series, int], in_progress: int) -> None:
        """
        Add what happened at a time; one too long before the newest is forgotten already.
        """
        at = wall // self.resolution.seconds
        newest = at if self._newest is None else max(self._newest, at)
        oldest = newest - self.resolution.buckets
        self._newest = newest
        if at > oldest:
            add_to(self.buckets.setdefault(at, Bucket()), counts, in_progress)
        if len(self.buckets) > self.resolution.buckets:
            for old in [one for one in self.buckets if one <= oldest]:
                del self.buckets[old]

    def plot(self, first: int, last: int) -> Plot:
        """
        Give the buckets from the one of a time to the one of another, no more than are kept.
        """
        seconds = self.resolution.seconds
        end = last // seconds + 1
        start = max(first // seconds, end - self.resolution.buckets)
        # A number seldom comes with each bucket: what is not there is 0.
        buckets = tuple(self.buckets.get(at, Bucket()) for at in range(start, end))
        starts = tuple(epoch_of(at * seconds) for at in range(start, end))
        return Plot(seconds, starts, buckets)


class Timeline:
    """
    All resolutions.
    """

    def __init__(self, latest: float) -> None:
        """
        Leave out what claims to be after `latest`: it would make all the rest old.
        """
        self._latest = latest
        self._archives = [Archive(resolution) for resolution in RESOLUTIONS]
        self.first: int | None = None
        self.last: int | None = None
        self.coarse: int | None = None
        """Up to then, what was added stands for whole hours."""

    @property
    def span(self) -> int:
        """
        Give the seconds from the first time to the last.
        """
        return self.last - self.first if self.first is not None and self.last is not None else 0

    def add(self, moment: float, counts: Mapping[Series, int], in_progress: int) -> None:
        """
        Add what happened at a moment, seconds since the epoch.
        """
        if moment > self._latest:
            return
        wall = wall_of(moment)
        self.first = wall if self.first is None else min(self.first, wall)
        self.last = wall if self.last is None else max(self.last, wall)
        for archive in self._archives:
            archive.add(wall, counts, in_progress)

    def whole(self) -> Plot | None:
        """
        Give all of it, as finely as that is kept; None where there is nothing.
        """
        if self.first is None or self.last is None:
            return None
        span = self.span
        archive = next(
            (one for one in self._archives if span < one.resolution.span), self._archives[-1]
        )
        return archive.plot(self.first, self.last)

    def recent(self, name: str) -> Plot | None:
        """
        Give the last hour, day, week, month or year, as much of it as there is; None without times.
        """
        if self.first is None or self.last is None:
            return None
        archive = next(one for one in self._archives if one.resolution.name == name)
        span = archive.resolution.span - archive.resolution.seconds
        return archive.plot(max(self.last - span, self.first), self.last)

    def names(self) -> list[str]:
        """
        Name the resolutions worth a look, from the finest: those that show more than the last.
        """
        if self.span < RESOLUTIONS[0].span:
            return [RESOLUTIONS[0].name]
        return [
            coarser.name
            for finer, coarser in pairwise(RESOLUTIONS)
            if finer.span <= self.span and not self._is_blurred(coarser)
        ]

    def pace(self, latest: float) -> int:
        """
        Say for how many seconds together to add what comes next, if nothing comes after `latest`.

        What no archive will still hold in detail need not be told apart: it saves most of the time
        that a year of a quiet server takes.
        """
        if self.last is None or self.span <= RESOLUTIONS[0].span:
            return MINUTE
        detailed = RESOLUTIONS[1].span * 2
        if self.span <= detailed or self.last + detailed >= wall_of(latest):
            return RESOLUTIONS[1].seconds
        self.coarse = self.last
        return HOUR

    def _is_blurred(self, resolution: Resolution) -> bool:
        """
        Say whether a stretch up to the last time has hours where it should show less.
        """
        if self.coarse is None or self.last is None or resolution.seconds >= HOUR:
            return False
        return self.coarse > self.last - resolution.span


def wall_of(moment: float) -> int:
    """
    Give what a clock on the wall shows, as a number of seconds: a day's bucket is a day here.
    """
    local = datetime.fromtimestamp(moment, UTC).astimezone()
    offset = local.utcoffset()
    return int(moment + (offset.total_seconds() if offset else 0.0))


def epoch_of(wall: int) -> float:
    """
    Give the moment at which a clock on the wall shows that.
    """
    return datetime.fromtimestamp(wall, UTC).replace(tzinfo=None).timestamp()
