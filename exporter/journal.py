"""
The systemd journal as one endless log: entries of some programs as lines of syslog, in chunks.

journalctl is asked for the newest entry, then follows from the last one that was read: that one is
printed once more, which shows that it is still there.  A run of journalctl that ends is followed by
another, later and later.  The place is a cursor, which outlives rotation, reboots and this process.

Limits: what was vacuumed before it was read is lost, which is said and counted.  Where journalctl
puts entries in a wrong order, as after a clock that was set back and a crash in one, those that it
puts before the place are not seen.

Shaped as `logfile.LogFile`.  Knows nothing of what the lines mean, and never waits.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporter.cursor import is_same, is_same_moment, microseconds_of, read_cursor
from exporter.export import read_fields
from exporter.generation import LINE_BYTES, Statistics
from exporter.journalctl import Journalctl
from exporter.journallines import CURSOR, FIELDS, Said, write_lines
from exporter.logfile import Chunk
from exporter.mark import Mark
from exporter.remedy import Remedy, suggest_group

NAME = Path("journal")
"""What stands for it where a log file has its pathname."""
GROUP = "systemd-journal"
"""systemd's group of those who may read the system's journal (systemd-journald.service(8))."""
NUMBER = 1
"""There is one journal, where a log may have several files."""

FIELD_NAMES = b",".join(FIELDS).decode()
# --merge, since --follow alone shows entries of one boot only; of this machine, all the same.
COMMAND = ("--no-pager", "--merge", "--output=export")
# Of the newest entry its place is enough, which is always printed: its message may be long.
QUESTION = ("--lines=1", "--output-fields=_PID")
FOLLOWING = ("--lines=all", "--follow", f"--output-fields={FIELD_NAMES}")
MACHINE_ID = Path("/etc/machine-id")
DIRECTORIES = (Path("/run/log/journal"), Path("/var/log/journal"))
"""Where journald keeps it: in memory, and on the disk once that directory is there."""

ENTRY_BYTES = 8 * 1024 * 1024
"""Of an entry at most; journald takes more from who tries hard."""
SETTLED_SECONDS = 2.0
"""For how long journalctl has to live, with nothing to print, to be taken for well."""
STEADY_SECONDS = 60.0
"""And for how long, until its end is the first one again."""
ANSWER_SECONDS = 60.0
ANSWER_BYTES = 64 * 1024
PATIENCE_SECONDS = 10.0
"""For how long journalctl may print nothing of what was there at its start."""
LEAST_DELAY, MOST_DELAY = 1.0, 60.0
LOOK_SECONDS = 10.0
"""Between two looks for a first entry, and at the directories."""


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
    _heard: float = float("-inf")
    """When it printed something."""
    _looked: float = float("-inf")
    """When its directories were looked at."""
    _identity: list[tuple[int, int] | None] = field(default_factory=list)
    """Which they were at its start."""
    _newest: str = ""
    _asked: bool = False
    """Whether the newest entry is known, or known not to be."""
    _was_empty: bool = False
    _cursor: str | None = None
    """Of the last entry that was read; empty before the first one, None nowhere yet."""
    _passed: bool = False
    """Whether that entry is to be left alone: it is too long, or nobody has counted it."""
    _expected: str = ""
    """What the first entry of a child must be."""
    _behind: bool = True
    _rest: bytes = b""
    """The beginning of an entry."""
    _retry_at: float = float("-inf")
    _delay: float = LEAST_DELAY
    _refused: bool = False
    _ignored: set[str] = field(default_factory=set)
    """What journalctl said of files that it does not read."""

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
            self._resume()
        if not self._asked and not self._ask(now):
            return
        if self._child is None and not self._follow(now):
            return
        while data := self._receive(now):
            lines = self._take(data)
            self.statistics.read_bytes += len(lines)
            yield Chunk(NUMBER, lines, b"")
        if self._child:
            self._look_after(now)
        self.statistics.unread_bytes = self.unread_bytes

    def close(self) -> None:
        """
        End journalctl.
        """
        if self._child:
            self._child.kill()
        self._child, self._rest, self._asked = None, b"", False

    def reopen(self) -> None:
        """
        Begin with another journalctl at once, at the place that was reached.
        """
        self.close()
        self._retry_at, self._delay = float("-inf"), LEAST_DELAY

    def _resume(self) -> None:
        """
        Go to where an earlier run was.
        """
        said = self.marks[0].cursor
        self._cursor, self.marks, self.resumed = read_cursor(said.encode()), [], {NUMBER: 0}
        if said and not self._cursor:
            self._lose("going on at the oldest entry")

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
        self._since, self._rest = now, b""
        self._identity, self._looked = identify(self._directories), now
        return True

    def _ask(self, now: float) -> bool:
        """
        Ask for the newest entry; say whether the answer is there.
        """
        if self._child is None and (now < self._retry_at or not self._start(now, *QUESTION)):
            return False
        assert self._child is not None  # noqa: S101 - started just now or before
        while data := self._read():
            self._rest += data
            if len(self._rest) > ANSWER_BYTES:
                self._fail("journalctl gives an answer without end", now)
                return False
        if data is None:
            if now - self._since > ANSWER_SECONDS:
                self._fail("journalctl does not answer", now)
            return False
        problem, self._refused = self._child.end(), self._child.is_refused
        if problem:
            self._fail(problem, now)
            return False
        newest = read_fields(self._rest)
        self._newest = read_cursor(newest[0].get(CURSOR, b"")) if newest else ""
        self._child, self._rest, self._asked, self.found = None, b"", True, bool(self._newest)
        return True

    def _read(self) -> bytes | None:
        """
        Read what journalctl has printed; what it leaves out is said and counted, once.
        """
        assert self._child is not None  # noqa: S101 - the caller has one
        data = self._child.read()
        for ignored in sorted(self._child.ignored - self._ignored):
            self._ignored.add(ignored)
            self.statistics.read_errors += 1
            self.notes.append(ignored)
        return data

    def _follow(self, now: float) -> bool:
        """
        Go on from the place that was reached; say whether journalctl could be started.
        """
        if self._cursor is None:
            self._cursor = "" if self.from_beginning or self._was_empty else self._newest
        if not self._newest or is_same(self._newest, self._cursor):
            self._behind = False
        self._expected = "" if self._passed else self._cursor
        option = "after-cursor" if self._passed else "cursor"
        place = [f"--{option}={self._cursor}"] if self._cursor else []
        return self._start(now, *FOLLOWING, *place)

    def _receive(self, now: float) -> bytes | None:
        """
        Read what journalctl has printed, and see how it is.
        """
        if self._child is None:
            return None
        data = self._read()
        if data == b"":
            problem, self._refused = self._child.end(), self._child.is_refused
            self._fail(problem or "journalctl ended", now)
            return None
        if data:
            self._heard = now
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
        self.statistics.read_errors += 1
        self.problem = problem
        self.found = bool(self.found)
        self._retry_at = now + self._delay
        self._delay = min(2 * self._delay, MOST_DELAY)

    def _take(self, data: bytes) -> bytes:
        """
        Write the entries that are whole as lines, each led by a newline; go on behind them.
        """
        entries, self._rest = write_lines(self._rest + data)
        lines = b"".join(b"\n" + said.line for said in self._sift(entries))
        if len(self._rest) > ENTRY_BYTES:
            self._pass_over()
        return lines

    def _sift(self, entries: list[Said]) -> list[Said]:
        """
        Leave out what is not to be counted, and move the place over all of them.
        """
        known = [said for said in entries if said.cursor]
        self.statistics.cut_lines += len(entries) - len(known)
        if not known:
            return known
        self._cursor, self._passed = known[-1].cursor, False
        self._behind = self._behind and self._is_before_newest(self._cursor)
        if self._expected:
            known = self._find_expected(known)
        counted = [said for said in known if len(said.line) <= LINE_BYTES]
        self.statistics.overlong_lines += len(known) - len(counted)
        return counted

    def _find_expected(self, entries: list[Said]) -> list[Said]:
        """
        Give the entries behind the last one that was read; if that is gone it is said and counted.

        It may not be the first: a place in another file is found by its time, which several share.
        """
        expected, self._expected = self._expected, ""
        for number, said in enumerate(entries, 1):
            if is_same(said.cursor, expected):
                return entries[number:]
            if not is_same_moment(said.cursor, expected):
                break
        self._lose("going on at the next entry left")
        return entries

    def _lose(self, going_on: str) -> None:
        """
        Say and count that the place is gone.
        """
        self.statistics.read_errors += 1
        self.notes.append(f"the place in the journal is gone, {going_on}")

    def _pass_over(self) -> None:
        """
        Leave an entry that is too long, and begin with another journalctl behind it.

        Looking for its end would trust what it holds.
        """
        line, _, _ = self._rest.partition(b"\n")
        cursor = read_cursor(line.removeprefix(CURSOR + b"="))
        if not (self._expected and is_same(cursor, self._expected)):
            self.statistics.overlong_lines += 1
        if cursor:
            self._cursor, self._passed = cursor, True
            self._behind = self._behind and self._is_before_newest(cursor)
        self.reopen()

    def _is_before_newest(self, cursor: str) -> bool:
        """
        Say whether the newest entry that there was at the start is still to come.
        """
        if is_same(self._newest, cursor):
            return False
        return microseconds_of(cursor) < microseconds_of(self._newest)

    def _look_after(self, now: float) -> None:
        """
        Begin with another journalctl where this one would wait for what never comes.
        """
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if identify(self._directories) != self._identity:
                self.reopen()  # it follows the directories of before
                return
        if self._behind and now - max(self._since, self._heard) >= PATIENCE_SECONDS:
            self._behind = False
            if self._expected and not is_same(self._newest, self._expected):
                # A place that is later than all that is left, after a clock that ran ahead.
                self._lose("going on at the end")
                self._cursor, self._passed = self._newest, True
                self.reopen()

    @property
    def _directories(self) -> Iterable[Path]:
        return (self.directory,) if self.directory else DIRECTORIES


def identify(paths: Iterable[Path]) -> list[tuple[int, int] | None]:
    """
    Tell directories from others that get their names.
    """
    found: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_dev, status.st_ino))
    return found


def read_machine_id() -> str:
    """
    Give the identity of this machine, empty where it has none.
    """
    try:
        return MACHINE_ID.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
