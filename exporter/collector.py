"""
Every metric's name, help and labels, written out once; a tally -> families at scrape.

Keeps no numbers between two scrapes.  prometheus_client's own metric objects are not used: they
cannot be restored after a restart and have no bulk observe.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    Sample,
)
from prometheus_client.registry import Collector

from exporter import REVISION, __version__
from exporter import tally as plain
from exporter.exposition import (
    MOST_SERIES,
    Direct,
    write_count,
    write_exemplar,
    write_series,
    write_value,
)
from exporter.tally import Histogram, Key, Snapshot, Tally


@dataclass(frozen=True, slots=True)
class Family:
    """
    One metric as /metrics shows it.
    """

    name: str
    kind: str
    """counter, gauge or histogram."""
    help: str
    labels: tuple[str, ...] = ()
    exemplar: str = ""
    """For a histogram: the name of the exemplar's only label."""


FAMILIES: Mapping[str, Family] = {
    "log_messages": Family(
        "milter_manager_log_messages_total",
        "counter",
        "Lines of milter-manager that its log list or the catalogue knows, by the tags as"
        " documented, words that vary in braces. One failure writes several lines, and"
        " [leader][error] is mostly noise of a healthy server: see"
        " milter_manager_harmless_messages_total.",
        ("module", "level", "tag"),
    ),
    "harmless_messages": Family(
        "milter_manager_harmless_messages_total",
        "counter",
        "Those of milter_manager_log_messages_total that a healthy milter-manager writes as well"
        " ([leader][error] invalid state to reply: ...); subtract them in ratios and alerts.",
        ("module", "level", "tag"),
    ),
    "log_lines": Family(
        "milter_manager_log_lines_total",
        "counter",
        "All lines of milter-manager, known or not, by output level: the catalogue's, else what"
        " syslog's PRI or the own file's level item says, else unknown.",
        ("level",),
    ),
    "milter_messages": Family(
        "milter_manager_milter_messages_total",
        "counter",
        "Lines that name a child milter, by the tags as documented. milter is other where the"
        " line lost the name (syslog cuts near 8 KiB) or more than 100 names were seen.",
        ("milter", "level", "tag"),
    ),
    "milter_timeouts": Family(
        "milter_manager_milter_timeouts_total",
        "counter",
        "Timeouts of a child milter ([children][timeout]...; the [server][timeout] line that goes"
        " with some is not counted again), by what was waited for; words that the line lacks are"
        " empty. fallback_status is what the mail got instead of the child's answer.",
        ("milter", "phase", "state", "fallback_status"),
    ),
    "milter_fallbacks": Family(
        "milter_manager_milter_fallbacks_total",
        "counter",
        "Failures of a child milter after which milter.fallback_status stood in for its answer"
        " ([children][error][{state}][{fallback_status}]); timeouts are counted apart. With"
        " accept the mail passed this filter unchecked.",
        ("milter", "state", "fallback_status"),
    ),
    "milter_invalid_responses": Family(
        "milter_manager_milter_invalid_responses_total",
        "counter",
        "Responses of a child milter in a state that forbids them, seen by the server or the"
        " children module: the child breaks the milter protocol.",
        ("milter", "response", "state"),
    ),
    "sessions_ended": Family(
        "milter_manager_sessions_ended_total",
        "counter",
        "Sessions ended. A session is one SMTP connection, not one mail; a client that"
        " disconnects in mid-session is counted in milter_manager_sessions_disconnected_total"
        " instead.",
        ("last_state", "status"),
    ),
    "session_duration": Family(
        "milter_manager_session_duration_seconds",
        "histogram",
        "Time from a session's connection to its end, which includes what the client took.",
        ("status",),
        "session_id",
    ),
    "sessions_disconnected": Family(
        "milter_manager_sessions_disconnected_total",
        "counter",
        "Sessions whose SMTP client disconnected in mid-session; they are not among"
        " milter_manager_sessions_ended_total.",
    ),
    "session_disconnected_after": Family(
        "milter_manager_session_disconnected_after_seconds",
        "histogram",
        "Time from a session's connection until its client disconnected.",
        (),
        "session_id",
    ),
    "sessions_finished": Family(
        "milter_manager_sessions_finished_total",
        "counter",
        "Sessions finished by [sessions][finished], the sum of its (+n); sessions ended and"
        " disconnected add up to it.",
    ),
    "sessions_in_progress": Family(
        "milter_manager_sessions_in_progress",
        "gauge",
        "Sessions in progress: the sum over the processes heard of of what the last"
        " [sessions][finished] of each said. It only moves when a session ends.",
    ),
    "milters_ended": Family(
        "milter_manager_milters_ended_total",
        "counter",
        "Child milters ended, by [milter][end]. With the default event loop the line is missing"
        " for most children, so rates built on it are biased. A child's abort usually means that"
        " another milter decided first; after a timeout the status is the fallback's; in"
        " evaluation mode the child's own status shows although it had no effect.",
        ("milter", "last_state", "status"),
    ),
    "milter_duration": Family(
        "milter_manager_milter_duration_seconds",
        "histogram",
        "Time spent waiting for a child milter, not the time since connecting as documented."
        " Missing for most children with the default event loop.",
        ("milter",),
        "milter_id",
    ),
    "milter_headers_added": Family(
        "milter_manager_milter_headers_added_total",
        "counter",
        "Headers that a child milter added, inserted or changed, in evaluation mode too. header"
        " is other outside the list of well-known filter headers.",
        ("milter", "header"),
    ),
    "mail_checks": Family(
        "milter_manager_mail_checks_total",
        "counter",
        "What the headers that child milters added say of the mail: each result in"
        " Authentication-Results (RFC 8601), and Received-SPF, X-Spam, X-Spam-Flag, X-Spam-Status"
        " (uribl from its tests), X-Virus-Status and X-Greylist (tarpit too), a check of its own"
        " each. Not mails: one with two DKIM signatures counts twice, one that a milter rejected"
        " mostly has no header, many filters say nothing of good mail, and in evaluation mode the"
        " mail itself stayed as it was. result or check is other outside the lists.",
        ("milter", "check", "result"),
    ),
    "session_headers_added": Family(
        "milter_manager_session_headers_added_total",
        "counter",
        "Headers that milter-manager passed to the MTA for a whole session. header is other"
        " outside the list of well-known filter headers.",
        ("header",),
    ),
    "quarantines": Family(
        "milter_manager_quarantines_total",
        "counter",
        "Quarantine responses returned to the MTA.",
    ),
    "memory": Family(
        "milter_manager_memory_bytes",
        "gauge",
        "Memory of the milter-manager process that reported last ([maintain][memory]); with"
        " workers each reports for itself.",
    ),
    "processes": Family(
        "milter_manager_processes",
        "gauge",
        "Processes of milter-manager and its launcher that wrote a line in the last 15 minutes of"
        " the log's own time. Crashes and stops log nothing; a dead worker just falls silent.",
    ),
    "build_info": Family(
        "milter_manager_exporter_build_info",
        "gauge",
        "Always 1; the labels tell the exporter's version.",
        ("version", "revision", "python_version"),
    ),
    "lines": Family(
        "milter_manager_exporter_lines_total",
        "counter",
        "Lines read: recognised, unknown (of the program, tags not in the catalogue), untagged (of"
        " the program), foreign (of another program), malformed (no stamp; in the program's own"
        " file the further lines of a folded header) or overlong (over 1 MiB, skipped).",
        ("outcome",),
    ),
    "read_bytes": Family(
        "milter_manager_exporter_read_bytes_total",
        "counter",
        "Bytes read from a log.",
        ("file",),
    ),
    "unread_bytes": Family(
        "milter_manager_exporter_unread_bytes",
        "gauge",
        "Bytes of a log that are not counted yet; a last line without its newline is among them.",
        ("file",),
    ),
    "last_line": Family(
        "milter_manager_exporter_last_line_timestamp_seconds",
        "gauge",
        "The log's own time of the newest line of milter-manager, as seconds since the epoch.",
    ),
    "last_read": Family(
        "milter_manager_exporter_last_read_timestamp_seconds",
        "gauge",
        "When the logs were last looked at, as seconds since the epoch.",
    ),
    "file_rotations": Family(
        "milter_manager_exporter_file_rotations_total",
        "counter",
        "Times that another file took a log's name.",
        ("file",),
    ),
    "file_truncations": Family(
        "milter_manager_exporter_file_truncations_total",
        "counter",
        "Times that a log became shorter (copytruncate).",
        ("file",),
    ),
    "read_errors": Family(
        "milter_manager_exporter_read_errors_total",
        "counter",
        "Failed attempts to open or read a log; a log that does not exist yet is none.",
        ("file",),
    ),
    "state_saves": Family(
        "milter_manager_exporter_state_saves_total",
        "counter",
        "Times that counters and positions were saved, at most once a second while they change.",
    ),
    "state_errors": Family(
        "milter_manager_exporter_state_errors_total",
        "counter",
        "Times that the state could not be saved, or was found damaged at the start. Without a"
        " saved state a restart counts some lines again or not at all.",
    ),
    "state_last_save": Family(
        "milter_manager_exporter_state_last_save_timestamp_seconds",
        "gauge",
        "When the state was last saved, as seconds since the epoch.",
    ),
    "watcher_up": Family(
        "milter_manager_exporter_watcher_up",
        "gauge",
        "1 while file events arrive, 0 when only the timer wakes the reader; numbers are exact"
        " either way, up to a second later.",
    ),
    "label_overflows": Family(
        "milter_manager_exporter_label_overflows_total",
        "counter",
        "Words outside their list, counted as other, and numbers that could not be read, dropped;"
        " by the label or value they were meant for.",
        ("label",),
    ),
}


