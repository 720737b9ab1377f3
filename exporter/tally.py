"""
Plain numbers behind one lock: what was counted so far.

The reader adds a chunk at a time, a scrape takes a copy; neither sees half of the other's work.
Knows no metric's full name, no log line and no file format.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeAlias

Key: TypeAlias = tuple[str, ...]
"""A metric's short name, then its label values in the order of the collector's table."""

Observation: TypeAlias = tuple[Key, float, bytes, bytes, int]
"""A histogram's key, seconds, the id in the line, the line's stamp, how often."""

QUIET_SECONDS = 15 * 60.0
"""A process is heard of for so long after its last line, in the log's own time."""
MOST_PROCESSES = 1_000

KEPT_GAUGES = (("memory",), ("last_line",))
"""What the log said; the other gauges are of this process and its files."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """
    One observation that a bucket's exemplar points to.
    """

    id: str
    seconds: float
    timestamp: float | None
    """Seconds since the epoch, the log's own time."""


@dataclass(slots=True)
class Histogram:
    """
    Observations in seconds: counts per bucket (the last one is +Inf's), not cumulative.
    """

    buckets: list[int]
    exemplars: list[Exemplar | None]
    sum: float = 0.0

    def copy(self) -> "Histogram":
        """
        Copy it, so that a scrape can go on without the lock.
        """
        return Histogram(self.buckets.copy(), self.exemplars.copy(), self.sum)


@dataclass(slots=True)
class Process:
    """
    What was last heard of one process of the program.
    """

    heard: float
    """Seconds since the epoch, the log's own time."""
    in_progress: int = 0
    """Sessions."""


@dataclass(slots=True)
class Additions:
    """
    What one chunk of one file adds to a tally.
    """

    file: str
    counts: dict[Key, int] = field(default_factory=dict)
    observations: list[Observation] = field(default_factory=list)
    heard: dict[bytes, bytes] = field(default_factory=dict)
    """Process id -> the stamp of its last line."""
    last: bytes = b""
    """The stamp of the last line of the program."""
    in_progress: dict[bytes, int] = field(default_factory=dict)
    """Process id -> sessions."""
    memory_bytes: int | None = None

    def count(self, key: Key, times: int = 1) -> None:
        """
        Add to a counter.
        """
        self.counts[key] = self.counts.get(key, 0) + times


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    A consistent copy of a tally.
    """

    counts: dict[Key, int]
    histograms: dict[Key, Histogram]
    gauges: dict[Key, float]
    sessions_in_progress: int
    processes: int
    newest: dict[str, float]
    """File -> the log's own time of its newest line; not of lines without a time."""


@dataclass(frozen=True, slots=True)
class TallyState:
    """
    What of a tally outlives the process; not the exemplars.
    """

    bounds: list[float]
    counts: list[tuple[Key, int]]
    histograms: list[tuple[Key, list[int], float]]
    """Key, counts per bucket as in `Histogram`, sum."""
    gauges: list[tuple[Key, float]]
    processes: list[tuple[tuple[str, str], float, int]]
    """File and process id, when heard of last, sessions in progress."""
    newest: dict[str, float]
    """File -> the log's own time of its newest line."""

    def __post_init__(self) -> None:
        """
        Refuse with ValueError what no tally ever gave.
        """
        if any(len(buckets) != len(self.bounds) + 1 for _, buckets, _ in self.histograms):
            raise ValueError("a histogram has too many or too few buckets")
        if any(file not in self.newest for (file, _), _, _ in self.processes):
            raise ValueError("a process is of no file")


