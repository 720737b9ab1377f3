"""
One pathname as one endless log: complete lines in chunks, through rotations and truncations.

Strategy: a file that is open is the truth, and its name only tells when there is a newer one.
Rule 1: a renamed file stays open beside the new one until it has been quiet for a while, since its
writer goes on with it until it is told to reopen.
Rule 2: generations that came and went between two looks are found among the siblings.
Rule 3: what another log has read, under whatever name, is not read again.

Limits: a file that was moved to another directory (olddir) is read on while it is open, but not
found after a restart; so is one that was deleted with lines nobody had read.  A renamed file whose
writer was silent for `GRACE_SECONDS`, or that is one of too many, is left.  What is left of a log
that was cut in its middle is known only as long as it was read in this run (see
`Generation.go_back`).  A copy that is made of one log under the name of another is read there too.

Knows nothing of what the lines mean, and never waits.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from exporter.generation import LINE_BYTES, Generation, Statistics
from exporter.mark import FINGERPRINT_BYTES, Mark
from exporter.search import find_all, find_copy, find_later, find_written_since, is_copy
from exporter.siblings import (
    Compressed,
    Plain,
    Sibling,
    do_nothing,
    list_siblings,
    open_plain,
    read_sibling,
)

HEAD_BYTES = 64 * 1024
GRACE_SECONDS = 60.0
"""How long a renamed file has to be quiet before it is left, once the new one has lines."""
MOST_FILES = 8
"""Files of one name open at a time; workers that never reopen keep theirs busy for ever."""
MOST_LEFT = 256
TICK_NANOSECONDS = 20_000_000
"""By how much a file's time may be behind the clock: a tick of the kernel is 10 ms at most."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    Complete lines of one file.
    """

    file: int
    """Changes whenever the bytes begin anew: another file, or the same one truncated."""
    lines: bytes
    """
    Each line led by its newline, none at the end; NUL bytes are left out.

    Empty where no line ends: whoever reads gets to stop in the longest line or hole too.
    """
    head: bytes
    """With the first lines of a file: the file's first bytes, up to `HEAD_BYTES`."""


@dataclass(slots=True)
class Register:
    """
    What all logs of one exporter read or have read, so that nothing is read twice.
    """

    readers: dict[tuple[int, int], "LogFile"] = field(default_factory=dict)
    """Device and inode -> the log that has the file open."""
    left: list[Mark] = field(default_factory=list)
    """Files that were read and closed, oldest first."""
    logs: list["LogFile"] = field(default_factory=list)

    def leave(self, mark: Mark) -> None:
        """
        Remember a file that is closed.
        """
        self.left.append(mark)
        del self.left[:-MOST_LEFT]

    def release(self, identity: tuple[int, int], log: "LogFile") -> None:
        """
        Let another log read a file that this one has closed.
        """
        if self.readers.get(identity) is log:
            del self.readers[identity]

    def mark_in(self, source: Plain | Compressed) -> Mark | None:
        """
        Give the place at which a file was left, None for one that is new.
        """
        status = source.status()
        awaited = [mark for log in self.logs for mark in log.marks]
        for mark in (*awaited, *reversed(self.left)):
            if (mark.device, mark.inode) == (status.st_dev, status.st_ino) and mark.fits(source):
                return mark
        return None


