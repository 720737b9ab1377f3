"""
Lines in chunks, counted: whatever way they come, the numbers are the same.
"""

from datetime import UTC, datetime, timedelta

import pytest
from counted import FAST, NOW, READABLE, Counted, count_chunks, count_lines
from dialects import BARE, DIALECTS, OWN, SYSLOG, Said, samples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lines import MOMENT, PIECES, line, logs, messages, uniform_logs

from exporter.counting import MEMO_ENTRIES
from exporter.milters import LIMIT
from exporter.stamp import read_stamp
from exporter.tally import Exemplar, Snapshot

SYSLOG_START = b"Nov 22 22:07:33 vm milter-manager[509]: "
OWN_START = b"[2026-11-22T22:04:44.591879Z]: "
ENDED = "[milter][end][{last_state}][{status}][{elapsed}]"
HEADED_BY_NO_NAME = SYSLOG_START + b"[milter][header][add](5): <X-A>=<b>:"
HEADED = "[milter][header][add]"
HEAD = b"Nov 22 22:07:33 vm milter-manager[7]: "


def joined(lines: list[bytes]) -> bytes:
    """
    Make one chunk of lines.
    """
    return b"".join(b"\n" + one for one in lines)


def timeless(snapshot: Snapshot) -> tuple[object, ...]:
    """
    Leave out the processes and the newest line's time, and the counters that are 0.
    """
    counts = {key: value for key, value in snapshot.counts.items() if value}
    return counts, snapshot.histograms, snapshot.gauges.get(("memory",))


def timed(snapshot: Snapshot) -> tuple[object, ...]:
    """
    Take all numbers, the counters that are 0 aside.
    """
    return (
        *timeless(snapshot),
        snapshot.gauges,
        snapshot.processes,
        snapshot.sessions_in_progress,
    )


@settings(max_examples=400, deadline=None)
@given(logs | uniform_logs, st.sampled_from([b"", SYSLOG_START]))
@example([SYSLOG_START + b"[maintain][memory] (24560KB) total:1"] * 2, b"")
@example([OWN_START + b"[milter][header][add](5): <" + b"n" * 90 + b">=<a", b"b>: raw"], b"")
@example([SYSLOG_START + b"[sessions][finished]: <a>=< 29(+2) 3"], b"")
@example([b"[2026-11-22T22:07:33Z] [509]: [session][end][helo][pass][0.1](5)", b"x"], b"")
@example([b"[warning][2026-11-22T22:07:33Z]: [milter-core] x"], b"")
@example([b"[error][2026-11-22T22:07:33Z]: [moon] x"], b"")
@example([SYSLOG_START + b"[moon][0.1](5)"], b"")
@example([SYSLOG_START + b"[statistics] [moon][0.1](5)"], b"")
@example([SYSLOG_START + b"[sessions][finished]" + e for e in (b" 1(+1) 0", b"(5): <a>=<b>")], b"")
@example([SYSLOG_START + b"[milter][header][add](5): <X-A>=<b>: " + b"n" * 90] * 2, b"")
@example([SYSLOG_START + b"[milter][header][add](5): <X-A>=<>: n>: m", HEADED_BY_NO_NAME] * 2, b"")
@example(
    [
        SYSLOG_START + b"[milter][header][add](5): <X-Spam>=<%s>: m%d" % (b"y" * n, n)
        for n in range(740, 860, 5)
    ],
    b"",
)
@example([SYSLOG_START + b"[milter][header][add][0.5](5): <X-Spam>=<Yes>: raw"], b"")
@example([SYSLOG_START + b"[a][b][c][d][e][f](5): g", SYSLOG_START + b"[a][b]c[d](5)"], b"")
@example(
    [
        SYSLOG_START + b"[session][end][helo][pass][%s](5)" % e
        for e in (b"-0.5", b"1-2", b"1.e-3", b"1e9", b"1e400", b"0.1", b"0.2", b"0.1")
    ],
    b"",
)
@example([SYSLOG_START + b"[5] [statistics] [client][error][accept] x"], b"")
@example(
    [
        SYSLOG_START + b"[session][disconnected][0.31](1)",
        SYSLOG_START + b"[session][disconnected][0,32](2)",
    ],
    b"",
)
def test_fast_is_readable(lines: list[bytes], head: bytes) -> None:
    """
    The fast pattern and the readable path give the same numbers, to the last exemplar.
    """
    chunk = joined(lines)

    assert timed(count_chunks([chunk], READABLE, head=head)) == timed(
        count_chunks([chunk], FAST, head=head)
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(messages, min_size=2, max_size=30), st.sampled_from([*SYSLOG, *OWN]))
def test_fast_is_readable_in_long_logs(said: list[bytes], dialect: str) -> None:
    """
    What is remembered from line to line changes no number.
    """
    write = DIALECTS[dialect]
    chunk = joined(
        [
            part
            for i, message in enumerate(said)
            for part in write(Said(MOMENT + timedelta(seconds=i), i % 3, "error", message)).split(
                b"\n"
            )
        ]
        * 2
    )

    assert timed(count_chunks([chunk], READABLE)) == timed(count_chunks([chunk]))


