"""
Does it work?  What the reader says of itself and what was counted -> findings, the worst first.

Pure, and knows no texts: a finding has a key, under which the page has them in each language.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.overview import Overview
from exporter.status import InputStatus, Status

SEVERITIES = ("bad", "warn", "busy", "note", "good")
"""The worst first: does not work, works in part, not yet, may be normal, works."""

STALLED_SECONDS = 15.0
"""The reader looks once a second; between two chunks of a backlog that takes long too."""
SILENT_SECONDS = 3600.0
BEHIND_BYTES = 4 * 2**20
"""A backlog that takes a moment: less is there on a busy server whenever one looks."""


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing to say about whether it works.
    """

    key: str
    severity: str
    input: InputStatus | None = None
    reason: str = ""
    count: int = 0
    total: int = 0
    since: float | None = None
    """Seconds since the epoch."""


def judge(status: Status, overview: Overview, *, ready: bool, now: float) -> tuple[Finding, ...]:
    """
    Give what there is to say, the worst first; one finding at least.
    """
    findings = list(findings_of(status, overview, ready=ready, now=now))
    if not findings:
        return (Finding("works", "good", since=overview.last_line),)
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def findings_of(
    status: Status, overview: Overview, *, ready: bool, now: float
) -> Iterator[Finding]:
    """
    Give everything that is not as it should be.
    """
    if now - status.taken > STALLED_SECONDS:
        yield Finding("stalled", "bad", since=status.taken)
    for one in (*status.inputs, *filter(None, (status.journal,))):
        if one.problem:
            yield Finding("unreadable", "bad", one, one.problem)
        if one.form:
            yield Finding("misread", "bad", one, one.form)
    if status.state_problem:
        yield Finding("unsaved", "warn", reason=status.state_problem)
    if ready:
        yield from findings_of_files(status)
        done, total = count_bytes(status)
        if total - done > BEHIND_BYTES:
            # A log that appeared late, say: what its lines tell so far is of long ago.
            yield Finding("behind", "busy", count=done, total=total)
        elif readable := [one for one in status.inputs if is_readable(one)]:
            yield from findings_of_lines(overview, now, readable)
    else:
        yield from findings_of_backlog(status)


def count_bytes(status: Status) -> tuple[int, int]:
    """
    Count the bytes that are read, and all that there are.
    """
    done = sum(one.position for one in status.inputs)
    return done, done + sum(one.unread_bytes for one in status.inputs)


def findings_of_backlog(status: Status) -> Iterator[Finding]:
    """
    Say how much of what was written since the last run is read.
    """
    done, total = count_bytes(status)
    if any(one.kind == "journal" and not one.problem for one in status.inputs):
        # How much is left only journalctl knows, and does not say.
        yield Finding("backlog_journal", "busy")
    elif total:
        yield Finding("backlog", "busy", count=done, total=total)
    elif not any(one.problem for one in status.inputs):
        yield Finding("starting", "busy")


def findings_of_files(status: Status) -> Iterator[Finding]:
    """
    Say which logs are not there.
    """
    if not status.inputs:
        yield Finding("none", "bad")
    severity = "warn" if any(one.present for one in status.inputs) else "bad"
    for one in status.inputs:
        if one.ended:
            yield Finding("over", "note", one)
        elif not one.present and not one.problem:
            yield Finding("missing", severity, one)


def is_readable(one: InputStatus) -> bool:
    """
    Say whether the lines of a log can tell whether it works; of the others it is said already.
    """
    return (one.present or one.ended) and not one.problem and not one.form


def findings_of_lines(
    overview: Overview, now: float, readable: Sequence[InputStatus]
) -> Iterator[Finding]:
    """
    Say what is odd about the lines of logs that can be read.
    """
    outcomes = overview.outcomes
    if overview.ours and not outcomes.get("recognised"):
        yield Finding("unrecognised", "warn", count=overview.ours)
    elif not overview.ours and outcomes.get("malformed") and not outcomes.get("foreign"):
        yield Finding("malformed", "bad", count=outcomes["malformed"])
    elif not overview.ours and any(one.kind == "journal" for one in readable):
        # All its entries are the program's: what others wrote stood in a file of an earlier run.
        yield Finding("waiting_journal", "note")
    elif not overview.ours:
        yield Finding("waiting", "note", count=outcomes.get("foreign", 0))
    elif overview.last_line is not None and now - overview.last_line > SILENT_SECONDS:
        yield Finding("silent", "note", since=overview.last_line)
