"""
What messages say: every entry of the catalogue, its words, its milter and its values.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from counted import FAST
from dialects import BARE, DIALECTS, Said, Sample, entries, samples
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import anything

from exporter.catalogue import load_catalogue
from exporter.milters import LIMIT, MilterNames
from exporter.recognise import (
    HEADERS,
    Reading,
    Recogniser,
    find_of_header,
    read_elapsed,
    read_finished,
    read_memory,
)
from exporter.record import SYSLOG_SEVERITIES, read_message, stamp_level

MOMENT = datetime(2026, 11, 22, 22, 7, 33, 19444, tzinfo=UTC)
TAGS = {
    entry.number: entry.documented_tags.removeprefix("(not documented) ").replace("#{", "{")
    for entry in entries()
}
SAMPLES = samples()
GLIB = ("X6", "X7", "X8", "X9")


def read(
    message: bytes, *, known: tuple[bytes, ...] = (), stamped_level: str | None = None
) -> Reading:
    """
    Read one message, with some milters known.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames(known))
    return recogniser.recognise(read_message(message), stamped_level)


def number(reading: Reading) -> str:
    """
    Give the number of the entry that was found.
    """
    return reading.message.number if reading.message else reading.outcome


def told(sample: Sample, dialect: str) -> bool:
    """
    Say whether a line shows its level: GLib's four messages differ in nothing else.
    """
    return sample.number not in GLIB or dialect in ("priority", "rfc5424", "own-level", "own-all")


def test_samples_are_complete() -> None:
    """
    There is a sample of every format of every message that can be told from others.
    """
    expected = {
        entry.number: len(entry.formats)
        for entry in entries()
        if entry.number != "124" and not entry.documented_tags.endswith("(untagged)")
    }
    actual = dict.fromkeys(expected, 0)
    for sample in SAMPLES:
        actual[sample.number] += 1

    assert expected == actual


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("leading", [b"", b"[4711] "])
def test_every_message(dialect: str, leading: bytes) -> None:
    """
    Every message is found in every dialect, with or without an id in front: level, words, milter.
    """
    for sample in SAMPLES:
        message = leading + sample.message.removeprefix(b"[224] ")
        line = DIALECTS[dialect](Said(MOMENT, 509, sample.level, message))
        found = None if dialect in BARE else FAST.read_line(line)
        said = line if dialect in BARE else found.message if found else None
        assert said is not None
        stamped = stamp_level(found.stamp) if found else None
        reading = read(said, stamped_level=stamped)

        assert "recognised" == reading.outcome
        assert reading.message is not None
        assert TAGS[sample.number] == reading.message.tags
        assert sample.words == reading.words or sample.number == "45" or sample.number in GLIB
        assert (sample.milter or None) == reading.milter
        assert () == reading.dropped
        if told(sample, dialect):
            assert sample.number == reading.message.number
            assert sample.level == reading.level


@pytest.mark.parametrize(
    ("message", "expected", "words"),
    [
        (b"[1] [children][timeout][reading] [5] raw", "105", {"phase": "reading"}),
        (b"[1] [children][timeout][writing] [5] raw", "104", {"phase": "writing"}),
        (b"[1] [children][timeout][end-of-message] [5] raw", "106", {"phase": "end-of-message"}),
        (b"[1] [children][error][invalid-state][reject] [5] raw", "99", {"response": "reject"}),
        (b"[1] [children][error][invalid-state][stopped] [5] raw", "102", {"response": "stopped"}),
        (b"[client][option][deprecated] use --unix-socket-group instead", "45", {}),
    ],
)
def test_documented_spelling(message: bytes, expected: str, words: Mapping[str, str]) -> None:
    """
    The documented tags are found as well where the program prints more of them.
    """
    reading = read(message)

    assert expected == number(reading)
    assert words == reading.words


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"[1] [server][error] [raw] x", "50"), (b"[1] [server][error][write] [raw] x", "51"),
        (b"[1] [children][error][body][send] [5] x: raw", "120"),
        (b"[1] [children][error][body][send][seek] [5] x: raw", "119"),
        (b"[1] [children][error][body][accept] [5] x: raw", "107"),
        (b"[1] [children][error][body][read] x", "97"),
        (b"[1] [children][error][negotiate] [5] x: raw", "94"),
        (b"[1] [children][error][negotiate][no-response]", "111"),
        (b"[1] [children][error][negotiate][accept] [5] x: raw", "107"),
        (b"[process-launcher][error] failed to detach IO: x", "72"),
        (b"[process-launcher][error][start] x", "71"),
        (b"[egg][error] must set connection spec: raw", "121"),
        (b"[egg][error][set-spec] <raw>: x", "122"),
        (b"[1] [leader][error] x", "85"), (b"[1] [leader][error][add-header] x", "87"),
    ],
)  # fmt: skip
def test_whole_runs(message: bytes, expected: str) -> None:
    """
    Only whole runs of tags match, fixed ones before those with words.
    """
    assert expected == number(read(message))


