"""
One log, many ways to its numbers: the daemon, `summary`, `backfill`, standard input; all the same.

The daemon's own ways too: a file, the journal, a pipe and a FIFO with all that journalctl prints.

And the same as what was counted of the captures by other means: LOG.md's totals, the oracle, the
naive count of mail checks.
"""

import json
import lzma
import os
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import mail_checks_count
import oracle
import pytest
from backfilled import backfill, last_values, run_tool
from dialects import DATA
from render_golden import read_syslog
from render_journalctl import export, make_journal
from running import Exporter, Sample, require, total, wait_until

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

Numbers = dict[Sample, float]
StartExporter = Callable[..., Exporter]

EXPORTER = "milter_manager_exporter_"
CAPTURES = ("native.log", "native-pid-name.log", "repeated.log", "sample.log",
            "syslog-rfc3164.log", "volume.log.xz")  # fmt: skip
STAMPED = ("short", "short-iso", "short-precise", "with-unit", "json")
"""The formats of journalctl that have names and times."""
# The oracle's names: the metric, and the labels in the oracle's order; all other labels are added
# up, since the oracle does not know which headers are well known.
METRICS = {
    "log_messages": ("log_messages_total", ("module", "level", "tag")),
    "harmless_messages": ("harmless_messages_total", ("module", "level", "tag")),
    "milter_messages": ("milter_messages_total", ("milter", "level", "tag")),
    "milter_timeouts": (
        "milter_timeouts_total",
        ("milter", "phase", "state", "fallback_status"),
    ),
    "milter_fallbacks": ("milter_fallbacks_total", ("milter", "state", "fallback_status")),
    "milter_invalid_responses": (
        "milter_invalid_responses_total",
        ("milter", "response", "state"),
    ),
    "sessions_ended": ("sessions_ended_total", ("last_state", "status")),
    "sessions_disconnected": ("sessions_disconnected_total", ()),
    "sessions_finished": ("sessions_finished_total", ()),
    "milters_ended": ("milters_ended_total", ("milter", "last_state", "status")),
    "milter_headers": ("milter_headers_added_total", ("milter",)),
    "session_headers": ("session_headers_added_total", ()),
    "quarantines": ("quarantines_total", ()),
}


def read_capture(name: str) -> bytes:
    """
    Read a capture.
    """
    path = DATA / name
    return lzma.decompress(path.read_bytes()) if name.endswith(".xz") else path.read_bytes()


def said(numbers: Mapping[Sample, float]) -> Numbers:
    """
    Leave out what is of the exporter itself, and what was never raised.
    """
    return {
        sample: value
        for sample, value in numbers.items()
        if sample[0].startswith("milter_manager_") and not sample[0].startswith(EXPORTER) and value
    }


def of_daemon(start: StartExporter, log: Path) -> Numbers:
    """
    Have the running exporter read a log from the beginning.
    """
    exporter = start(f"--input.file={log}", "--input.from=beginning").serve()
    return said(exporter.samples())


def of_summary(*arguments: object, log: bytes = b"") -> Numbers:
    """
    Take the metrics out of a summary.
    """
    result = run_tool("summary", "--json", *arguments, log=log)

    assert 0 == result.status, result.error

    numbers: Numbers = {}
    for name, series in json.loads(result.output)["metrics"].items():
        for one in series:
            labels = sorted(one["labels"].items())
            if "value" in one:
                numbers[name, tuple(labels)] = one["value"]
                continue
            numbers[f"{name}_count", tuple(labels)] = one["count"]
            numbers[f"{name}_sum", tuple(labels)] = one["sum"]
            for bound, count in one["buckets"].items():
                numbers[f"{name}_bucket", tuple(sorted([*labels, ("le", bound)]))] = count
    return said(numbers)


def of_backfill(*arguments: object, log: bytes = b"") -> Numbers:
    """
    Take what a history ends with.
    """
    return said(last_values(backfill(*arguments, log=log)))


