"""
The grammar: which bytes of a log line matter.

Bytes in, values out: no I/O, no logging, no counting, no knowledge of what a message means.

Two readings of the same grammar stand here.  `Grammar.find_rows` goes over a whole chunk with one
compiled pattern and is what makes catching up fast; `Grammar.read_line` reads one line and is the
one to read first.  The pattern of a long log begins with its day and host to the letter, and with
any other behind that: it finds the same, sooner.  Whatever the fast pattern is not sure of it hands
over whole, as `Row.text`, so that there is one answer, not two; tests/test_record.py holds them
together.

Log bytes are hostile: everything is anchored at the start of a line, only whole runs of tags are
taken, and nothing is tried twice, which keeps every pattern linear: possessive quantifiers for
single characters, atomic groups for the rest, since Python before 3.11.5 (Debian 12 has 3.11.2)
loses its place in a possessive group that fails half-way.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

Value = TypeVar("Value")

# --- timestamps -------------------------------------------------------------------------------

# [0-9], as a \d takes longer: with the host's set 5 % of a line of another program.
CLOCK = rb"[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"

# RFC 3164, 4.1.2: "Mmm dd hh:mm:ss", the day padded with a blank.  Some daemons add a fraction
# (journalctl -o short-precise).
TRADITIONAL_DAY = rb"[A-Z][a-z][a-z] [ 0-9][0-9] "
TRADITIONAL_CLOCK = CLOCK + rb"(?>\.[0-9]{1,9}|)"
TRADITIONAL = TRADITIONAL_DAY + TRADITIONAL_CLOCK

# RFC 3339, 5.6, and what sites make of it: a blank for the T, no offset, an offset without a colon
# (journalctl -o short-iso).
ISO_DAY = rb"[0-9]{4}-[0-9][0-9]-[0-9][0-9][T ]"
ISO_CLOCK = CLOCK + rb"(?>[.,][0-9]{1,9}|)(?>Z|[+-][0-9][0-9]:?+[0-9][0-9]|)"
ISO = ISO_DAY + ISO_CLOCK

# systemd's format_timestamp(): "Sun 2026-11-22 22:07:33 CET", or "+05" where the zone has no name
# (journalctl -o short-full and with-unit).
FULL = (
    rb"[A-Z][a-z][a-z] \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?>\.\d{1,9}|) "
    rb"(?>[A-Z]{2,6}|[+-]\d\d(?>\d\d|))"
)
# Seconds since 1970 (journalctl -o short-unix).
UNIX = rb"\d{9,11}\.\d{6}"
# journalctl -o verbose: a time of the same form, but an entry's cursor behind it, and no line.
VERBOSE = rb"\[s=[0-9a-f]{32};"
# What journalctl puts between the entries of two boots, and old releases before the first.
JOURNAL_MARK = re.compile(
    rb"-- (?:Boot [0-9a-f]{32}|Reboot|(?:Logs begin|Journal begins) at [\w :,.+-]{1,200}) --"
)

# RFC 3164, 4.1.1: facility * 8 + severity.
PRI = rb"<\d{1,3}>"

# milter-manager's own file: optional items [level][domain], then the time in UTC.
OWN_TIME = rb"\[" + ISO + rb"\]"
OWN = rb"(?>\[[a-z|]++\]|)(?:\[[\w-]*+\])??" + OWN_TIME

# --- who wrote it -----------------------------------------------------------------------------

# A name, an FQDN or an IPv4 address holds no colon, so that "postfix/smtpd[1]:" in a template
# without a host is never taken for one; an IPv6 address holds at least two.
WORD = rb"[^ \t\n\r\f\v:\[\]]++ "
HOST = rb"(?>" + WORD + rb"|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f:.]*+(?>%\w++|) |)"

# What most lines of a day begin with: the day, and behind the clock the host.
# RFC 5424, 6.2.4: a host's name is no longer; nobody shall make a pattern of a megabyte.
SHORT_WORD = rb"[^ \t\n\r\f\v:\[\]]{1,255}+ "
OPENING = re.compile(
    rb"\n(?:(" + TRADITIONAL_DAY + rb")|(" + ISO_DAY + rb"))[^ \n]++ (" + SHORT_WORD + rb")",
)
LEARN_BYTES = 4 * 1024 * 1024
"""Read with one opening before a pattern is made for it, which takes as long as 5,000 lines."""
MOST_LEARNED = 16

# journalctl -o with-unit names the unit instead of the program.
UNIT_SUFFIX = b".service"


# RFC 5424, 6.3: "-" or elements whose values escape '"', '\' and ']'.
STRUCTURED_DATA = rb'(?>-|(?:\[(?>(?:[^\]"\\]|"(?>(?:[^"\\]|\\.)*)")*)\])+)'

# ../src/milter-manager.c:682: cb_client_finished(): -- the own file's last items
SOURCE = rb"(?> [^\s:\[]++(?>:\d++|)|)(?>: [\w.]++\(\)|)"

# --- what was said ----------------------------------------------------------------------------

# Letters, digits, hyphen and underscore by the documentation; [client][option][deprecated] adds
# the option, hyphens in front.  A tag never starts with a digit: that is an id or a time.
TAG = rb"\[-{0,2}[A-Za-z_][\w-]*+\]"

REPEATED = re.compile(rb"message repeated (\d{1,9}) times: \[ (.*)\]", re.DOTALL)

MESSAGE = re.compile(
    rb" *+"
    rb"(?>(\[statistics\] )|)"  # the only level that syslog shows
    rb"(?>\[\d++\] |)"  # session or child
    rb"((?>(?:" + TAG + rb")*))"
    rb"(?>\[([-+]?\d[^\]\s]*+)\]|)"  # elapsed, %g of C's printf
    rb"(?>\((\d{1,20})\)|)"  # the id that statistics carry
    rb"(.*+)",
    re.DOTALL,
)

# The share of MESSAGE that makes up nearly all of a log.  For speed, per line of the program: the
# first tags written out instead of repeated (50 ns of 850), and sets without \d or \s, since `re`
# looks a byte up in one of three ranges or more and goes through any other (270 ns in a long run).
FAST_TAG = rb"\[[A-Za-z_][0-9A-Za-z_-]*+\]"
FAST_TAGS = rb"(?>" + (FAST_TAG + rb"(?:") * 3 + rb"(?:" + FAST_TAG + rb")*" + rb"|)" * 3 + rb")"
FAST_MESSAGE = (
    rb"(?>\[\d++\] (?!\[statistics\] )|)"
    rb"((?>\[statistics\] |)" + FAST_TAGS + rb")"
    rb"(?:\(\d{1,20}\)(?:: <([0-9A-Za-z_-]{1,60}+)>=(?=<)|(?=[: ]|$))"
    rb"|\[(-?\d[0-9.e+-]*+)\]\((\d{1,20})\)(?=:|$)"
    rb"|(?= |$))"
)

SYSLOG_SEVERITIES = (
    "critical", "critical", "critical", "error", "warning", "message", "info", "debug",
)  # fmt: skip
OWN_LEVELS = frozenset(
    ("critical", "error", "warning", "message", "info", "debug", "trace", "statistics", "profile"),
)

# Lengths, in bytes behind the tags, at which syslog may have cut a line: rsyslog near 8 KiB (8,095
# bytes in all seen), old ones at 1 KiB.
CUT_LENGTHS = (range(830, 1025), range(7900, 8300))


class Row(NamedTuple):
    """
    One line of the programs as the fast pattern sees it; what it does not have is empty.

    Without `tags`, `text` is the message whole, for `read_message`; without a `stamp` as well,
    nothing was recognised and `text` is the line, for `read_line`.
    """

    stamp: bytes
    pid: bytes
    tags: bytes
    """With syslog's "[statistics] " in front, where it stands there."""
    header: bytes
    """The header's name; `text` begins with "<" and its value then."""
    elapsed: bytes
    id: bytes
    """Only beside an elapsed time."""
    text: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """
    The parts of a message: what stands in a line behind the program's name.
    """

    repeated: int
    """How often: 1, or the N of syslog's "message repeated N times"."""
    marked: bool
    """Whether syslog's literal "[statistics] " stood in front."""
    tags: bytes
    """The whole run of tags without ids and elapsed; empty where there is none."""
    elapsed: bytes
    """Seconds as written, or empty."""
    id: bytes
    """The glued id, or empty."""
    text: bytes
    """The rest, its leading blanks or colon included."""


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line read whole; `message` is None when another program wrote it.
    """

    dialect: str
    stamp: bytes
    host: bytes
    program: bytes
    pid: bytes
    message: bytes | None


def read_message(message: bytes) -> Parts:
    """
    Take what a program said apart; any bytes are taken.
    """
    repeated = REPEATED.fullmatch(message)
    times = int(repeated[1]) if repeated else 1
    match = MESSAGE.fullmatch(repeated[2] if repeated else message)
    assert match is not None  # noqa: S101 - every part of the pattern is optional
    marked, tags, elapsed, id_, text = match.groups(b"")
    return Parts(times, bool(marked), tags, elapsed, id_, text)


def stamp_level(stamp: bytes) -> str | None:
    """
    Say the output level that a stamp carries: syslog's PRI or the own file's level item.
    """
    if stamp.startswith(b"<"):
        severity = int(stamp[1 : stamp.index(b">")]) & 7
        return SYSLOG_SEVERITIES[severity]
    if stamp.startswith(b"["):
        item = stamp[1 : stamp.index(b"]")].decode("ascii", "replace")
        return item if item in OWN_LEVELS else None
    return None


def stamp_dialect(stamp: bytes) -> str:
    """
    Name the dialect that a stamp is of, as `Line.dialect` does; "bare" without one.
    """
    bare = stamp.partition(b">")[2] if stamp.startswith(b"<") else stamp
    if not bare:
        return "bare"
    if bare.startswith(b"1 "):
        return "rfc5424"
    if bare.startswith(b"["):
        return "own"
    if bare[:1].isdigit():
        return "iso" if bare[4:5] == b"-" else "unix"
    return "traditional" if bare[6:7] == b" " else "full"


def may_be_cut(length: int) -> bool:
    """
    Say whether a text of this many bytes may have lost its end on the way through syslog.
    """
    return any(length in lengths for lengths in CUT_LENGTHS)


def make_room(openings: dict[tuple[bytes, ...], Value]) -> None:
    """
    Drop the oldest opening where there are as many as there may be.
    """
    if len(openings) >= MOST_LEARNED:
        del openings[next(iter(openings))]


class Grammar:
    """
    The grammar for lines of some programs.
    """

    def __init__(self, programs: Sequence[str]) -> None:
        """
        Compile it; `programs` are matched to the letter.
        """
        names = sorted((re.escape(name.encode()) for name in programs), key=len, reverse=True)
        program = rb"(?:" + rb"|".join(names) + rb")"
        said = rb"(?> ?+\[(\d*+)\]|): ?+(?:" + FAST_MESSAGE + rb"|)"
        self._said = program + said
        self._syslog_rows = self._compile_rows(b"", b"")
        self.learned: dict[tuple[bytes, ...], re.Pattern[bytes]] = {}
        """Opening -> a pattern of its own."""
        self.unlearned: dict[tuple[bytes, ...], int] = {}
        """Opening -> bytes read so far."""
        self._own_rows = re.compile(
            rb"\n(?:(" + OWN_TIME + rb")(?> \[" + program + rb"\]|)" + said + rb"|)(.*+)",
            re.MULTILINE,
        )
        any_program = rb"([^\s\[\]:]++)"
        own_program = rb"(?> \[(?!\d++\])([\w./-]++)\]|)"  # the item pid may stand alone
        pid = rb"(?> ?+\[(\d*+)\]|)"
        self._programs = frozenset(name.encode() for name in programs)
        self._dialects = tuple(
            (name, re.compile(pattern, re.DOTALL))
            for name, pattern in (
                (
                    "rfc5424",
                    rb"(" + PRI + rb"1 (?:" + ISO + rb"|-)) (\S++) (\S++) (?:(\d++)|\S++) \S++ "
                    + STRUCTURED_DATA + rb"(?>  *+(?>\xef\xbb\xbf|)(.*+)|)",
                ),
                (
                    "traditional",
                    rb"((?>" + PRI + rb"|)" + TRADITIONAL + rb") (" + HOST + rb")"
                    + any_program + pid + rb": ?+(.*+)",
                ),
                (
                    "iso",
                    rb"((?>" + PRI + rb"|)" + ISO + rb") (" + HOST + rb")"
                    + any_program + pid + rb": ?+(.*+)",
                ),
                (
                    "full",
                    rb"((?>" + PRI + rb"|)" + FULL + rb") (" + HOST + rb")"
                    + any_program + pid + rb": ?+(.*+)",
                ),
                (
                    "unix",
                    rb"(" + UNIX + rb") (" + HOST + rb")" + any_program + pid + rb": ?+(.*+)",
                ),
                (
                    "own",
                    rb"(" + OWN + rb")()" + own_program + pid + SOURCE + rb": ?+(.*+)",
                ),
            )
        )  # fmt: skip
        self._stamped = re.compile(
            rb"(?>" + PRI + rb"|)(?:(?:" + TRADITIONAL + rb"|" + ISO + rb"|1 " + ISO + rb"|" + UNIX
            + rb"|" + FULL + rb") (?!" + VERBOSE + rb")|" + OWN + rb")",
        )  # fmt: skip

    def find_rows(self, chunk: bytes) -> list[Row]:
        r"""
        Find the lines of the programs, and those that need `read_line`, in order.

        `chunk` holds complete lines, each *led* by its newline and without one at the end:
        b"\nfirst\nsecond".  The lines that are not among the rows were stamped by other programs.

        The rows are plain tuples in the order of `Row`: making the named ones costs as much again
        as finding them.
        """
        pattern = self._own_rows if chunk.startswith(b"\n[") else self._find_syslog_rows(chunk)
        rows: list[Row] = pattern.findall(chunk)
        return rows

    def _compile_rows(self, stamp: bytes, host: bytes) -> re.Pattern[bytes]:
        """
        Compile the fast pattern for syslog; `stamp` and `host` are what to try before all others.
        """
        # A stamp decides: behind one there is a program of ours or nothing to be found.  Asking
        # once instead of again for what has none saves an eighth of the time.
        return re.compile(
            rb"\n(?>(" + stamp + TRADITIONAL + rb"|" + ISO + rb"|" + PRI + ISO + rb") |)"
            rb"(?(1)(?>" + host + HOST + rb")" + self._said + rb"|)(.*+)",
            re.MULTILINE,
        )  # fmt: skip

    def _find_syslog_rows(self, chunk: bytes) -> re.Pattern[bytes]:
        """
        Give the pattern that is fastest for a chunk; all of them find the same.

        The day and the host of a long log, written into the pattern to the letter, save a fifth
        of its time for lines of other programs and 7 % for ours.
        """
        match = OPENING.match(chunk)
        if match is None:
            return self._syslog_rows
        opening = match.groups(b"")
        if opening in self.learned:
            return self.learned[opening]
        if opening not in self.unlearned:
            make_room(self.unlearned)
        read = self.unlearned[opening] = self.unlearned.get(opening, 0) + len(chunk)
        if read <= LEARN_BYTES:
            return self._syslog_rows
        del self.unlearned[opening]
        make_room(self.learned)
        traditional, iso, host = map(re.escape, opening)
        stamp = traditional + TRADITIONAL_CLOCK if traditional else iso + ISO_CLOCK
        self.learned[opening] = self._compile_rows(stamp + rb"|", host + rb"|")
        return self.learned[opening]

    def read_line(self, line: bytes) -> Line | None:
        """
        Read one line; None when it bears no stamp of any dialect.
        """
        for dialect, pattern in self._dialects:
            match = pattern.fullmatch(line)
            if match:
                stamp, host, program, pid, message = match.groups(b"")
                name = program.removesuffix(UNIT_SUFFIX) if dialect == "full" else program
                ours = bool({program, name} & self._programs)
                ours = ours or (dialect == "own" and not program)
                return Line(dialect, stamp, host.rstrip(), program, pid, message if ours else None)
        stamped = self._stamped.match(line) or JOURNAL_MARK.fullmatch(line)
        return Line("stamped", stamped[0], b"", b"", b"", None) if stamped else None
