"""
What headers say of mail: in words of fixed lists, whoever wrote the header.
"""

import re
import time

import mail_checks_count
import msgspec
import pytest
from counted import FAST, READABLE, Counted, count_chunks, count_lines
from dialects import BARE, DATA, DIALECTS, OWN, SYSLOG, Said, read_own_file, render
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lines import MOMENT
from prometheus_client import CollectorRegistry, generate_latest
from running import read_samples
from test_golden import GOLDEN, PREFIXES
from test_totals import CAPTURES, NATIVE, count, read_capture

from exporter.collector import TallyCollector
from exporter.counting import CountingState
from exporter.mailchecks import MOST_BYTES, READERS, RESULTS, find_checks
from exporter.recognise import HEADERS
from exporter.tally import Key

AUTH = "Authentication-Results"
SYSLOG_START = b"Nov 22 22:07:33 vm milter-manager[509]: [statistics] "
OWN_START = b"[2026-11-22T22:04:44.591879Z]: "
ADDED = b"[milter][header][add](5): <%s>=<%s>: %s"
CHECKS = {
    *mail_checks_count.METHODS, "received-spf", "spam", "spam-flag", "spam-status", "uribl",
    "virus", "greylist", "tarpit", "other",
}  # fmt: skip
WORDS = {
    *(word for words in mail_checks_count.METHODS.values() for word in words), "yes", "no",
    "clean", "infected", "delayed", "whitelisted", "spf-compliant", "listed", "blocked", "other",
}  # fmt: skip


def checks_in(counts: dict[Key, int]) -> dict[Key, int]:
    """
    Leave only milter, check and result.
    """
    return {key[1:]: value for key, value in counts.items() if key[0] == "mail_checks" and value}


def said(header: bytes, value: bytes, milter: bytes = b"policy") -> bytes:
    """
    Write what the program says of a header.
    """
    return ADDED % (header, value, milter)


def test_registry() -> None:
    """
    The results are those of the registry, which the second count has by itself.
    """
    assert {method: set(words) for method, words in mail_checks_count.METHODS.items()} == {
        method: set(words) for method, words in RESULTS.items()
    }


