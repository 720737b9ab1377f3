"""
The systemd journal as one endless log: entries of some programs as lines of syslog, in chunks.

journalctl is asked for the newest entry, then follows from the last one that was read: that one is
printed once more, which shows that it is still there.  A run of journalctl that ends is followed by
another, later and later.  The place is a cursor, which outlives rotation, reboots and this process.

Limits: what was vacuumed before it was read is lost, which is said and counted.

Shaped as `logfile.LogFile`.  Knows nothing of what the lines mean, and never waits.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from exporter.entry import CONTROL, Entry, write_line
from exporter.export import END, FIRST, Fields, split_entries
from exporter.generation import LINE_BYTES, Statistics
from exporter.journalctl import Journalctl
from exporter.logfile import Chunk
from exporter.mark import Mark
from exporter.remedy import Remedy, suggest_group

NAME = Path("journal")
"""What stands for it where a log file has its pathname."""
GROUP = "systemd-journal"
"""systemd's group of those who may read the system's journal (systemd-journald.service(8))."""
NUMBER = 1
"""There is one journal, where a log may have several files."""

SENDER = (
    *(b"SYSLOG_IDENTIFIER", b"PRIORITY", b"SYSLOG_FACILITY", b"_PID", b"SYSLOG_PID"),
    b"_HOSTNAME",
)
CURSOR, MOMENT = b"__CURSOR", b"__REALTIME_TIMESTAMP"
NAMES = (*SENDER, MOMENT, CURSOR)
EPOCH = b"1970-01-01T00:00:00.000000Z"
MOMENT_DIGITS = 16
"""Of microseconds since the epoch, from 2001 to 2286."""
FIELDS = b",".join((b"MESSAGE", *NAMES)).decode()
# --merge, since --follow alone shows entries of one boot only; of this machine, all the same.
COMMAND = ("--no-pager", "--merge", "--output=export", f"--output-fields={FIELDS}")
MACHINE_ID = Path("/etc/machine-id")

ENTRY_BYTES = 8 * 1024 * 1024
"""Of an entry at most; journald takes more from who tries hard."""
SETTLED_SECONDS = 2.0
"""For how long journalctl has to live, with nothing to print, to be taken for well."""
STEADY_SECONDS = 60.0
"""And for how long, until its end is the first one again."""
ANSWER_SECONDS = 60.0
LEAST_DELAY, MOST_DELAY = 1.0, 60.0
LOOK_SECONDS = 10.0
"""Between two looks for a first entry."""


@dataclass(slots=True)
class Journal:
    """
    Follows the journal; without marks, from its end or from its beginning.
    """

    programs: Sequence[str]
    from_beginning: bool
    environ: Mapping[str, str]
    directory: Path | None = None
    """Where its files are, if it is not this machine's own."""
    marks: list[Mark] = field(default_factory=list)
    """Where an earlier run was; taken up by the first `read`."""
    statistics: Statistics = field(default_factory=Statistics)
    problem: str = ""
    """Why the journal cannot be read at the moment; empty when it can."""
    notes: list[str] = field(default_factory=list)
    """What an administrator should know, oldest first; whoever tells him empties it."""
    resumed: dict[int, int] = field(default_factory=dict)
    found: bool | None = None
    """Whether there are entries; None before the first answer."""
    _child: Journalctl | None = None
    _since: float = 0.0
    """When the child was started."""
    _newest: Entry | None = None
    _asked: bool = False
    """Whether the newest entry is known, or known not to be."""
    _was_empty: bool = False
    _cursor: str | None = None
    """Of the last entry that was read; empty before the first one, None nowhere yet."""
    _expected: str = ""
    """What the first entry of a child must be."""
    _behind: bool = True
    _rest: bytes = b""
    """The beginning of an entry."""
    _skipping: bool = False
    """Whether it is the beginning of one that is too long."""
    _retry_at: float = float("-inf")
    _delay: float = LEAST_DELAY
    _refused: bool = False

    @property
    def path(self) -> Path:
        """
        Give what it is called.
        """
        return NAME

    @property
    def numbers(self) -> set[int]:
        """
        Give the number of the journal once there is a place in it.
        """
        return set() if self._cursor is None else {NUMBER}

    @property
    def unread_bytes(self) -> int:
        """
        Count what journalctl has printed and nobody has counted; what is to come is not known.
        """
        return len(self._rest) + (self._child.unread_bytes if self._child else 0)

    @property
    def half_lines(self) -> int:
        """
        Count nothing: of an entry that has not ended no byte is among those read.
        """
        return 0

    @property
    def descriptor(self) -> int | None:
        """
        Give what becomes readable when there is something new; None when a timer has to do.
        """
        return self._child.descriptor if self._child else None

    @property
    def is_catching_up(self) -> bool:
        """
        Say whether entries that were there at the start are still to come.
        """
        return self._behind and not self.problem

    def places(self) -> list[tuple[int, Mark]]:
        """
        Give the place that was reached, by a number less than 0 while it is an earlier run's.
        """
        if self.marks:
            return [(-1, self.marks[0])]
        if self._cursor is None:
            return []
        return [(NUMBER, Mark(0, 0, self.statistics.read_bytes, "", "", cursor=self._cursor))]

    def remedy(self) -> Remedy | None:
        """
        Say what would let it be read, if that is a permission.
        """
        return suggest_group(GROUP, str(self.directory or NAME)) if self._refused else None

    def look(self, now: float) -> bool | None:
        """
        Say whether there are entries, None as long as that is not known; follows nothing.

        A first entry that comes after an answer of no is read with all that follow it.
        """
        if self.found or not self._ask(now):
            return self.found
        if not self.found:
            self._asked, self._was_empty, self._retry_at = False, True, now + LOOK_SECONDS
        return self.found

    def read(self, now: float) -> Iterator[Chunk]:
        """
        Give the entries written since the last time; `now` is a clock that never goes back.
        """
        if self.marks:
            self._cursor, self.marks = self.marks[0].cursor, []
            self.resumed = {NUMBER: 0}
        if not self._asked and not self._ask(now):
            return
        if self._child is None and not self._follow(now):
            return
        while data := self._receive(now):
            lines = self._take(data)
            self.statistics.read_bytes += len(lines)
            yield Chunk(NUMBER, lines, b"")
        self.statistics.unread_bytes = self.unread_bytes

    def close(self) -> None:
        """
        End journalctl.
        """
        if self._child:
            self._child.kill()
        self._child, self._rest, self._skipping, self._asked = None, b"", False, False

    def reopen(self) -> None:
        """
        Begin with another journalctl at once, at the place that was reached.
        """
        self.close()
        self._retry_at, self._delay = float("-inf"), LEAST_DELAY

    def _start(self, now: float, *arguments: str) -> bool:
        """
        Start journalctl; say whether it could be.
        """
        matches = [f"SYSLOG_IDENTIFIER={program}" for program in self.programs]
        if self.directory:
            where = [f"--directory={self.directory}"]
        else:
            where, machine = [], read_machine_id()
            matches += [f"_MACHINE_ID={machine}"] if machine else []
        try:
            self._child = Journalctl([*COMMAND, *where, *arguments, *matches], self.environ)
        except OSError as error:
            self._fail(f"cannot run journalctl: {error.strerror}", now)
            return False
        self._since, self._rest, self._skipping = now, b"", False
        return True

    def _ask(self, now: float) -> bool:
        """
        Ask for the newest entry; say whether the answer is there.
        """
        if self._child is None and (now < self._retry_at or not self._start(now, "--lines=1")):
            return False
        assert self._child is not None  # noqa: S101 - started just now or before
        while data := self._child.read():
            self._rest += data
        if data is None:
            if now - self._since > ANSWER_SECONDS:
                self._fail("journalctl does not answer", now)
            return False
        problem, self._refused = self._child.end(), self._child.is_refused
        if problem:
            self._fail(problem, now)
            return False
        entries, _ = split_entries(self._rest)
        self._newest = make_entry(entries[-1]) if entries else None
        self._child, self._rest, self._asked, self.found = None, b"", True, bool(self._newest)
        return True

    def _follow(self, now: float) -> bool:
        """
        Go on from the place that was reached; say whether journalctl could be started.
        """
        newest = str(self._newest.cursor) if self._newest else ""
        if self._cursor is None:
            self._cursor = "" if self.from_beginning or self._was_empty else newest
        self._behind = self._behind and bool(newest) and not is_same(newest, self._cursor)
        self._expected = self._cursor
        cursor = [f"--cursor={self._cursor}"] if self._cursor else []
        return self._start(now, "--follow", "--lines=all", *cursor)

    def _receive(self, now: float) -> bytes | None:
        """
        Read what journalctl has printed, and see how it is.
        """
        assert self._child is not None  # noqa: S101 - the caller has one
        data = self._child.read()
        if data == b"":
            problem, self._refused = self._child.end(), self._child.is_refused
            self._fail(problem or "journalctl ended", now)
            self.statistics.read_errors += 1
            return None
        if now - self._since > STEADY_SECONDS:
            self._delay = LEAST_DELAY
        if self._child.is_refused:
            self._refused, self.problem = True, "not permitted to read the journal"
        elif data or now - self._since > SETTLED_SECONDS:
            self._refused, self.problem = False, ""
        return data

    def _fail(self, problem: str, now: float) -> None:
        """
        Say why, and try again some time later, each time later than before.
        """
        self.close()
        self.problem = problem
        self.found = bool(self.found)
        self._retry_at = now + self._delay
        self._delay = min(2 * self._delay, MOST_DELAY)

    def _take(self, data: bytes) -> bytes:
        """
        Write the entries that are whole as lines, each led by a newline; go on behind them.
        """
        data = self._rest + data
        if self._skipping:
            at = data.find(FIRST)
            if at < 0:
                self._rest = data[-len(FIRST) :]
                return b""
            data, self._skipping = data[at + len(END) :], False
            self.statistics.overlong_lines += 1
        entries, self._rest = split_entries(data)
        if len(self._rest) > ENTRY_BYTES:
            self._skipping, self._rest = True, self._rest[-len(FIRST) :]
        return b"".join(b"\n" + line for line in self._write(entries))

    def _write(self, entries: list[Fields]) -> list[bytes]:
        """
        Write those entries as lines that are to be counted, and move the place over all of them.
        """
        lines = []
        for fields in entries:
            cursor = fields.get(CURSOR)
            if not cursor:
                self.statistics.cut_lines += 1
                continue
            self._cursor = cursor.decode("ascii", "replace")
            if self._expected and self._is_expected():
                continue
            line = write_fields(fields)
            if len(line) > LINE_BYTES:
                self.statistics.overlong_lines += 1
            else:
                lines.append(line)
        if self._behind and self._newest and entries:
            # What comes later is behind the newest one that there was, or is that one.
            moment = entries[-1].get(MOMENT, b"").decode("ascii", "replace")
            newest = str(self._newest.microseconds)
            self._behind = (len(moment), moment) < (len(newest), newest) and not is_same(
                str(self._newest.cursor), self._cursor or ""
            )
        return lines

    def _is_expected(self) -> bool:
        """
        Say whether the first entry is the last one that was read; if not it is said and counted.
        """
        expected, self._expected = self._expected, ""
        if is_same(expected, self._cursor or ""):
            return True
        self.statistics.read_errors += 1
        self.notes.append("the place in the journal is gone, going on at the next entry left")
        return False