class Tally:
    """
    All numbers of one exporter.
    """

    def __init__(
        self, bounds: Sequence[float], zeros: Iterable[Key] = (), histograms: Iterable[Key] = ()
    ) -> None:
        """
        Start at zero, with the counters and histograms that are known from the start.

        `bounds` are the histograms' upper bounds in seconds, rising and without +Inf.
        """
        self.bounds = tuple(bounds)
        self._lock = Lock()
        self._counts: dict[Key, int] = dict.fromkeys(zeros, 0)
        self._histograms = {key: self._new_histogram() for key in histograms}
        self._gauges: dict[Key, float] = {}
        self._processes: dict[tuple[str, str], Process] = {}
        """File and process id -> what was heard of it."""
        self._newest: dict[str, float] = {}

    def add(self, additions: Additions, read_stamp: Callable[[bytes], float | None]) -> None:
        """
        Add what a chunk brought, all of it or, for a scrape, nothing.
        """
        with self._lock:
            counts = self._counts
            for key, times in additions.counts.items():
                counts[key] = counts.get(key, 0) + times
            self._observe(additions.observations, read_stamp)
            self._hear(additions, read_stamp)
            if additions.memory_bytes is not None:
                self._gauges[("memory",)] = float(additions.memory_bytes)

    def count(self, key: Key, times: int = 1) -> None:
        """
        Add to one counter.
        """
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + times

    def set(self, key: Key, value: float) -> None:
        """
        Set one gauge.
        """
        with self._lock:
            self._gauges[key] = value

    def export(self) -> TallyState:
        """
        Give what a restart needs.
        """
        with self._lock:
            return TallyState(
                list(self.bounds),
                list(self._counts.items()),
                [(key, one.buckets.copy(), one.sum) for key, one in self._histograms.items()],
                [(key, value) for key, value in self._gauges.items() if key in KEPT_GAUGES],
                [(key, one.heard, one.in_progress) for key, one in self._processes.items()],
                self._newest.copy(),
            )

    def restore(self, state: TallyState) -> bool:
        """
        Go on from an earlier run; False when its histograms have other bounds and begin anew.
        """
        with self._lock:
            for key, count in state.counts:
                self._counts[key] = self._counts.get(key, 0) + count
            self._gauges.update(state.gauges)
            self._newest.update(state.newest)
            for key, heard, in_progress in state.processes:
                self._processes[key] = Process(heard, in_progress)
            if tuple(state.bounds) != self.bounds:
                return False
            for key, buckets, total in state.histograms:
                histogram = self._histograms[key] = self._new_histogram()
                histogram.buckets, histogram.sum = buckets.copy(), total
        return True

    def forget(self, file: str) -> None:
        """
        Drop the processes of a file that is not read any more: its clock stands still.
        """
        with self._lock:
            self._newest.pop(file, None)
            for key in [key for key in self._processes if key[0] == file]:
                del self._processes[key]

    def snapshot(self) -> Snapshot:
        """
        Take a consistent copy.
        """
        with self._lock:
            heard = [
                process
                for key, process in self._processes.items()
                if abs(self._newest[key[0]] - process.heard) <= QUIET_SECONDS
            ]
            return Snapshot(
                self._counts.copy(),
                {key: histogram.copy() for key, histogram in self._histograms.items()},
                self._gauges.copy(),
                sum(process.in_progress for process in heard),
                len(heard),
                {file: newest for file, newest in self._newest.items() if newest},
            )

    def _new_histogram(self) -> Histogram:
        size = len(self.bounds) + 1
        return Histogram([0] * size, [None] * size)

    def _observe(
        self, observations: list[Observation], read_stamp: Callable[[bytes], float | None]
    ) -> None:
        """
        Add one by one, in the log's order: a sum of floats depends on it.
        """
        found: dict[Key, tuple[Histogram, dict[int, Observation]]] = {}
        for observation in observations:
            key, seconds, _, _, times = observation
            here = found.get(key)
            if here is None:
                histogram = self._histograms.setdefault(key, self._new_histogram())
                here = found[key] = (histogram, {})
            histogram, newest = here
            i = bisect_left(self.bounds, seconds)
            histogram.buckets[i] += times
            histogram.sum += seconds * times
            newest[i] = observation
        for histogram, newest in found.values():
            for i, (_, seconds, id_, stamp, _) in newest.items():
                exemplar = Exemplar(id_.decode("ascii"), seconds, read_stamp(stamp))
                histogram.exemplars[i] = exemplar

    def _hear(self, additions: Additions, read_stamp: Callable[[bytes], float | None]) -> None:
        """
        Note which processes spoke, and when; in an input without times the clock stands still.
        """
        if not additions.heard:
            return
        file = additions.file
        times = (read_stamp(stamp) for stamp in (additions.last, *additions.heard.values()))
        newest = next((time for time in times if time is not None), None)
        if newest is None:
            newest = self._newest.get(file, 0.0)
        else:
            self._gauges[("last_line",)] = newest
        self._newest[file] = newest
        for pid, stamp in additions.heard.items():
            key = (file, pid.decode("ascii"))
            process = self._processes.pop(key, None) or Process(newest)
            heard = read_stamp(stamp)
            process.heard = newest if heard is None else heard
            process.in_progress = additions.in_progress.get(pid, process.in_progress)
            self._processes[key] = process
        while len(self._processes) > MOST_PROCESSES:
            del self._processes[next(iter(self._processes))]