@pytest.mark.parametrize("method", RESULTS)
def test_results(method: str) -> None:
    """
    Each method has each of its results, in small letters and in capitals, and other for the rest.
    """
    for result in (*RESULTS[method], "moon", "x", ""):
        expected = (method, result if result in RESULTS[method] else "other")
        value = f"mail.example.net; {method}={result}"

        assert (expected,) == find_checks(AUTH, value.encode())
        assert (expected,) == find_checks(AUTH, value.upper().encode())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", []),
        (b"  \t", []),
        (b"mail.example.net", []),
        (b"mail.example.net; none", []),
        (b"mail.example.net 1; none", []),
        (b"a; spf=pass; dkim=fail; dmarc=none", ["spf pass", "dkim fail", "dmarc none"]),
        (b"a;spf=pass;dkim=fail", ["spf pass", "dkim fail"]),
        (b"a; dkim=pass; dkim=pass; dkim=fail", ["dkim pass", "dkim pass", "dkim fail"]),
        (b"a; sender-id=softfail; dkim-adsp=nxdomain",
         ["sender-id softfail", "dkim-adsp nxdomain"]),
        (b"a; iprev=pass policy.iprev=192.0.2.1; auth=pass (cram-md5) smtp.auth=x",
         ["iprev pass", "auth pass"]),
        (b"a; arc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1", ["arc pass"]),
        (b"spf=pass smtp.mailfrom=x; dkim=none", ["spf pass", "dkim none"]),
        # properties and reasons are no results
        (b'a; dkim=fail reason="b; spf=pass" header.d=spf=pass', ["dkim fail"]),
        (b'a; dkim=fail reason="q\\";spf=pass" header.i=x; spf=none', ["dkim fail", "spf none"]),
        (b'"server; spf=pass"; dkim=pass', ["dkim pass"]),
        # comments, nested, quoted, escaped, anywhere
        (b"a (b; spf=pass); dkim=pass", ["dkim pass"]),
        (b"a; dkim=pass (1 (spf=pass; spf=pass) ; spf=pass) header.d=x; spf=none",
         ["dkim pass", "spf none"]),
        (b"a; dkim (why) = (so) pass (it is)", ["dkim pass"]),
        (b"a; dkim=pass(good)header.d=x", ["dkim pass"]),
        (b"a; dkim=pass (\\(; spf=pass); spf=none", ["dkim pass", "spf none"]),
        (b'a; dkim=pass ("); spf=none', ["dkim pass", "spf none"]),
        (b'a; dkim=pass (") "; spf=fail"; spf=none', ["dkim pass", "spf none"]),
        (b"a; dkim=pass ) ; spf=none", ["dkim pass", "spf none"]),
        (b'a; dkim=pass ) x="" ; spf=none', ["dkim pass", "spf none"]),
        # folded: as rsyslog writes it, and as the program's own file has it
        (b"a;#012#011spf=pass x;#012 dkim#015#012 = fail", ["spf pass", "dkim fail"]),
        (b"a;\r\n\tspf=pass x;\n dkim\n = fail", ["spf pass", "dkim fail"]),
        # versions
        (b"a 1; spf=pass", ["spf pass"]),
        (b"a 2; spf=pass; none; dkim=fail", ["other other", "other other"]),
        (b"a 12 ; spf=pass", ["other other"]),
        (b"a; spf/1=pass; spf / 1 = moon; dkim/2=pass; moon/1=pass",
         ["spf pass", "spf other", "other other", "other other"]),
        # what is on no list
        (b"a; spf=passed; x-tls.y=pass; dmarc=bestguesspass; vbr=pass",
         ["spf other", "other other", "dmarc other", "other other"]),
        (b"a; spf=\xff; \xff=pass; dkim=", ["spf other", "other other", "dkim other"]),
        (b"a; =; ;; =pass; spf", []),
        # cut on its way
        (b"a; spf=pass; dkim=fai", ["spf pass", "dkim other"]),
        (b"a; spf=pass; dki", ["spf pass"]),
        (b"a; spf=pass (sender; dkim=pass", ["spf pass"]),
        (b'a; spf=pass x="sender; dkim=pass', ["spf pass"]),
    ],
)  # fmt: skip
def test_authentication_results(value: bytes, expected: list[str]) -> None:
    """
    Authentication-Results is read by RFC 8601, as far as it goes.
    """
    assert tuple(tuple(one.split()) for one in expected) == find_checks(AUTH, value)


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("X-Spam-Flag", b"YES", ["spam-flag yes"]),
        ("X-Spam-Flag", b" no ", ["spam-flag no"]),
        ("X-Spam-Flag", b"", []),
        ("X-Spam-Flag", b"#012#011", []),
        ("X-Spam-Flag", b"YESS", ["spam-flag other"]),
        ("X-Spam", b"Yes", ["spam yes"]),
        ("X-Spam", b"\xff\xfe", ["spam other"]),
        ("X-Spam-Status", b"No, score=-1.9 required=5.0 tests=BAYES_00,T_URIBL_X,X_URIBL_Y",
         ["spam-status no"]),
        ("X-Spam-Status", b"Yes, hits=7 tests=[BAYES_99=4, URIBL_BLACK=1.7]",
         ["spam-status yes", "uribl listed"]),
        ("X-Spam-Status", b"Yes, score=7 tests=A,#012#011URIBL_DBL_SPAM,URIBL_WS_SURBL x=1",
         ["spam-status yes", "uribl listed"]),
        ("X-Spam-Status", b"Yes, score=7 tests=A,\n\tURIBL_BLOCKED,URIBL_GREY",
         ["spam-status yes", "uribl blocked", "uribl listed"]),
        ("X-Spam-Status", b"No, score=0 tests=URIBL_DBL_BLOCKED_OPENDNS,URIBL_DBL_ERROR",
         ["spam-status no", "uribl blocked"]),
        ("X-Spam-Status", b"No, URIBL_BLACK score=0", ["spam-status no"]),
        ("X-Virus-Status", b"Clean", ["virus clean"]),
        ("X-Virus-Status", b"Infected (Eicar-Test-Signature)", ["virus infected"]),
        ("X-Virus-Status", b"infected(F-Secure/virus)", ["virus infected"]),
        ("X-Virus-Status", b"(clean)", ["virus other"]),
        ("Received-SPF", b"Pass (mail: domain of a@b designates 192.0.2.1)", ["received-spf pass"]),
        ("Received-SPF", b"softfail (x)", ["received-spf softfail"]),
        ("Received-SPF", b"error", ["received-spf other"]),
        ("X-Greylist", b"Delayed for 00:05:12 by milter-greylist-4.6.4 (whitelisted.example [1])",
         ["greylist delayed"]),
        ("X-Greylist", b"delayed 344 seconds by postgrey-1.34 at spf-compliant.example",
         ["greylist spf-compliant"]),
        ("X-Greylist", b"delayed 344 seconds by postgrey-1.34 at mail", ["greylist delayed"]),
        ("X-Greylist", b"Sender is SPF-compliant, not delayed by milter-greylist-4.6.4 (x)",
         ["greylist spf-compliant"]),
        ("X-Greylist", b"Sender IP whitelisted, not delayed by x", ["greylist whitelisted"]),
        ("X-Greylist", b"Default is to whitelist mail, not delayed", ["greylist whitelisted"]),
        ("X-Greylist", b"Sender succeeded SMTP AUTH, not delayed", ["greylist whitelisted"]),
        ("X-Greylist", b"Message whitelisted by tarpit 85s, not delayed by milter-greylist-4.5.7",
         ["greylist whitelisted", "tarpit pass"]),
        ("X-Greylist", b"inspected by milter-greylist (tarpit.example; whitelisted)",
         ["greylist other"]),
        ("X-Spam-Level", b"*****", []),
        ("ARC-Authentication-Results", b"i=1; a; spf=pass", []),
        ("other", b"spf=pass", []),
    ],
)  # fmt: skip
def test_words(header: str, value: bytes, expected: list[str]) -> None:
    """
    The other headers say one thing each, two of them a second one.
    """
    assert tuple(tuple(one.split()) for one in expected) == find_checks(header, value)


