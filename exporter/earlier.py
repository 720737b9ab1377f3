"""
What an earlier run left: what still applies goes on, the rest begins anew, and is named in the log.

Knows neither the state file nor the logs themselves.
"""

from dataclasses import dataclass, field, replace

import structlog

from exporter.collector import is_shown
from exporter.input import name_of
from exporter.logfile import Register
from exporter.milters import MilterNames
from exporter.state import LogState, State
from exporter.tally import Tally, TallyState

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Earlier:
    """
    The state of an earlier run, put back.
    """

    tally: Tally
    logs: list[LogState] = field(default_factory=list)
    """Logs that nobody has gone on with."""

    def restore(self, state: State, names: MilterNames, register: Register) -> None:
        """
        Put everything back that does not belong to one log.
        """
        shown = only_shown(state.tally)
        dropped = len(state.tally.counts) - len(shown.counts)
        dropped += len(state.tally.histograms) - len(shown.histograms)
        if dropped:
            log.warning("numbers of metrics that are no more are dropped", series=dropped)
        if not self.tally.restore(shown):
            log.warning("histogram buckets have changed: histograms start at 0")
        for name in state.names:
            names.label(name)
        register.left += state.left
        self.logs = state.logs

    def take_log(self, path: bytes) -> LogState | None:
        """
        Give what there is of a log, to go on with.
        """
        for earlier in self.logs:
            if earlier.path == path:
                self.logs.remove(earlier)
                return earlier
        return None

    def drop_logs(self) -> None:
        """
        Drop the logs that nobody has gone on with.
        """
        for earlier in self.logs:
            name = name_of(earlier.path)
            log.warning("no longer following a log, its position is dropped", file=name)
            self.tally.forget(name)
        self.logs = []


def only_shown(state: TallyState) -> TallyState:
    """
    Leave out what belongs to metrics that there are no more.
    """
    return replace(
        state,
        counts=[one for one in state.counts if is_shown(one[0], "counter")],
        histograms=[one for one in state.histograms if is_shown(one[0], "histogram")],
        gauges=[one for one in state.gauges if is_shown(one[0], "gauge")],
    )
