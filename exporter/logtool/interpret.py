"""
One line of a log -> everything the exporter knows of it, and what it raises.

What a line raises is asked of the daemon's own `Counting`, line by line into an empty tally, so
that it cannot differ: what the lines of a log raise adds up to the daemon's numbers.  Keeps the
milter names and, as the daemon does, whether a header goes on; no lines.  Writes nothing.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from exporter.catalogue import PLACEHOLDER, Catalogue, Message
from exporter.config import DEFAULT_BUCKETS
from exporter.counters import counters_of, histogram_of
from exporter.counting import Counting, CountingState
from exporter.logtool.nearest import find_nearest
from exporter.milters import MilterNames
from exporter.recognise import Reading, Recogniser, read_elapsed
from exporter.record import Grammar, Line, Parts, read_message, stamp_level
from exporter.stamp import read_stamp
from exporter.tally import Key, Snapshot, Tally

LINE_ID = re.compile(rb" *+(?>\[statistics\] |)\[(\d++)\] ")
CHILD_ID = re.compile(rb" \[(\d++)\]")
NOTHING = Parts(1, marked=False, tags=b"", elapsed=b"", id=b"", text=b"")
ANY_WORD = "…"
MOST_REMEMBERED = 256
"""Runs of unknown tags."""


@dataclass(frozen=True, slots=True)
class Raised:
    """
    What a line adds to the metrics.
    """

    counts: Mapping[Key, int] = field(default_factory=dict)
    times: Mapping[Key, float] = field(default_factory=dict)
    """Histogram -> seconds observed, in all."""
    gauges: Mapping[Key, float] = field(default_factory=dict)

    def __add__(self, other: "Raised") -> "Raised":
        counts = dict(self.counts)
        for key, times in other.counts.items():
            counts[key] = counts.get(key, 0) + times
        return Raised(counts, {**self.times, **other.times}, {**self.gauges, **other.gauges})


@dataclass(frozen=True, slots=True)
class Interpretation:
    """
    One line as the exporter reads it; what it does not have is empty.
    """

    text: bytes
    outcome: str
    """As in milter_manager_exporter_lines_total; "tags" for tags that somebody looks up."""
    line: Line | None = None
    """Without a stamp None."""
    time: float | None = None
    parts: Parts = NOTHING
    reading: Reading | None = None
    """None for what is not milter-manager's."""
    messages: tuple[Message, ...] = ()
    """What it means; several where tags are looked up that several messages share."""
    nearest: tuple[Message, ...] = ()
    line_id: str = ""
    child_id: str = ""
    continues: bool = False
    """Whether it goes on with the header of the line before."""
    opens: bool = False
    """Whether a header goes on in the next line."""
    raised: Raised = field(default_factory=Raised)

    @property
    def elapsed(self) -> float | None:
        """
        Give the seconds it tells of, as they are counted.
        """
        return read_elapsed(self.parts.elapsed)