@settings(max_examples=250, deadline=None)
@given(logs | uniform_logs, st.lists(st.booleans(), min_size=12, max_size=12))
@example([OWN_START + b"[milter][header][add](5): <X-A>=<b", b"c>: raw"], [True] * 12)
@example(
    [SYSLOG_START + b"[sessions][finished] 1(+1) 5", b"<0>1 - - milter-manager - - - x"],
    [False, True] * 6,
)
def test_chunks(lines: list[bytes], cuts: list[bool]) -> None:
    """
    Wherever a log is cut into chunks, the numbers are the same.
    """
    chunks = [b""]
    for i, one in enumerate(lines):
        if cuts[i % len(cuts)] and chunks[-1]:
            chunks.append(b"")
        chunks[-1] += b"\n" + one
    whole, parts = count_chunks([joined(lines)]), count_chunks(chunks)

    assert timeless(whole) == timeless(parts)
    if all((read := FAST.read_line(one)) and read_stamp(read.stamp, NOW) for one in lines):
        assert timed(whole) == timed(parts)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=200).map(lambda text: text.replace(b"\n", b"")), min_size=1))
def test_any_bytes(lines: list[bytes]) -> None:
    """
    Any bytes are counted, each line under one outcome.
    """
    counts = count_chunks([joined(lines)]).counts

    assert len(lines) == sum(value for key, value in counts.items() if key[0] == "lines")


@settings(max_examples=200, deadline=None)
@given(line, st.sampled_from([*SYSLOG]))
def test_any_line_has_one_outcome(text: bytes, dialect: str) -> None:
    """
    A line has one outcome and, if it is ours, one level; a repeated one has them N times.
    """
    start = DIALECTS[dialect](Said(MOMENT, 1, "error", b""))
    counts = count_chunks([b"\n" + start + text])
    outcomes = sum(value for key, value in counts.counts.items() if key[0] == "lines")
    levels = sum(value for key, value in counts.counts.items() if key[0] == "log_lines")

    assert outcomes == levels
    assert 1 == outcomes or b"message repeated" in text


hostile = st.builds(
    lambda start, pieces, end: (start + b"".join(pieces) + end).replace(b"\n", b""),
    st.sampled_from([SYSLOG_START, OWN_START, b"", b"[statistics] "]),
    st.lists(st.sampled_from(PIECES) | messages, max_size=4),
    st.sampled_from([b"", b">: evil", b": evil", b"): evil", b"\r"]),
)


@settings(max_examples=250, deadline=None)
@given(hostile, st.sampled_from([name for name in SYSLOG if name != "bare"]))
def test_imitation_in_a_header(value: bytes, dialect: str) -> None:
    """
    A header's value that imitates a line counts as a header, for the milter that added it.
    """
    message = b"[milter][header][add](55): <DKIM-Filter>=<" + value[:600] + b">: policy"
    counts = count_lines(DIALECTS[dialect](Said(MOMENT, 1, "statistics", message)))

    assert {
        ("lines", "recognised"): 1,
        ("log_lines", "statistics"): 1,
        ("log_messages", "manager", "statistics", HEADED): 1,
        ("milter_messages", "policy", "statistics", HEADED): 1,
        ("milter_headers_added", "policy", "DKIM-Filter"): 1,
    } == counts


