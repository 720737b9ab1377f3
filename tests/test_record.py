"""
The grammar: stamps, hosts, programs and the parts of a message.
"""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from counted import FAST, PROGRAMS
from dialects import BARE, DIALECTS, OWN, SYSLOG, Said, priority
from hypothesis import given, settings
from hypothesis import strategies as st
from lines import line, logs

import exporter
from exporter.record import (
    LEARN_BYTES,
    MOST_LEARNED,
    Grammar,
    Line,
    Parts,
    Row,
    may_be_cut,
    read_message,
    stamp_dialect,
    stamp_level,
)

MOMENT = datetime(2026, 11, 22, 22, 7, 33, 19444, tzinfo=UTC)
ENDED = b"[session][end][end-of-message][reject][0.056374](1)"
SAID = Said(MOMENT, 509, "statistics", ENDED)
TRADITIONAL = b"Nov 22 22:07:33"


def parts(  # noqa: PLR0913 - one argument a field
    *,
    repeated: int = 1,
    marked: bool = False,
    tags: bytes = b"",
    elapsed: bytes = b"",
    id: bytes = b"",  # noqa: A002 - the field's name
    text: bytes = b"",
) -> Parts:
    """
    Make the parts of a message; what is not given is empty.
    """
    return Parts(repeated, marked, tags, elapsed, id, text)


@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN])
def test_dialect_of_a_stamp(dialect: str) -> None:
    """
    A stamp alone tells the dialect, the same that its line does.
    """
    read = FAST.read_line(DIALECTS[dialect](SAID))

    assert read is not None
    assert read.dialect == stamp_dialect(read.stamp)


@pytest.mark.parametrize("stamp", [b"", b"<13>"])
def test_dialect_of_no_stamp(stamp: bytes) -> None:
    """
    Without a stamp there is no dialect.
    """
    assert "bare" == stamp_dialect(stamp)


@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN])
def test_dialect(dialect: str) -> None:
    """
    A line of every dialect is ours, with its process and its message.
    """
    read = FAST.read_line(DIALECTS[dialect](SAID))
    mark = b"[statistics] " if dialect in SYSLOG else b""

    assert read is not None
    assert mark + ENDED == read.message
    if dialect not in ("own", "own-level"):
        assert b"509" == read.pid


@pytest.mark.parametrize(
    "text",
    [
        b"Nov 22 22:07:33 vm milter-manager[509]: [statistics] ",
        b"2026-11-22T22:07:33.019444+00:00 vm milter-manager[509]: [statistics] ",
        b"<21>1 2026-11-22T22:07:33.019444+00:00 vm milter-manager 509 - -  [statistics] ",
        b"2021-06-28 16:16:13.4302 milter-manager[509]:[statistics] ",
        b"[2026-11-22T22:04:44.591879Z]: ",
        b"[2026-11-22T22:04:44Z]: ",
        b"[2026-11-22T22:06:17.358286Z] [milter-manager][31154]: ",
        (
            b"[statistics][milter-manager][2026-11-22T22:05:21.901176Z] [milter-manager][30362] "
            b"../src/milter-manager.c:682: cb_client_finished(): "
        ),
    ],
)
def test_example(text: bytes) -> None:
    """
    The lines that people see are read: what LOG.md shows, to the letter.
    """
    read = FAST.read_line(text + ENDED)

    assert read is not None
    assert read.message is not None
    assert ENDED == read.message.lstrip().removeprefix(b"[statistics] ")