@dataclass(slots=True)
class LogFile:
    """
    Follows one pathname; without marks, a file that is there at the start is read from its end.
    """

    path: Path
    from_beginning: bool
    register: Register = field(default_factory=Register)
    marks: list[Mark] = field(default_factory=list)
    """Where an earlier run was, oldest file first; taken up by the first `read`."""
    statistics: Statistics = field(default_factory=Statistics)
    problem: str = ""
    """Why the log cannot be read at the moment; empty when it can, or is not there."""
    notes: list[str] = field(default_factory=list)
    """What an administrator should know, oldest first; whoever tells him empties it."""
    resumed: dict[int, int] = field(default_factory=dict)
    """Number of a file -> its place in `marks`."""
    between: Callable[[], None] = do_nothing
    """Called while a place in a compressed file is looked for; OSError with EINTR puts that off."""
    _files: list[Generation] = field(default_factory=list)
    _base: Path | None = None
    """What the pathname stood for when the present file was opened, links followed."""
    _gap: Mark | None = None
    """The file after which there may be others that are still to be looked for."""
    _gap_since: int | None = None
    """The same for files written to since a moment, nanoseconds since the epoch."""
    _numbers: int = 0
    _skip: tuple[tuple[int, int], int] | None = None
    _looked: bool = False
    _began: int = 0
    """The moment of a first start, nanoseconds since the epoch: what is older does not count."""

    def __post_init__(self) -> None:
        """
        Let the other logs know.
        """
        self.register.logs.append(self)

    @property
    def numbers(self) -> set[int]:
        """
        Give the numbers of the files that may still have lines to come.
        """
        return {file.number for file in self._files}

    @property
    def unread_bytes(self) -> int:
        """
        Count the bytes not handed out yet, in the midst of a `read` too.
        """
        return sum(map(count_unread, self._files))

    @property
    def half_lines(self) -> int:
        """
        Count the bytes that were read of lines that have not ended, and are read again some day.
        """
        return sum(file.scanned - file.position for file in self._files)

    def places(self) -> list[tuple[int, Mark]]:
        """
        Give the number of each file that is being read, and the place reached in it, oldest first.

        The numbers of files that are yet to be found are their places in `marks`, less than 0.
        """
        if self.marks:
            return [(i - len(self.marks), mark) for i, mark in enumerate(self.marks)]
        files = [(file.number, file.mark()) for file in self._files if not file.borrowed]
        moments = [moment for moment in (self._gap_since,) if moment is not None]
        if self._gap:
            moments.append(self._gap.modified)
        if moments:
            return [(0, nothing_before(min(moments))), *files]
        if files or not self._looked:
            return files
        return [(0, nothing_before(time.time_ns() - TICK_NANOSECONDS))]

    def read(self, now: float) -> Iterator[Chunk]:
        """
        Give the lines written since the last time; `now` is a clock that never goes back.
        """
        self.problem = ""
        self._resume(now)
        if self.marks:
            return
        # The old files first: what is known of them decides which others are new.
        old = self._files.copy()
        for file in old:
            yield from self._read_file(file, now)
        self._look(now)
        for file in self._files.copy():
            if file not in old:
                yield from self._read_file(file, now)
        self._leave_old_files(now)
        self.statistics.unread_bytes = self.unread_bytes

    def close(self) -> None:
        """
        Close all files.
        """
        while self._files:
            self._drop(self._files[-1])

    def leave(self) -> None:
        """
        Be done with the name for good: it stands for something that is no file.
        """
        while self._files:
            self._leave(self._files[0])
        self.register.logs = [log for log in self.register.logs if log is not self]

    def reopen(self) -> None:
        """
        Open each file anew that still has a name here; between two `read`s.

        It mends what an open file cannot get over, a restarted file server for one.  Nothing is
        forgotten, and a file that was deleted or moved away stays open: going on from the marks, as
        after a restart, would lose what is yet to come from those.
        """
        try:
            candidates = self._list_candidates()
        except OSError:
            return  # the next look will say so
        for file in self._files:
            if isinstance(file.source, Plain):
                file.source = open_again(file.identity, file.source, candidates)

    # ---- finding the files --------------------------------------------------------------------

    def _look(self, now: float) -> None:
        """
        Open what the pathname stands for now, and what did so in between, if that is new.
        """
        try:
            identity = self._find_present()
            newest = self._files[-1] if self._files else None
            if newest is None or newest.identity != identity:
                if newest and not self._gap:
                    self._gap = newest.footprint()
                if identity:
                    identity = self._open_present(identity, now)
            self._fill_gap(identity, now)
        except OSError as error:
            self._fail(error)

    def _find_present(self) -> tuple[int, int] | None:
        """
        Give the identity of what the pathname stands for, if anything.
        """
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._looked = True
            return None
        identity = (status.st_dev, status.st_ino)
        known = self._looked or self._files or self._gap_since is not None
        if not known and not self.from_beginning and stat.S_ISREG(status.st_mode):
            self._skip = (identity, status.st_size)
            self._pass_over()
        self._looked = True
        return identity

    def _pass_over(self) -> None:
        """
        Have the generations that are there at a first start done with, up to where they end.
        """
        self._began = time.time_ns() - TICK_NANOSECONDS
        self._base = Path(os.path.realpath(self.path))
        with suppress(OSError):
            for sibling in self._list_siblings():
                source = sibling.open()
                # What is compressed is not written to any more.
                if isinstance(source, Plain):
                    file = Generation(0, sibling.path, source, *sibling.identity)
                    file.go_to(find_line_start(source, source.status().st_size))
                    self.register.leave(file.mark())
                source.close()

    def _fill_gap(self, present: tuple[int, int] | None, now: float) -> None:
        """
        Open the generations that came and went unseen; what cannot be looked for now is later.
        """
        if not self._gap and self._gap_since is None:
            return
        siblings = self._list_siblings()
        later = find_later(self._gap, siblings) if self._gap else []
        if self._gap_since is not None:
            since = find_written_since(self._gap_since, siblings)
            later = [sibling for sibling in siblings if sibling in later or sibling in since]
        for sibling in later:
            known = {file.identity for file in self._files}
            if sibling.identity not in known and not self._is_copy(sibling):
                source = sibling.open()
                with closed_on_error(source):
                    mark = self.register.mark_in(source)
                    self._add(sibling.path, source, now, sibling.modified, mark)
                self.statistics.rotations += 1
                newer = {other.identity for other in siblings[siblings.index(sibling) + 1 :]}
                if present and present not in {other.identity for other in siblings}:
                    newer.add(present)
                at = (i for i, other in enumerate(self._files) if other.identity in newer)
                self._files.insert(next(at, len(self._files)), self._files.pop())
        self._gap = self._gap_since = None

    def _open_missed(self, present: Generation, since: int, now: float) -> list[Generation]:
        """
        Open what was copied away from the present file before any of it was read.
        """
        if self._gap_since is None:
            self._gap_since = max(since, self._began)
        known = self._files.copy()
        try:
            self._fill_gap(present.identity, now)
            for file in [file for file in self._files if file not in known]:
                if self._repeats(file):
                    self._drop(file)
        except OSError as error:
            self._fail(error)
        older = self._files[: self._files.index(present)]
        return [file for file in older if file not in known and has_bytes(file)]

    def _repeats(self, file: Generation) -> bool:
        """
        Say whether an older file is a copy of an open one, made or still being made.
        """
        if file is self._files[-1] or isinstance(file.source, Compressed):
            return False
        mark = file.ending()
        return mark.position > 0 and any(
            mark.fits(known.source) or (known.position and known.mark().fits(file.source))
            for known in self._files
            if known is not file and isinstance(known.source, Plain)
        )

    def _put_last(self, present: tuple[int, int] | None) -> bool:
        """
        Have the present file behind all others, if it is open.
        """
        for i, file in enumerate(self._files):
            if file.identity == present:
                self._files.append(self._files.pop(i))
                return True
        return False

    def _is_copy(self, sibling: Sibling) -> bool:
        """
        Say whether a generation holds what was read of an open file, or of a closed one, packed.
        """
        marks = [file.footprint() for file in self._files if not file.borrowed]
        if sibling.suffix:
            marks += self.register.left
        return is_copy(sibling, marks)

    def _open_present(self, identity: tuple[int, int], now: float) -> tuple[int, int]:
        """
        Open what the pathname stands for, and say what that is: by now it may be a newer file.
        """
        rotated = bool(self._files) or self._gap_since is not None
        if not self._put_last(identity):
            newest = self._files[-1] if self._files else None
            self._base = Path(os.path.realpath(self.path))
            source = Plain(open_plain(self._base))
            with closed_on_error(source):
                mark = self.register.mark_in(source)
                moved = mark is None and newest is not None and self._is_moved(newest, source)
                if newest and moved:
                    mark = newest.mark()
                file = self._add(self._base, source, now, source.status().st_mtime_ns, mark)
            if moved:
                self._gap = None
            elif self._skip and self._skip[0] == file.identity and not file.position:
                end = min(self._skip[1], source.status().st_size)
                file.go_to(find_line_start(source, end))
        self._skip = None
        self.statistics.rotations += rotated
        return self._files[-1].identity

    def _is_moved(self, newest: Generation, source: Plain) -> bool:
        """
        Say whether a file is the newest one, copied to where the pathname leads by now.
        """
        if newest.position < FINGERPRINT_BYTES or not newest.mark().fits(source):
            return False
        return all(sibling.identity != newest.identity for sibling in self._list_siblings())

    def _add(
        self,
        path: Path,
        source: Plain | Compressed,
        now: float,
        modified: int,
        mark: Mark | None,
    ) -> Generation:
        """
        Begin with a file, or go on with it where it was left.
        """
        status = source.status()
        identity = (status.st_dev, status.st_ino)
        file = Generation(0, path, source, *identity, modified=modified, quiet_since=now)
        if mark and file.go_on(mark):
            self.statistics.truncations += 1
        file.number = self._next_number()
        file.borrowed = self.register.readers.setdefault(identity, self) is not self
        self._files.append(file)
        return file

    def _resume(self, now: float) -> None:
        """
        Find the files of an earlier run again, whatever they are called by now.

        As long as one that may be among them cannot be opened, nothing is.
        """
        if not self.marks:
            return
        self._base = Path(os.path.realpath(self.path))
        try:
            found = self._find_marks()
        except OSError as error:
            self._fail(error)
            return
        left = sorted(found.items(), reverse=True)
        try:
            while left:
                i, (sibling, source) = left.pop()
                mark = self.marks[i]
                with closed_on_error(source):
                    file = self._add(sibling.path, source, now, mark.modified, mark)
                self.resumed[file.number] = i
        except OSError as error:
            self._fail(error)
            for _, (_, source) in left:
                source.close()
            self.close()
            return
        marks, self.marks = self.marks, []
        lost = [mark for i, mark in enumerate(marks) if i not in found]
        for mark in lost:
            if mark.position:
                self.notes.append(f"the file that was read up to byte {mark.position} is gone")
        # Whatever was written to since may be what became of an empty one.
        moments = [mark.modified for mark in lost if not (found and mark.position)]
        self._gap_since = min(moments, default=None)

    def _find_marks(self) -> dict[int, tuple[Sibling, Plain | Compressed]]:
        """
        Find the files of the marks; OSError when one cannot be opened, or is just being moved.
        """
        candidates = self._list_candidates()
        found = find_all(self.marks, candidates, self._base or self.path)
        if len(found) == len(self.marks) or names_of(candidates) == names_of(
            self._list_candidates()
        ):
            return found
        for _, source in found.values():
            source.close()
        raise OSError(errno.ESTALE, "was rotated just now")

    def _list_candidates(self) -> list[Sibling]:
        """
        List what may have been read by an earlier run, the newest first.
        """
        base = self._base or self.path
        candidates = self._list_siblings()[::-1]
        present = read_sibling(base)
        return [present, *candidates] if present else candidates

    def _list_siblings(self) -> list[Sibling]:
        """
        List the older generations; OSError when they are just being moved.
        """
        base = self._base or self.path
        siblings = list_siblings(base, self.between)
        # A file that goes from name to name meanwhile may be met by neither.
        if names_of(siblings) == names_of(list_siblings(base)):
            return siblings
        raise OSError(errno.ESTALE, "was rotated just now")

    # ---- reading them -------------------------------------------------------------------------

    def _read_file(self, file: Generation, now: float) -> Iterator[Chunk]:
        if file.borrowed or file not in self._files:  # or dropped in the meantime
            return
        try:
            while (yield from self._read_chunks(file, now)):
                yield from self._read_anew(file, now)
        except OSError as error:
            self._fail(error)

    def _read_chunks(self, file: Generation, now: float) -> Generator[Chunk, None, bool]:
        """
        Give a file's lines; True when what was read of it is gone from it.
        """
        begins, since = not file.position, file.modified
        lines = file.read(now, self.statistics)
        while True:
            before = replace(self.statistics)
            chunk, end = next_of(lines)
            if begins and (file.position or (chunk is None and (end or file.modified != since))):
                # Not before: until its first bytes were taken it could still be copied and emptied.
                try:
                    missed = self._look_back(file, since, now)
                except OSError:
                    self._take_back(file, before)
                    raise
                if file not in self._files or missed:
                    self._take_back(file, before)
                for other in missed:
                    yield from self._read_file(other, now)
                if file not in self._files:
                    return False
                if missed:
                    since, lines = file.modified, file.read(now, self.statistics)
                    continue
            if chunk is None:
                return end
            begins = begins and not file.position
            head = file.source.read_at(0, HEAD_BYTES) if chunk and file.fresh else b""
            file.fresh = file.fresh and not chunk
            yield Chunk(file.number, chunk, head)

    def _look_back(self, file: Generation, since: int, now: float) -> list[Generation]:
        """
        With a file's first bytes in hand, drop it if it is a copy; give what is to be read before.
        """
        if file is self._files[-1]:
            return self._open_missed(file, since, now)
        if self._repeats(file):
            self._drop(file)
        return []

    def _take_back(self, file: Generation, before: Statistics) -> None:
        """
        Begin a file anew, as if nothing had been taken of it since the statistics were these.
        """
        now = self.statistics
        now.read_bytes, now.overlong_lines = before.read_bytes, before.overlong_lines
        if file in self._files:
            file.go_to(0)

    def _read_anew(self, file: Generation, now: float) -> Iterator[Chunk]:
        """
        Go on with a file that was truncated: with the rest in its copies, then with what is new.
        """
        rests = self._open_copies(file, now)
        self.statistics.truncations += 1
        if rests:
            # With its old bytes in a copy, all lines in the file are new.
            file.go_to(0)
        else:
            file.give_up(self.statistics)
            file.go_back()
            file.number, file.fresh = self._next_number(), True
        for rest in rests:
            yield from self._read_chunks(rest, now)
            if rest in self._files:
                self._leave(rest)

    def _open_copies(self, file: Generation, now: float) -> list[Generation]:
        """
        Put the copies of a truncated file in front of it, to be read on from where it was.
        """
        copies = self._find_copies(file)
        for known in self._files.copy():
            # Found while it was being made.
            if known is not file and known.identity in {copy.identity for copy in copies}:
                self._drop(known)
        sources: list[Plain | Compressed] = []
        try:
            sources.extend(copy.open() for copy in copies)
            rests = [
                Generation(0, copy.path, source, *copy.identity, quiet_since=now)
                for copy, source in zip(copies, sources, strict=True)
            ]
            for rest in rests[:1]:
                rest.go_to(file.position)
        except OSError:
            for source in sources:
                source.close()
            raise
        for rest in rests:
            rest.number, rest.fresh = file.number, file.fresh
            file.number, file.fresh = self._next_number(), True
        at = self._files.index(file)
        self._files[at:at] = rests
        return rests

    def _find_copies(self, file: Generation) -> list[Sibling]:
        """
        Find the copies that were made of a file before it was truncated, oldest first.

        The first one has what was read of the file, and the rest; later ones are of what was
        written after another truncation.
        """
        siblings = self._list_siblings()
        first = find_copy(file.mark(), siblings)
        if first is None:
            return []
        at = siblings.index(first)
        known = {other.identity for other in self._files}
        beginning = file.beginning()
        copies = [first]
        for sibling in siblings[at + 1 :]:
            # From here on it is the file itself, or what came after it.
            if sibling.identity in known or is_copy(sibling, [beginning]):
                break
            copies.append(sibling)
        return copies

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _leave_old_files(self, now: float) -> None:
        """
        Close the files that have been quiet for long, since a newer one has lines.
        """
        for i, file in enumerate(self._files):
            if not file.superseded and any(newer.position for newer in self._files[i + 1 :]):
                file.superseded, file.quiet_since = True, now
        while len(self._files) > 1:
            oldest = self._files[0]
            quiet = oldest.superseded and now - oldest.quiet_since >= GRACE_SECONDS
            if not quiet and len(self._files) <= MOST_FILES:
                return
            self._leave(oldest)

    def _drop(self, file: Generation) -> None:
        """
        Close a file.
        """
        self._files.remove(file)
        self.register.release(file.identity, self)
        file.source.close()

    def _leave(self, file: Generation) -> None:
        """
        Close a file for good.
        """
        file.give_up(self.statistics)
        if not file.borrowed:
            self.register.leave(file.mark())
        self._drop(file)

    def _fail(self, error: OSError) -> None:
        if isinstance(error, InterruptedError):  # by `between`: the system's own are tried again
            return
        self.statistics.read_errors += 1
        reason = error.strerror or str(error)
        other = error.filename is not None and Path(error.filename) not in (self.path, self._base)
        self.problem = f"{error.filename}: {reason}" if other else reason


