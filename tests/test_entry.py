"""
Entries of the journal as lines: what any sender may have put into one.
"""

import json
from collections.abc import Mapping

import pytest
from counted import FAST, Counted, count_chunks, count_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.entry import read_entry, write_line

FIELDS: Mapping[str, object] = {
    "__REALTIME_TIMESTAMP": "1795385937099959",
    "_HOSTNAME": "vm",
    "SYSLOG_IDENTIFIER": "milter-manager",
    "_PID": "7228",
    "PRIORITY": "3",
    "SYSLOG_FACILITY": "2",
    "MESSAGE": "[leader][error] oh",
}
HEAD = b"<19>2026-11-22T22:18:57.099959Z vm milter-manager[7228]: "
TIME = b"2026-11-22T22:18:57.099959"
EPOCH = b"1970-01-01T00:00:00"
ENDED = "[statistics] [session][end][end-of-message][pass][0.02899](1)"

values = (
    st.none()
    | st.text()
    | st.lists(st.integers(-1, 300))
    | st.lists(st.none() | st.text() | st.lists(st.integers(0, 255)), min_size=1)
)


def entry(**fields: object) -> bytes:
    """
    Write an entry as journalctl does; None among the changes leaves a field out.
    """
    return json.dumps({**FIELDS, **fields}).encode()


def line_of(**fields: object) -> bytes:
    """
    Read an entry and write it as a line.
    """
    read = read_entry(entry(**fields))
    assert read is not None
    return write_line(read)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("[leader][error] oh", b"[leader][error] oh"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", b"caf\xc3\xa9"),
        ([99, 97, 102, 233, 1], b"caf\xe9#001"),
        ("one\n two\tx", b"one#012 two#011x"),
        ("end\n", b"end"),
        (None, b""),
        ([], b""),
        (["first", "last"], b"last"),
        (["first", [104, 105]], b"hi"),
        (["first", None], b""),
        ([256], b""),
    ],
)
def test_message(message: object, said: bytes) -> None:
    """
    A message is text, bytes, several of these or nothing; control bytes are written as by rsyslog.
    """
    assert HEAD + said == line_of(MESSAGE=message)


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"PRIORITY": "8"}, b"2026-11-22T22:18:57.099959Z vm milter-manager[7228]: "),
        ({"PRIORITY": ""}, b"2026-11-22T22:18:57.099959Z vm milter-manager[7228]: "),
        ({"PRIORITY": ["5", "4"]}, b"<20>2026-11-22T22:18:57.099959Z vm milter-manager[7228]: "),
        ({"SYSLOG_FACILITY": "24"}, b"<27>2026-11-22T22:18:57.099959Z vm milter-manager[7228]: "),
        ({"_PID": "", "SYSLOG_PID": "7"}, HEAD.replace(b"7228", b"7")),
        ({"_PID": "x"}, HEAD.replace(b"[7228]", b"")),
        ({"_HOSTNAME": "a b:[c]"}, HEAD.replace(b"vm", b"a_b__c_")),
        ({"_HOSTNAME": ""}, HEAD.replace(b"vm", b"-")),
        ({"SYSLOG_IDENTIFIER": "x milter-manager"}, HEAD.replace(b"vm ", b"vm x_")),
        ({"__REALTIME_TIMESTAMP": "x"}, HEAD.replace(TIME, EPOCH + b".000000")),
        ({"__REALTIME_TIMESTAMP": "9" * 18}, HEAD.replace(TIME, EPOCH + b".999999")),
    ],
)  # fmt: skip
def test_fields(fields: Mapping[str, object], start: bytes) -> None:
    """
    Every field is one word of the line, or missing where it is none.
    """
    assert start + b"[leader][error] oh" == line_of(**fields)


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b"{", b'{"MESSAGE":"\xff"}', b'{"a":' + b"[" * 100_000, b'{"a":1}']
)
def test_no_entry(line: bytes) -> None:
    """
    What is no entry is none, however it is broken.
    """
    assert read_entry(line) is None


# The first text ever drawn takes seconds, since Hypothesis writes its table of characters, and any
# example may on a busy machine.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*list(FIELDS)[1:], "SYSLOG_PID"]), values))
def test_any_entry(fields: Mapping[str, object]) -> None:
    """
    Whatever an entry holds, its line is one line, and ours only when its first identifier is.
    """
    read = read_entry(json.dumps({**FIELDS, **fields}).encode())
    assert read is not None
    line = write_line(read)
    parsed = FAST.read_line(line)

    assert b"\n" not in line
    assert parsed is not None

    first = fields.get("SYSLOG_IDENTIFIER", "milter-manager")
    if isinstance(first, str) and first != "milter-manager":
        assert parsed.message is None or first == "milter-manager-process-launcher"


def test_counted() -> None:
    """
    An input whose first line is an entry is the journal's: each entry counts by its fields.
    """
    lines = [
        entry(MESSAGE=ENDED),
        entry(MESSAGE=ENDED, SYSLOG_IDENTIFIER="postfix/smtpd"),
        entry(MESSAGE="[moon] x", PRIORITY="4"),
        entry(MESSAGE="[moon] x", PRIORITY="3"),
        b"no entry",
    ]
    counts = count_lines(*lines, head=lines[0])

    assert 1 == counts["sessions_ended", "end-of-message", "pass"]
    assert 1 == counts["log_lines", "warning"]
    assert 1 == counts["log_lines", "error"]
    assert 1 == counts["lines", "foreign"]
    assert 1 == counts["lines", "malformed"]


def test_counted_later() -> None:
    """
    Without the head of the file the first entry that comes decides.
    """
    snapshot = count_chunks([b"\nwhat", b"\n" + entry(MESSAGE=ENDED)])

    assert 1 == snapshot.counts["sessions_ended", "end-of-message", "pass"]


def test_imitation() -> None:
    """
    In a log of another kind an entry is a line without a stamp, which a stranger may have written.
    """
    stamped = b"Nov 22 22:10:34 vm milter-manager[7]: " + ENDED.encode()
    counts = count_lines(stamped, entry(MESSAGE=ENDED), head=stamped)

    assert 1 == counts["sessions_ended", "end-of-message", "pass"]
    assert 1 == counts["lines", "malformed"]


def test_restart() -> None:
    """
    What a file is made of outlives the process.
    """
    line = entry(MESSAGE=ENDED)
    before, after = Counted(), Counted()
    before.counting.start(line)
    before.counting.add(b"\n" + line)
    after.counting.restore(before.counting.export())
    after.counting.add(b"\n" + line)

    assert 1 == after.snapshot().counts["sessions_ended", "end-of-message", "pass"]


def test_levels_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However many tags there are whose level the entry alone tells, each has its own.
    """
    monkeypatch.setattr("exporter.counting.MEMO_ENTRIES", 1)
    lines = [
        entry(MESSAGE=f"[{tag}] x", PRIORITY=priority)
        for tag in ("moon", "sun", "moon")
        for priority in ("3", "4", "4")
    ]
    counts = count_lines(*lines, head=lines[0])

    assert (3, 6) == (counts["log_lines", "error"], counts["log_lines", "warning"])
