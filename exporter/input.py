"""
One log, followed and counted: what its file gives goes through its counting into the tally.

Says once in the exporter's log when the file cannot be read, and counts what the file went through.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from exporter.counting import Counting
from exporter.logfile import Chunk, LogFile
from exporter.tally import Tally

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(slots=True)
class Input:
    """
    One log: the file behind it, and how its lines are counted.
    """

    logfile: LogFile
    new_counting: Callable[[], Counting]
    tally: Tally
    countings: dict[int, Counting] = field(default_factory=dict)
    overlong_lines: int = 0
    cut_lines: int = 0
    problem: str = ""

    @property
    def name(self) -> str:
        """
        Give the value of the label `file`.
        """
        # A name that is not UTF-8 would break every scrape.
        return os.fsencode(self.logfile.path).decode("utf-8", "replace")

    def read(self, now: float, stopping: Callable[[], bool]) -> None:
        """
        Count what was written since the last time, until there is no more or `stopping` says so.
        """
        for chunk in self.logfile.read(now):
            if chunk.lines:
                self._counting(chunk).add(chunk.lines)
            if stopping():
                break
        for number in self.countings.keys() - self.logfile.numbers:
            self.countings.pop(number).finish()
        self._publish()
        self._tell()

    def _counting(self, chunk: Chunk) -> Counting:
        """
        Give what counts the lines of the chunk's file.
        """
        counting = self.countings.get(chunk.file)
        if counting is None:
            counting = self.countings[chunk.file] = self.new_counting()
            counting.start(chunk.head)
        return counting

    def _publish(self) -> None:
        """
        Bring the file's own numbers into the tally.
        """
        statistics, tally, file = self.logfile.statistics, self.tally, self.name
        tally.set(("read_bytes", file), float(statistics.read_bytes))
        tally.set(("unread_bytes", file), float(statistics.unread_bytes))
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
        problem = self.logfile.problem
        if problem == self.problem:
            return
        if problem:
            log.error("cannot read the log, trying again", file=self.name, reason=problem)
        else:
            log.info("the log can be read again", file=self.name)
        self.problem = problem