def open_again(
    identity: tuple[int, int], source: Plain, candidates: list[Sibling]
) -> Plain | Compressed:
    """
    Open a file once more and close its `source`, or give that back if it cannot be.
    """
    for candidate in candidates:
        if candidate.identity == identity and not candidate.suffix:
            with suppress(OSError):
                again = candidate.open()
                source.close()
                return again
    return source


@contextmanager
def closed_on_error(source: Plain | Compressed) -> Iterator[None]:
    """
    Close a file if an OSError ends what is done with it.
    """
    try:
        yield
    except OSError:
        source.close()
        raise


def nothing_before(moment: int) -> Mark:
    """
    Make the mark of a log that did not exist at a moment, nanoseconds since the epoch.
    """
    return Mark(0, 0, 0, "", "", moment)


def next_of(lines: Generator[bytes, None, bool]) -> tuple[bytes | None, bool]:
    """
    Give the next of some chunks, or None and what they end with.
    """
    try:
        return next(lines), False
    except StopIteration as end:
        return None, bool(end.value)


def names_of(siblings: list[Sibling]) -> list[tuple[Path, tuple[int, int]]]:
    """
    Give what a rotation changes: which file has which name.
    """
    return [(sibling.path, sibling.identity) for sibling in siblings]


def has_bytes(file: Generation) -> bool:
    """
    Say whether there is anything to be read of a file.
    """
    return isinstance(file.source, Compressed) or count_unread(file) > 0


def count_unread(file: Generation) -> int:
    """
    Count the bytes of a file that were not handed out.
    """
    if file.borrowed or isinstance(file.source, Compressed):
        return 0
    try:
        return max(file.source.status().st_size - file.position, 0)
    except OSError:
        return 0


def find_line_start(source: Plain, position: int) -> int:
    """
    Find where the line begins that `position` stands in; one that is overlong by then stays so.
    """
    start = max(position - LINE_BYTES - 1, 0)
    before = source.read_at(start, position - start)
    return start + before.rfind(b"\n") + 1