@settings(max_examples=250, deadline=None)
@given(hostile, st.sampled_from([*SYSLOG, *OWN]))
def test_imitation_in_an_error(text: bytes, dialect: str) -> None:
    """
    An error's text that imitates a line counts as the error.
    """
    message = b"[1] [reader][error][read] I/O error: " + text
    counts = count_lines(DIALECTS[dialect](Said(MOMENT, 1, "error", message)))

    assert {
        ("lines", "recognised"): 1,
        ("log_lines", "error"): 1,
        ("log_messages", "core", "error", "[reader][error][read]"): 1,
    } == counts


@pytest.mark.parametrize(
    "imitation",
    [
        b"[session][end][helo][reject][0.1](9)",
        b"[statistics] [session][end][helo][reject][0.1](9)",
        b"milter-manager[509]: [statistics] [session][end][helo][reject][0.1](9)",
        b" [2026-11-22T22:04:44Z]: [session][end][helo][reject][0.1](9)",
        b"failed to listen: x",
        b"[client][error][accept] x",
    ],
)
def test_imitation_in_the_own_file(imitation: bytes) -> None:
    """
    In the own file a line without a stamp is a part of the one before, whatever it says.
    """
    counts = count_lines(
        OWN_START + b"[milter][header][add](55): <Received-SPF>=<a",
        b"\t" + imitation,
        imitation,
        imitation + b">: policy",
        OWN_START + b"[sessions][finished] 1(+1) 0",
    )

    assert 3 == counts["lines", "malformed"]
    assert 2 == counts["lines", "recognised"]
    assert 1 == counts["milter_headers_added", "policy", "Received-SPF"]
    assert ("sessions_ended", "helo", "reject") not in counts


def test_folded_header_at_the_end() -> None:
    """
    A folded header counts for its milter when the file ends, and for none when its end is lost.
    """
    start = OWN_START + b"[milter][header][add](55): <Received-SPF>=<a"

    assert 1 == count_lines(start, b"b>: policy")["milter_headers_added", "policy", "Received-SPF"]
    assert 1 == count_lines(start, b"b")["milter_headers_added", "other", "Received-SPF"]
    assert 1 == count_lines(start, b"b")["label_overflows", "milter"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"", 1), (SYSLOG_START + b"x", 0), (OWN_START + b"x", 0), (b"no stamp\neither", 1),
     (b"Nov 22 22:07:33 vm postfix/smtpd[1]: connect", 0)],
)  # fmt: skip
def test_bare(head: bytes, expected: int) -> None:
    """
    Lines without stamps count only where the whole input is like that.
    """
    counts = count_lines(b"[session][end][helo][pass][0.1](9)", head=head)

    assert expected == counts.get(("sessions_ended", "helo", "pass"), 0)
    assert (1 - expected) == counts.get(("lines", "malformed"), 0)


def test_bare_begins_with_a_message() -> None:
    """
    A bare input begins with the first line that means something; a stamp before it ends the matter.
    """
    ended = b"[session][end][helo][pass][0.1](9)"

    assert {("lines", "malformed"): 2, ("lines", "recognised"): 1} == {
        key: value for key, value in count_lines(b"", b"text", ended).items() if key[0] == "lines"
    }
    assert 3 == count_lines(b"text", SYSLOG_START + ended, ended, ended)["lines", "malformed"]


def test_bare_folded_header() -> None:
    """
    In a bare input, too, the milter's name stands at the end of a folded header.
    """
    counts = count_lines(
        b"[milter][header][add](55): <Received-SPF>=<a",
        b"\tb>: policy",
        b"[milter][end][helo][pass][0.1](9): ",
        b"[sessions][finished] 7(+2) 3",
    )

    assert 1 == counts["milter_headers_added", "policy", "Received-SPF"]
    assert 1 == counts["milters_ended", "", "helo", "pass"]
    assert 2 == counts["sessions_finished",]


def test_bare_in_progress() -> None:
    """
    A bare input is one process, with its sessions in progress.
    """
    snapshot = count_chunks([b"\n[sessions][finished] 7(+2) 3"])

    assert (1, 3) == (snapshot.processes, snapshot.sessions_in_progress)


