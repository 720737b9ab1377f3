"""
A report as JSON.
"""

import json
from dataclasses import replace

import pytest
from summing import HOSTILE, NOW, TROUBLED, log_of, report_of

from exporter.collector import FAMILIES
from exporter.logtool.jsonreport import as_object, write_json
from exporter.logtool.terminal import LANGUAGES

REPORT = report_of(log_of(*TROUBLED))


@pytest.mark.parametrize("language", LANGUAGES)
def test_json(language: str) -> None:
    """
    It is plain ASCII, whatever the log says, and valid.
    """
    text = write_json(REPORT, language)

    assert text.isascii()
    assert "\x1b" not in text
    assert set(json.loads(text)) == {
        "version", "files", "first", "last", "left_out_lines", "metrics", "quantiles", "errors",
        "activity",
    }  # fmt: skip


def test_metrics() -> None:
    """
    All numbers of the ledger are there under the daemon's names, with the daemon's labels.
    """
    found = json.loads(write_json(REPORT, "en"))["metrics"]
    snapshot = REPORT.snapshot
    series = {
        (name, *one["labels"].values()): one.get("value", one.get("count"))
        for name, many in found.items()
        for one in many
    }
    expected = {
        (FAMILIES[key[0]].name, *key[1:]): value
        for key, value in (*snapshot.counts.items(), *snapshot.gauges.items())
    }
    expected |= {
        (FAMILIES[key[0]].name, *key[1:]): sum(histogram.buckets)
        for key, histogram in snapshot.histograms.items()
    }
    expected |= {
        ("milter_manager_sessions_in_progress",): 3,
        ("milter_manager_processes",): 1,
    }

    assert expected == series
    assert {tuple(one["labels"]) for one in found["milter_manager_milter_timeouts_total"]} == {
        ("milter", "phase", "state", "fallback_status")
    }


def test_histogram() -> None:
    """
    A histogram's buckets are cumulative, as Prometheus counts them.
    """
    found = json.loads(write_json(REPORT, "en"))["metrics"]
    passed = next(
        one
        for one in found["milter_manager_session_duration_seconds"]
        if one["labels"] == {"status": "pass"}
    )

    assert (2, pytest.approx(0.4)) == (passed["count"], passed["sum"])
    assert [0, 1, 1, 2, 2] == [
        passed["buckets"][bound] for bound in ("0.05", "0.1", "0.25", "0.5", "+Inf")
    ]


def test_quantiles() -> None:
    """
    Quantiles name their metric and their error.
    """
    quantiles = json.loads(write_json(REPORT, "en"))["quantiles"]

    assert 0.01 == quantiles["relative_error"]
    assert {
        "metric": "milter_manager_session_disconnected_after_seconds",
        "labels": {},
        "count": 1,
        "p50": 2.5,
        "p95": 2.5,
        "p99": 2.5,
        "max": 2.5,
    } == {
        name: pytest.approx(value, rel=0.01) if isinstance(value, float) else value
        for name, value in quantiles["durations"][2].items()
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors(language: str) -> None:
    """
    An error has its meaning, its causes and what to check, in the language asked for.
    """
    errors = json.loads(write_json(REPORT, language))["errors"]

    assert len(REPORT.faults) == len(errors)
    assert all(one["meaning"] and one["causes"] and one["check"] for one in errors)
    assert (language == "en") == all(one["meaning"].isascii() for one in errors)


def test_activity() -> None:
    """
    What happened has its time, with the offset.
    """
    activity = json.loads(write_json(REPORT, "en"))["activity"]
    (bucket,) = activity["buckets"]
    counts = {tuple(one["series"]): one["value"] for one in bucket["counts"]}

    assert 60 == activity["seconds"]
    assert bucket["start"].startswith("2026-11-22T22:07:00")
    assert 3 == bucket["in_progress"]
    assert 2 == counts["sessions", "pass"]
    assert 1 == counts["trouble", "dead", "connection_failures"]
    assert 1 == counts["milters", HOSTILE.replace("\x1b", "#033"), "pass"]


def test_without_times() -> None:
    """
    A log without times has none.
    """
    report = report_of(b"[session][end][quit][pass][0.1](1)\n")
    found = as_object(report, "en")

    assert (None, None, None) == (found["first"], found["last"], found["activity"])
    assert 1 == report.sessions


def test_quiet_times() -> None:
    """
    Times at which nothing happened are left out.
    """
    line = b"Nov 22 %s:33 vm milter-manager[7]: [session][end][quit][pass][0.1](1)\n"
    report = report_of(b"".join(line % clock for clock in (b"20:07", b"20:17", b"21:00")), NOW)
    activity = json.loads(write_json(report, "en"))["activity"]

    assert ["20:07", "20:17", "21:00"] == [one["start"][11:16] for one in activity["buckets"]]


def test_unknown_error() -> None:
    """
    An error that the catalogue has at another level is shown without a meaning.
    """
    report = report_of(log_of(b"[leader][error] something: x"))
    fault = report.faults[0]
    without = replace(fault, message=None)
    changed = replace(report, faults=(without,))
    (error,) = json.loads(write_json(changed, "en"))["errors"]

    assert (None, [], []) == (error["meaning"], error["causes"], error["check"])


def test_note() -> None:
    """
    What the advice says of one message alone is there too.
    """
    report = report_of(log_of(b"[1] [client][error][accept] Too many open files"))
    (error,) = json.loads(write_json(report, "en"))["errors"]

    assert "Another reason than" in error["note"]
