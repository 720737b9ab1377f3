"""
Sums and rankings.
"""

from summing import HOSTILE, TROUBLED, log_of, report_of

from exporter.logtool.report import StatusReport

REPORT = report_of(log_of(*TROUBLED))


def test_statuses() -> None:
    """
    Sessions are ranked by status, each with its last states; disconnected ones stand last.
    """
    assert (
        StatusReport("pass", 2, (("quit", 2),)),
        StatusReport("reject", 1, (("helo", 1),)),
        StatusReport("disconnected", 1, ()),
    ) == REPORT.statuses
    assert 4 == REPORT.sessions


def test_durations() -> None:
    """
    Each histogram of the log has its quantiles: sessions, then disconnected ones, then milters.
    """
    assert [
        (("session_duration", "pass"), 2),
        (("session_duration", "reject"), 1),
        (("session_disconnected_after",), 1),
    ] == [(one.key, one.count) for one in REPORT.durations[:3]]
    assert "milter_duration" == REPORT.durations[3].key[0]
    assert all(
        list(one.quantiles) == sorted(one.quantiles) and one.quantiles[-1] <= one.most
        for one in REPORT.durations
    )


def test_faults() -> None:
    """
    Errors have their entry of the catalogue; the harmless ones are counted apart.
    """
    tags = {fault.tags: fault.lines for fault in REPORT.faults}

    assert all(fault.message and fault.message.tags == fault.tags for fault in REPORT.faults)
    assert 1 == tags["[children][error][connection]"]
    assert "[leader][error]" not in tags
    assert 1 == REPORT.harmless
    assert REPORT.errors == sum(tags.values())


def test_milters() -> None:
    """
    Those with most trouble come first; a connection that failed is trouble.
    """
    names = [one.name for one in REPORT.milters]
    slow, dead = REPORT.milters[:2]

    assert ["slow", "dead"] == names[:2]
    assert (3, 1) == (slow.trouble, dead.trouble)
    assert 1 == dead.connection_failures
    assert (("X-Spam-Flag", 1),) == slow.headers
    assert (("pass", 1),) == REPORT.milters[2].statuses
    assert HOSTILE.replace("\x1b", "#033") == names[2]


def test_lines() -> None:
    """
    All lines are counted, and those of the program among them.
    """
    log = log_of(*TROUBLED) + b"Nov 22 22:07:33 vm postfix/smtpd[1]: x\n"
    report = report_of(log)

    assert (len(TROUBLED) + 1, len(TROUBLED)) == (report.lines, report.ours)
    assert 1 == report.quarantines
    assert (("X-Spam-Flag", 1),) == report.session_headers
    assert [("slow", "spam-flag")] == [(one.milter, one.check) for one in report.checks]