@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN, *BARE])
def test_every_message(dialect: str) -> None:
    """
    Every message of the catalogue, in every dialect, raises its counters once.
    """
    for sample in samples():
        counts = count_lines(DIALECTS[dialect](Said(MOMENT, 5, sample.level, sample.message)))
        entries = {key: value for key, value in counts.items() if key[0] == "log_messages"}

        assert 1 == counts["lines", "recognised"]
        assert [1] == list(entries.values())
        if sample.milter:
            assert [(sample.milter, 1)] == [
                (key[1], value) for key, value in counts.items() if key[0] == "milter_messages"
            ]


@pytest.mark.parametrize(
    ("message", "key", "expected"),
    [
        (b"[milter][header][add](12): <X-Many>=<same value>: raw",
         ("milter_headers_added", "raw", "other"), 59),
        (b"[session][header][add](12): <Received-SPF>=<x>",
         ("session_headers_added", "Received-SPF"), 59),
        (b"[client][error][accept] Too many open files",
         ("log_messages", "client", "error", "[client][error][accept]"), 59),
        (b"[session][end][helo][pass][0.5](12)", ("sessions_ended", "helo", "pass"), 59),
        (b"[sessions][finished] 29(+2) 3", ("sessions_finished",), 118),
        (b"[sessions][finished] garbage", ("label_overflows", "finished"), 59),
        (b"[session][disconnected][1e999](12)", ("label_overflows", "elapsed"), 59),
        (b"[moon] text", ("lines", "unknown"), 59),
        (b"text", ("lines", "untagged"), 59),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [b"", b"[statistics] "])
def test_repeated(message: bytes, key: tuple[str, ...], expected: int, mark: bytes) -> None:
    """
    A line that syslog says was repeated counts that often, whatever it carries.
    """
    counts = count_lines(SYSLOG_START + b"message repeated 59 times: [ " + mark + message + b"]")

    assert expected == counts[key]
    assert 59 == sum(value for k, value in counts.items() if k[0] == "log_lines")


def test_repeated_very_often() -> None:
    """
    A large number of repetitions costs no more than a small one.
    """
    text = SYSLOG_START + b"message repeated 999999999 times: [ [sessions][finished] 29(+2) 3]"

    assert 2 * 999_999_999 == count_lines(text)["sessions_finished",]


def test_repeated_time() -> None:
    """
    A repeated time is observed that often.
    """
    snapshot = count_chunks(
        [
            b"\n" + SYSLOG_START + b"message repeated 4 times: [ [statistics] "
            b"[session][disconnected][0.5](12)]"
        ]
    )
    histogram = snapshot.histograms[("session_disconnected_after",)]

    assert (4, 2.0) == (sum(histogram.buckets), histogram.sum)


@pytest.mark.parametrize(
    ("elapsed", "seconds"),
    [(b"0.03372", 0.03372), (b"0", 0.0), (b"4.8e-05", 4.8e-05), (b"-1e-06", 0.0),
     (b"0,002021", 0.002021), (b"1e+03", 1000.0)],
)  # fmt: skip
@pytest.mark.parametrize("start", [SYSLOG_START, OWN_START, b""])
def test_time(elapsed: bytes, seconds: float, start: bytes) -> None:
    """
    A time is observed once, with its id as the exemplar.
    """
    text = start + b"[milter][end][helo][pass][" + elapsed + b"](77): raw"
    snapshot = count_chunks([b"\n" + text])
    histogram = snapshot.histograms["milter_duration", "raw"]
    exemplars = [exemplar for exemplar in histogram.exemplars if exemplar]

    assert (1, seconds) == (sum(histogram.buckets), histogram.sum)
    assert [("77", seconds)] == [(exemplar.id, exemplar.seconds) for exemplar in exemplars]


@pytest.mark.parametrize("elapsed", [b"1e999", b"1.2.3", b"9e", b"-", b"0x1", b"1,2,3"])
def test_bad_time(elapsed: bytes) -> None:
    """
    A time that is no number is dropped and counted, or leaves tags that are unknown.
    """
    text = SYSLOG_START + b"[session][end][helo][pass][" + elapsed + b"](77)"
    snapshot = count_chunks([b"\n" + text])
    lost = snapshot.counts.get(("label_overflows", "elapsed"), 0)

    assert {} == snapshot.histograms
    assert 1 == lost + snapshot.counts.get(("lines", "unknown"), 0) + snapshot.counts.get(
        ("lines", "untagged"), 0
    )


def test_exemplar_time() -> None:
    """
    An exemplar has the log's own time.
    """
    text = b"2026-11-22T22:07:33Z vm milter-manager[5]: [session][disconnected][0.1](9)"
    histogram = count_chunks([b"\n" + text]).histograms[("session_disconnected_after",)]
    expected = datetime(2026, 11, 22, 22, 7, 33, tzinfo=UTC).timestamp()

    assert Exemplar("9", 0.1, expected) in histogram.exemplars


@pytest.mark.parametrize("dialect", ["traditional", "iso", "rfc5424", "own-name-pid", "own-all"])
def test_in_progress(dialect: str) -> None:
    """
    Sessions in progress are the last number of each process, added up.
    """
    said = [(1, b"[sessions][finished] 9(+2) 7"), (2, b"[sessions][finished] 4(+1) 5"),
            (1, b"[sessions][finished] 10(+1) 3"), (2, b"[reader][error][read] x")]  # fmt: skip
    lines = [DIALECTS[dialect](Said(MOMENT, pid, "statistics", text)) for pid, text in said]
    snapshot = count_chunks([joined(lines)])

    assert (2, 8) == (snapshot.processes, snapshot.sessions_in_progress)
    assert 4 == snapshot.counts["sessions_finished",]


@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN, *BARE])
def test_memory(dialect: str) -> None:
    """
    The memory is the last that was said; what is no number is counted.
    """
    said = [b"[maintain][memory] (1KB) x", b"[maintain][memory] (2KB) x",
            b"[maintain][memory] (2KB) x", b"[maintain][memory] ?"]  # fmt: skip
    lines = [DIALECTS[dialect](Said(MOMENT, 1, "statistics", text)) for text in said]
    snapshot = count_chunks([joined(lines)])

    assert 2048.0 == snapshot.gauges[("memory",)]
    assert 1 == snapshot.counts["label_overflows", "memory"]
    assert 4 == snapshot.counts["lines", "recognised"]