class TallyMetric(Direct):
    """
    A family and its numbers; prometheus_client's form of them is made only for those who ask.
    """

    def __init__(self, family: Family, bounds: tuple[float, ...]) -> None:
        """
        Begin without numbers; `bounds` are those of the tally's histograms.
        """
        super().__init__(family.name.removesuffix("_total"), family.help, family.kind)
        self._family = family
        self._bounds = bounds
        self.numbers: list[tuple[Key, float]] = []
        self.histograms: list[tuple[Key, Histogram]] = []

    @property
    def samples(self) -> list[Sample]:
        """
        Give the samples as prometheus_client has them.
        """
        metric = new_metric(self._family)
        if isinstance(metric, HistogramMetricFamily):
            for key, histogram in self.histograms:
                buckets = cumulate(self._bounds, histogram, self._family.exemplar)
                metric.add_metric(key[1:], buckets, histogram.sum)
        else:
            for key, value in self.numbers:
                metric.add_metric(key[1:], value)
        return metric.samples

    @samples.setter
    def samples(self, samples: list[Sample]) -> None:
        """
        Ignore what prometheus_client begins with.
        """

    def write_samples(self, *, openmetrics: bool) -> Iterable[str]:
        """
        Write the numbers.
        """
        for key, value in self.numbers:
            text = write_count(value) if isinstance(value, int) else write_value(value)
            yield f"{name_series(key)} {text}\n"
        for key, histogram in self.histograms:
            *buckets, count, total = name_histogram(key, self._bounds)
            counts = accumulate(histogram.buckets)
            for series, number, exemplar in zip(buckets, counts, histogram.exemplars, strict=True):
                text = write_count(number)
                if exemplar and openmetrics:
                    text += write_exemplar(new_exemplar(exemplar, self._family.exemplar))
                yield f"{series} {text}\n"
            yield f"{count} {write_count(sum(histogram.buckets))}\n"
            yield f"{total} {write_value(histogram.sum)}\n"


