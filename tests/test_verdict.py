"""
The verdict: one table with every state there is.
"""

from dataclasses import replace

import pytest

from exporter.catalogue import load_catalogue
from exporter.overview import Overview, summarise
from exporter.status import InputStatus, Status
from exporter.tally import Key, Snapshot
from exporter.verdict import (
    BEHIND_BYTES,
    SEVERITIES,
    SILENT_SECONDS,
    STALLED_SECONDS,
    Finding,
    judge,
)

NOW = 1_795_390_000.0
LOG = InputStatus("/log", position=30, unread_bytes=70)
ABSENT = InputStatus("/absent", present=False)
BARRED = InputStatus("/barred", present=False, problem="Permission denied")
MISREAD = replace(LOG, form="export")
ENDED = InputStatus("-", "stdin", present=False, ended=True)
JOURNAL = InputStatus("journal", "journal", present=False)
READ_JOURNAL = replace(JOURNAL, present=True)
BARRED_JOURNAL = replace(JOURNAL, problem="denied")
GOOD = Status(NOW, (LOG,))
LINES = {"recognised": 5, "foreign": 2}


def overview(lines: dict[str, int], last_line: float | None = NOW - 1) -> Overview:
    """
    Make an overview of some lines.
    """
    counts: dict[Key, int] = {("lines", outcome): number for outcome, number in lines.items()}
    gauges: dict[Key, float] = {} if last_line is None else {("last_line",): last_line}
    return summarise(Snapshot(counts, {}, gauges, 0, 0, {}), load_catalogue())


def test_works() -> None:
    """
    Where there is nothing to complain about, it works.
    """
    (finding,) = judge(GOOD, overview(LINES), ready=True, now=NOW)

    assert Finding("works", "good", since=NOW - 1) == finding


def test_works_without_times() -> None:
    """
    A log without times is never silent.
    """
    (finding,) = judge(GOOD, overview(LINES, None), ready=True, now=NOW)

    assert Finding("works", "good") == finding


