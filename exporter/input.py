"""
One log, followed and counted: what its file gives goes through its counting into the tally.

Says once in the exporter's log when the file cannot be read, and counts what the file went through.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from exporter.config import STANDARD_INPUT
from exporter.counting import Counting, CountingState
from exporter.journal import Journal
from exporter.logfile import LogFile
from exporter.misread import name_form
from exporter.pipe import Pipe, is_file, is_pipe
from exporter.remedy import Remedy, find_remedy
from exporter.state import FileState, LogState
from exporter.status import InputStatus
from exporter.tally import Tally

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Input:
    """
    One log: the file behind it, and how its lines are counted.
    """

    logfile: LogFile | Pipe | Journal
    new_counting: Callable[[], Counting]
    tally: Tally
    earlier: list[FileState] = field(default_factory=list)
    """The files of an earlier run, in the order of the log file's marks."""
    countings: dict[int, Counting] = field(default_factory=dict)
    overlong_lines: int = 0
    cut_lines: int = 0
    problem: str = ""
    remedy: Remedy | None = None
    """What would let the log be read."""
    form: str = ""
    """The format of journalctl that the newest file is in, if that has no lines of a log."""
    dialects: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        """
        Give the value of the label `file`.
        """
        return name_of(os.fsencode(self.logfile.path))

    @property
    def kind(self) -> str:
        """
        Give what the log is: file, fifo, stdin or journal.
        """
        if isinstance(self.logfile, Journal):
            return "journal"
        if isinstance(self.logfile, Pipe):
            return "stdin" if self.logfile.path == STANDARD_INPUT else "fifo"
        return "file"

    @property
    def is_behind(self) -> bool:
        """
        Say whether there may be lines that an earlier run counted already and this one has not.
        """
        if isinstance(self.logfile, Journal) and self.logfile.is_catching_up:
            return True
        return bool(self.earlier) and bool(self.logfile.marks or self.logfile.problem)

    @property
    def has_ended(self) -> bool:
        """
        Say whether nothing will come any more.
        """
        return isinstance(self.logfile, Pipe) and self.logfile.ended

    @property
    def descriptor(self) -> int | None:
        """
        Give what becomes readable when there are new lines, if anything does.
        """
        return None if isinstance(self.logfile, LogFile) else self.logfile.descriptor

    @property
    def version(self) -> tuple[object, ...]:
        """
        Give what changes whenever that which `export` gives does.
        """
        return (replace(self.logfile.statistics), self.logfile.numbers, bool(self.logfile.marks))

    def resume(self, earlier: LogState) -> None:
        """
        Go on where an earlier run was; before the first `read`.
        """
        self.earlier = earlier.files
        self.logfile.marks = [file.mark for file in earlier.files]
        self.logfile.statistics = earlier.statistics
        self.overlong_lines = earlier.statistics.overlong_lines
        self.cut_lines = earlier.statistics.cut_lines

    def read(self, now: float, stopping: Callable[[], bool]) -> None:
        """
        Count what was written since the last time, until there is no more or `stopping` says so.

        `stopping` is asked between two chunks, when counters and positions agree.
        """
        self._count(now, stopping)
        self._settle()
        self._tell()

    @property
    def is_other(self) -> bool:
        """
        Say whether the name stands for a FIFO by now where it was a file's, or the reverse.
        """
        if isinstance(self.logfile, Pipe):
            path = self.logfile.path
            return path != STANDARD_INPUT and not self.logfile.unread_bytes and is_file(path)
        return isinstance(self.logfile, LogFile) and is_pipe(self.logfile.path)

    def exchange(
        self, new_logfile: Callable[[], LogFile | Pipe], now: float, stopping: Callable[[], bool]
    ) -> None:
        """
        Go on with what the name stands for by now, once what it was is read to its end.
        """
        file = self.logfile
        assert not isinstance(file, Journal)  # noqa: S101 - it has no name
        if isinstance(file, LogFile) and file.numbers and not self._count(now, stopping):
            return
        file.leave()
        while self.countings:
            _, counting = self.countings.popitem()
            self.dialects |= counting.dialects
            counting.finish()
        statistics = self.logfile.statistics
        self.logfile, self.earlier = new_logfile(), []
        self.logfile.statistics = statistics

    def export(self) -> LogState:
        """
        Give what a restart needs, all of it in the tally before.
        """
        self._settle()
        files = [FileState(mark, self._state_of(number)) for number, mark in self.logfile.places()]
        statistics = self.logfile.statistics
        # A restart reads half a line once more.
        read_bytes = statistics.read_bytes - self.logfile.half_lines
        statistics = replace(statistics, read_bytes=read_bytes)
        return LogState(os.fsencode(self.logfile.path), files, statistics)

    def status(self) -> InputStatus:
        """
        Say how the log is; between two chunks of a `read` too.
        """
        self._settle()
        places = self.logfile.places()
        statistics = self.logfile.statistics
        return InputStatus(
            name=self.name,
            kind=self.kind,
            present=bool(self.logfile.numbers),
            ended=self.has_ended,
            problem=self.problem,
            remedy=self.remedy,
            form=self.form,
            dialects=tuple(sorted(self.dialects)),
            position=places[-1][1].position if places else 0,
            unread_bytes=self.logfile.unread_bytes,
            rotations=statistics.rotations,
            truncations=statistics.truncations,
            read_errors=statistics.read_errors,
        )

    def _count(self, now: float, stopping: Callable[[], bool]) -> bool:
        """
        Count the lines that there are; say whether these are all.
        """
        for chunk in self.logfile.read(now):
            if chunk.lines:
                self._counting(chunk.file, chunk.head).add(chunk.lines)
            if stopping():
                return False
        return True

    def _counting(self, number: int, head: bytes) -> Counting:
        """
        Give what counts the lines of a file, as an earlier run left it.
        """
        counting = self.countings.get(number)
        if counting is None:
            counting = self.countings[number] = self.new_counting()
            counting.start(head)
            if number in self.logfile.resumed:
                counting.restore(self.earlier[self.logfile.resumed[number]].counting)
            self.form = name_form(head)
            if self.form:
                log.error(
                    "this format has no lines of a log, nothing in it is counted",
                    file=self.name,
                    format=f"journalctl --output={self.form}",
                    use="journalctl --all --output=json",
                )
        return counting

    def _state_of(self, number: int) -> CountingState:
        """
        Give how far the counting of a file has come beside its position.
        """
        if number in self.countings:
            return self.countings[number].export()
        if number in self.logfile.resumed:
            return self.earlier[self.logfile.resumed[number]].counting
        return self.earlier[number].counting if number < 0 else CountingState()

    def _settle(self) -> None:
        """
        Count what is known only by now: what files that are left had open, and what they were.
        """
        for counting in self.countings.values():
            self.dialects |= counting.dialects
        for number in self.countings.keys() - self.logfile.numbers:
            self.countings.pop(number).finish()
        self._publish()

    def _publish(self) -> None:
        """
        Bring the file's own numbers into the tally.
        """
        statistics, tally, file = self.logfile.statistics, self.tally, self.name
        tally.set(("read_bytes", file), float(statistics.read_bytes))
        tally.set(("unread_bytes", file), float(self.logfile.unread_bytes))
        tally.set(("file_rotations", file), float(statistics.rotations))
        tally.set(("file_truncations", file), float(statistics.truncations))
        tally.set(("read_errors", file), float(statistics.read_errors))
        tally.count(("lines", "overlong"), statistics.overlong_lines - self.overlong_lines)
        tally.count(("lines", "malformed"), statistics.cut_lines - self.cut_lines)
        self.overlong_lines = statistics.overlong_lines
        self.cut_lines = statistics.cut_lines

    def _tell(self) -> None:
        """
        Say once that the log cannot be read, and once that it can be again.
        """
        for note in self.logfile.notes:
            log.warning("lines may be lost", file=self.name, reason=note)
        self.logfile.notes.clear()
        problem = self.logfile.problem
        if problem == self.problem:
            return
        # Only now: to name users and groups may mean to ask a server.
        self.remedy = self._find_remedy() if problem else None
        if problem:
            log.error("cannot read the log, trying again", file=self.name, reason=problem)
        else:
            log.info("the log can be read again", file=self.name)
        self.problem = problem

    def _find_remedy(self) -> Remedy | None:
        if isinstance(self.logfile, Journal):
            return self.logfile.remedy()
        return find_remedy(self.logfile.path)


def name_of(path: bytes) -> str:
    """
    Write a pathname as a label value: bytes that are not UTF-8 would break every scrape and save.
    """
    return path.decode("utf-8", "replace")