class Interpreter:
    """
    Reads lines in the order of their log.
    """

    def __init__(self, catalogue: Catalogue, programs: Sequence[str]) -> None:
        """
        Read the lines of these programs.
        """
        self._catalogue = catalogue
        self._grammar = Grammar(programs)
        self._recogniser = Recogniser(catalogue, MilterNames())
        self._state = CountingState()
        self._nearest: dict[bytes, tuple[Message, ...]] = {}

    def start(self, head: bytes = b"") -> None:
        """
        Begin a log whose first bytes are `head`; the milters of earlier ones stay known.
        """
        counting, _ = self._counting()
        counting.start(head)
        self._state = counting.export()

    def read(self, text: bytes) -> Interpretation:
        """
        Interpret the next line.
        """
        was_open = self._state.open is not None
        counting, tally = self._counting()
        counting.restore(self._state)
        counting.add(b"\n" + text)
        self._state = counting.export()
        raised = raised_by(tally.snapshot())
        outcome = next((key[1] for key in raised.counts if key[0] == "lines"), "malformed")
        line = self._grammar.read_line(text)
        known = Interpretation(
            text,
            outcome,
            line,
            read_stamp(line.stamp, time.time()) if line else None,
            raised=raised,
            opens=self._state.open is not None,
            continues=was_open and line is None and outcome in {"malformed", "untagged"},
        )
        if line is None:
            return known if outcome == "malformed" else self._read_message(known, text)
        return known if line.message is None else self._read_message(known, line.message)

    def close(self) -> Raised:
        """
        End a header that no line goes on with; give what is only known by now.
        """
        counting, tally = self._counting()
        counting.restore(self._state)
        counting.finish()
        self._state = counting.export()
        return raised_by(tally.snapshot())

    def closes(self, text: bytes) -> bool:
        """
        Say whether a line would end the header that a line before has left open.
        """
        line = self._grammar.read_line(text)
        if line is None:
            return bool(self._state.bare and read_message(text).tags)
        return line.message is not None

    def look_up(self, text: bytes) -> Interpretation | None:
        """
        Find tags as documented, as the label `tag` has them, or a number of the catalogue.

        Tags that are not there come with the nearest; None for what is no tags.
        """
        wanted = text.decode("utf-8", "replace").strip()
        found = tuple(
            message
            for message in self._catalogue.messages
            if wanted
            and wanted
            in (message.number, message.tags, message.logged, *map(_timeless, message.runs))
        )
        if not found:
            parts = read_message(text)
            if not parts.tags or parts.text.strip():
                return None
            return Interpretation(text, "unknown", parts=parts, nearest=self._find_nearest(parts))
        reading = _any_reading(found[0])
        keys = dict.fromkeys(counters_of(reading), 1)
        histogram = histogram_of(reading)
        times = {histogram: 0.0} if histogram else {}
        return Interpretation(
            text, "tags", reading=reading, messages=found, raised=Raised(keys, times)
        )

    def _counting(self) -> tuple[Counting, Tally]:
        tally = Tally(DEFAULT_BUCKETS)
        return Counting("", self._grammar, self._recogniser, tally, time.time), tally

    def _read_message(self, known: Interpretation, message: bytes) -> Interpretation:
        """
        Add what milter-manager said.
        """
        parts = read_message(message)
        level = stamp_level(known.line.stamp) if known.line else None
        reading = self._recogniser.recognise(parts, level)
        line_id = LINE_ID.match(message)
        by_child = reading.message and reading.message.milter in {"child", "child-last"}
        child_id = CHILD_ID.match(parts.text) if by_child else None
        return replace(
            known,
            parts=parts,
            reading=reading,
            messages=(reading.message,) if reading.message else (),
            nearest=self._find_nearest(parts) if reading.outcome == "unknown" else (),
            line_id=line_id[1].decode() if line_id else "",
            child_id=child_id[1].decode() if child_id else "",
        )

    def _find_nearest(self, parts: Parts) -> tuple[Message, ...]:
        """
        Look for known tags, and remember: the same line often comes again.
        """
        tags = parts.tags + (b"[{elapsed}]" if parts.elapsed else b"")
        if tags not in self._nearest:
            if len(self._nearest) >= MOST_REMEMBERED:
                self._nearest.clear()
            self._nearest[tags] = find_nearest(self._catalogue, tags.decode("utf-8", "replace"))
        return self._nearest[tags]


def raised_by(snapshot: Snapshot) -> Raised:
    """
    Give what stands in a tally that was empty before.
    """
    gauges: dict[Key, float] = {
        key: value for key, value in snapshot.gauges.items() if key == ("memory",)
    }
    if any(key == ("sessions_finished",) for key in snapshot.counts):
        gauges["sessions_in_progress",] = float(snapshot.sessions_in_progress)
    times = {key: one.sum for key, one in snapshot.histograms.items()}
    return Raised(snapshot.counts, times, gauges)


def _timeless(run: str) -> str:
    return run.replace("[{elapsed}]", "")


def _any_reading(message: Message) -> Reading:
    """
    Make the reading of a line whose words, milter and header could be any.
    """
    names = {name for run in message.runs for name in PLACEHOLDER.findall(run)}
    words = dict.fromkeys(names, ANY_WORD) | dict(message.fixed)
    header = ANY_WORD if message.counts in {"milter_header", "session_header"} else None
    checks = ((ANY_WORD, ANY_WORD),) if message.counts == "milter_header" else ()
    milter = ANY_WORD if message.milter else None
    return Reading("recognised", message.level, message, words, milter, header, checks=checks)
