"""
Which counters a reading raises, and which are there before the first.
"""

import pytest
from dialects import entries, samples

from exporter.catalogue import load_catalogue
from exporter.counters import (
    DOCUMENTED_STATES,
    DOCUMENTED_STATUSES,
    LEVELS,
    LIMITED_LABELS,
    OUTCOMES,
    counters_of,
    histogram_of,
    milter_counters_of,
    zero_counters,
    zero_histograms,
)
from exporter.milters import MilterNames
from exporter.recognise import Reading, Recogniser
from exporter.record import read_message
from exporter.tally import Key

CATALOGUE = load_catalogue()
MODULES = {
    entry.documented_tags.removeprefix("(not documented) ").replace("#{", "{"): entry.module
    for entry in entries()
}


def read(message: bytes) -> Reading:
    """
    Read one message.
    """
    return Recogniser(CATALOGUE, MilterNames()).recognise(read_message(message), None)


@pytest.mark.parametrize(
    ("message", "special"),
    [
        (b"[session][end][helo][pass][0.1](5)", [("sessions_ended", "helo", "pass")]),
        (b"[session][disconnected][0.1](5)", [("sessions_disconnected",)]),
        (b"[reply][end-of-message][quarantine](5)", [("quarantines",)]),
        (b"[session][header][add](5): <Received-SPF>=<x>",
         [("session_headers_added", "Received-SPF")]),
        (b"[session][header][add](5): <X-Moon>=<x>",
         [("label_overflows", "header"), ("session_headers_added", "other")]),
        (b"[milter][header][add](5): <Received-SPF>=<x>: raw",
         [("milter_messages", "raw", "statistics", "[milter][header][add]"),
          ("milter_headers_added", "raw", "Received-SPF"), ("label_overflows", "result"),
          ("mail_checks", "raw", "received-spf", "other")]),
        (b"[milter][header][add](5): <Authentication-Results>=<a; spf=pass; moon=x>: raw",
         [("milter_messages", "raw", "statistics", "[milter][header][add]"),
          ("milter_headers_added", "raw", "Authentication-Results"), ("label_overflows", "check"),
          ("mail_checks", "raw", "spf", "pass"), ("mail_checks", "raw", "other", "other")]),
        (b"[milter][end][helo][stop][0.1](5): raw",
         [("milter_messages", "raw", "statistics",
           "[milter][end][{last_state}][{status}][{elapsed}]"),
          ("milters_ended", "raw", "helo", "stop")]),
        (b"[1] [children][timeout][connection] [5] raw",
         [("milter_messages", "raw", "error", "[children][timeout][connection]"),
          ("milter_timeouts", "raw", "connection", "", "")]),
        (b"[1] [children][timeout][reading][helo][accept] [5] raw",
         [("milter_messages", "raw", "error", "[children][timeout][reading]"),
          ("milter_timeouts", "raw", "reading", "helo", "accept")]),
        (b"[1] [children][timeout][writing] [5] raw",
         [("milter_messages", "raw", "error", "[children][timeout][writing]"),
          ("milter_timeouts", "raw", "writing", "", "")]),
        (b"[1] [children][error][helo][discard] [5] x: raw",
         [("milter_messages", "raw", "error", "[children][error][{state}][{fallback_status}]"),
          ("milter_fallbacks", "raw", "helo", "discard")]),
        (b"[1] [server][error][skip][state][invalid][helo] [raw] x",
         [("milter_messages", "raw", "error",
           "[server][error][{response}][state][invalid][{state}]"),
          ("milter_invalid_responses", "raw", "skip", "helo")]),
        (b"[1] [children][error][invalid-state][stopped][helo] [5] raw",
         [("milter_messages", "raw", "error", "[children][error][invalid-state][stopped]"),
          ("milter_invalid_responses", "raw", "stopped", "helo")]),
        ((b"[1] [children][error][invalid-state][progress][helo] [5] only allowed in end of "
         b"message session: raw"),
         [("milter_messages", "raw", "error",
           "[children][error][invalid-state][{response}][{state}]"),
          ("milter_invalid_responses", "raw", "progress", "helo")]),
        (b"[milter][end][helo][pass][0.1](5)",
         [("label_overflows", "milter"),
          ("milter_messages", "other", "statistics",
           "[milter][end][{last_state}][{status}][{elapsed}]"),
          ("milters_ended", "other", "helo", "pass")]),
        (b"[session][end][moon][newly][0.1](5)",
         [("label_overflows", "last_state"), ("label_overflows", "status"),
          ("sessions_ended", "other", "other")]),
        (b"[1] [leader][error] invalid state to reply: x",
         [("harmless_messages", "manager", "error", "[leader][error]")]),
        (b"[1] [leader][error] else", []),
        (b"[client][error][accept] x", []),
    ],
)  # fmt: skip
def test_counters(message: bytes, special: list[Key]) -> None:
    """
    A message counts as a line, by its level, by its tags, and for the metrics of its own.
    """
    reading = read(message)
    assert reading.message is not None
    tags = reading.message.tags
    expected = [
        ("lines", "recognised"),
        ("log_lines", reading.level),
        ("log_messages", MODULES[tags], reading.level, tags),
        *special,
    ]

    assert sorted(expected) == sorted(counters_of(reading))


