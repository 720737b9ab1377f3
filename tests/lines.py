"""
Hypothesis's supply of log lines: real ones, damaged ones, near misses and plain bytes.
"""

from datetime import UTC, datetime, timedelta

from dialects import DIALECTS, OWN, SYSLOG, Said, samples
from hypothesis import strategies as st

MOMENT = datetime(2026, 11, 22, 22, 7, 33, 19444, tzinfo=UTC)
NAMES = (
    b"policy", b"raw", b"opendkim", b"name with spaces", b"[brackets]", b"paren(1): colon",
    b"<x>=<y>", "日本語ミルター".encode(), b"", b"(null)", b"(unknown)", b"tab\there", b"a>: b",
    b"] x", b": ", b"\xff",
)  # fmt: skip
# What tells one part of a line from the next.
PIECES = (
    b"[statistics] ", b"[1] ", b"[23] ", b"(5)", b"(" + b"9" * 21 + b")", b"[0.5]", b"[-1e-06]",
    b"[0,002]", b"[1e999]", b"[.]", b": ", b">: ", b">:", b"<", b">", b": <X-Foo>=<", b"[", b"]",
    b" ", b"  ", b"\t", b"\r", b"\0", b"\xff\xfe", "é".encode(), b"[server]", b"[error]",
    b"[children]", b"[Upper]", b"[under_score]", b"[helo]", b"[accept]", b"[reject]", b"[pass]",
    b"[milter][end]", b"[session][end]", b"[milter][header][add]", b"[sessions][finished]",
    b" 29(+2) 3", b" (24560KB) total:1", b"message repeated 3 times: [ ",
    b"message repeated 999999999 times: [ ", b"x" * 81, b"x" * 701, b"x" * 950, b"x" * 8000,
    b"invalid state to reply: ", b"] only allowed in end of message session: ",
    b"Nov 22 22:07:33 vm milter-manager[509]: ", b"[2026-11-22T22:04:44Z]: ",
)  # fmt: skip
STAMPS = (
    b"Nov 22 22:07:33 vm milter-manager[509]: ", b"Nov 22 22:07:33 vm milter-manager[509]:",
    b"Nov 22 22:07:33 vm milter-manager: ", b"Nov 22 22:07:33 milter-manager[509]: ",
    b"Nov 22 22:07:33 vm milter-manager [509]: ", b"Nov 22 22:07:33 vm milter-manager[]: ",
    b"Nov 22 22:07:33 vm  milter-manager[509]: ", b"Nov 22 22:07:33 vm milter-manager[x]: ",
    b"Nov 22 22:07:33 vm milter-manager[509] ", b"Nov 22 22:07:33 vm milter-manager2[509]: ",
    b"Nov 22 22:07:33 vm milter-manager-process-launcher[510]: ",
    b"Nov 22 22:07:33.250 2001:db8::1 milter-manager[509]: ",
    b"Nov 22 22:07:33 fe80::1%eth0 milter-manager[509]: ",
    b"Nov 22 22:07:33 vm milter-test-client[3234]: ", b"Nov 22 22:07:33 vm postfix/smtpd[1]: ",
    b"Nov 22 22:07:33 vm postfix/smtpd[1]: milter-manager[509]: ", b"Nov 22 22:07:33 ",
    b"<21>Nov 22 22:07:33 vm milter-manager[509]: ", b"<19>Nov 22 22:07:33 milter-manager: ",
    b"<999>Nov 22 22:07:33 vm milter-manager[509]: ", b"Nov 2 22:07:33 vm milter-manager[509]: ",
    b"nov 22 22:07:33 vm milter-manager[509]: ",
    b"2026-11-22T22:07:33.019444+00:00 vm milter-manager[509]: ",
    b"2026-11-22T22:07:33Z vm milter-manager[509]: ", b"2026-11-22 22:07:33 milter-manager[509]:",
    b"2026-11-22T22:07:33,5+0900 vm milter-manager[509]: ", b"2026-11-22T22:07:33Z ",
    b"<21>1 2026-11-22T22:07:33Z vm milter-manager 509 - -  ",
    b"<21>1 2026-11-22T22:07:33Z vm milter-manager 509 - - ",
    b'<21>1 2026-11-22T22:07:33Z vm milter-manager 509 ID [x@1 a="]\\"b"] \xef\xbb\xbf',
    b"<21>1 - - milter-manager - - - ", b"<21>1 2026-11-22T22:07:33Z vm postfix 1 - - ",
    b"<21>2 2026-11-22T22:07:33Z vm milter-manager 509 - - ",
    b"[2026-11-22T22:04:44.591879Z]: ", b"[2026-11-22T22:04:44Z]:",
    b"[2026-11-22T22:04:44Z] [milter-manager][509]: ", b"[2026-11-22T22:04:44Z] [509]: ",
    b"[2026-11-22T22:04:44Z] [milter-manager]: ", b"[2026-11-22T22:04:44Z] [postfix][509]: ",
    b"[2026-11-22T22:04:44Z] ", b"[2026-11-22T22:04:44Z]",
    b"[error][2026-11-22T22:04:44Z]: ", b"[warning][milter-manager][2026-11-22T22:04:44Z]: ",
    b"[statistics][milter-manager][2026-11-22T22:05:21Z] [milter-manager][3] ../src/m.c:6: f(): ",
    b"[][][2026-11-22T22:04:44Z]: ", b"[milter-manager][2026-11-22T22:04:44Z]: ",
    b"",
)  # fmt: skip


def _damage(message: bytes, where: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, piece in where:
        at = start % (len(message) + 1)
        message = message[:at] + piece + message[at + length :]
    return message


def _rename(message: bytes, name: bytes) -> bytes:
    return message.replace(b"spam-filter", name)


def _said(seconds: int, pid: int, level: str, message: bytes) -> Said:
    return Said(MOMENT + timedelta(seconds=seconds), pid, level, message)


messages = st.builds(
    _rename, st.sampled_from([sample.message for sample in samples()]), st.sampled_from(NAMES)
)
damaged = st.builds(
    _damage,
    messages,
    st.lists(
        st.tuples(
            st.integers(0, 200),
            st.sampled_from((0, 0, 1, 2, 5, 10, 50, 1000)),
            st.sampled_from(PIECES) | st.binary(max_size=4),
        ),
        max_size=3,
    ),
)
assembled = st.lists(st.sampled_from(PIECES) | messages, max_size=6).map(b"".join)
anything = messages | damaged | assembled | st.binary(max_size=60)
said = st.builds(
    _said,
    st.integers(-3600, 3600),
    st.integers(1, 3),
    st.sampled_from(("error", "warning", "statistics", "message", "critical")),
    anything,
)


def _one_line(line: bytes) -> bytes:
    return line.replace(b"\n", b"")


near = st.builds(lambda stamp, message: stamp + message, st.sampled_from(STAMPS), anything)
rendered = st.builds(
    lambda dialect, what: dialect(what), st.sampled_from(list(DIALECTS.values())), said
)
line = (rendered | near | st.binary(max_size=80)).map(_one_line)
logs = st.lists(line, min_size=1, max_size=8)
"""Lines of all dialects in one file."""


def _in_one_dialect(dialect: str, what: list[Said]) -> list[bytes]:
    return [part for one in what for part in DIALECTS[dialect](one).split(b"\n")]


uniform_logs = st.builds(
    _in_one_dialect, st.sampled_from([*SYSLOG, *OWN]), st.lists(said, min_size=1, max_size=12)
)
"""Lines of one dialect, folded ones included."""
