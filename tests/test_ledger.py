"""
A tally that also keeps times.
"""

import pytest
from counted import NOW

from exporter.logtool.ledger import Ledger, series_of
from exporter.logtool.timeline import Series, Timeline
from exporter.tally import Additions, Key, Tally


def new_ledger() -> Ledger:
    """
    Make an empty one.
    """
    return Ledger((1.0,), (), (), Timeline(NOW))


@pytest.mark.parametrize(
    ("key", "series"),
    [
        (("sessions_ended", "quit", "pass"), ("sessions", "pass")),
        (("sessions_disconnected",), ("sessions", "disconnected")),
        (("quarantines",), ("quarantines",)),
        (("log_messages", "manager", "error", "[x]"), ("errors",)),
        (("log_messages", "manager", "critical", "[x]"), ("errors",)),
        (("log_messages", "manager", "warning", "[x]"), None),
        (("harmless_messages", "manager", "warning", "[x]"), None),
        (("milters_ended", "m", "quit", "reject"), ("milters", "m", "reject")),
        (("milter_timeouts", "m", "reading", "", ""), ("trouble", "m", "timeouts")),
        (("milter_fallbacks", "m", "body", "accept"), ("trouble", "m", "fallbacks")),
        (
            ("milter_invalid_responses", "m", "accept", "helo"),
            ("trouble", "m", "invalid_responses"),
        ),
        (
            ("milter_messages", "m", "error", "[children][error][connection]"),
            ("trouble", "m", "connection_failures"),
        ),
        (("milter_messages", "m", "error", "[children][error][negotiate]"), None),
        (("mail_checks", "m", "spf", "pass"), ("checks", "spf", "pass")),
        (("lines", "foreign"), None),
    ],
)
def test_series(key: Key, series: Series | None) -> None:
    """
    What is drawn over time has one series, the rest none.
    """
    assert ({series: 3} if series else {}) == series_of({key: 3})


def test_harmless() -> None:
    """
    Error lines that a healthy server writes too are no errors.
    """
    labels = ("manager", "error", "[leader][error]")
    lines: Key = ("log_messages", *labels)
    harmless: Key = ("harmless_messages", *labels)

    assert {("errors",): 1} == series_of({lines: 5, harmless: 4})
    assert {} == series_of({lines: 5, harmless: 5})


def test_counts_as_a_tally() -> None:
    """
    The numbers are a tally's, whether the time is known or not.
    """
    key = ("session_duration", "pass")
    additions = Additions(
        "x",
        counts={("quarantines",): 2},
        observations=[(key, 0.5, b"1", b"", 3), (key, 1.5, b"1", b"", 1)],
        heard={b"7": b""},
        in_progress={b"7": 4},
    )
    tally, untimed, timed = Tally((1.0,)), new_ledger(), new_ledger()
    timed.begin(NOW - 1)
    for one in (tally, untimed, timed):
        one.add(additions, lambda _: None)

    assert tally.snapshot() == untimed.snapshot() == timed.snapshot()
    assert 4 == timed.quantiles[key].count
    assert untimed.timeline.whole() is None

    plot = timed.timeline.whole()

    assert plot is not None
    assert [(2, 4)] == [(one.counts["quarantines",], one.in_progress) for one in plot.buckets]


def test_quiet_process() -> None:
    """
    A process that has been silent for long has no session in progress, as in the daemon's tally.
    """
    ledger = new_ledger()
    times = {b"7": NOW - 5000, b"8": NOW - 10}
    for pid, moment in times.items():
        ledger.begin(moment)
        ledger.add(Additions("x", heard={pid: pid}, last=pid, in_progress={pid: 2}), times.get)
    plot = ledger.timeline.whole()

    assert plot is not None
    assert 2 == plot.buckets[-1].in_progress
    assert 2 == ledger.snapshot().sessions_in_progress


def test_nothing_happened() -> None:
    """
    The end of a file without anything left over is no event.
    """
    ledger = new_ledger()
    ledger.begin(NOW - 1)
    ledger.add(Additions("x"), lambda _: None)

    assert ledger.timeline.whole() is None