def test_headers() -> None:
    """
    The headers that are read are among those that have a label.
    """
    assert set(HEADERS) >= set(READERS)


values = st.lists(
    st.sampled_from(
        [b";", b"=", b"(", b")", b'"', b"\\", b"/", b"1", b" ", b"\n", b"#012", b"spf", b"dkim",
         b"pass", b"yes", b"tests=", b"uribl_", b"delayed", b"tarpit", b">: ", b">:", b"\xff",
         b"; spf=pass", b"; dkim=fail", b"y" * 650]
    )
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(READERS)), values)
def test_fixed_words(header: str, value: bytes) -> None:
    """
    Whatever a value holds, what comes out stands on a fixed list.
    """
    for check, result in find_checks(header, value):
        assert check in CHECKS
        assert result in WORDS


MARKER = st.text("qjkzwvy", min_size=5, max_size=9)


def exposition(lines: list[bytes]) -> str:
    """
    Give what /metrics shows of lines.
    """
    counted = Counted()
    counted.counting.start(b"")
    counted.counting.add(b"".join(b"\n" + line for line in lines))
    counted.counting.finish()
    registry = CollectorRegistry()
    registry.register(TallyCollector(counted.tally))
    return generate_latest(registry).decode()


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(sorted(READERS)), st.sampled_from([SYSLOG_START, OWN_START]))
def test_no_byte_of_a_value(data: st.DataObject, header: str, start: bytes) -> None:
    """
    Two values that say the same leave the same exposition, and none shows a word of either.
    """
    word = data.draw(MARKER)
    pieces = ["; {}=pass", "; spf={}", " ({})", ' "{}"', "; dkim=pass header.d={}", " {}"]
    layout = "".join(data.draw(st.lists(st.sampled_from(pieces), max_size=8)))
    shown = [
        exposition([start + said(header.encode(), layout.replace("{}", one).encode())])
        for one in (word, "{}")
    ]

    assert word not in shown[0]
    assert shown[1] == shown[0]


@pytest.mark.parametrize("name", CAPTURES)
def test_captures(name: str) -> None:
    """
    A naive second count of every capture has the same checks.
    """
    log = read_capture(name)

    assert mail_checks_count.count(log) == checks_in(count(log).counts)


