"""
What was counted in some logs, as `summary` shows it: sums, rankings and quantiles.

Pure: a ledger and the catalogue in, frozen values out; no words, no drawing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.catalogue import Catalogue
from exporter.logtool.ledger import CONNECTION_FAILED, DISCONNECTED, Ledger
from exporter.logtool.timeline import Timeline
from exporter.overview import (
    Fault,
    Milter,
    Parts,
    by_milter,
    counted,
    grouped,
    milters_of,
    rank,
    rank_faults,
    sums,
    total,
)
from exporter.tally import Key, Snapshot

SHARES = (0.5, 0.95, 0.99)
"""The quantiles that are shown."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """
    What became of one file.
    """

    name: str
    """Fit to be shown."""
    problem: str
    """One line, empty where all is well."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """
    The sessions that ended with one status.
    """

    status: str
    sessions: int
    last_states: Parts
    """None where the client disconnected: the log does not say."""


@dataclass(frozen=True, slots=True)
class DurationReport:
    """
    How long something took.
    """

    key: Key
    """The histogram's."""
    count: int
    quantiles: tuple[float, ...]
    """In seconds, of SHARES in this order."""
    most: float


@dataclass(frozen=True, slots=True)
class MilterReport:
    """
    One child milter.
    """

    numbers: Milter
    connection_failures: int
    statuses: Parts
    """How it ended, as far as that is logged."""
    headers: Parts

    @property
    def name(self) -> str:
        """
        Give its name.
        """
        return self.numbers.name

    @property
    def trouble(self) -> int:
        """
        Say how much there is to look at.
        """
        return self.numbers.trouble + self.connection_failures


@dataclass(frozen=True, slots=True)
class CheckReport:
    """
    What one milter found by one check.
    """

    milter: str
    check: str
    results: Parts


@dataclass(frozen=True, slots=True)
class Report:
    """
    All of it.
    """

    files: tuple[FileReport, ...]
    first: float | None
    """Time of the first line, seconds since the epoch."""
    last: float | None
    left_out: int
    """Lines outside of what --since and --until ask for."""
    statuses: tuple[StatusReport, ...]
    durations: tuple[DurationReport, ...]
    faults: tuple[Fault, ...]
    harmless: int
    """Error lines that a healthy server writes too; not among the faults."""
    milters: tuple[MilterReport, ...]
    checks: tuple[CheckReport, ...]
    session_headers: Parts
    quarantines: int
    outcomes: Parts
    """Lines, by what became of them."""
    timeline: Timeline
    snapshot: Snapshot
    bounds: tuple[float, ...]
    """Of the histograms."""

    @property
    def sessions(self) -> int:
        """
        Count the sessions that are over.
        """
        return sum(one.sessions for one in self.statuses)

    @property
    def errors(self) -> int:
        """
        Count the error lines, the harmless ones not among them.
        """
        return sum(one.lines for one in self.faults)

    @property
    def lines(self) -> int:
        """
        Count all lines.
        """
        return total(self.outcomes)

    @property
    def ours(self) -> int:
        """
        Count the lines that milter-manager wrote.
        """
        return lines_of_program(self.snapshot)


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What was read, beside the numbers.
    """

    files: tuple[FileReport, ...]
    first: float | None
    last: float | None
    left_out: int


def make_report(reading: Reading, ledger: Ledger, catalogue: Catalogue) -> Report:
    """
    Sum up a ledger.
    """
    snapshot = ledger.snapshot()
    return Report(
        files=reading.files,
        first=reading.first,
        last=reading.last,
        left_out=reading.left_out,
        statuses=tuple(statuses_of(snapshot)),
        durations=tuple(durations_of(ledger)),
        faults=rank_faults(snapshot, catalogue),
        harmless=sum(number for _, number in sums(snapshot, "harmless_messages", 1)),
        milters=tuple(milter_reports_of(snapshot)),
        checks=tuple(checks_of(snapshot)),
        session_headers=rank(counted(snapshot, "session_headers_added", 1)),
        quarantines=snapshot.counts.get(("quarantines",), 0),
        outcomes=rank(counted(snapshot, "lines", 1)),
        timeline=ledger.timeline,
        snapshot=snapshot,
        bounds=ledger.bounds,
    )


def lines_of_program(snapshot: Snapshot) -> int:
    """
    Count the lines that milter-manager wrote.
    """
    return sum(number for _, number in sums(snapshot, "log_lines", 1))


def statuses_of(snapshot: Snapshot) -> Iterator[StatusReport]:
    """
    Give the sessions by status, the most frequent first; disconnected ones last.
    """
    found = grouped(snapshot, "sessions_ended", 2, 1)
    for status, number in rank(counted(snapshot, "sessions_ended", 2)):
        yield StatusReport(status, number, rank(found[status]))
    disconnected = snapshot.counts.get(("sessions_disconnected",), 0)
    if disconnected:
        yield StatusReport(DISCONNECTED, disconnected, ())


def durations_of(ledger: Ledger) -> Iterator[DurationReport]:
    """
    Give the durations: of sessions, until a client disconnected, of milters.
    """
    order = ("session_duration", "session_disconnected_after", "milter_duration")
    for key, quantiles in sorted(
        ledger.quantiles.items(), key=lambda pair: (order.index(pair[0][0]), -pair[1].count)
    ):
        values = tuple(quantiles.at(share) for share in SHARES)
        yield DurationReport(key, quantiles.count, values, quantiles.most)


def milter_reports_of(snapshot: Snapshot) -> Iterator[MilterReport]:
    """
    Give the child milters, those with most trouble first.
    """
    statuses = by_milter(snapshot, "milters_ended", 3)
    headers = by_milter(snapshot, "milter_headers_added", 2)
    failures = by_milter(snapshot, "milter_messages", 3)
    reports = [
        MilterReport(
            one,
            failures[one.name][CONNECTION_FAILED],
            rank(statuses[one.name]),
            rank(headers[one.name]),
        )
        for one in milters_of(snapshot)
    ]
    return iter(sorted(reports, key=lambda one: -one.trouble))


def checks_of(snapshot: Snapshot) -> Iterator[CheckReport]:
    """
    Give what milters found, by check.
    """
    found: dict[tuple[str, str], Counter[str]] = {}
    for (milter, check, result), number in sums(snapshot, "mail_checks", 1, 2, 3):
        found.setdefault((check, milter), Counter())[result] += number
    for (check, milter), results in sorted(found.items()):
        yield CheckReport(milter, check, rank(results))