def test_many_milters() -> None:
    """
    The hundred-and-first milter is `other`, counted as such, and stays so.
    """
    lines = [SYSLOG_START + b"[milter][end][helo][pass][0.1](5): m%d" % i for i in range(LIMIT + 9)]
    counts = count_lines(*lines, *lines)

    assert 2 == counts["milters_ended", "m0", "helo", "pass"]
    assert 18 == counts["milters_ended", "other", "helo", "pass"]
    assert 18 == counts["label_overflows", "milter"]
    assert LIMIT + 1 == len([key for key in counts if key[0] == "milters_ended"])


def test_one_milter_in_two_dialects() -> None:
    """
    A name with a tab is one milter, in syslog and in the own file.
    """
    counts = count_lines(
        SYSLOG_START + b"[milter][end][helo][pass][0.1](5): tab#011here",
        OWN_START + b"[milter][end][helo][pass][0.1](5): tab\there",
    )

    assert 2 == counts["milters_ended", "tab#011here", "helo", "pass"]
    assert 2 == counts["milter_messages", "tab#011here", "statistics", ENDED]


def test_foreign() -> None:
    """
    Other programs are counted as such, even where they use the same tags.
    """
    said = b"[statistics] [sessions][finished] 14(+3) 1"
    counts = count_lines(
        b"Nov 22 22:07:33 vm milter-test-client[3234]: " + said,
        b"Nov 22 22:07:33 vm postfix/smtpd[1]: " + said,
        b"<21>1 2026-11-22T22:07:33Z vm milter-test-client 3234 - - " + said,
        b"[2026-11-22T22:06:17Z] [milter-test-client][3234]: " + said,
        SYSLOG_START + said,
    )

    assert 4 == counts["lines", "foreign"]
    assert 3 == counts["sessions_finished",]


def test_memo_is_bounded() -> None:
    """
    However many texts there are, few are remembered, and none is lost from the count.
    """
    counted = Counted()
    counted.counting.start(SYSLOG_START)
    times = MEMO_ENTRIES + 100
    text = SYSLOG_START + b"[1] [children][error][helo][accept] [2] error %d: raw"
    counted.counting.add(joined([text % i for i in range(times)]))
    counts = counted.snapshot().counts

    assert times == counts["milter_fallbacks", "raw", "helo", "accept"]
    assert times == counts["lines", "recognised"]