def write_fields(fields: Fields) -> bytes:
    """
    Write an entry as a line.
    """
    message, moment = fields.get(b"MESSAGE", b""), fields.get(MOMENT, b"")
    if len(moment) != MOMENT_DIGITS or not moment.isdigit() or CONTROL.search(message):
        return write_line(make_entry(fields))
    pri, sender = write_sender(*[fields.get(name, b"") for name in SENDER])
    return b"%s%s.%sZ%s%s" % (pri, write_second(moment[:-6]), moment[-6:], sender, message)


@lru_cache(maxsize=256)
def write_sender(*values: bytes) -> tuple[bytes, bytes]:
    """
    Write what stands before and behind the time; of one sender it is mostly the same.
    """
    line = write_line(make_entry(dict(zip(SENDER, values, strict=True))))
    pri, _, sender = line.partition(EPOCH)
    return pri, sender


@lru_cache(maxsize=16)
def write_second(seconds: bytes) -> bytes:
    """
    Write seconds since the epoch as RFC 3339 does, without a zone.
    """
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def make_entry(fields: Fields) -> Entry:
    """
    Give names to the fields of an entry.
    """
    message = fields.get(b"MESSAGE", b"")
    texts = [fields.get(name, b"").decode("utf-8", "replace") for name in NAMES]
    identifier, priority, facility, pid, syslog_pid, hostname, microseconds, cursor = texts
    return Entry(
        message=message.decode() if message.isascii() else list(message),
        identifier=identifier,
        priority=priority,
        facility=facility,
        pid=pid,
        syslog_pid=syslog_pid,
        hostname=hostname,
        microseconds=microseconds,
        cursor=cursor,
    )


def read_machine_id() -> str:
    """
    Give the identity of this machine, empty where it has none.
    """
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def is_same(one: str, other: str) -> bool:
    """
    Say whether two cursors are of one entry.

    When the journal is moved from memory to the disk, at boot, entries get a new file and number:
    what stays is boot, time and the sum of the fields.
    """
    return one == other or lasting(one) == lasting(other)


def lasting(cursor: str) -> list[str]:
    """
    Give the parts of a cursor that no move changes.
    """
    return [part for part in cursor.split(";") if not part.startswith(("s=", "i="))]
