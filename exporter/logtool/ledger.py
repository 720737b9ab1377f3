"""
A tally that notes as well when things happened and how long they took.

What it is told counts exactly as in the daemon's tally; quantiles and the timeline come on top.
Never reads a line.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.logtool.quantiles import Quantiles
from exporter.logtool.timeline import Series, Timeline
from exporter.overview import ERROR_LEVELS
from exporter.tally import QUIET_SECONDS, Additions, Key, Tally

CONNECTION_FAILED = "[children][error][connection]"
DISCONNECTED = "disconnected"
ALONE: Mapping[str, Series] = {
    "sessions_disconnected": ("sessions", DISCONNECTED),
    "quarantines": ("quarantines",),
}
"""Metric without labels -> its series."""
TROUBLES = {
    "milter_timeouts": "timeouts",
    "milter_fallbacks": "fallbacks",
    "milter_invalid_responses": "invalid_responses",
}
"""Metric of a milter in trouble -> what it is called here."""


class Ledger(Tally):
    """
    All numbers of some logs.
    """

    def __init__(
        self,
        bounds: Sequence[float],
        zeros: Iterable[Key],
        histograms: Iterable[Key],
        timeline: Timeline,
    ) -> None:
        """
        Start as a tally does, with a timeline that is still empty.
        """
        super().__init__(bounds, zeros, histograms)
        self.timeline = timeline
        self.quantiles: dict[Key, Quantiles] = {}
        """Histogram's key -> its durations."""
        self.moment: float | None = None
        """The time of what comes next, if that is known."""

    def begin(self, moment: float | None) -> None:
        """
        Say when what comes next was written.
        """
        self.moment = moment

    def add(self, additions: Additions, read_stamp: Callable[[bytes], float | None]) -> None:
        """
        Add what a piece of a log brought.
        """
        super().add(additions, read_stamp)
        for key, seconds, _, _, times in additions.observations:
            if key not in self.quantiles:
                self.quantiles[key] = Quantiles()
            self.quantiles[key].add(seconds, times)
        if self.moment is not None and (additions.heard or additions.counts):
            in_progress = self._in_progress() if additions.in_progress else 0
            self.timeline.add(self.moment, series_of(additions.counts), in_progress)

    def _in_progress(self) -> int:
        """
        Count the sessions in progress, as a snapshot does but without copying all the rest.
        """
        return sum(
            process.in_progress
            for key, process in self._processes.items()
            if abs(self._newest[key[0]] - process.heard) <= QUIET_SECONDS
        )


def series_of(counts: Mapping[Key, int]) -> Mapping[Series, int]:
    """
    Choose what is drawn over time.
    """
    found: Counter[Series] = Counter()
    for key, times in counts.items():
        match key:
            case ("sessions_ended", _, status):
                found["sessions", status] += times
            case (name,) if name in ALONE:
                found[ALONE[name]] += times
            case ("log_messages", _, level, _) if level in ERROR_LEVELS:
                found["errors",] += times
            case ("harmless_messages", _, level, _) if level in ERROR_LEVELS:
                found["errors",] -= times
            case ("milters_ended", milter, _, status):
                found["milters", milter, status] += times
            case (name, milter, *_) if name in TROUBLES:
                found["trouble", milter, TROUBLES[name]] += times
            case ("milter_messages", milter, _, tags) if tags == CONNECTION_FAILED:
                found["trouble", milter, "connection_failures"] += times
            case ("mail_checks", _, check, result):
                found["checks", check, result] += times
            case _:
                pass
    return +found