@pytest.mark.parametrize(
    "host",
    [
        b"", b"vm ", b"mail-1.example.net ", b"192.0.2.25 ", b"2001:db8::25 ", b"::1 ",
        b"fe80::1%eth0 ", b"::ffff:192.0.2.1 ", b"2001:db8:0:1:2:3:4:5 ",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "stamp",
    [TRADITIONAL, b"2026-11-22T22:07:33Z", b"<21>Nov  2 22:07:33", b"2026-11-22 22:07:33,5+0900"],
)
def test_host(host: bytes, stamp: bytes) -> None:
    """
    The host is a name, an address or absent.
    """
    read = FAST.read_line(stamp + b" " + host + b"milter-manager[509]: text")

    assert read is not None
    assert (stamp, host.rstrip(), b"509", b"text") == (
        read.stamp,
        read.host,
        read.pid,
        read.message,
    )


@pytest.mark.parametrize(
    ("text", "pid"),
    [
        (b"milter-manager[509]: x", b"509"),
        (b"milter-manager[509]:x", b"509"),
        (b"milter-manager: x", b""),
        (b"milter-manager []: x", b""),
        (b"milter-manager [509]: x", b"509"),
        (b"milter-manager-process-launcher[510]: x", b"510"),
    ],
)
def test_program(text: bytes, pid: bytes) -> None:
    """
    The program's lines count, whatever its process looks like.
    """
    read = FAST.read_line(TRADITIONAL + b" vm " + text)

    assert read is not None
    assert (pid, b"x") == (read.pid, read.message)


@pytest.mark.parametrize(
    "text",
    [
        TRADITIONAL + b" vm milter-test-client[3234]: [statistics] [sessions][finished] 14(+3) 1",
        TRADITIONAL + b" vm milter-manager2[509]: [statistics] " + ENDED,
        TRADITIONAL + b" vm my-milter-manager[509]: [statistics] " + ENDED,
        TRADITIONAL + b" vm Milter-Manager[509]: [statistics] " + ENDED,
        TRADITIONAL + b" vm postfix/smtpd[1]: milter-manager[509]: [statistics] " + ENDED,
        TRADITIONAL + b" postfix/smtpd[1]: milter-manager[509]: [statistics] " + ENDED,
        TRADITIONAL + b" vm dovecot: milter-manager: " + ENDED,
        TRADITIONAL + b" vm kernel: " + ENDED,
        TRADITIONAL + b" last message repeated 3 times",
        TRADITIONAL + b" ",
        b"2026-11-22T22:07:33Z vm postfix/smtpd[1]: " + ENDED,
        b"<22>1 2026-11-22T22:07:33Z vm postfix/smtpd 1 - - " + ENDED,
        b"[2026-11-22T22:06:17Z] [milter-test-client][3234]: " + ENDED,
        b"<22>Nov 22 22:07:33 vm postfix/smtpd[1]: " + ENDED,
    ],
)
def test_foreign(text: bytes) -> None:
    """
    A stamped line of another program is not ours, whatever it says.
    """
    read = FAST.read_line(text)

    assert read is not None
    assert read.message is None


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", ENDED, b"[statistics] " + ENDED, b"milter-manager[509]: " + ENDED,
        b" Nov 22 22:07:33 vm milter-manager[509]: " + ENDED,
        b"x Nov 22 22:07:33 vm milter-manager[509]: " + ENDED,
        b"nov 22 22:07:33 vm milter-manager[509]: " + ENDED,
        b"Nov 22 2:07:33 vm milter-manager[509]: " + ENDED,
        b" [2026-11-22T22:04:44Z]: " + ENDED,
        b"\tURIBL_DBL_SPAM autolearn=no>: policy",
    ],
)  # fmt: skip
def test_no_stamp(text: bytes) -> None:
    """
    A stamp stands at the start of the line or nowhere.
    """
    assert FAST.read_line(text) is None


def test_other_programs() -> None:
    """
    The names to be counted are configured, signs and all, and no others count.
    """
    grammar = Grammar(["mm", "mm-long", "a.b"])
    text = TRADITIONAL + b" vm %s[5]: x"
    ours = [
        name
        for name in (b"mm", b"mm-long", b"a.b", b"axb", b"mm-longer", b"milter-manager")
        if (read := grammar.read_line(text % name)) and read.message is not None
    ]

    assert [b"mm", b"mm-long", b"a.b"] == ours
    assert 3 == len(
        grammar.find_rows(
            b"".join(b"\n" + text % name for name in (b"mm", b"mm-long", b"a.b", b"axb"))
        )
    )
    assert Line("own", b"[2026-11-22T22:06:17Z]", b"", b"mm", b"", b"x") == grammar.read_line(
        b"[2026-11-22T22:06:17Z] [mm]: x"
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", parts()),
        (
            b"[statistics] " + ENDED,
            parts(
                marked=True,
                tags=b"[session][end][end-of-message][reject]",
                elapsed=b"0.056374",
                id=b"1",
            ),
        ),
        (b" [7] [a][b] text", parts(tags=b"[a][b]", text=b" text")),
        (b"[7] text", parts(text=b"text")),
        (b"[a][--b-c][D_e] [5] x", parts(tags=b"[a][--b-c][D_e]", text=b" [5] x")),
        (b"[a]<X>=<y> [1] z", parts(tags=b"[a]", text=b"<X>=<y> [1] z")),
        (b"[a](5): b", parts(tags=b"[a]", id=b"5", text=b": b")),
        (b"[a][0,002](5)", parts(tags=b"[a]", elapsed=b"0,002", id=b"5")),
        (b"[a] (24560KB)", parts(tags=b"[a]", text=b" (24560KB)")),
        (b"[a][b", parts(tags=b"[a]", text=b"[b")),
        (b"[a][b c]", parts(tags=b"[a]", text=b"[b c]")),
        (b"text [a][b]", parts(text=b"text [a][b]")),
        (
            b"message repeated 59 times: [ [statistics] [a](5): b]",
            parts(repeated=59, marked=True, tags=b"[a]", id=b"5", text=b": b"),
        ),
        (b"message repeated 2 times: [ [a] b]]", parts(repeated=2, tags=b"[a]", text=b" b]")),
        (
            b"message repeated many times: [ [a]]",
            parts(text=b"message repeated many times: [ [a]]"),
        ),
        (b"\xff\x00", parts(text=b"\xff\x00")),
    ],
)
def test_read_message(message: bytes, expected: Parts) -> None:
    """
    A message is a mark, an id, a run of tags, a time, an id and a text, each of them optional.
    """
    assert expected == read_message(message)


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (b"<16>Nov 22", "critical"), (b"<17>Nov 22", "critical"), (b"<18>Nov 22", "critical"),
        (b"<19>Nov 22", "error"), (b"<20>Nov 22", "warning"), (b"<21>1 2026", "message"),
        (b"<22>1 2026", "info"), (b"<23>1 2026", "debug"), (b"<191>1 2026", "debug"),
        (b"<999>1 2026", "debug"), (b"Nov 22", None), (b"", None), (b"2026", None),
        (b"[2026-11-22T22:04:44Z]", None), (b"[error][2026-11-22T22:04:44Z]", "error"),
        (b"[statistics][milter-manager][2026-11-22T22:04:44Z]", "statistics"),
        (b"[milter-manager][2026-11-22T22:04:44Z]", None), (b"[][2026-11-22T22:04:44Z]", None),
    ],
)  # fmt: skip
def test_stamp_level(stamp: bytes, expected: str | None) -> None:
    """
    PRI and the own file's level item tell the level, other stamps do not.
    """
    assert expected == stamp_level(stamp)