@pytest.mark.parametrize(
    "message",
    [
        b"[5] [server][timeout][reading][registered][3]", b"[1] [reader][callback][error][start]",
        b"[1] [children][milter][end][abort] [5] raw", b"[manager][sessions][finished] 1",
        b"[1] [client][reply][end-of-message][temporary-failure]", b"[session][start](5)",
        b"[milter][start](5): raw", b"[reply][end-of-message][continue](5)", b"[abort]",
        b"[1] [children][error][moon][accept] [5] x: raw", b"[server][error][raw] x",
        b"[session][end][helo][pass](5)", b"[session][end][helo][pass][inf](5)",
        b"[session][disconnected](5)", b"[reader][error][read][0.5](5)",
        b"[reader][error][read]glued", b"[SEGV] something else", b"[Moon] text",
        b"[1] [children][error][invalid-state][moon] [5] x",
    ],
)  # fmt: skip
def test_look_alikes(message: bytes) -> None:
    """
    Harmless lines of the lower levels, old ones and part runs are tags that we do not know.
    """
    reading = read(message)

    assert ("unknown", None, None) == (reading.outcome, reading.message, reading.milter)
    assert "unknown" == reading.level


@pytest.mark.parametrize(
    "message",
    [
        b"", b" ", b"RuntimeError: boom", b"/usr/lib/milter-manager:5:in `guard'",
        b"text [session][end][helo][pass][0.1](5)", b"[5] text", b"[not a tag] text", b"[5]", b"[]",
        b"[0.5](3)", b"(5): failed to listen: x", b"\xff\xfe", b"failed to",
    ],
)  # fmt: skip
def test_untagged(message: bytes) -> None:
    """
    A message without tags is untagged; tags later in it are text.
    """
    reading = read(message)

    assert ("untagged", "unknown", None) == (reading.outcome, reading.level, reading.message)


@pytest.mark.parametrize("message", [b"[moon] text", b"text"])
@pytest.mark.parametrize(
    ("mark", "stamped_level", "expected"),
    [
        (b"", None, "unknown"), (b"", "info", "info"), (b"", "error", "error"),
        (b"[statistics] ", None, "statistics"), (b"[statistics] ", "message", "statistics"),
    ],
)  # fmt: skip
def test_level_of_unknown(
    message: bytes, mark: bytes, stamped_level: str | None, expected: str
) -> None:
    """
    What the catalogue lacks has the level of syslog's mark, else of the stamp, else none.
    """
    assert expected == read(mark + message, stamped_level=stamped_level).level


@pytest.mark.parametrize("stamped_level", [None, "info", "debug", "critical"])
def test_level_of_known(stamped_level: str | None) -> None:
    """
    What the catalogue has is of the catalogue's level.
    """
    assert "error" == read(b"[client][error][accept] x", stamped_level=stamped_level).level


@pytest.mark.parametrize(
    ("level", "expected"),
    [("error", "X6"), ("critical", "X7"), ("warning", "X8"), ("message", "X9")],
)
@pytest.mark.parametrize("domain", [b"GLib", b"GLib-GObject", b"milter-core"])
def test_glib(level: str, expected: str, domain: bytes) -> None:
    """
    A library's message is one of four: the stamp tells which.
    """
    reading = read(b"[" + domain + b"] assertion failed", stamped_level=level)

    assert (expected, level) == (number(reading), reading.level)


