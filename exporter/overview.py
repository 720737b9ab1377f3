"""
What was counted so far, as a person wants to see it: sums and rankings of a tally's copy.

Pure: a snapshot and the catalogue in, frozen values out; no texts, no HTML.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.catalogue import Catalogue, Message
from exporter.tally import Snapshot

ERROR_LEVELS = ("critical", "error")
MOST_ERRORS = 10

Parts = tuple[tuple[str, int], ...]
"""A word and how often, the most frequent first."""


@dataclass(frozen=True, slots=True)
class Milter:
    """
    One child milter.
    """

    name: str
    ended: int
    timeouts: Parts
    """By what was waited for."""
    fallbacks: Parts
    """By the answer that stood in for the child's."""
    invalid_responses: int
    errors: int
    """Lines of level error and critical that name it."""

    @property
    def trouble(self) -> int:
        """
        Say how much there is to look at.
        """
        return total(self.timeouts) + total(self.fallbacks) + self.invalid_responses


@dataclass(frozen=True, slots=True)
class Fault:
    """
    One error message, and how often it came.
    """

    module: str
    level: str
    tags: str
    lines: int
    message: Message | None


@dataclass(frozen=True, slots=True)
class Overview:
    """
    All that was counted.
    """

    statuses: Parts
    """Sessions ended, by status."""
    disconnected: int
    in_progress: int
    quarantines: int
    processes: int
    memory_bytes: float | None
    milters: tuple[Milter, ...]
    faults: tuple[Fault, ...]
    """The most frequent ones."""
    errors: int
    """All lines of level error and critical, the harmless ones not among them."""
    outcomes: dict[str, int]
    """Lines, by what became of them."""
    last_line: float | None
    newest: dict[str, float]
    """File -> the log's own time of its newest line."""

    @property
    def sessions(self) -> int:
        """
        Count the sessions that are over.
        """
        return total(self.statuses) + self.disconnected

    @property
    def ours(self) -> int:
        """
        Count the lines that milter-manager wrote.
        """
        return sum(self.outcomes.get(name, 0) for name in ("recognised", "unknown", "untagged"))


def total(parts: Parts) -> int:
    """
    Add up.
    """
    return sum(number for _, number in parts)


def summarise(snapshot: Snapshot, catalogue: Catalogue) -> Overview:
    """
    Sum up a tally.
    """
    counts = snapshot.counts
    return Overview(
        statuses=rank(counted(snapshot, "sessions_ended", 2)),
        disconnected=counts.get(("sessions_disconnected",), 0),
        in_progress=snapshot.sessions_in_progress,
        quarantines=counts.get(("quarantines",), 0),
        processes=snapshot.processes,
        memory_bytes=snapshot.gauges.get(("memory",)),
        milters=tuple(milters_of(snapshot)),
        faults=rank_faults(snapshot, catalogue)[:MOST_ERRORS],
        errors=sum(number for _, number in errors_of(snapshot)),
        outcomes={outcome: number for (outcome,), number in sums(snapshot, "lines", 1)},
        last_line=snapshot.gauges.get(("last_line",)),
        newest=snapshot.newest,
    )


def sums(snapshot: Snapshot, name: str, *places: int) -> Iterator[tuple[tuple[str, ...], int]]:
    """
    Give the series of a metric that are not 0: the labels at some places of its key, and the value.
    """
    for key, number in snapshot.counts.items():
        if key[0] == name and number:
            yield tuple(key[place] for place in places), number


def counted(snapshot: Snapshot, name: str, place: int) -> Counter[str]:
    """
    Sum up a metric by one of its labels.
    """
    numbers: Counter[str] = Counter()
    for (label,), number in sums(snapshot, name, place):
        numbers[label] += number
    return numbers


def rank(numbers: Counter[str]) -> Parts:
    """
    Put the most frequent first, equals by name.
    """
    return tuple(sorted(numbers.items(), key=lambda pair: (-pair[1], pair[0])))


def errors_of(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], int]]:
    """
    Give module, level, tags and number of the errors, without what a healthy server writes too.
    """
    harmless = dict(sums(snapshot, "harmless_messages", 1, 2, 3))
    for key, number in sums(snapshot, "log_messages", 1, 2, 3):
        left = number - harmless.get(key, 0)
        if key[1] in ERROR_LEVELS and left > 0:
            yield key, left


def rank_faults(snapshot: Snapshot, catalogue: Catalogue) -> tuple[Fault, ...]:
    """
    Give the errors, the most frequent first, with what the catalogue says of them.
    """
    known = {(m.module, m.level, m.tags): m for m in reversed(catalogue.messages)}
    # milter-manager may write a message at another level than the documented one.
    others = {(m.module, m.tags): m for m in reversed(catalogue.messages)}
    errors = sorted(errors_of(snapshot), key=lambda pair: (-pair[1], pair[0]))
    return tuple(
        Fault(
            module,
            level,
            tags,
            lines,
            known.get((module, level, tags), others.get((module, tags))),
        )
        for (module, level, tags), lines in errors
    )


def milters_of(snapshot: Snapshot) -> Iterator[Milter]:
    """
    Give the child milters, those with most trouble first.
    """
    ended = by_milter(snapshot, "milters_ended", 3)
    timeouts = by_milter(snapshot, "milter_timeouts", 2)
    fallbacks = by_milter(snapshot, "milter_fallbacks", 3)
    invalid = by_milter(snapshot, "milter_invalid_responses", 2)
    levels = by_milter(snapshot, "milter_messages", 2)
    milters = [
        Milter(
            name,
            ended[name].total(),
            rank(timeouts[name]),
            rank(fallbacks[name]),
            invalid[name].total(),
            sum(levels[name][level] for level in ERROR_LEVELS),
        )
        for name in {*ended, *timeouts, *fallbacks, *invalid, *levels}
    ]
    return iter(sorted(milters, key=lambda one: (-one.trouble, -one.errors, one.name)))


def by_milter(snapshot: Snapshot, name: str, place: int) -> defaultdict[str, Counter[str]]:
    """
    Sum up a metric whose first label is the milter, by another of its labels.
    """
    return grouped(snapshot, name, 1, place)


def grouped(
    snapshot: Snapshot, name: str, outer: int, inner: int
) -> defaultdict[str, Counter[str]]:
    """
    Sum up a metric by two of its labels; nothing for what is not there.
    """
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for (group, word), number in sums(snapshot, name, outer, inner):
        found[group][word] += number
    return found