def test_volume() -> None:
    """
    The totals of twenty thousand connections, as grep counts them.
    """
    log = read_capture("volume.log.xz")
    added = rb"\[milter\]\[header\]\[add\]\(\d+\): <%s>=<[^\n]*%s[^\n]*>: %s\n"
    expected = {
        (milter, check, result): len(
            re.findall(added % (header.encode(), found.encode(), milter.encode()), log)
        )
        for milter, check, result, header, found in (
            ("opendkim", "dkim", "none", AUTH, "dkim=none"),
            ("opendkim", "dkim-atps", "neutral", AUTH, "dkim-atps=neutral"),
            ("policy", "spf", "pass", AUTH, "spf=pass"),
            ("policy", "dkim", "fail", AUTH, "dkim=fail"),
            ("policy", "dmarc", "none", AUTH, "dmarc=none"),
            ("policy", "spam-flag", "yes", "X-Spam-Flag", "YES"),
            ("policy", "spam-status", "yes", "X-Spam-Status", "Yes,"),
            ("policy", "uribl", "listed", "X-Spam-Status", "URIBL_DBL_SPAM"),
            ("policy", "virus", "infected", "X-Virus-Status", "Infected"),
        )
    }
    actual = checks_in(count(log).counts)

    assert expected == actual
    assert 19_600 == actual["opendkim", "dkim", "none"]
    assert 2_389 == actual["policy", "spf", "pass"]
    assert 2_386 == actual["policy", "uribl", "listed"]
    assert 200 == actual["policy", "virus", "infected"]


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN, *BARE])
def test_dialects(name: str, dialect: str) -> None:
    """
    Folded or escaped, with stamps or without: the same traffic has the same checks.
    """
    log = read_capture(name)
    rendered = render(DIALECTS[dialect], read_own_file(log))

    assert mail_checks_count.count(log) == checks_in(count(rendered).counts)
    assert 1 == checks_in(count(rendered).counts)["policy", "uribl", "listed"]


@pytest.mark.parametrize("name", PREFIXES)
def test_golden(name: str) -> None:
    """
    The golden expositions have the checks of the second count.
    """
    samples = read_samples((GOLDEN / f"{name}.prom").read_bytes())
    shown = {
        tuple(dict(key[1])[label] for label in ("milter", "check", "result")): value
        for key, value in samples.items()
        if key[0] == "milter_manager_mail_checks_total"
    }

    assert mail_checks_count.count((GOLDEN / f"{name}.log").read_bytes()) == shown


def test_repeated() -> None:
    """
    A line that syslog says was repeated counts as often.
    """
    line = said(b"Authentication-Results", b"a; spf=pass; dkim=moon", b"raw")
    repeated = b"message repeated 59 times: [ [statistics] " + line + b"]"
    counts = count_lines(
        SYSLOG_START + line, b"Nov 22 22:07:33 vm milter-manager[509]: " + repeated
    )

    assert {("raw", "spf", "pass"): 60, ("raw", "dkim", "other"): 60} == checks_in(counts)
    assert 60 == counts["label_overflows", "result"]
    assert ("label_overflows", "check") not in counts


def test_overflows() -> None:
    """
    What is on no list is counted: a check's other result, and a check that is none.
    """
    counts = count_lines(SYSLOG_START + said(b"authentication-results", b"a; moon=pass; spf=moon"))

    assert {("policy", "other", "other"): 1, ("policy", "spf", "other"): 1} == checks_in(counts)
    assert 1 == counts["label_overflows", "check"]
    assert 1 == counts["label_overflows", "result"]


@pytest.mark.parametrize(
    "line",
    [
        b"[session][header][add](5): <X-Spam-Flag>=<YES>",
        b"[session][header][add](5): <X-Spam-Flag>=<YES>: policy",
        b"[milter][header][add](5): <X-Foo>=<YES>: policy",
        b"[reader][error][read] <X-Spam-Flag>=<YES>: policy",
        b"[moon](5): <X-Spam-Flag>=<YES>: policy",
        b"[moon](5): <X-Foo>=<[milter][header][add](5): <X-Spam-Flag>=<YES>: policy>: policy",
    ],
)
def test_only_added_by_milters(line: bytes) -> None:
    """
    Only what a child milter added counts, once; not what the whole session's mail then got.
    """
    for grammar in (FAST, READABLE):
        chunk = b"\n" + SYSLOG_START + line

        assert {} == checks_in(count_chunks([chunk, chunk], grammar).counts)