NAMES = (
    "raw", "name with spaces", "[brackets]", "paren(1): colon", "<x>=<y>", "日本語ミルター", "",
    "(null)", "(unknown)", 'quote"back\\slash', "a>b", "milter[1]", "[1] x", "5",
)  # fmt: skip
AMBIGUOUS = {"paren(1): colon", "[1] x"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.milter], ids=lambda s: s.number)
def test_odd_name(name: str, sample: Sample) -> None:
    """
    Every message names any milter, at once or, where two readings are possible, once it is known.
    """
    message = sample.message.replace(b"spam-filter", name.encode())
    known = (name.encode(),) if name in AMBIGUOUS else ()

    assert name == read(message, known=known).milter


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ((b"[milter][header][add](55): <X-Bracket>=<[milter][end][helo][reject][0.1](9): evil>: "
         b"policy"), "policy"),
        (b"[milter][header][add](55): <X-Tricky>=<a>: fake-name>: policy", "policy"),
        (b"[milter][header][add](55): <X-Tricky2>=<<a>=<b>: policy: x>: policy", "policy"),
        (b"[milter][header][add](55): <X-Empty>=<>: policy", "policy"),
        (b"[milter][header][add](55): <X-Name>=<a>: ", ""),
        (b"[milter][header][add](55): <X-Name>=<a>:", ""),
        ((b"[29] [children][error][invalid-state][add-header][header]<X-Foo>=<bar [a][b]> [1] only "
         b"allowed in end of message session: bad milter"), "bad milter"),
        ((b"[29] [children][error][invalid-state][quarantine][helo][x][y] [1] only allowed in end "
         b"of message session: bad milter"), "bad milter"),
        ((b"[29] [children][error][invalid-state][progress][helo] [1] only allowed in end of "
         b"message session: bad milter"), "bad milter"),
        ((b"[29] [children][error][invalid-state][add-header][helo]<X>=<1] only allowed in end of "
         b"message session: evil> [1] only allowed in end of message session: raw"), "raw"),
        ((b"[25] [children][error][envelope-from][accept] [28] Decode error: SMTP reply code <999> "
         b"should be 4XX or 5XX.:"), ""),
        (b"[1] [children][error][negotiate] no child here", None),
        (b"[1] [children][timeout][connection] no id", "other"),
        (b"[milter][end][helo][stop][0.1](5)", "other"),
        (b"[milter][header][add](5)", "other"),
        (b"[1] [server][error] no brackets", "other"),
        (b"[1] [server][timeout][connection] [raw", "other"),
        (b"[1] [server][dispose][body][remained] [raw]", "other"),
        (b"[egg][error][set-spec] no name", "other"),
    ],
)  # fmt: skip
def test_name(message: bytes, expected: str | None) -> None:
    """
    A header's value is a stranger's and names nobody; a name that is lost is `other`.
    """
    assert expected == read(message).milter


@pytest.mark.parametrize(
    "message",
    [
        b"[milter][header][add](5): <X-Long>=<%s>: opendk",
        b"[milter][header][add](5): <X-Long>=<%s",
        b"[milter][header][add](5): <X-Long>=<a>: b%s",
        b"[1] [children][error][helo][accept] [2] error: %s: opendk",
        (
            b"[1] [children][error][invalid-state][add-header][helo]<X>=<%s> [2] only allowed in "
            b"end of message session: opendk"
        ),
    ],
)
@pytest.mark.parametrize("length", [1024, 8095])
def test_cut(message: bytes, length: int) -> None:
    """
    A line cut by syslog names no milter, but one that was known before.
    """
    stamp = b"Nov 22 22:10:34 vm milter-manager[22077]: "
    filling = length - len(stamp) - len(message) + 2
    cut = message % (b"x" * filling)
    recogniser = Recogniser(load_catalogue(), MilterNames([b"opendkim"]))
    reading = recogniser.recognise(read_message(cut), None)

    assert length == len(stamp + cut)
    assert "other" == reading.milter
    assert [b"opendkim"] == list(recogniser.names)
    if cut.endswith(b": opendk"):
        assert "opendk" == read(cut, known=(b"opendk",)).milter


