"""
What real `journalctl` prints: tests/data/journalctl, made by render_journalctl.py.
"""

import re
from collections import Counter
from pathlib import Path

import pytest
from counted import FAST, Counted
from render_journalctl import DIRECTORY, FORMATS, entries, export, make_journal, print_journal
from running import require

from exporter.misread import FORMS, name_form
from exporter.tally import Snapshot

STAMPED = [form for form in FORMATS if form != "cat"]


def count(form: str) -> Snapshot:
    """
    Count the log of a format, in two pieces.
    """
    return count_log((DIRECTORY / f"{form}.log").read_bytes())


def count_log(log: bytes) -> Snapshot:
    """
    Count a log, in two pieces.
    """
    lines = log.splitlines()
    counted = Counted()
    counted.counting.start(log)
    for piece in (lines[:100], lines[100:]):
        counted.counting.add(b"".join(b"\n" + line for line in piece))
    counted.counting.finish()
    return counted.snapshot()


def naive() -> Counter[tuple[str, ...]]:
    """
    Count what the entries say without the exporter.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    for line in entries():
        ours = line.program.startswith(b"milter-manager")
        counts["lines", "ours" if ours else "foreign"] += 1
        end = re.match(rb"\[statistics\] \[session\]\[end\]\[([a-z-]+)\]\[([a-z-]+)\]", line.said)
        if ours and end:
            counts["sessions_ended", end[1].decode(), end[2].decode()] += 1
    return counts


@pytest.mark.parametrize("form", FORMATS)
def test_sessions(form: str) -> None:
    """
    Each format gives the sessions that were written.
    """
    expected = {key: n for key, n in naive().items() if key[0] == "sessions_ended"}
    found = count(form).counts

    assert 20 < sum(expected.values())
    assert expected == {key: n for key, n in found.items() if key[0] == "sessions_ended" and n}


@pytest.mark.parametrize("form", STAMPED)
def test_lines(form: str) -> None:
    """
    With stamps no line is malformed, and other programs' lines are theirs.
    """
    expected = naive()
    found = count(form).counts

    assert expected["lines", "foreign"] == found.get(("lines", "foreign"), 0)
    assert expected["lines", "ours"] == sum(
        found.get(("lines", outcome), 0) for outcome in ("recognised", "unknown")
    )
    assert 0 == found.get(("lines", "malformed"), 0)


@pytest.mark.parametrize("form", STAMPED[1:])
def test_same_numbers(form: str) -> None:
    """
    All formats give the same counters and times; only JSON has the level of unknown lines.
    """
    first, other = count(STAMPED[0]), count(form)
    counts = [
        {key: n for key, n in one.counts.items() if key[0] != "log_lines"} for one in (first, other)
    ]

    assert counts[0] == counts[1]
    assert first.histograms.keys() == other.histograms.keys()


@pytest.mark.parametrize("form", FORMATS)
def test_this_journalctl(form: str, tmp_path: Path) -> None:
    """
    What this machine's own journalctl prints gives the numbers of the committed logs.
    """
    require("journalctl", "systemd")
    require("systemd-journal-remote", "systemd-journal-remote")
    make_journal(export(entries()), tmp_path)
    log = print_journal(tmp_path, form)

    assert count(form).counts == count_log(log).counts


@pytest.mark.parametrize("form", FORMS)
def test_misread(form: str, tmp_path: Path) -> None:
    """
    Of what journalctl prints in other forms nothing is counted but lines without a time, and named.
    """
    require("journalctl", "systemd")
    require("systemd-journal-remote", "systemd-journal-remote")
    make_journal(export(entries()), tmp_path)
    log = print_journal(tmp_path, form)
    found = {key: n for key, n in count_log(log).counts.items() if n}

    assert form == name_form(log)
    assert {("lines", "malformed"): len(log.splitlines())} == found


@pytest.mark.parametrize("form", FORMATS)
def test_not_misread(form: str) -> None:
    """
    What can be read is none of them.
    """
    assert "" == name_form((DIRECTORY / f"{form}.log").read_bytes())


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"__CURSOR=s=1\n", "export"),
        (b"[   12.345678] mail", "short-monotonic"),
        (b"[   12.345678 <] mail", "short-delta"),
        (b"[   12.345678", ""),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 3])
def test_marks_in_front(head: bytes, expected: str, before: int) -> None:
    """
    What journalctl puts before the entries hides no format, nor is it one.
    """
    marks = (
        b"-- Journal begins at Sun 2026-11-22 22:07:33 CET, ends at Mon 2026-11-23 01:00:00. --\n",
        b"-- Boot 62bacccb5162495cbe35e188fabe664e --\n",
        b"-- Reboot --\n",
    )

    assert expected == name_form(b"".join(marks[:before]) + head)


def test_boots() -> None:
    """
    What journalctl puts between two boots is no line of anybody.
    """
    for mark in (
        b"-- Boot 62bacccb5162495cbe35e188fabe664e --",
        b"-- Reboot --",
        b"-- Logs begin at Sun 2026-11-22 22:07:33 UTC, end at Sun 2026-11-22 22:18:57 UTC. --",
        b"-- Journal begins at Sun 2026-11-22 22:07:33 CET, ends at Mon 2026-11-23 01:00:00. --",
    ):
        read = FAST.read_line(mark)

        assert read is not None
        assert read.message is None
