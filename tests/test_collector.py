"""
What /metrics shows, beside METRICS.md; parsed as Prometheus would.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from running import Sample, check_metrics, read_samples, total

import exporter
from exporter.catalogue import load_catalogue
from exporter.collector import FAMILIES, TallyCollector, new_registry
from exporter.config import DEFAULT_BUCKETS
from exporter.counters import zero_counters, zero_histograms
from exporter.exposition import write_exposition
from exporter.tally import Additions, Key, Observation, Tally

# METRICS.md, word for word.
METRICS = """
milter_manager_log_messages_total               counter    module, level, tag
milter_manager_harmless_messages_total          counter    module, level, tag
milter_manager_log_lines_total                  counter    level
milter_manager_milter_messages_total            counter    milter, level, tag
milter_manager_milter_timeouts_total            counter    milter, phase, state, fallback_status
milter_manager_milter_fallbacks_total           counter    milter, state, fallback_status
milter_manager_milter_invalid_responses_total   counter    milter, response, state
milter_manager_sessions_ended_total             counter    last_state, status
milter_manager_session_duration_seconds         histogram  status
milter_manager_sessions_disconnected_total      counter
milter_manager_session_disconnected_after_seconds histogram
milter_manager_sessions_finished_total          counter
milter_manager_sessions_in_progress             gauge
milter_manager_milters_ended_total              counter    milter, last_state, status
milter_manager_milter_duration_seconds          histogram  milter
milter_manager_milter_headers_added_total       counter    milter, header
milter_manager_session_headers_added_total      counter    header
milter_manager_quarantines_total                counter
milter_manager_mail_checks_total                counter    milter, check, result
milter_manager_memory_bytes                     gauge
milter_manager_processes                        gauge
milter_manager_exporter_build_info              gauge      version, revision, python_version
milter_manager_exporter_lines_total             counter    outcome
milter_manager_exporter_read_bytes_total        counter    file
milter_manager_exporter_unread_bytes            gauge      file
milter_manager_exporter_last_line_timestamp_seconds gauge
milter_manager_exporter_last_read_timestamp_seconds gauge
milter_manager_exporter_file_rotations_total    counter    file
milter_manager_exporter_file_truncations_total  counter    file
milter_manager_exporter_read_errors_total       counter    file
milter_manager_exporter_state_saves_total       counter
milter_manager_exporter_state_errors_total      counter
milter_manager_exporter_state_last_save_timestamp_seconds gauge
milter_manager_exporter_watcher_up              gauge
milter_manager_exporter_label_overflows_total   counter    label
"""
HISTOGRAMS = {
    "session_duration": ("status",),
    "session_disconnected_after": (),
    "milter_duration": ("milter",),
}
OUTCOMES = ("recognised", "unknown", "untagged", "foreign", "malformed", "overlong")
LEVELS = (
    "critical", "error", "warning", "message", "info", "debug", "trace", "statistics", "profile",
    "unknown",
)  # fmt: skip
BUCKETS = (
    "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0",
    "10.0", "30.0", "60.0", "120.0", "300.0", "+Inf",
)  # fmt: skip
# What a label's value may hold that an exposition has to write otherwise.
HOSTILE = ('"', "\\", "\n", "\\n", "{}", 'a"} 1\nb{c="', "# HELP x", "日本語ミルター", "\ufffd", "")

TEXTS = st.text(st.characters(codec="utf-8"), max_size=10) | st.sampled_from(HOSTILE)


@dataclass(frozen=True, slots=True)
class Row:
    """
    One row of the table.
    """

    name: str
    kind: str
    labels: tuple[str, ...]


ROWS = [
    Row(name, kind, tuple("".join(labels).split(",")) if labels else ())
    for name, kind, *labels in map(str.split, METRICS.strip().splitlines())
]


def new_tally() -> Tally:
    """
    Make a tally as the daemon does.
    """
    return Tally(DEFAULT_BUCKETS, zero_counters(load_catalogue()), zero_histograms())


def fill(tally: Tally) -> None:
    """
    Raise every metric once, each label with its own name for a value.
    """
    for short, family in FAMILIES.items():
        key: Key = (short, *family.labels)
        if family.kind == "counter":
            tally.count(key)
        elif family.kind == "gauge" and short != "build_info":
            tally.set(key, 1.0)
    observe(tally, *((name, *labels) for name, labels in HISTOGRAMS.items()))


def observe(tally: Tally, *keys: Key) -> None:
    """
    Observe 0.2 s in histograms, for the id 4711 at 1795385434.
    """
    additions = Additions("log")
    additions.observations += [(key, 0.2, b"4711", b"stamp", 1) for key in keys]
    tally.add(additions, lambda stamp: 1795385434.0 if stamp else None)


def expose(tally: Tally) -> bytes:
    """
    Render in the plain text format what the exporter itself shows.
    """
    registry = CollectorRegistry()
    registry.register(TallyCollector(tally))
    return generate_latest(registry)


def expose_openmetrics(tally: Tally) -> list[Metric]:
    """
    Render in the OpenMetrics format, and parse it.
    """
    text = generate_openmetrics(new_registry(tally)).decode()  # type: ignore[no-untyped-call]
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]


@pytest.fixture
def filled() -> Tally:
    """
    A tally with something in every metric.
    """
    tally = new_tally()
    fill(tally)
    return tally


@pytest.fixture
def zero() -> dict[Sample, float]:
    """
    What is shown before the first line.
    """
    return read_samples(expose(new_tally()))


def test_table(filled: Tally) -> None:
    """
    The metrics are those of METRICS.md: names, types and labels, none too many.
    """
    shown = set()
    for family in parse_text(expose(filled).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown |= {(name, family.type, frozenset(s.labels) - {"le"}) for s in family.samples}

    assert {(row.name, row.kind, frozenset(row.labels)) for row in ROWS} == shown


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_help(row: Row) -> None:
    """
    Each metric has a help text in whole sentences, on one line.
    """
    (family,) = (family for family in FAMILIES.values() if family.name == row.name)

    assert family.help.endswith(".")
    assert family.help[0].isupper() or family.help[0].isdigit()
    assert "\n" not in family.help
    assert row.kind == family.kind
    assert row.labels == family.labels


def test_described_without_numbers(filled: Tally) -> None:
    """
    What a registry is told beforehand is what is shown later.
    """
    collector = TallyCollector(filled)

    described = [(metric.name, metric.type) for metric in collector.describe()]
    assert described == [(metric.name, metric.type) for metric in collector.collect()]
    assert not any(metric.samples for metric in collector.describe())


def test_samples_are_in_order(filled: Tally) -> None:
    """
    Two scrapes of the same numbers are the same, byte for byte.
    """
    assert expose(filled) == expose(filled)


def test_zero_messages(zero: dict[Sample, float]) -> None:
    """
    Every message that has tags is there from the start, at 0.
    """
    shown = {
        tuple(value for _, value in labels): count
        for (name, labels), count in zero.items()
        if name == "milter_manager_log_messages_total"
    }

    assert {0.0} == set(shown.values())
    # level, module, tag: in the order of the alphabet
    assert {
        (message.level, message.module, message.tags)
        for message in load_catalogue().messages
        if message.tags
    } == set(shown)
    assert 145 <= len(shown)
    assert ("statistics", "manager", "[session][end][{last_state}][{status}][{elapsed}]") in shown
    assert ("error", "server", "[server][error][{response}][state][invalid][{state}]") in shown


def test_zero_series(zero: dict[Sample, float]) -> None:
    """
    So are the series of all fixed lists, and what has no labels.
    """
    expected: list[Sample] = [
        ("milter_manager_sessions_disconnected_total", ()),
        ("milter_manager_sessions_finished_total", ()),
        ("milter_manager_quarantines_total", ()),
        ("milter_manager_sessions_in_progress", ()),
        ("milter_manager_processes", ()),
        ("milter_manager_session_disconnected_after_seconds_count", ()),
        (
            "milter_manager_sessions_ended_total",
            (("last_state", "end-of-message"), ("status", "temporary-failure")),
        ),
        (
            "milter_manager_harmless_messages_total",
            (("level", "error"), ("module", "manager"), ("tag", "[leader][error]")),
        ),
        ("milter_manager_exporter_label_overflows_total", (("label", "milter"),)),
    ]
    expected += (
        ("milter_manager_exporter_lines_total", (("outcome", outcome),)) for outcome in OUTCOMES
    )
    expected += (("milter_manager_log_lines_total", (("level", level),)) for level in LEVELS)
    expected += (
        ("milter_manager_session_duration_seconds_count", (("status", status),))
        for status in ("reject", "discard", "accept", "temporary-failure", "pass", "stop")
    )

    assert dict.fromkeys(expected, 0.0) == {series: zero.get(series) for series in expected}


def test_nothing_but_zero(zero: dict[Sample, float]) -> None:
    """
    Before the first line nothing has another value than 0, the build's 1 aside.
    """
    assert {"milter_manager_exporter_build_info"} == {name for (name, _), v in zero.items() if v}


def test_build_info(zero: dict[Sample, float]) -> None:
    """
    The exporter says which it is.
    """
    labels = (
        ("python_version", platform.python_version()),
        ("revision", exporter.REVISION),
        ("version", exporter.__version__),
    )

    assert 1.0 == zero["milter_manager_exporter_build_info", labels]


def test_unknown_is_not_zero(zero: dict[Sample, float]) -> None:
    """
    A time that nobody knows yet is absent: at 0 it would be an alert, 56 years old.
    """
    shown = {name for name, _ in zero}

    assert not shown & {
        "milter_manager_memory_bytes",
        "milter_manager_exporter_last_line_timestamp_seconds",
        "milter_manager_exporter_last_read_timestamp_seconds",
    }


def test_buckets() -> None:
    """
    Buckets are cumulative, up to +Inf, and count and sum are those of the observations.
    """
    tally = new_tally()
    additions = Additions("log")
    for seconds, times in ((0.0, 1), (0.001, 2), (0.0011, 3), (300.0, 1), (301.0, 1)):
        observation = (("session_duration", "pass"), seconds, b"1", b"", times)
        additions.observations.append(observation)
    tally.add(additions, lambda _: None)
    samples = read_samples(expose(tally))
    name = "milter_manager_session_duration_seconds"
    buckets = [total(samples, f"{name}_bucket", status="pass", le=bound) for bound in BUCKETS]

    assert [3.0, *[6.0] * 15, 7.0, 8.0] == buckets
    assert 8.0 == total(samples, f"{name}_count", status="pass")
    assert pytest.approx(0.002 + 0.0033 + 601) == total(samples, f"{name}_sum", status="pass")
    assert set(BUCKETS) == {
        dict(labels)["le"] for found, labels in samples if found == f"{name}_bucket"
    }


def test_own_buckets() -> None:
    """
    Other buckets are written as they were asked for.
    """
    tally = Tally((0.25, 1.0, 2e6), (), [("session_disconnected_after",)])
    samples = read_samples(expose(tally))

    assert ["0.25", "1.0", "2000000.0", "+Inf"] == [
        dict(labels)["le"] for _, labels in samples if dict(labels).get("le")
    ]


def test_exemplars(filled: Tally) -> None:
    """
    In OpenMetrics each bucket shows the session or milter last seen in it, and when.
    """
    exemplars = {
        (family.name, sample.labels["le"]): sample.exemplar
        for family in expose_openmetrics(filled)
        for sample in family.samples
        if sample.exemplar
    }

    assert {
        ("milter_manager_session_duration_seconds", "0.25"),
        ("milter_manager_session_disconnected_after_seconds", "0.25"),
        ("milter_manager_milter_duration_seconds", "0.25"),
    } == set(exemplars)
    for (name, _), exemplar in exemplars.items():
        label = "milter_id" if name == "milter_manager_milter_duration_seconds" else "session_id"

        assert {label: "4711"} == exemplar.labels
        assert 0.2 == exemplar.value
        assert 1795385434.0 == float(exemplar.timestamp or 0)


def test_no_exemplars_in_text(filled: Tally) -> None:
    """
    The plain text format has none.
    """
    assert b"4711" not in expose(filled)


def test_no_created(filled: Tally) -> None:
    """
    No format shows when a series was created.
    """
    text = generate_latest(new_registry(filled)).decode()

    assert "_created" not in text
    assert not any(
        sample.name.endswith("_created")
        for family in expose_openmetrics(filled)
        for sample in family.samples
    )


def test_registry() -> None:
    """
    The process and its Python are shown as well.
    """
    shown = {
        family.name for family in parse_text(generate_latest(new_registry(new_tally())).decode())
    }

    assert {"process_cpu_seconds", "process_open_fds", "python_info"} <= shown


def hostile() -> Iterator[Key]:
    """
    Give keys with hostile values for whatever label takes a name.
    """
    for value in HOSTILE:
        yield ("milter_messages", value, "error", "[tag]")
        yield ("read_bytes", value)


def test_hostile_values() -> None:
    """
    Whatever a name is made of, it comes out as it went in, and nothing else changes.
    """
    tally = Tally(DEFAULT_BUCKETS)
    for key in hostile():
        tally.count(key)
    samples = read_samples(expose(tally))

    assert set(HOSTILE) == {
        dict(labels)["milter"]
        for name, labels in samples
        if name == "milter_manager_milter_messages_total"
    }
    assert set(HOSTILE) == {
        dict(labels)["file"]
        for name, labels in samples
        if name == "milter_manager_exporter_read_bytes_total"
    }
    # build_info, sessions_in_progress, processes
    assert 2 * len(HOSTILE) + 3 == len(samples)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(codec="utf-8")))
def test_any_values(milter: str, file: str) -> None:
    """
    That goes for any text, in both formats.
    """
    tally = Tally(DEFAULT_BUCKETS, (), [("milter_duration", milter)])
    tally.count(("read_bytes", file))
    samples = read_samples(expose(tally))

    assert (("file", file),) in {labels for _, labels in samples}
    assert milter in {dict(labels).get("milter") for _, labels in samples}
    assert file in {
        sample.labels.get("file")
        for family in expose_openmetrics(tally)
        for sample in family.samples
    }


def test_promtool(filled: Tally) -> None:
    """
    `promtool check metrics` has nothing to say, empty or full.
    """
    assert "" == check_metrics(generate_latest(new_registry(new_tally())))
    assert "" == check_metrics(generate_latest(new_registry(filled)))


def test_promtool_would_say_something() -> None:
    """
    It does say something where there is something wrong.
    """
    assert "no help text" in check_metrics(b"# TYPE a_total counter\na_total 1\n")


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text;version=1.0.0"])
@settings(max_examples=60)
@given(
    counts=st.dictionaries(
        st.tuples(st.just("milters_ended"), TEXTS, TEXTS, TEXTS) | st.just(("quarantines",)),
        st.integers(0, 10**19),
    ),
    observations=st.lists(
        st.tuples(
            st.just(("session_disconnected_after",)) | st.tuples(st.just("milter_duration"), TEXTS),
            st.floats(0.0, 1e9),
            st.integers(0, 10**20).map(lambda id_: str(id_).encode()),
            st.sampled_from([b"", b"at 1.5"]),
            st.integers(1, 10**7),
        ),
    ),
    bounds=st.lists(st.floats(1e-9, 1e9), unique=True, min_size=1).map(sorted),
)
def test_written_at_once(
    accept: str,
    counts: dict[Key, int],
    observations: list[Observation],
    bounds: list[float],
) -> None:
    """
    A tally is written past prometheus_client as it would write it, once and again.
    """
    tally = Tally(bounds)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(TallyCollector(tally))
    encode, content_type = choose_encoder(accept)
    # Each time with another series than the scrape before.
    for key, count in [*counts.items(), *counts.items()]:
        tally.count(key, count)
        additions = Additions("log", observations=observations)
        tally.add(additions, lambda stamp: 1.5 if stamp else None)

        assert encode(registry) == write_exposition(registry, encode, content_type)