@pytest.mark.parametrize(
    ("status", "lines", "expected"),
    [
        (replace(GOOD, inputs=()), {}, [("none", "bad")]),
        (replace(GOOD, inputs=(ABSENT,)), {}, [("missing", "bad")]),
        (replace(GOOD, inputs=(LOG, ABSENT)), LINES, [("missing", "warn")]),
        (replace(GOOD, inputs=(BARRED,)), {}, [("unreadable", "bad")]),
        (
            replace(GOOD, inputs=(ABSENT, LOG, BARRED)),
            LINES,
            [("unreadable", "bad"), ("missing", "warn")],
        ),
        (replace(GOOD, inputs=(ENDED,)), LINES, [("over", "note")]),
        (replace(GOOD, inputs=(LOG, ENDED)), LINES, [("over", "note")]),
        (
            replace(GOOD, inputs=(ENDED,)),
            {"malformed": 1},
            [("malformed", "bad"), ("over", "note")],
        ),
        (replace(GOOD, inputs=(), journal=BARRED), {}, [("unreadable", "bad"), ("none", "bad")]),
        (GOOD, {}, [("waiting", "note")]),
        (GOOD, {"foreign": 9, "malformed": 1}, [("waiting", "note")]),
        (replace(GOOD, inputs=(READ_JOURNAL,)), {}, [("waiting_journal", "note")]),
        (replace(GOOD, inputs=(READ_JOURNAL,)), {"foreign": 9}, [("waiting_journal", "note")]),
        (replace(GOOD, inputs=(READ_JOURNAL,)), LINES, [("works", "good")]),
        (replace(GOOD, inputs=(replace(READ_JOURNAL, problem="x"),)), {}, [("unreadable", "bad")]),
        (replace(GOOD, inputs=(MISREAD,)), {"malformed": 9}, [("misread", "bad")]),
        (replace(GOOD, inputs=(MISREAD,)), {"malformed": 9, "foreign": 1}, [("misread", "bad")]),
        (replace(GOOD, inputs=(MISREAD,)), LINES, [("misread", "bad")]),
        (
            replace(GOOD, inputs=(MISREAD, LOG)),
            {"foreign": 1},
            [("misread", "bad"), ("waiting", "note")],
        ),
        (GOOD, {"malformed": 9}, [("malformed", "bad")]),
        (GOOD, {"unknown": 3, "untagged": 4}, [("unrecognised", "warn")]),
        (replace(GOOD, state_problem="full"), LINES, [("unsaved", "warn")]),
        (replace(GOOD, taken=NOW - STALLED_SECONDS - 1), LINES, [("stalled", "bad")]),
        (replace(GOOD, taken=NOW - STALLED_SECONDS + 1), LINES, [("works", "good")]),
    ],
)
def test_findings(status: Status, lines: dict[str, int], expected: list[tuple[str, str]]) -> None:
    """
    Each thing that is not as it should be is said, the worst first.
    """
    findings = judge(status, overview(lines), ready=True, now=NOW)

    assert expected == [(finding.key, finding.severity) for finding in findings]


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ((LOG,), [Finding("backlog", "busy", count=30, total=100)]),
        ((LOG, LOG), [Finding("backlog", "busy", count=60, total=200)]),
        ((), [Finding("starting", "busy")]),
        ((JOURNAL,), [Finding("backlog_journal", "busy")]),
        ((BARRED_JOURNAL,), [Finding("unreadable", "bad", BARRED_JOURNAL, "denied")]),
        ((ABSENT,), [Finding("starting", "busy")]),
        (
            (MISREAD,),
            [
                Finding("misread", "bad", MISREAD, "export"),
                Finding("backlog", "busy", count=30, total=100),
            ],
        ),
        ((BARRED,), [Finding("unreadable", "bad", BARRED, "Permission denied")]),
    ],
)
def test_not_ready(inputs: tuple[InputStatus, ...], expected: list[Finding]) -> None:
    """
    Until ready, it says how far the backlog is read, or what keeps it from being read.
    """
    findings = judge(replace(GOOD, inputs=inputs), overview({}), ready=False, now=NOW)

    assert expected == list(findings)


@pytest.mark.parametrize(
    ("age", "expected"),
    [(SILENT_SECONDS - 1, ["works"]), (SILENT_SECONDS + 1, ["silent"]), (-99, ["works"])],
)
def test_silence(age: float, expected: list[str]) -> None:
    """
    After a long silence it does not say that it works: only the administrator knows.
    """
    findings = judge(GOOD, overview(LINES, NOW - age), ready=True, now=NOW)

    assert expected == [finding.key for finding in findings]


@pytest.mark.parametrize(
    ("unread", "expected"),
    [
        (BEHIND_BYTES, Finding("silent", "note", since=NOW - SILENT_SECONDS - 1)),
        (BEHIND_BYTES + 1, Finding("behind", "busy", count=30, total=31 + BEHIND_BYTES)),
    ],
)
def test_behind(unread: int, expected: Finding) -> None:
    """
    While much of a log is unread, the time of its last line so far says nothing of now.
    """
    status = replace(GOOD, inputs=(replace(LOG, unread_bytes=unread), ABSENT))
    old = overview(LINES, NOW - SILENT_SECONDS - 1)

    assert expected in judge(status, old, ready=True, now=NOW)
    assert 2 == len(judge(status, old, ready=True, now=NOW))


def test_values() -> None:
    """
    A finding bears the numbers that its text needs.
    """
    status = replace(GOOD, taken=NOW - 99, inputs=(BARRED, LOG), state_problem="full")
    findings = {f.key: f for f in judge(status, overview({"foreign": 7}), ready=True, now=NOW)}

    assert NOW - 99 == findings["stalled"].since
    assert (BARRED, "Permission denied") == (
        findings["unreadable"].input,
        findings["unreadable"].reason,
    )
    assert "full" == findings["unsaved"].reason
    assert 7 == findings["waiting"].count
    assert [0, 0, 1, 3] == [SEVERITIES.index(f.severity) for f in findings.values()]
