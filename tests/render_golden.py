"""
Write tests/data/golden/*.log: captures, and the same messages in the dialects without a capture.

    python tests/render_golden.py

Knows the lines' outer form and nothing of the exporter.  tests/data/golden/README says more.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DATA = Path(__file__).parent / "data"
GOLDEN = DATA / "golden"
MOST_BYTES = 100_000
# Lines longer than this would fill an excerpt; test_recognise has its own.
LONG_BYTES = 1_200
# Of the lines of Postfix and the like a few are enough to see that they do not count.
FOREIGN_LINES = 20
YEAR = 2026
"""When the captures were made; traditional stamps lack it."""

TRADITIONAL = re.compile(
    rb"(?P<stamp>[A-Z][a-z]{2} [ \d]\d [\d:]{8}) (?P<host>\S+) (?P<program>[^\s\[:]+)"
    rb"(?:\[(?P<pid>\d+)\])?: (?P<said>.*)"
)
OWN = re.compile(rb"\[(?P<stamp>2026-[^\]]+Z)\]: (?P<said>.*)", re.DOTALL)
NEW_OWN_LINE = re.compile(rb"\n(?=\[2026-)")
STATISTICS = re.compile(rb"\[(?:milter|session|sessions|reply|maintain)\]")
JOURNAL_MESSAGE = re.compile(rb'"MESSAGE":("(?:[^"\\]|\\.)*")')

MAIL = 2 * 8
NOTICE, ERROR, INFO = 5, 3, 6
"""RFC 5424, 6.2.1: the severities of statistics, errors and everything else."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line of a syslog.
    """

    time: datetime
    host: bytes
    program: bytes
    pid: bytes
    said: bytes


def read_syslog(log: bytes) -> Iterator[Line]:
    """
    Read a traditional syslog; whatever is none is left out.
    """
    for line in log.splitlines():
        match = TRADITIONAL.fullmatch(line)
        if match:
            stamp = f"{YEAR} {match['stamp'].decode()}"
            time = datetime.strptime(stamp, "%Y %b %d %H:%M:%S").replace(tzinfo=UTC)
            host, program, pid, said = match.group("host", "program", "pid", "said")
            yield Line(time, host, program, pid or b"", said)


def excerpt(log: bytes) -> bytes:
    """
    Take the program's lines, the long ones aside, and some of the others.
    """
    lines: list[bytes] = []
    foreign = 0
    for line in log.splitlines(keepends=True):
        if b" milter-manager" not in line:
            foreign += 1
            if foreign % FOREIGN_LINES:
                continue
        if len(line) <= LONG_BYTES:
            lines.append(line)
    return b"".join(lines)


def iso(line: Line) -> bytes:
    """
    Write it as Debian 12 does.
    """
    stamp = line.time.isoformat(timespec="microseconds").encode()
    pid = b"[%s]" % line.pid if line.pid else b""
    return b"%s %s %s%s: %s\n" % (stamp, line.host, line.program, pid, line.said)


def rfc5424(line: Line) -> bytes:
    """
    Write it as rsyslog's RSYSLOG_SyslogProtocol23Format does, two blanks included.
    """
    severity = INFO
    if line.program.startswith(b"milter-manager"):
        severity = NOTICE if line.said.startswith(b"[statistics] ") else ERROR
    stamp = line.time.isoformat(timespec="microseconds").encode()
    return b"<%d>1 %s %s %s %s - -  %s\n" % (
        MAIL + severity,
        stamp,
        line.host,
        line.program,
        line.pid or b"-",
        line.said,
    )


def template(line: Line) -> bytes:
    """
    Write it as a site's own template does: no host, no blank before the message.
    """
    stamp = line.time.strftime("%Y-%m-%d %H:%M:%S.0000").encode()
    pid = b"[%s]" % line.pid if line.pid else b""
    return b"%s %s%s:%s\n" % (stamp, line.program, pid, line.said)


def render_syslog(log: bytes, write: Callable[[Line], bytes]) -> bytes:
    """
    Write a whole log in another dialect.
    """
    return b"".join(map(write, read_syslog(log)))


def read_own(log: bytes) -> Iterator[tuple[bytes, bytes]]:
    """
    Read the program's own file: stamps and messages, real newlines included.
    """
    for record in NEW_OWN_LINE.split(log.removesuffix(b"\n")):
        match = OWN.fullmatch(record)
        assert match is not None, record
        yield match["stamp"], match["said"]


def own_all(stamp: bytes, said: bytes) -> bytes:
    """
    Write a message as the program does with all items.
    """
    level = b"statistics" if STATISTICS.match(said) else b"error"
    source = b"../src/milter-manager.c:682: cb_client_finished()"
    return b"[%s][milter-manager][%s] [milter-manager][30362] %s: %s\n" % (
        level,
        stamp,
        source,
        said,
    )


def journal_cat(journal: bytes) -> bytes:
    """
    Write the messages of `journalctl -o json` as `journalctl -o cat` would.
    """
    messages: list[str] = [
        json.loads(match[1])
        for match in map(JOURNAL_MESSAGE.search, journal.splitlines())
        if match  # some of the capture's lines have lost theirs
    ]
    return "".join(f"{message}\n" for message in messages).encode()


def render() -> dict[str, bytes]:
    """
    Make all logs, by name.
    """
    traditional = excerpt((DATA / "sample.log").read_bytes())
    own = (DATA / "native.log").read_bytes()
    return {
        "traditional": traditional,
        "iso": render_syslog(traditional, iso),
        "rfc5424": render_syslog(traditional, rfc5424),
        "template": render_syslog(traditional, template),
        "repeated": excerpt((DATA / "repeated.log").read_bytes()),
        "own": own,
        "own-name-pid": (DATA / "native-pid-name.log").read_bytes(),
        "own-all": b"".join(own_all(stamp, said) for stamp, said in read_own(own)),
        "bare": b"".join(said + b"\n" for _, said in read_own(own)),
        "journal-cat": journal_cat((DATA / "journal.json").read_bytes()),
    }


def main() -> None:
    """
    Write the files.
    """
    for name, log in render().items():
        assert len(log) < MOST_BYTES, f"{name}: {len(log)} bytes"
        (GOLDEN / f"{name}.log").write_bytes(log)


if __name__ == "__main__":
    main()
