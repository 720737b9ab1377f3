"""
One log, four ways to its numbers: the daemon, `summary`, `backfill`, standard input; all the same.

And the same as what was counted of the captures by other means: LOG.md's totals, the oracle, the
naive count of mail checks.
"""

import json
import lzma
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import mail_checks_count
import pytest
from backfilled import backfill, last_values, run_tool
from dialects import DATA
from running import Exporter, Sample, total

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

Numbers = dict[Sample, float]
StartExporter = Callable[..., Exporter]

EXPORTER = "milter_manager_exporter_"
CAPTURES = ("native.log", "native-pid-name.log", "repeated.log", "sample.log",
            "syslog-rfc3164.log", "volume.log.xz")  # fmt: skip


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