class TallyCollector(Collector):
    """
    Shows a tally to prometheus_client.
    """

    def __init__(self, tally: Tally) -> None:
        """
        Show `tally` at each scrape.
        """
        self._tally = tally
        self._order: dict[Key, None] = {}
        """The counters, sorted; to sort 3,000 takes 1.2 ms."""

    def describe(self) -> Iterable[Metric]:
        """
        Name the metrics without a look at the numbers.
        """
        return [new_metric(family) for family in FAMILIES.values()]

    def collect(self) -> Iterable[Metric]:
        """
        Give all families, numbers of one moment, sorted so that two scrapes can be compared by eye.
        """
        snapshot = self._tally.snapshot()
        counts = snapshot.counts
        metrics = {name: TallyMetric(one, self._tally.bounds) for name, one in FAMILIES.items()}
        order = self._order
        if order.keys() != counts.keys():
            order = self._order = dict.fromkeys(sorted(counts))
        for key, value in gauges_of(snapshot):
            metrics[key[0]].numbers.append((key, value))
        for key in order:
            metrics[key[0]].numbers.append((key, counts[key]))
        for key, histogram in sorted(snapshot.histograms.items()):
            metrics[key[0]].histograms.append((key, histogram))
        return metrics.values()


def is_shown(key: Key, *kinds: str) -> bool:
    """
    Say whether a key is one of a metric that there is, of one of these kinds, with as many labels.
    """
    family = FAMILIES.get(key[0]) if key else None
    return family is not None and family.kind in kinds and len(family.labels) == len(key) - 1