def test_empty_chunk() -> None:
    """
    A chunk without lines adds nothing.
    """
    snapshot = count_chunks([b"", b""])

    assert {} == snapshot.counts
    assert 0 == snapshot.processes


@settings(max_examples=200, deadline=None)
@given(logs | uniform_logs, st.integers(0, 12), st.sampled_from([b"", SYSLOG_START]))
@example([OWN_START + b"[milter][header][add](5): <X-A>=<b", b"c>: raw"], 1, b"")
@example([OWN_START + b"[milter][header][add](5): <X-A>=<b", b"c>: raw", b"x>: y"], 2, b"")
@example([OWN_START + b"[milter][header][add](5): <X-Spam-Status>=<b"], 1, b"")
@example([b"[session][end][quit][pass][0.1](1)"] * 2, 1, b"")
@example([b"x", b"[session][end][quit][pass][0.1](1)"], 1, b"")
@example([SYSLOG_START + b"[session][end][quit][pass][0.1](1)", b"x"], 1, SYSLOG_START)
def test_restart(lines: list[bytes], at: int, head: bytes) -> None:
    """
    Wherever a run ends, another one that is given its state counts the rest as it would have.
    """
    whole = Counted()
    whole.counting.start(head)
    first, second = Counted(), Counted()
    first.counting.start(head)
    for counted, part in ((whole, lines[:at]), (whole, lines[at:]), (first, lines[:at])):
        counted.counting.add(joined(part))
    second.tally.restore(first.tally.export())
    for name in first.names:
        second.names.label(name)
    second.counting.start(b"")
    second.counting.restore(first.counting.export())
    second.counting.add(joined(lines[at:]))

    assert whole.tally.export() == second.tally.export()
    assert whole.counting.export() == second.counting.export()
    assert list(whole.names) == list(second.names)

    whole.counting.finish()
    second.counting.finish()

    assert whole.tally.export() == second.tally.export()


def test_unknown_tags() -> None:
    """
    Each line with unknown tags is counted under them, by the fast pattern and the readable path.
    """
    lines = (
        *[HEAD + b"[no][such-tag] a stranger's text %d" % i for i in range(5)],
        HEAD + b"[statistics] [no][such-tag][0.5](7) text",
        HEAD + b"[statistics] [no][such-tag] text",
        HEAD + b"message repeated 3 times: [ [no][such-tag] text]",
        HEAD + b"[another][Unknown] text",
    )
    for grammar in (FAST, READABLE):
        counted = Counted(grammar)
        counted.counting.start(b"")
        for _ in range(2):
            counted.counting.add(b"".join(b"\n" + line for line in lines))

        expected = (("[no][such-tag]", 20), ("[another][Unknown]", 2))
        assert expected == counted.recogniser.unknown_tags.ranked()
        assert 22 == counted.snapshot().counts["lines", "unknown"]


def test_dialects() -> None:
    """
    A counting knows which dialects its lines had, those of other programs aside.
    """
    counted = Counted()
    counted.counting.start(b"")
    counted.counting.add(b"\nNov 22 22:07:33 vm postfix/smtpd[1]: x")

    assert set() == counted.counting.dialects

    counted.counting.add(b"\n" + HEAD + b"[session][start](1)")
    counted.counting.add(b"\n2026-11-22T22:07:33+00:00 vm milter-manager[8]: [session][start](1)")

    assert {"traditional", "iso"} == counted.counting.dialects


@pytest.mark.parametrize("mark", [b"", b"[statistics] "])
def test_text_that_decides(mark: bytes) -> None:
    """
    A wrong text behind tags does not decide what the right one behind them is.
    """
    head = b"Nov 22 22:07:33 vm milter-manager[7]: " + mark
    wrong = head + b"[SEGV] wrong"
    right = head + b"[SEGV] unable to open pipe for collecting stack trace"
    counts = count_lines(wrong, right, right)

    assert 1 == counts["lines", "unknown"]
    assert 2 == counts["lines", "recognised"]