@pytest.mark.parametrize("length", [100, 690, 705, 1_500, 7_000, 9_000])
@pytest.mark.parametrize("milter", [b"policy", b"m" * 70, b""])
def test_long(length: int, milter: bytes) -> None:
    """
    However long the value, the fast pattern and the readable path find what stands in it, once.
    """
    value = b"a; spf=pass x=>: y>=<z; dkim=fail x=%s; arc=none" % (b"y" * length)
    line = SYSLOG_START + said(b"Authentication-Results", value, milter)
    words = ["spf pass", "dkim fail"] + ["arc none"] * (length < MOST_BYTES)
    expected = {(milter.decode(), *one.split()): 2 for one in words}
    names = [milter] if milter else []
    for grammar in (FAST, READABLE):
        counts = count_chunks([b"\n" + line] * 2, grammar, names=names).counts

        assert expected == checks_in(counts)


@pytest.mark.parametrize("length", range(660, 700))
def test_name_imitated(length: int) -> None:
    """
    What looks like a milter's name in a value is a part of the value, wherever it stands.
    """
    value = b"a; spf=pass x=%s>: y; dkim=fail" % (b"y" * length)
    line = SYSLOG_START + said(b"Authentication-Results", value)
    for grammar in (FAST, READABLE):
        assert {("policy", "spf", "pass"): 1, ("policy", "dkim", "fail"): 1} == checks_in(
            count_chunks([b"\n" + line], grammar, names=[b"policy"]).counts
        )


def test_no_name() -> None:
    """
    An empty name is one, also when the blank before it was lost.
    """
    line = SYSLOG_START + b"[milter][header][add](5): <X-Spam-Flag>=<YES>:"

    assert {("", "spam-flag", "yes"): 2} == checks_in(count_lines(line, line + b" "))


@pytest.mark.parametrize("length", [1_000, 8_095])
def test_cut(length: int) -> None:
    """
    A line that syslog cut counts what is left of it, for the milter other.
    """
    value = b"a; spf=pass; dkim=pass >: evil; arc=none " + b"x" * 9_000
    line = (SYSLOG_START + said(b"Authentication-Results", value))[:length]
    counts = count_lines(line)

    assert {
        ("other", "spf", "pass"): 1,
        ("other", "dkim", "pass"): 1,
        ("other", "arc", "none"): 1,
    } == checks_in(counts)
    assert 1 == counts["label_overflows", "milter"]


def test_folded() -> None:
    """
    In the program's own file a value goes on in further lines, to the milter at its end.
    """
    lines = (
        OWN_START + b"[milter][header][add](5): <Authentication-Results>=<a; sp",
        b"\tf=pass;",
        b"\tspf=none x=>: b;",
        b" dkim=fail (spf=pass;",
        b" spf=pass); arc=pass>: policy",
        OWN_START + b"[sessions][finished] 1(+1) 0",
    )

    assert {
        ("policy", "spf", "none"): 1,
        ("policy", "dkim", "fail"): 1,
        ("policy", "arc", "pass"): 1,
    } == checks_in(count_lines(*lines))


def test_folded_to_the_end() -> None:
    """
    A value whose end never came counts as far as it goes, for the milter other.
    """
    line = OWN_START + b"[milter][header][add](5): <Authentication-Results>=<a; spf=none;"

    assert {("other", "spf", "none"): 1, ("other", "dkim", "other"): 1} == checks_in(
        count_lines(line, b" dkim=fai")
    )


