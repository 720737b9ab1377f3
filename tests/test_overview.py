"""
Sums and rankings, of tallies made up and of the sample.
"""

from collections.abc import Mapping

from counted import count_chunks

from exporter.catalogue import load_catalogue
from exporter.overview import MOST_ERRORS, Fault, Milter, Overview, summarise
from exporter.tally import Key, Snapshot

CATALOGUE = load_catalogue()


def overview(counts: Mapping[Key, int], gauges: Mapping[Key, float] | None = None) -> Overview:
    """
    Sum up some numbers.
    """
    return summarise(Snapshot(dict(counts), {}, dict(gauges or {}), 3, 2, {"a": 5.0}), CATALOGUE)


def test_nothing() -> None:
    """
    Of nothing there is nothing, zeros included.
    """
    found = overview({("sessions_ended", "quit", "pass"): 0, ("lines", "recognised"): 0})

    assert ((), (), ()) == (found.statuses, found.milters, found.faults)
    assert 0 == found.sessions == found.errors == found.ours == found.quarantines
    assert None is found.last_line is found.memory_bytes


def test_sessions() -> None:
    """
    Sessions are summed up by status over all states, the disconnected beside them.
    """
    found = overview(
        {
            ("sessions_ended", "quit", "pass"): 2,
            ("sessions_ended", "body", "pass"): 3,
            ("sessions_ended", "quit", "reject"): 5,
            ("sessions_ended", "quit", "accept"): 7,
            ("sessions_disconnected",): 11,
            ("quarantines",): 13,
        }
    )

    assert (("accept", 7), ("pass", 5), ("reject", 5)) == found.statuses
    assert 11 == found.disconnected
    assert 28 == found.sessions
    assert 13 == found.quarantines


def test_gauges() -> None:
    """
    What the log said last is handed on.
    """
    found = overview({}, {("memory",): 1024.0, ("last_line",): 7.0})

    assert 1024.0 == found.memory_bytes
    assert 7.0 == found.last_line
    assert (3, 2, {"a": 5.0}) == (found.in_progress, found.processes, found.newest)


def test_lines() -> None:
    """
    Lines of milter-manager are those recognised or not, but not those of others.
    """
    outcomes = {"recognised": 1, "unknown": 2, "untagged": 4, "foreign": 8, "malformed": 16}
    found = overview({("lines", outcome): number for outcome, number in outcomes.items()})

    assert outcomes == found.outcomes
    assert 7 == found.ours


def test_milters() -> None:
    """
    A milter has its timeouts by phase and its fallbacks by answer; those in trouble come first.
    """
    found = overview(
        {
            ("milters_ended", "quiet", "quit", "pass"): 9,
            ("milter_messages", "noisy", "error", "[x]"): 3,
            ("milter_messages", "noisy", "critical", "[y]"): 2,
            ("milter_messages", "noisy", "statistics", "[z]"): 8,
            ("milter_timeouts", "slow", "reading", "body", "accept"): 1,
            ("milter_timeouts", "slow", "reading", "helo", ""): 1,
            ("milter_timeouts", "slow", "writing", "body", ""): 5,
            ("milter_fallbacks", "slow", "body", "accept"): 4,
            ("milter_invalid_responses", "odd", "continue", "quit"): 6,
        }
    )

    assert (
        Milter("slow", 0, (("writing", 5), ("reading", 2)), (("accept", 4),), 0, 0),
        Milter("odd", 0, (), (), 6, 0),
        Milter("noisy", 0, (), (), 0, 5),
        Milter("quiet", 9, (), (), 0, 0),
    ) == found.milters
    assert [11, 6, 0, 0] == [milter.trouble for milter in found.milters]


def test_faults() -> None:
    """
    The most frequent errors are ranked, with the catalogue's entry, and what is harmless taken off.
    """
    errors = [m for m in CATALOGUE.messages if m.level == "error" and m.tags][: MOST_ERRORS + 2]
    counts: dict[Key, int] = {
        ("log_messages", m.module, m.level, m.tags): i for i, m in enumerate(errors, 1)
    }
    last, before = errors[-1], errors[-2]
    counts["harmless_messages", last.module, last.level, last.tags] = len(errors)
    counts["log_messages", "other", "critical", "[not][there]"] = 1000
    counts["log_messages", "core", "warning", "[w]"] = 2000
    found = overview(counts)

    assert MOST_ERRORS == len(found.faults)
    assert Fault("other", "critical", "[not][there]", 1000, None) == found.faults[0]
    assert (before.tags, len(errors) - 1) == (found.faults[1].tags, found.faults[1].lines)
    assert last.tags not in {fault.tags for fault in found.faults}
    assert sum(range(len(errors))) + 1000 == found.errors


def test_every_error_is_explained() -> None:
    """
    Each error of the catalogue is explained by an entry with its tags, in both languages.
    """
    for message in CATALOGUE.messages:
        if message.level in ("error", "critical") and message.tags:
            key = ("log_messages", message.module, message.level, message.tags)
            (fault,) = overview({key: 1}).faults

            assert fault.message is not None
            assert message.tags == fault.message.tags
            assert fault.message.level in ("error", "critical")
            assert fault.message.en
            assert fault.message.ja


def test_of_a_log() -> None:
    """
    Lines in a log come out as a person would count them.
    """
    head = b"\nNov 22 22:10:34 vm milter-manager[7]: "
    chunk = b"".join(
        head + said
        for said in (
            b"[statistics] [session][end][quit][pass][0.1](1)",
            b"[statistics] [session][end][quit][reject][0.1](2)",
            b"[leader][error] invalid state to reply: x",
            b"[1] [children][timeout][reading][body][accept] [1] slow",
            b"[what][is-this] secret",
        )
    )
    found = summarise(count_chunks([chunk]), CATALOGUE)

    assert (("pass", 1), ("reject", 1)) == found.statuses
    assert "[leader][error]" not in {fault.tags for fault in found.faults}
    assert 1 == found.outcomes["unknown"]


def test_fault_of_another_level() -> None:
    """
    An error is explained by the entry of its level; at a level that has none, by that of its tags.
    """
    message = next(m for m in CATALOGUE.messages if m.level == "error" and m.tags)
    several = [m for m in CATALOGUE.messages if m.tags == "[{GLib domain}]"]
    counts: dict[Key, int] = {
        ("log_messages", message.module, "critical", message.tags): 3,
        ("log_messages", several[0].module, "critical", several[0].tags): 2,
        ("log_messages", several[0].module, "error", several[0].tags): 1,
    }

    assert [message.level, "critical", "error"] == [
        fault.message and fault.message.level for fault in overview(counts).faults
    ]