def test_too_many_names() -> None:
    """
    The hundred-and-first milter is `other`, and no name is remembered beyond it.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames())
    readings = [
        recogniser.recognise(read_message(b"[milter][end][helo][pass][0.1](5): m%d" % i), None)
        for i in range(LIMIT + 50)
    ]

    assert [f"m{i}" for i in range(LIMIT)] + ["other"] * 50 == [r.milter for r in readings]
    assert LIMIT == len(recogniser.names)


@pytest.mark.parametrize(
    ("message", "words", "dropped"),
    [
        (b"[milter][end][moon][pass][0.1](5): raw", {"last_state": "other", "status": "pass"},
         ("last_state",)),
        (b"[session][end][helo][newly][0.1](5)", {"last_state": "helo", "status": "other"},
         ("status",)),
        (b"[1] [children][timeout][reading][moon][newly] [5] raw",
         {"phase": "reading", "state": "other", "fallback_status": "other"},
         ("state", "fallback_status")),
        (b"[1] [server][error][newly][state][invalid][helo] [raw] x",
         {"response": "other", "state": "helo"}, ("response",)),
        (b"[session][end][helo-replied][abort][0.1](5)",
         {"last_state": "helo-replied", "status": "abort"}, ()),
        (b"[1] [server][reply][quitted][finished][connection-failure] [raw]",
         {"state": "finished", "response": "connection-failure"}, ()),
    ],
)  # fmt: skip
def test_words(message: bytes, words: Mapping[str, str], dropped: tuple[str, ...]) -> None:
    """
    Words come from the lists, the undocumented ones included; a new one is `other` and noted.
    """
    reading = read(message)

    assert words == reading.words
    assert dropped == reading.dropped


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Received-SPF", "Received-SPF"), (b"received-spf", "Received-SPF"),
        (b"X-SPAM-FLAG", "X-Spam-Flag"), (b"X-Secret-12345", "other"), (b"", "other"),
        (b"\xff", "other"), (b"Received-SPF ", "other"), (b"X" * 5000, "other"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("tags", [b"[milter][header][add]", b"[session][header][add]"])
def test_header(tags: bytes, header: bytes, expected: str) -> None:
    """
    Well-known headers are labels in their usual spelling, all others are one.
    """
    reading = read(tags + b"(5): <" + header + b">=<value>: raw")

    assert expected == reading.header
    assert (expected == "other") == ("header" in reading.dropped)


def test_headers() -> None:
    """
    The list of well-known headers is in order and holds none twice.
    """
    assert len(HEADERS) == len({name.lower() for name in HEADERS})
    assert "other" not in HEADERS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"[1] [leader][error] invalid state to reply: connect-replied: continue", True),
        (b"[1] [leader][error] invalid state to reply: helo-replied: continue", True),
        (b"[1] [leader][error] All milters are no longer alive.", False),
        (b"[1] [leader][error] x: invalid state to reply: y", False),
        (b"[1] [leader][error][invalid-state] invalid state to reply: y", False),
        (b"[1] [children][error][alive] invalid state to reply: y", False),
    ],
)
def test_harmless(message: bytes, expected: bool) -> None:  # noqa: FBT001
    """
    The noise of a healthy server is told from the leader's other errors by its text.
    """
    assert expected == read(message).harmless


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0.03372", 0.03372), (b"12.6153", 12.6153), (b"0", 0.0), (b"4.8e-05", 4.8e-05),
        (b"1e+06", 1e6), (b"0,002021", 0.002021), (b"4,8e-05", 4.8e-05), (b"-1e-06", 0.0),
        (b"-0", 0.0), (b"-12,5", 0.0), (b"+3", 3.0), (b"5.", 5.0), (b"1E3", 1000.0),
        (b"1e308", None), (b"999999999", 999999999.0), (b"1e-999", 0.0), (b"0" * 400 + b"1", 1.0),
        (b"1e999", None), (b"-1e999", None), (b"9" * 400, None), (b"", None), (b".", None),
        (b".5", None), (b"1.2.3", None), (b"1,2,3", None), (b"1_0", None), (b"0x10", None),
        (b"1e", None), (b"e5", None), (b"nan", None), (b"inf", None), (b"1 ", None),
        (b"1\n", None), ("\uff11".encode(), None), (b"\xff", None),
    ],
)  # fmt: skip
def test_elapsed(text: bytes, expected: float | None) -> None:
    """
    Every form of %g is seconds, with either decimal sign; less than nothing is nothing.
    """
    assert expected == read_elapsed(text)


@settings(max_examples=200)
@given(st.floats(0, 1e8), st.sampled_from([".", ","]))
def test_any_elapsed(seconds: float, sign: str) -> None:
    """
    Whatever %g makes of a number is read back as %g left it.
    """
    text = f"{seconds:g}"

    assert float(text) == read_elapsed(text.replace(".", sign).encode())


@settings(max_examples=200)
@given(st.binary(max_size=30))
def test_garbage_elapsed(text: bytes) -> None:
    """
    Any bytes are a finite number that is not negative, or none.
    """
    seconds = read_elapsed(text)

    assert seconds is None or 0 <= seconds < float("inf")


FINISHED = {
    b" 29(+2) 3": (b"2", b"3"), b" 0(+0) 0": (b"0", b"0"), b" 1(+1) \xb2": (b"", b""),
    **dict.fromkeys((b" 29(+2) 3 ", b"29(+2) 3", b" 29(2) 3", b" 29(+-2) 3"), (b"", b"")),
    **dict.fromkeys((b"", b" 1", b" " + b"9" * 5000 + b"(+1) 1", b" 29(+2) 3\r"), (b"", b"")),
}  # fmt: skip


@pytest.mark.parametrize("text", FINISHED)
def test_finished(text: bytes) -> None:
    """
    The sessions of a process are three numbers, or nothing.
    """
    assert [FINISHED[text]] == read_finished([text])


@given(st.lists(st.sampled_from(list(FINISHED)), min_size=1))
def test_finished_together(texts: list[bytes]) -> None:
    """
    Each text is read by itself, whatever stands beside it.
    """
    assert [FINISHED[text] for text in texts] == read_finished(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b" (24560KB) total:301 Proc:12 GLib::Object:7", 24560 * 1024), (b" (0KB)", 0),
        (b" (KB)", None), (b" (-1KB) x", None), (b" (1MB)", None), (b"(1KB)", None),
        (b" (" + b"9" * 5000 + b"KB)", None), (b"", None),
    ],
)  # fmt: skip
def test_memory(text: bytes, expected: int | None) -> None:
    """
    Memory is given in KB, between parentheses.
    """
    assert expected == read_memory(text)


@settings(max_examples=500, deadline=None)
@given(anything, st.sampled_from([None, "error", "info"]))
def test_any_message(message: bytes, stamped_level: str | None) -> None:
    """
    Whatever is said is read, in labels that UTF-8 can encode, and the same way again.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames())
    reading = recogniser.recognise(read_message(message), stamped_level)

    assert (reading.message is not None) == (reading.outcome == "recognised")
    assert all(word.isascii() for word in reading.words.values())
    assert reading.milter is None or reading.milter.encode().decode() == reading.milter
    assert len(recogniser.names) <= 1