def test_folded_is_bounded() -> None:
    """
    Of a value that goes on and on as much is kept as matters; of any other nothing.
    """
    kept = []
    for header in (b"Authentication-Results", b"X-Foo"):
        counted = Counted()
        counted.counting.start(b"")
        counted.counting.add(b"\n" + OWN_START + b"[milter][header][add](5): <" + header + b">=<a;")
        for _ in range(200):
            counted.counting.add(b"\n spf=pass; " + b"x" * 1_000)
        state = counted.counting.export()
        assert state.open is not None
        kept.append(len(state.open.text))

    assert [MOST_BYTES, 0] == kept


def test_old_state() -> None:
    """
    A state of before the mail checks is taken; of a header open then its later lines count.
    """
    old = (
        b'{"bare": false, "open": {"level": "statistics", "header": "Authentication-Results",'
        b' "times": 2, "name": null}}'
    )
    counted = Counted()
    counted.counting.start(b"")
    counted.counting.restore(msgspec.json.decode(old, type=CountingState))
    counted.counting.add(b"\n ; spf=pass>: policy")
    counted.counting.finish()

    assert {("policy", "spf", "pass"): 2} == checks_in(counted.snapshot().counts)


written = st.builds(
    said,
    st.sampled_from([name.encode() for name in sorted(READERS)]),
    values.map(lambda value: value.replace(b"\r", b"")),
    st.sampled_from([b"policy", b"a>: b", b"", b"opendkim", b"m" * 70]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(written, min_size=1, max_size=8), st.sampled_from([*SYSLOG, *OWN]), st.integers(1))
@example([said(b"Authentication-Results", b"a; spf=pa\nss; dkim=pass")], "own", 1)
@example([said(b"X-Spam-Flag", b"x>:", b"")], "traditional", 1)
@example([said(b"X-Spam-Flag", b"yes", b"m" * 70)] * 2, "traditional", 1)
@example([said(b"X-Spam-Flag", b"yes").replace(b"=<", b"=")], "traditional", 1)
def test_fast_is_readable(messages: list[bytes], dialect: str, cut: int) -> None:
    """
    However the lines are cut into chunks and whoever reads them, they say the same.
    """
    write = DIALECTS[dialect]
    chunks = [b"\n" + write(Said(MOMENT, 1, "statistics", message)) for message in messages]
    parts = [b"\n" + line for chunk in chunks for line in chunk[1:].split(b"\n")]
    at = cut % len(parts)

    expected = count_chunks([b"".join(parts)], READABLE).counts
    assert expected == count_chunks([b"".join(parts)], FAST).counts
    assert expected == count_chunks([b"".join(parts[:at]), b"".join(parts[at:])], FAST).counts


@pytest.mark.parametrize(
    "value",
    [b"(" * MOST_BYTES, b"()" * MOST_BYTES, b"(" * 4_000 + b")" * 4_000, b'"' * MOST_BYTES,
     b'"\\' * MOST_BYTES, b";a=" * MOST_BYTES, b"; " * MOST_BYTES, b";a/1" * MOST_BYTES,
     b";" + b" " * MOST_BYTES, b" 1" * MOST_BYTES, b"#012" * MOST_BYTES, b"uribl_" * MOST_BYTES],
    ids=range(12),
)  # fmt: skip
@pytest.mark.parametrize("header", sorted(READERS))
def test_hostile(header: str, value: bytes) -> None:
    """
    No value takes long: 8 KiB of the worst are read in well under a tenth of a second.
    """
    text = b"a; x" + value
    best = 1.0
    for i in range(3):
        start = time.thread_time()
        find_checks(header, b"%d%s" % (i, text))
        best = min(best, time.thread_time() - start)

    assert best < 0.1


def test_hostile_folded() -> None:
    """
    A value of thousands of results that goes on in thousands of lines does not take long either.
    """
    line = OWN_START + b"[milter][header][add](5): <Authentication-Results>=<" + b";a=" * 3_000
    start = time.thread_time()
    counts = count_lines(line, *[b";a=" * 3_000] * 200, b" >: policy")

    assert 2_000 < counts["mail_checks", "policy", "other", "other"] < 3_000
    assert time.thread_time() - start < 5


def test_script(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The second count can be run by hand.
    """
    monkeypatch.setattr("sys.argv", ["count", str(DATA / "repeated.log")])
    mail_checks_count.main()

    assert "repeated.log:      23 opendkim dkim none" in capsys.readouterr().out