def new_registry(tally: Tally) -> CollectorRegistry:
    """
    Make a registry of everything that /metrics shows.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TallyCollector(tally))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def new_metric(
    family: Family,
) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    """
    Make prometheus_client's form of a family, still without numbers.
    """
    match family.kind:
        case "counter":
            return CounterMetricFamily(family.name, family.help, labels=family.labels)
        case "gauge":
            return GaugeMetricFamily(family.name, family.help, labels=family.labels)
        case _:
            return HistogramMetricFamily(family.name, family.help, labels=family.labels)


def gauges_of(snapshot: Snapshot) -> Iterator[tuple[Key, float]]:
    """
    Give the gauges.
    """
    yield ("build_info", __version__, REVISION, platform.python_version()), 1.0
    yield ("sessions_in_progress",), float(snapshot.sessions_in_progress)
    yield ("processes",), float(snapshot.processes)
    yield from sorted(snapshot.gauges.items())


@lru_cache(MOST_SERIES)
def name_series(key: Key) -> str:
    """
    Write the name and the labels of a counter or gauge.
    """
    family = FAMILIES[key[0]]
    return write_series(family.name, tuple(zip(family.labels, key[1:], strict=True)))


@lru_cache(MOST_SERIES)
def name_histogram(key: Key, bounds: tuple[float, ...]) -> list[str]:
    """
    Write the names and labels of a histogram: one for each bucket, then count and sum.
    """
    family = FAMILIES[key[0]]
    labels = tuple(zip(family.labels, key[1:], strict=True))
    return [
        *(
            write_series(f"{family.name}_bucket", (*labels, ("le", le)))
            for le in write_bounds(bounds)
        ),
        write_series(f"{family.name}_count", labels),
        write_series(f"{family.name}_sum", labels),
    ]


def write_bounds(bounds: tuple[float, ...]) -> list[str]:
    """
    Write the upper bounds of a histogram's buckets.
    """
    return [*map(repr, bounds), "+Inf"]


def new_exemplar(exemplar: plain.Exemplar, label: str) -> Exemplar:
    """
    Make prometheus_client's form of an exemplar.
    """
    return Exemplar({label: exemplar.id}, exemplar.seconds, exemplar.timestamp)


def cumulate(
    bounds: tuple[float, ...], histogram: Histogram, exemplar_label: str
) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """
    Give a histogram's buckets as Prometheus wants them: each with all below it, "+Inf" last.
    """
    counts = map(float, accumulate(histogram.buckets))
    return [
        (le, count, new_exemplar(exemplar, exemplar_label)) if exemplar else (le, count)
        for le, count, exemplar in zip(
            write_bounds(bounds), counts, histogram.exemplars, strict=True
        )
    ]
