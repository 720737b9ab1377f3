"""
A tally, looked at where steps of time end -> what each series was, step by step.

Only changes are kept, and in a spool: memory grows neither with the log nor with its time.  Holds
no line and no format.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.collector import FAMILIES
from exporter.logtool.spool import Spool
from exporter.tally import Key, Snapshot, Tally

QUIET_SECONDS = 3600
"""A log that is silent for longer is taken for a machine that is off: nothing was to be scraped."""
SHOWN = frozenset(
    name
    for name, family in FAMILIES.items()
    # What an exporter says of itself: none was running.
    if not family.name.startswith("milter_manager_exporter_")
)


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a series is from a step on: one number, or a histogram's buckets and sum.
    """

    step: int
    values: tuple[float, ...]


class History:
    """
    All series of a tally over time.
    """

    def __init__(self, tally: Tally, spool: Spool, step_seconds: int) -> None:
        """
        Start before the first step.
        """
        self._tally = tally
        self._spool = spool
        self._quiet_steps = QUIET_SECONDS // step_seconds
        self._step = 0
        self._last: dict[Key, tuple[float, ...]] = {}
        self._number = struct.Struct("<Id")
        self._histogram = struct.Struct(f"<I{len(tally.bounds) + 2}d")
        self.step_seconds = step_seconds
        self.bounds = tally.bounds
        self.runs: list[tuple[int, int]] = []
        """The steps that have samples: first and last of each stretch without a long silence."""

    def reach(self, step: int) -> None:
        """
        Say that the next line is of this step, no earlier one than the last.
        """
        if step != self._step:
            self.close_step()
            self._step = step

    def close_step(self) -> None:
        """
        Keep what has changed by the end of the present step.
        """
        if not self._step:
            return
        self._extend(self._step)
        for key, values in values_of(self._tally.snapshot()):
            # What was 0 from the start is not kept: it would be most of the series.
            if values != self._last.get(key) and (any(values) or key in self._last):
                self._last[key] = values
                layout = self._layout(key)
                self._spool.append(key, layout.pack(self._step, *values))

    def keys(self) -> list[Key]:
        """
        Give the keys of all series that ever were more than 0.
        """
        return self._spool.keys()

    def changes(self, key: Key) -> Iterator[Change]:
        """
        Give the changes of a series; counters and histograms begin at 0 one step before the first.
        """
        layout = self._layout(key)
        begun = FAMILIES[key[0]].kind == "gauge"
        for piece in self._spool.read(key):
            for step, *values in layout.iter_unpack(piece):
                if not begun:
                    yield Change(step - 1, (0.0,) * len(values))
                    begun = True
                yield Change(step, tuple(values))

    def steps_from(self, first: int) -> Iterator[int]:
        """
        Give the steps that have samples, beginning with `first`.
        """
        for begin, end in self.runs:
            yield from range(max(begin, first), end + 1)

    def _layout(self, key: Key) -> struct.Struct:
        return self._histogram if FAMILIES[key[0]].kind == "histogram" else self._number

    def _extend(self, step: int) -> None:
        """
        Have samples up to a step, and one before it: what came in the step is a rise between them.
        """
        if self.runs:
            begin, end = self.runs[-1]
            if step - 1 <= end + self._quiet_steps:
                self.runs[-1] = (begin, step)
                return
            self.runs[-1] = (begin, end + self._quiet_steps)
        self.runs.append((step - 1, step))


def values_of(snapshot: Snapshot) -> Iterator[tuple[Key, tuple[float, ...]]]:
    """
    Give what milter-manager's series are at a moment.
    """
    yield ("sessions_in_progress",), (float(snapshot.sessions_in_progress),)
    yield ("processes",), (float(snapshot.processes),)
    for numbers in (snapshot.counts, snapshot.gauges):
        for key, value in numbers.items():
            if key[0] in SHOWN:
                yield key, (float(value),)
    for key, histogram in snapshot.histograms.items():
        yield key, (*map(float, histogram.buckets), histogram.sum)