@pytest.mark.parametrize("level", ["critical", "error", "warning", "message"])
def test_priority(level: str) -> None:
    """
    The severity that the program gives syslog leads back to its level.
    """
    assert level == stamp_level(priority(Said(MOMENT, 1, level, b"")))


@pytest.mark.parametrize(
    ("length", "expected"),
    [(0, False), (829, False), (830, True), (1000, True), (1024, True), (1025, False),
     (4096, False),      (8000, True), (8095, True), (8192, True), (20000, False)],
)  # fmt: skip
def test_may_be_cut(length: int, expected: bool) -> None:  # noqa: FBT001
    """
    Lines are cut near 1 KiB and near 8 KiB.
    """
    assert expected == may_be_cut(length)


def test_rows() -> None:
    """
    The fast pattern finds our lines, hands over those without a stamp, and leaves out the others'.
    """
    chunk = b"".join(
        b"\n" + text
        for text in (
            TRADITIONAL + b" vm milter-manager[509]: [statistics] " + ENDED,
            TRADITIONAL + b" vm postfix/smtpd[1]: connect",
            TRADITIONAL + b" vm milter-manager[510]: [1] [leader][error] text",
            TRADITIONAL + b" vm milter-manager[510]: [milter][header][add](2): <X-A>=<b>: raw",
            TRADITIONAL + b" vm milter-manager[510]: RuntimeError: boom",
            b"no stamp",
        )
    )
    expected = [
        Row(TRADITIONAL, b"509", b"[statistics] [session][end][end-of-message][reject]",
            b"", b"0.056374", b"1", b""),
        Row(TRADITIONAL, b"510", b"[leader][error]", b"", b"", b"", b" text"),
        Row(TRADITIONAL, b"510", b"[milter][header][add]", b"X-A", b"", b"", b"<b>: raw"),
        Row(TRADITIONAL, b"510", b"", b"", b"", b"", b"RuntimeError: boom"),
        Row(b"", b"", b"", b"", b"", b"", b"no stamp"),
    ]  # fmt: skip

    assert expected == FAST.find_rows(chunk)


OPENINGS = (
    b"Nov 22 22:07:33 vm ",
    b"Nov  2 22:07:33.019 mail.example.net ",
    b"2026-11-22T22:07:33.019444+00:00 mail-1 ",
    b"2021-06-28 16:16:13,4302 vm ",
)
"""What many lines may begin with: of two dialects, each with its two ways to write the day."""


