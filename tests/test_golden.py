"""
Logs in every dialect and their expositions side by side; see tests/data/golden/README.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from render_golden import render
from running import Sample, read_samples, total

from exporter.catalogue import load_catalogue
from exporter.collector import TallyCollector
from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.input import Input
from exporter.logfile import LogFile
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Tally

GOLDEN = Path(__file__).parent / "data" / "golden"
NOW = 1796083200.0
"""1 December 2026: a stamp without a year is of that year."""

SYSLOG = rb"milter-manager(?:-process-launcher)?\[\d+\]: ?"
# What stands before the message in the lines of the program.
PREFIXES = {
    "traditional": rb"Nov 22 [\d:]{8} vm " + SYSLOG,
    "iso": rb"2026-11-22T[^ ]+ vm " + SYSLOG,
    "rfc5424": rb"<\d+>1 2026-11-22T[^ ]+ vm milter-manager \d+ - -  ",
    "template": rb"2026-11-22 [\d:.]{13} " + SYSLOG,
    "repeated": rb"Nov 22 [\d:]{8} vm " + SYSLOG,
    "own": rb"\[2026-11-22T[^]]+\]: ",
    "own-name-pid": rb"\[2026-11-22T[^]]+\] \[milter-manager\]\[\d+\]: ",
    "own-all": rb"\[[a-z]+\]\[milter-manager\]\[2026[^]]+\] \[milter-manager\]\[\d+\] \S+ \S+: ",
    "bare": rb"",
    "journal-cat": rb"",
}
SAME_TRAFFIC = (
    ("traditional", "iso", "rfc5424", "template"),
    ("own", "own-all", "bare"),
)
# Nothing of the log.
OWN_METRICS = re.compile(
    r"milter_manager_exporter_(?:build_info|last_read_timestamp_seconds|watcher_up)"
)
# What two dialects may differ in: how many bytes a message takes, what stands in a stamp, and where
# a message of several lines ends.
OF_THE_FORM = re.compile(
    r"milter_manager_(?:processes|log_lines_total"
    r"|exporter_(?:read_bytes_total|lines_total|last_line_timestamp_seconds))"
)


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    Be where the captures were made: a stamp without a zone is local time.
    """
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _in_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Be among the logs, so that the label `file` is the same everywhere.
    """
    monkeypatch.chdir(GOLDEN)


def expose(name: str) -> str:
    """
    Count a log from its file to the exposition, and leave out what README says.
    """
    tally = Tally(DEFAULT_BUCKETS, zero_counters(load_catalogue()), zero_histograms())
    grammar = Grammar(DEFAULT_PROGRAMS)
    recogniser = Recogniser(load_catalogue(), MilterNames())
    path = Path(f"{name}.log")
    log = Input(
        LogFile(path, from_beginning=True),
        lambda: Counting(str(path), grammar, recogniser, tally, lambda: NOW),
        tally,
    )
    log.read(0.0, lambda: False)
    for counting in log.countings.values():
        counting.finish()
    log.logfile.close()
    registry = CollectorRegistry()
    registry.register(TallyCollector(tally))
    lines = generate_latest(registry).decode().splitlines()
    shown = [
        line
        for line in lines
        if not line.startswith("#") and not line.endswith(" 0.0") and not OWN_METRICS.match(line)
    ]
    return "".join(f"{line}\n" for line in shown)


def messages_of(name: str) -> Iterator[tuple[int, bytes]]:
    """
    Give the messages of the program, ids and marks taken off, and how often each was written.
    """
    prefix = re.compile(PREFIXES[name])
    for line in (GOLDEN / f"{name}.log").read_bytes().splitlines():
        match = prefix.match(line)
        if match is None:
            continue
        message, times = line[match.end() :], 1
        repeated = re.fullmatch(rb"message repeated (\d+) times: \[ (.*)\]", message)
        if repeated:
            times, message = int(repeated[1]), repeated[2]
        yield times, re.sub(rb"^(?:\[statistics\] )?(?:\[\d+\] )?", b"", message)


def count(name: str) -> Counter[str]:
    """
    Count the messages that the main metrics are made of.
    """
    counts: Counter[str] = Counter()
    for times, message in messages_of(name):
        counts["messages"] += times
        end = re.match(rb"\[session\]\[end\]\[([a-z-]+)\]\[([a-z-]+)\]\[([\d.e-]+)\]\(", message)
        if end:
            counts[f"end {end[1].decode()} {end[2].decode()}"] += times
            counts["ends"] += times
        end = re.match(rb"\[milter\]\[end\]\[[a-z-]+\]\[([a-z-]+)\]\[[\d.e-]+\]\(\d+\): ", message)
        if end:
            counts[f"milter end {end[1].decode()}"] += times
        finished = re.match(rb"\[sessions\]\[finished\] \d+\(\+(\d+)\) \d+$", message)
        if finished:
            counts["finished"] += times * int(finished[1])
        for key, start in {
            "disconnected": rb"\[session\]\[disconnected\]\[",
            "milter headers": rb"\[milter\]\[header\]\[(?:add|insert|change)\]\(",
            "session headers": rb"\[session\]\[header\]\[(?:add|insert|change)\]\(",
            "quarantines": rb"\[reply\]\[end-of-message\]\[quarantine\]",
            "timeouts": rb"\[children\]\[timeout\]\[",
            "harmless": rb"\[leader\]\[error\] invalid state to reply: ",
            "fallbacks": (
                rb"\[children\]\[error\]\[[a-z-]+\]"
                rb"\[(?:accept|reject|temporary-failure|discard)\] \["
            ),
            "accept errors": rb"\[client\]\[error\]\[accept\] ",
        }.items():
            if re.match(start, message):
                counts[key] += times
    return counts


def seconds_of(name: str) -> list[float]:
    """
    List how long the sessions took.
    """
    ends = rb"\[session\]\[end\]\[[a-z-]+\]\[[a-z-]+\]\[([\d.e-]+)\]\("
    found = [re.match(ends, message) for _, message in messages_of(name)]
    return [float(match[1]) for match in found if match]


@pytest.mark.parametrize("name", PREFIXES)
def test_exposition(name: str) -> None:
    """
    A log gives the exposition that stands beside it.
    """
    expected = GOLDEN / f"{name}.prom"
    exposition = expose(name)
    if os.environ.get("GOLDEN_UPDATE"):
        expected.write_text(exposition)

    assert expected.read_text().splitlines() == exposition.splitlines()


@pytest.mark.parametrize("name", PREFIXES)
def test_count(name: str) -> None:
    """
    The main numbers of an exposition are those of the log beside it, counted as grep would.
    """
    counts = count(name)
    samples = read_samples((GOLDEN / f"{name}.prom").read_bytes())
    shown: Counter[str] = Counter()
    for (metric, labels), value in samples.items():
        words = dict(labels)
        if metric == "milter_manager_sessions_ended_total":
            shown[f"end {words['last_state']} {words['status']}"] += int(value)
        if metric == "milter_manager_milters_ended_total":
            shown[f"milter end {words['status']}"] += int(value)
    for key, metric, tag in (
        ("messages", "milter_manager_log_lines_total", ""),
        ("ends", "milter_manager_session_duration_seconds_count", ""),
        ("finished", "milter_manager_sessions_finished_total", ""),
        ("disconnected", "milter_manager_sessions_disconnected_total", ""),
        ("milter headers", "milter_manager_milter_headers_added_total", ""),
        ("session headers", "milter_manager_session_headers_added_total", ""),
        ("quarantines", "milter_manager_quarantines_total", ""),
        ("timeouts", "milter_manager_milter_timeouts_total", ""),
        ("harmless", "milter_manager_harmless_messages_total", ""),
        ("fallbacks", "milter_manager_milter_fallbacks_total", ""),
        ("accept errors", "milter_manager_log_messages_total", "[client][error][accept]"),
    ):
        labels_of = {"tag": tag} if tag else {}
        shown[key] += int(total(samples, metric, **labels_of))

    assert +counts == +shown
    assert 5 <= counts["ends"]
    assert sum(seconds_of(name)) == pytest.approx(
        total(samples, "milter_manager_session_duration_seconds_sum")
    )


@pytest.mark.parametrize("name", PREFIXES)
def test_lines(name: str) -> None:
    """
    Every line of the file is in one of the outcomes, the repeated ones as often as they stand for.
    """
    log = (GOLDEN / f"{name}.log").read_bytes()
    samples = read_samples((GOLDEN / f"{name}.prom").read_bytes())
    more = sum(times - 1 for times, _ in messages_of(name))

    assert log.count(b"\n") + more == total(samples, "milter_manager_exporter_lines_total")
    assert len(log) == total(samples, "milter_manager_exporter_read_bytes_total")


@pytest.mark.parametrize("names", SAME_TRAFFIC, ids=lambda names: names[0])
def test_same_traffic(names: tuple[str, ...]) -> None:
    """
    The same messages in another dialect give the same numbers.
    """

    def numbers(name: str) -> dict[Sample, float]:
        samples = read_samples((GOLDEN / f"{name}.prom").read_bytes())
        return {key: value for key, value in samples.items() if not OF_THE_FORM.match(key[0])}

    expected = numbers(names[0])
    for name in names[1:]:
        assert expected == numbers(name)


def test_files() -> None:
    """
    Each dialect has its two files and no other is there; the logs are what their script makes.
    """
    files = {path.name for path in GOLDEN.iterdir()}

    assert {"README", *(f"{n}.{end}" for n in PREFIXES for end in ("log", "prom"))} == files
    assert {name: (GOLDEN / f"{name}.log").read_bytes() for name in PREFIXES} == render()