@pytest.mark.parametrize("name", CAPTURES)
def test_same_numbers(name: str, start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    Daemon, `summary`, `backfill` and both from standard input have equal numbers, gauges included.

    The mail checks among them are those of a naive second count.
    """
    log = tmp_path / "mail.log"
    data = read_capture(name)
    log.write_bytes(data)
    expected = of_daemon(start_exporter, log)

    checks: Counter[tuple[str, str, str]] = Counter()
    for (metric, pairs), value in expected.items():
        if metric == "milter_manager_mail_checks_total":
            labels = dict(pairs)
            checks[labels["milter"], labels["check"], labels["result"]] = int(value)

    assert 20 < len(expected)
    assert mail_checks_count.count(data) == checks
    assert expected == of_backfill(log)
    assert expected == of_backfill("-", log=data)
    assert expected == of_summary(log)
    assert expected == of_summary("-", log=data)


def test_log_analyzer(tmp_path: Path) -> None:
    """
    They are what log-analyzer counts where it counts rightly.

    The totals are known from the traffic that was sent: 20,000 connections, none broken off.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(read_capture("volume.log.xz"))
    statuses = {"pass": 16_408, "reject": 1_998, "temporary-failure": 1_195, "discard": 399}
    for numbers in (of_summary(log), of_backfill(log)):
        name = "milter_manager_sessions_ended_total"

        assert statuses == {status: total(numbers, name, status=status) for status in statuses}
        assert 20_000 == total(numbers, name)
        assert 20_000 == total(numbers, "milter_manager_sessions_finished_total")
        assert 0 == total(numbers, "milter_manager_sessions_disconnected_total")
        assert 29_547 == total(numbers, "milter_manager_session_headers_added_total")
        assert 29_547 == total(numbers, "milter_manager_milter_headers_added_total")


def of_oracle(log: bytes) -> oracle.Numbers:
    """
    Count a log without the exporter; which lines are the program's is no number of the mail.
    """
    return Counter({key: n for key, n in oracle.count(log).items() if key[0] in METRICS})


def counters(numbers: Mapping[Sample, float]) -> oracle.Numbers:
    """
    Bring the exporter's numbers into the oracle's shape.
    """
    names = {f"milter_manager_{name}": (key, by) for key, (name, by) in METRICS.items()}
    found: oracle.Numbers = Counter()
    for (name, pairs), value in numbers.items():
        if name in names:
            key, by = names[name]
            labels = dict(pairs)
            found[key, *(labels[label] for label in by)] += int(value)
    return +found


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """
    Make a log of a capture, and of two more processes with sessions in progress.
    """
    last = b"Nov 22 22:11:46 vm milter-manager[%d]: [statistics] [sessions][finished] 5(+1) %d\n"
    log = tmp_path / "mail.log"
    log.write_bytes(read_capture("sample.log") + last % (91, 5) + last % (92, 3))
    return log


@pytest.fixture
def journal(events: Path) -> Path:
    """
    Make a journal of the same.
    """
    require("journalctl", "systemd")
    require("systemd-journal-remote", "systemd-journal-remote")
    directory = events.parent / "journal"
    directory.mkdir()
    make_journal(export(read_syslog(events.read_bytes())), directory)
    return directory


def print_command(journal: Path, form: str) -> list[str]:
    """
    Give the command that prints a journal.
    """
    # Without --all json has null for what is longer than 4 KiB.
    return ["journalctl", f"--directory={journal}", f"--output={form}", "--all", "--no-pager"]


def of_pipe(start: StartExporter, journal: Path, form: str) -> Numbers:
    """
    Have the running exporter read what a running journalctl prints, from standard input.
    """
    with subprocess.Popen(print_command(journal, form), stdout=subprocess.PIPE) as journalctl:
        assert journalctl.stdout is not None
        reading = journalctl.stdout.fileno()
        exporter = start("--input.file=-", "--web.linger=600", standard_input=reading)
        journalctl.stdout.close()
        exporter.serve()
        wait_until(lambda: any("end of input" in line for line in exporter.lines))
    return said(exporter.samples())


def of_fifo(start: StartExporter, journal: Path, lines: int) -> Numbers:
    """
    Have the running exporter read what a running journalctl prints, from a FIFO.
    """
    fifo = journal.parent / "fifo"
    os.mkfifo(fifo)
    exporter = start(f"--input.file={fifo}").serve()
    with fifo.open("wb") as writer:
        subprocess.run(print_command(journal, "short"), stdout=writer, check=True)
    wait_until(lambda: exporter.total(f"{EXPORTER}lines_total") >= lines)
    return said(exporter.samples())


def test_same_numbers_of_all_inputs(
    start_exporter: StartExporter, events: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    File, journal, pipe and FIFO give equal numbers of the same messages, those of a second count.
    """
    monkeypatch.setenv("TZ", "UTC")
    log = events.read_bytes()
    expected = of_daemon(start_exporter, events)

    assert 20 < len(expected)
    assert of_oracle(log) == counters(expected)
    assert 3 == total(expected, "milter_manager_processes")
    assert 1 + 5 + 3 == total(expected, "milter_manager_sessions_in_progress")

    flags = (f"--input.journal-directory={journal}", "--input.from=beginning")

    assert expected == said(start_exporter(*flags).serve().samples())
    assert expected == of_fifo(start_exporter, journal, log.count(b"\n"))
    for form in STAMPED:
        assert expected == of_pipe(start_exporter, journal, form), form

    # No names: once the form is known, others' lines are the program's own, of unknown level.
    # No process ids: all are one, and what the last of them said stands for all.
    ours = b" milter-manager["
    strangers = log[log.index(ours) :].count(b"\n") - log.count(ours)
    expected["milter_manager_log_lines_total", (("level", "unknown"),)] = strangers
    expected["milter_manager_processes", ()] = 1
    expected["milter_manager_sessions_in_progress", ()] = 3

    assert 600 < strangers
    assert expected == of_pipe(start_exporter, journal, "cat")