def learned(*openings: bytes) -> Grammar:
    """
    Make a grammar that has read long logs whose lines begin so.
    """
    grammar = Grammar(PROGRAMS)
    for opening in openings:
        foreign = b"\n" + opening + b"x: y" * 1000
        for _ in range(2):
            grammar.find_rows(foreign * (LEARN_BYTES // len(foreign) + 1))
    return grammar


LEARNED = learned(*OPENINGS)
UNLEARNED = Grammar(PROGRAMS)


def test_learns() -> None:
    """
    A pattern is made for what a long log's lines begin with, and only for a few such logs.
    """
    few = Grammar(PROGRAMS)
    few.find_rows(b"\n" + OPENINGS[0])
    many = learned(*(b"Nov 22 22:07:33 host%d " % i for i in range(MOST_LEARNED + 3)))
    for i in range(MOST_LEARNED + 3):
        many.find_rows(b"\nNov 22 22:07:33 new%d x" % i)

    assert ([], 4, MOST_LEARNED) == (
        list(few.learned), len(LEARNED.learned), len(many.learned),
    )  # fmt: skip
    assert len(many.unlearned) <= MOST_LEARNED
    assert not learned(b"Nov 22 22:07:33 %s " % (b"x" * 256)).learned


@pytest.mark.parametrize("opening", OPENINGS)
def test_learned_openings(opening: bytes) -> None:
    """
    What was learnt changes no row: of lines that begin so, that begin nearly so, and of others.
    """
    day, host = opening[:7], opening.split()[-1]
    said = b"milter-manager[509]: [statistics] " + ENDED
    stamp = opening.removesuffix(host + b" ")
    lines = (
        opening + said, opening + b"postfix/smtpd[1]: " + said, opening + opening + said,
        stamp + said, stamp + host + said, stamp + b"other " + said, stamp + host + b":1 " + said,
        stamp + b"::1 " + said, stamp.rstrip() + said, opening[1:] + said, day + said,
        stamp.replace(b":07", b":7") + host + b" " + said, opening.upper() + said, opening, stamp,
        opening.replace(b"22:07", b"23:08") + b"milter-manager: text", b"", said,
        *(other + said for other in OPENINGS),
    )  # fmt: skip
    chunk = b"\n" + b"\n".join((opening + b"x: y", *lines))

    assert opening.split()[-1] + b" " in {key[-1] for key in LEARNED.learned}
    assert Grammar(PROGRAMS).find_rows(chunk) == LEARNED.find_rows(chunk)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(OPENINGS), logs)
def test_learned_any(opening: bytes, texts: list[bytes]) -> None:
    """
    What was learnt changes no row of any log.
    """
    chunk = b"\n" + b"\n".join((opening + b"x: y", *texts))

    assert UNLEARNED.find_rows(chunk) == LEARNED.find_rows(chunk)


@settings(max_examples=300, deadline=None)
@given(line)
def test_any_line(text: bytes) -> None:
    """
    Any line is read or not, and what is read is what stands in it.
    """
    read = FAST.read_line(text)

    assert read is None or text.startswith(read.stamp)
    assert read is None or read.message is None or text.endswith(read.message)


@settings(max_examples=300, deadline=None)
@given(st.binary())
def test_any_message(message: bytes) -> None:
    """
    Any bytes are a message, and its text is their end.
    """
    read = read_message(message)

    assert message.endswith((read.text, read.text + b"]"))
    assert len(read.id) <= 20


@settings(max_examples=300, deadline=None)
@given(logs)
def test_rows_are_ours(texts: list[bytes]) -> None:
    """
    The lines that the fast pattern leaves out are those of other programs, no more and no fewer.
    """
    rows = [Row(*row) for row in FAST.find_rows(b"".join(b"\n" + text for text in texts))]
    handed_over = [row.text for row in rows if not row.stamp]
    foreign = [
        text
        for text in texts
        if (read := FAST.read_line(text)) and read.message is None and text not in handed_over
    ]

    assert len(texts) - len(foreign) == len(rows)


def test_no_possessive_groups() -> None:
    """
    No pattern has a possessive group: Debian 12's Python loses its place in one that fails.
    """
    modules = Path(exporter.__file__).parent.glob("*.py")
    found = [
        (module.name, text)
        for module in modules
        for text in re.findall(r"\)(?:[?*+]|\{[\d,]+\})\+(?!,)", module.read_text())
    ]

    assert [] == found


@pytest.mark.parametrize(
    "hard",
    [
        b"[" * 200_000, b"[a]" * 70_000, b"<" * 200_000, b": <X>=<" + b">: " * 60_000,
        b"message repeated 1 times: [" * 8_000, b"0:" * 100_000, b'[x a="' + b"\\" * 200_000,
        b"[1] " * 50_000, b"(" + b"1" * 200_000,
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN, *BARE])
def test_linear(hard: bytes, dialect: str) -> None:
    """
    No line of 200 kB takes longer than a moment, whatever it repeats.
    """
    text = DIALECTS[dialect](Said(MOMENT, 509, "error", hard))
    began = time.process_time()
    FAST.find_rows(b"\n" + text)
    LEARNED.find_rows(b"\n" + OPENINGS[0] + b"x: y\n" + text)
    read = FAST.read_line(text)
    read_message(read.message if read and read.message else text)

    assert time.process_time() - began < 1.0
