"""
A log's files, read as the daemon would have read them at the time -> a history.

The counting is the daemon's own; this only tells it where steps end.  Writes nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from exporter.catalogue import load_catalogue
from exporter.counting import Counting
from exporter.logtool.history import History
from exporter.logtool.slices import written_before
from exporter.logtool.sources import Source, SourceError, feed
from exporter.logtool.spool import Spool
from exporter.logtool.steps import BackwardsError, Steps
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Tally


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What is counted, and in which steps.
    """

    step_seconds: int
    programs: Sequence[str]
    buckets: Sequence[float]
    since: float | None
    until: float | None
    year: int | None
    present: float


class SteppedCounting(Counting):
    """
    The daemon's counting, which tells a history where steps end.
    """

    def __init__(
        self, replay: "Replay", grammar: Grammar, recogniser: Recogniser, tally: Tally
    ) -> None:
        """
        Count a generation of the log; all of them have one name, so that processes outlive them.
        """
        super().__init__("log", grammar, recogniser, tally, lambda: replay.steps.now)
        self._replay = replay

    def add(self, chunk: bytes) -> None:
        """
        Count the lines of a chunk, those of the time that is wanted.
        """
        for step, lines in self._replay.steps.cut(chunk):
            if self._replay.wants(step):
                self._replay.history.reach(step)
                super().add(lines)


class Replay:
    """
    One log's way into a history.
    """

    def __init__(self, settings: Settings, spool: Spool) -> None:
        """
        Start with nothing.
        """
        seconds = settings.step_seconds
        self._present = settings.present
        # Samples are of whole steps.
        self._first = 0 if settings.since is None else int(settings.since // seconds)
        self._last = None if settings.until is None else int(settings.until // seconds)
        self._grammar = Grammar(settings.programs)
        self._recogniser = Recogniser(load_catalogue(), MilterNames())
        self._tally = Tally(settings.buckets)
        self.steps = Steps(seconds, settings.present, settings.year)
        self.history = History(self._tally, spool, seconds)

    def wants(self, step: int) -> bool:
        """
        Say whether a step is between --since and --until.
        """
        return self._first < step and (self._last is None or step <= self._last)

    def read(self, source: Source) -> Iterator[int]:
        """
        Count a file; give after each chunk how many bytes are done; SourceError where it fails.
        """
        self.steps.begin(written_before(source, self._present))
        counting = SteppedCounting(self, self._grammar, self._recogniser, self._tally)
        try:
            yield from feed(source, counting, self._tally)
        except BackwardsError as error:
            raise SourceError(
                f"{source.name}: {error}; left out: give the files of one log, and --year if its"
                " stamps bear none"
            ) from error
        if source.empty:
            raise SourceError(f"{source.name}: empty")
        if not self.steps.begun:
            raise SourceError(f"{source.name}: no line in it bears a time; left out")
