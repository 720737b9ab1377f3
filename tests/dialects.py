"""
One message in every dialect that shared logs, journals and the program's own file have.

Written from what real logs look like, not from the grammar; knows nothing of the exporter.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

DATA = Path(__file__).parent / "data"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SEVERITIES = {"critical": 2, "error": 3, "warning": 4, "message": 5, "statistics": 5}
MAIL = 2
OWN_LINE = re.compile(
    rb"(?:\[[a-z]+\]\[milter-manager\])?\[(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z\]"
    rb"(?: \[milter-manager\])?(?:\[(\d+)\])?: ?(.*)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Said:
    """
    What one process said once.
    """

    time: datetime
    pid: int
    level: str
    message: bytes
    """Without syslog's mark; newlines are real."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One row of lines.tsv: a message as the program prints it, and what a reader sees in it.
    """

    number: str
    level: str
    milter: str
    """Empty where the message names none."""
    words: Mapping[str, str]
    message: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """
    One row of messages.tsv: an entry of the log list beside what the program does.
    """

    number: str
    module: str
    submodule: str
    documented_level: str
    real_level: str
    documented_tags: str
    formats: tuple[str, ...]


def samples() -> list[Sample]:
    """
    Read lines.tsv.
    """
    return [
        Sample(
            row["number"],
            row["level"],
            row["milter"].removeprefix("-"),
            dict(pair.split("=") for pair in row["words"].removeprefix("-").split()),
            row["message"].encode(),
        )
        for row in _rows("lines.tsv")
    ]


def entries() -> list[Entry]:
    """
    Read messages.tsv.
    """
    return [
        Entry(
            row["no"],
            row["module"],
            row["submodule"],
            row["documented_level"],
            row["real_level"],
            row["documented_tags"],
            tuple(row["real_line_formats"].split(" || ")),
        )
        for row in _rows("messages.tsv")
    ]


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)


def escaped(message: bytes) -> bytes:
    """
    Write control bytes as rsyslog does: #012 for a newline, #011 for a tab.
    """
    return re.sub(rb"[\x00-\x1f\x7f]", lambda found: b"#%03o" % ord(found[0]), message)


def marked(said: Said) -> bytes:
    """
    Write the message as syslog gets it: statistics are marked, control bytes escaped.
    """
    mark = b"[statistics] " if said.level == "statistics" else b""
    return mark + escaped(said.message)


def traditional(said: Said, host: bytes = b"vm ", pri: bytes = b"") -> bytes:
    """
    Write rsyslog's traditional line.
    """
    time = said.time
    stamp = b"%s %2d %s" % (
        MONTHS[time.month - 1].encode(),
        time.day,
        time.strftime("%H:%M:%S").encode(),
    )
    return b"%s%s %smilter-manager[%d]: %s" % (pri, stamp, host, said.pid, marked(said))


def iso(said: Said) -> bytes:
    """
    Write the line that Debian 12 and Ubuntu 24.04 write.
    """
    stamp = said.time.isoformat(timespec="microseconds").encode()
    return b"%s mail.example.net milter-manager[%d]: %s" % (stamp, said.pid, marked(said))


def template(said: Said) -> bytes:
    """
    Write the line of a site's own template: no host, no blank, local time.
    """
    stamp = said.time.strftime("%Y-%m-%d %H:%M:%S.%f")[:-2].encode()
    return b"%s milter-manager[%d]:%s" % (stamp, said.pid, marked(said))


def priority(said: Said) -> bytes:
    """
    Write the number that syslog puts in front of a line on the wire.
    """
    return b"<%d>" % (MAIL * 8 + SEVERITIES[said.level])


def iso_priority(said: Said) -> bytes:
    """
    Write the line with its priority, as entries of the journal are read.
    """
    return priority(said) + iso(said)


def full(said: Said, program: bytes = b"milter-manager") -> bytes:
    """
    Write the line of `journalctl -o short-full`; with another name, of `-o with-unit`.
    """
    stamp = said.time.strftime("%a %Y-%m-%d %H:%M:%S UTC").encode()
    return b"%s vm %s[%d]: %s" % (stamp, program, said.pid, marked(said))


def unix(said: Said) -> bytes:
    """
    Write the line of `journalctl -o short-unix`.
    """
    return b"%.6f vm milter-manager[%d]: %s" % (said.time.timestamp(), said.pid, marked(said))


def rfc5424(said: Said) -> bytes:
    """
    Write the line of rsyslog's RSYSLOG_SyslogProtocol23Format, two blanks included.
    """
    stamp = said.time.isoformat(timespec="microseconds").encode()
    return b"%s1 %s vm milter-manager %d - -  %s" % (
        priority(said),
        stamp,
        said.pid,
        marked(said),
    )


def own_stamp(said: Said) -> bytes:
    """
    Write the time as the program's own file does: the fraction is absent when 0.
    """
    return b"[%sZ]" % said.time.replace(tzinfo=None).isoformat().encode()


def own(said: Said) -> bytes:
    """
    Write the program's own file as it is by default.
    """
    return b"%s: %s" % (own_stamp(said), said.message)


def own_name_pid(said: Said) -> bytes:
    """
    Write the program's own file with the items name and pid added.
    """
    return b"%s [milter-manager][%d]: %s" % (own_stamp(said), said.pid, said.message)


def own_pid(said: Said) -> bytes:
    """
    Write the program's own file with the item pid added.
    """
    return b"%s [%d]: %s" % (own_stamp(said), said.pid, said.message)


def own_level(said: Said) -> bytes:
    """
    Write the program's own file with the item level added.
    """
    return b"[%s]%s: %s" % (said.level.encode(), own_stamp(said), said.message)


def own_all(said: Said) -> bytes:
    """
    Write the program's own file with all items.
    """
    return b"[%s][milter-manager]%s [milter-manager][%d] %s: %s" % (
        said.level.encode(),
        own_stamp(said),
        said.pid,
        b"../src/milter-manager.c:682: cb_client_finished()",
        said.message,
    )


def bare(said: Said) -> bytes:
    """
    Write the program's own file with the item none.
    """
    return said.message


SYSLOG: Mapping[str, Callable[[Said], bytes]] = {
    "traditional": traditional,
    "fqdn": lambda said: traditional(said, b"mail-1.example.net "),
    "ipv4": lambda said: traditional(said, b"192.0.2.25 "),
    "ipv6": lambda said: traditional(said, b"2001:db8::25 "),
    "ipv6-short": lambda said: traditional(said, b"::1 "),
    "no-host": lambda said: traditional(said, b""),
    "priority": lambda said: traditional(said, pri=priority(said)),
    "iso": iso,
    "template": template,
    "rfc5424": rfc5424,
    "iso-priority": iso_priority,
    "short-full": full,
    "short-unix": unix,
    "with-unit": lambda said: full(said, b"milter-manager.service"),
}
OWN: Mapping[str, Callable[[Said], bytes]] = {
    "own": own,
    "own-pid": own_pid,
    "own-name-pid": own_name_pid,
    "own-level": own_level,
    "own-all": own_all,
}
BARE: Mapping[str, Callable[[Said], bytes]] = {"bare": bare}
DIALECTS = {**SYSLOG, **OWN, **BARE}


def read_own_file(log: bytes) -> Iterator[Said]:
    """
    Read one of the program's own files back; a line without a stamp goes on with the one before.
    """
    for line in re.split(rb"\n(?=\[20)", log.removesuffix(b"\n")):
        match = OWN_LINE.fullmatch(line)
        assert match is not None
        time = datetime.fromisoformat(match[1].decode()).replace(tzinfo=UTC)
        # Statistics are the messages whose tags start so, in all of the captures.
        level = "error"
        if re.match(rb"\[(?:sessions?|milter|reply|maintain)\]", match[3]):
            level = "statistics"
        yield Said(time, int(match[2] or 1), level, match[3])


def render(dialect: Callable[[Said], bytes], log: Iterable[Said]) -> bytes:
    """
    Write a log, every line with its newline.
    """
    return b"".join(dialect(said) + b"\n" for said in log)


def chunk_of(log: bytes) -> bytes:
    r"""
    Make one chunk of a log: each line led by its newline, none at the end.
    """
    return b"\n" + log.removesuffix(b"\n") if log else b""