@pytest.mark.parametrize("outcome", ["unknown", "untagged"])
def test_no_message(outcome: str) -> None:
    """
    What is no known message is a line of a level, nothing else.
    """
    reading = Reading(outcome, "info")

    assert (("lines", outcome), ("log_lines", "info")) == counters_of(reading)
    assert () == milter_counters_of(reading)
    assert histogram_of(reading) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"[session][end][helo][pass][0.1](5)", ("session_duration", "pass")),
        (b"[session][end][helo][newly][0.1](5)", ("session_duration", "other")),
        (b"[session][disconnected][0.1](5)", ("session_disconnected_after",)),
        (b"[milter][end][helo][pass][0.1](5): raw", ("milter_duration", "raw")),
        (b"[milter][end][helo][pass][0.1](5)", ("milter_duration", "other")),
        (b"[sessions][finished] 29(+2) 3", None),
    ],
)
def test_histogram(message: bytes, expected: Key | None) -> None:
    """
    Three messages carry a time, each for a histogram of its own.
    """
    assert expected == histogram_of(read(message))


def test_empty_name() -> None:
    """
    A milter without a name has the empty label everywhere, `other` is for names that are lost.
    """
    reading = read(b"[statistics] [milter][end][helo][pass][0.05](7): ")

    assert ("milter_duration", "") == histogram_of(reading)
    assert ("milters_ended", "", "helo", "pass") in counters_of(reading)


def test_milter_counters() -> None:
    """
    The counters that bear the milter's name are among those that the reading raises.
    """
    for sample in samples():
        reading = read(sample.message)
        named = milter_counters_of(reading)

        assert set(named) <= set(counters_of(reading))
        assert bool(named) == bool(sample.milter)
        assert all(sample.milter in key for key in named)


def test_zero_messages() -> None:
    """
    Every message with tags or a text is there at 0, under the level that the program uses.
    """
    zeros = zero_counters(CATALOGUE)
    expected = sorted(
        (
            "log_messages",
            entry.module.replace("-", "other"),
            entry.documented_level if entry.real_level.startswith("not in") else entry.real_level,
            entry.documented_tags.removeprefix("(not documented) ").replace("#{", "{"),
        )
        for entry in entries()
        if not entry.documented_tags.endswith("(untagged)")
    )

    assert expected == sorted(key for key in zeros if key[0] == "log_messages")
    assert [("harmless_messages", "manager", "error", "[leader][error]")] == [
        key for key in zeros if key[0] == "harmless_messages"
    ]


def test_zeros() -> None:
    """
    The series without a milter are there at 0, each of them once.
    """
    zeros = zero_counters(CATALOGUE)

    assert len(zeros) == len(set(zeros))
    assert {("lines", outcome) for outcome in OUTCOMES} <= set(zeros)
    assert {("log_lines", level) for level in LEVELS} <= set(zeros)
    assert {("label_overflows", label) for label in LIMITED_LABELS} <= set(zeros)
    assert {("sessions_disconnected",), ("sessions_finished",), ("quarantines",)} <= set(zeros)
    assert 16 * 6 == len([key for key in zeros if key[0] == "sessions_ended"])
    assert 7 == len(zero_histograms()) == len(set(zero_histograms()))


def test_documented_words() -> None:
    """
    The words that are there from the start are among those of the catalogue.
    """
    assert set(DOCUMENTED_STATES) < set(CATALOGUE.lists["state"])
    assert set(DOCUMENTED_STATUSES) < set(CATALOGUE.lists["status"])


def test_known_at_zero() -> None:
    """
    A counter that a sample raises and that names no milter is there from the start.
    """
    zeros = {*zero_counters(CATALOGUE)}
    growing = {"session_headers_added"}

    for sample in samples():
        if sample.number in ("X6", "X7", "X8", "X9"):
            continue
        reading = read(sample.message)
        raised = set(counters_of(reading)) - set(milter_counters_of(reading))

        assert {key for key in raised if key[0] not in growing} <= zeros