def test_long_signature() -> None:
    """
    The longest signatures are as long as what an old syslog cut, and still name their milter.
    """
    text = b": <DKIM-Signature>=<v=1; b=" + b"A" * 900 + b">: opendkim"

    assert b"opendkim" == find_of_header(MilterNames(), text)


def test_long_header() -> None:
    """
    Another header as long as what an old syslog cut names no new milter, but one that is known.
    """
    text = b": <X-Report>=<" + b"A" * 900 + b">: policy"

    assert find_of_header(MilterNames(), text) is None
    assert b"policy" == find_of_header(MilterNames([b"policy"]), text)


def test_header_line() -> None:
    """
    A header line can be read again from its level and header alone, but for milter and value.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames())
    line = b"[milter][header][add](5): <X-Spam-Status>=<Yes>: spam"
    reading = recogniser.recognise(read_message(line), None)

    assert reading.header

    again = recogniser.header_line(reading.level, reading.header)

    assert replace(reading, milter="other", checks=()) == again


def test_checks() -> None:
    """
    A header that a child added says something of the mail; the one that the mail got says it again.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames())
    checks = [
        recogniser.recognise(read_message(line), None).checks
        for line in (
            b"[milter][header][add](5): <X-Spam-Flag>=<YES>: spam",
            b"[session][header][add](5): <X-Spam-Flag>=<YES>",
        )
    ]

    assert [(("spam-flag", "yes"),), ()] == checks


SAID_AT_ALL_LEVELS = [
    *(sample.message for sample in SAMPLES),
    *(b"[statistics] " + sample.message for sample in SAMPLES),
    *(sample.message[: sample.message.rfind(b"]") + 1] + b" else" for sample in SAMPLES),
    b"[no][such-tag] text",
    b"no tags",
]


def test_depends_on_level() -> None:
    """
    Where a level may change what a message means it is known beforehand, and where not as well.
    """
    recogniser = Recogniser(load_catalogue(), MilterNames())
    changing, asked = set(), set()
    for message in SAID_AT_ALL_LEVELS:
        parts = read_message(message)
        readings = [recogniser.recognise(parts, level) for level in (None, *SYSLOG_SEVERITIES)]
        changing |= {message} if any(one != readings[0] for one in readings) else set()
        asked |= {message} if recogniser.depends_on_level(parts) else set()

    assert changing <= asked
    assert len(asked - changing) < len(SAMPLES) / 10
    assert len(changing) > len(GLIB)
    assert len(asked) < len(SAID_AT_ALL_LEVELS) / 2
