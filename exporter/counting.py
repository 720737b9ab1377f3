"""
One input's chunks -> additions to the tally: the loop that every line goes through.

A line costs one step of a compiled pattern and one look-up; what it means is worked out once for
each distinct (tags, header, text) and remembered.  The readable path, `_add_line`, is taken by
whatever the fast pattern is not sure of, and gives the same answer.

Does no I/O and holds no numbers beyond one chunk.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from exporter.catalogue import OTHER
from exporter.counters import check_counters_of, counters_of, histogram_of, milter_counters_of
from exporter.entry import read_entry, write_line
from exporter.mailchecks import MOST_BYTES, READERS, Check, find_checks
from exporter.recognise import (
    HEADER,
    LONGEST_SECONDS,
    Reading,
    Recogniser,
    read_elapsed,
    read_finished,
    read_memory,
    split_value,
)
from exporter.record import (
    Grammar,
    Parts,
    Row,
    read_message,
    stamp_dialect,
    stamp_level,
)
from exporter.stamp import read_stamp
from exporter.tally import Additions, Key, Tally

MEMO_ENTRIES = 4096
MEMO_TEXT_BYTES = 512
MARK = b"[statistics] "
MOST_VALUE_BYTES = 760
"""Shorter than what syslog cuts (`record.CUT_LENGTHS`), the header's name and its signs aside."""
FINISHED_TAGS = (b"[sessions][finished]", MARK + b"[sessions][finished]")
ANY_TEXT = b"\n"
"""Stands for the text in a key that does not depend on it; no line holds a newline."""
ELAPSED = b"\n"
"""Stands for the header name in the key of a line that carries a time."""

RowKey: TypeAlias = tuple[bytes, bytes, bytes]
"""Tags with their mark, header name, text."""


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What a line raises.
    """

    keys: tuple[Key, ...]
    histogram: Key | None
    unknown: bool = False
    """Whether the catalogue lacks the tags."""
    milter: str = ""
    header: str = ""
    """Of a header whose value says something of the mail."""


@dataclass(slots=True)
class Kind:
    """
    The rows of one kind since the last `_flush`.
    """

    effect: Effect
    texts: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class OpenHeader:
    """
    A header line of the program's own file whose value, and so the milter, is yet to end.
    """

    reading: Reading
    times: int
    name: bytes | None = None
    text: bytes = b""
    """Of its value what matters, the name at its end included."""

    def extend(self, text: bytes) -> None:
        """
        Take another part of the value.
        """
        if self.reading.header in READERS:
            self.text = (self.text + text)[:MOST_BYTES]


@dataclass(frozen=True, slots=True)
class OpenHeaderState:
    """
    An `OpenHeader` as it outlives the process.
    """

    level: str
    header: str
    times: int
    name: bytes | None
    text: bytes = b""


@dataclass(frozen=True, slots=True)
class CountingState:
    """
    What of a counting outlives the process, beside the position in its file.
    """

    bare: bool | None = None
    open: OpenHeaderState | None = None
    json: bool = False


class Counting:
    """
    Counts the lines of one input into a tally.
    """

    def __init__(
        self,
        file: str,
        grammar: Grammar,
        recogniser: Recogniser,
        tally: Tally,
        now: Callable[[], float],
    ) -> None:
        """
        Count for the input named `file`; `now` gives seconds since the epoch.
        """
        self._file = file
        self._grammar = grammar
        self._recogniser = recogniser
        self._tally = tally
        self._now = now
        self._bare: bool | None = None
        self._json = False
        self._open: OpenHeader | None = None
        self._by_level: set[RowKey] = set()
        self._memo: dict[RowKey, Effect] = {}
        self._by_tags: set[bytes] = set()
        # Rows since the last `_flush`: by what the memo knows them by, and by how they look.
        self._kinds: dict[RowKey, Kind] = {}
        self._known: dict[RowKey, Kind] = {}
        self._timed: list[tuple[Kind, bytes, bytes, bytes]] = []
        self._finished: list[tuple[bytes, bytes, int]] = []
        self._stamps: dict[bytes, float | None] = {}
        self._additions = Additions(file)
        self.dialects: set[str] = set()
        """Those of the lines so far; of each chunk the last line of each process is looked at."""

    def start(self, head: bytes) -> None:
        """
        Begin a file whose first complete lines are `head`, as far as they are known.

        Lines without a stamp count only where the whole input is like that: in a file with stamps
        they go on with the line before, and a stranger may have written them.  So do the journal's
        entries as JSON: the first line says whether the input is of these.
        """
        lines = head.split(b"\n")
        self._json = read_entry(lines[0]) is not None
        stamped = self._json or any(self._grammar.read_line(line) for line in lines)
        self._bare = False if stamped else None

    def export(self) -> CountingState:
        """
        Give what a restart needs.
        """
        opened = self._open
        if opened is None:
            return CountingState(self._bare, json=self._json)
        reading = opened.reading
        label = reading.header or OTHER
        header = OpenHeaderState(reading.level, label, opened.times, opened.name, opened.text)
        return CountingState(self._bare, header, self._json)

    def restore(self, state: CountingState) -> None:
        """
        Go on in the file where an earlier run was.
        """
        self._bare, self._json = state.bare, state.json
        if state.open:
            reading = self._recogniser.header_line(state.open.level, state.open.header)
            self._open = OpenHeader(reading, state.open.times, state.open.name, state.open.text)

    def add(self, chunk: bytes) -> None:
        """
        Count the lines of a chunk, each led by its newline (see `Grammar.find_rows`).
        """
        self._additions = Additions(self._file)
        if self._bare is None:
            chunk = self._decide(chunk)
        if self._json:
            chunk = write_lines(chunk)
        if chunk:
            self._add_rows(chunk)
        self.dialects.update(map(stamp_dialect, self._additions.heard.values()))
        self._tally.add(self._additions, self._read_stamp)
        self._stamps.clear()

    def finish(self) -> None:
        """
        End the file: a header that goes on in lines to come has no more of them.
        """
        self._additions = Additions(self._file)
        self._close_header()
        self._tally.add(self._additions, self._read_stamp)

    def _decide(self, chunk: bytes) -> bytes:
        """
        Find out whether the input bears stamps; give the lines from where that is known.
        """
        at = 0
        while at < len(chunk):
            end = chunk.find(b"\n", at + 1)
            end = len(chunk) if end < 0 else end
            line = chunk[at + 1 : end]
            self._json = read_entry(line) is not None
            if self._json or self._grammar.read_line(line):
                self._bare = False
                return chunk[at:]
            if self._recogniser.recognise(read_message(line), None).outcome == "recognised":
                self._bare = True
                return chunk[at:]
            self._additions.count(("lines", "malformed"))
            at = end
        return b""

    def _add_rows(self, chunk: bytes) -> None:
        """
        Count what the fast pattern finds: this loop is where the time goes.
        """
        additions, known, timed = self._additions, self._known, self._timed
        heard, by_tags, finished = additions.heard, self._by_tags, self._finished
        rows = self._grammar.find_rows(chunk)
        for row in rows:
            stamp, pid, tags, header, elapsed, id_, text = row
            if not tags:
                self._add_unsure(stamp, pid, text)
                continue
            heard[pid] = additions.last = stamp
            if self._open:
                self._close_header()
            if elapsed:
                key = (tags, ELAPSED, text)
            elif tags in by_tags:
                key = (tags, header, ANY_TEXT)
                if tags in FINISHED_TAGS:
                    finished.append((pid, text, 1))
            else:
                key = (tags, header, text)
            kind = known.get(key) or self._add_new(key, row)
            if kind:
                # A list to add to: hashing the key once instead of thrice is a tenth of this loop.
                kind.texts.append(text)
                if elapsed:
                    timed.append((kind, elapsed, id_, stamp))
        self._flush()
        # Taking the newlines out is thrice as fast as counting them (20 ns a line, not 69).
        newlines = len(chunk) - len(chunk.replace(b"\n", b""))
        self._add_foreign(newlines - len(rows))

    def _add_foreign(self, lines: int) -> None:
        """
        Count the lines that are not among the rows.
        """
        if lines:
            self._additions.count(("lines", "foreign"), lines)

    def _add_new(self, look: RowKey, row: Row) -> Kind | None:
        """
        Say of what kind a row is that looks like none before in the chunk; None once it is counted.
        """
        stamp, pid, tags, header, elapsed, _, text = row
        key = _without_value(look)
        effect = self._memo.get(key)
        if effect is None:
            parts = _row_parts(key, elapsed)
            if self._is_by_level(key, parts):
                self._add_parts(parts, stamp, pid)
                return None
            reading = self._recognise(parts)
            if not elapsed and _decided_by_tags(reading):
                self._by_tags.add(tags)
                if tags in FINISHED_TAGS and look[2] != ANY_TEXT:
                    self._finished.append((pid, text, 1))
                look = key = (tags, header, ANY_TEXT)
            elif not elapsed and _read_alone(reading, parts):
                self._raise(reading, parts, stamp, pid)
                return None
            effect = self._remember(key, reading)
        kind = self._known[look] = self._kinds.setdefault(key, Kind(effect))
        return kind

    def _add_unsure(self, stamp: bytes, pid: bytes, text: bytes) -> None:
        """
        Count, the readable way, a row that the fast pattern was not sure of.
        """
        if stamp:
            self._add_message(text, stamp, pid)
            return
        read = self._grammar.read_line(text)
        if read and read.message is None:
            self._additions.count(("lines", "foreign"))
        elif read and read.message is not None:
            self._add_message(read.message, read.stamp, read.pid)
        elif self._bare:
            self._add_bare(text)
        else:
            self._continue_header(text)
            self._additions.count(("lines", "malformed"))

    def _add_bare(self, line: bytes) -> None:
        """
        Count a line of an input without stamps: untagged ones may go on with a header.
        """
        parts = read_message(line)
        if parts.tags and self._open:
            self._close_header()
        if not parts.tags:
            self._continue_header(line)
        self._additions.heard[b""] = b""
        self._add_parts(parts, b"", b"")

    def _add_message(self, message: bytes, stamp: bytes, pid: bytes) -> None:
        """
        Count a stamped message of the program.
        """
        if self._open:
            self._close_header()
        self._additions.heard[pid] = self._additions.last = stamp
        self._add_parts(read_message(message), stamp, pid)

    def _add_parts(self, parts: Parts, stamp: bytes, pid: bytes) -> None:
        """
        Count one message by its parts.
        """
        reading = self._recognise(parts, stamp_level(stamp))
        self._raise(reading, parts, stamp, pid)

    def _raise(self, reading: Reading, parts: Parts, stamp: bytes, pid: bytes) -> None:
        """
        Count a reading, and the values that its line carries.
        """
        times = parts.repeated
        counts = reading.message.counts if reading.message else ""
        keys = counters_of(reading)
        if counts == "milter_header" and _goes_on(parts, stamp):
            self._open = OpenHeader(reading, times)
            self._open.extend(_value_start(parts))
            later = frozenset(milter_counters_of(reading))
            keys = tuple(key for key in keys if key not in later)
        for key in keys:
            self._additions.count(key, times)
        if reading.outcome == "unknown":
            self._recogniser.unknown_tags.count(parts.tags, times)
        histogram = histogram_of(reading)
        if histogram:
            self._flush()  # the times before this one
            self._observe(histogram, parts.elapsed, parts.id, stamp, times)
        if counts == "sessions_finished":
            self._finished.append((pid, parts.text, times))
        if counts == "memory":
            self._add_memory(parts.text)

    def _observe(self, key: Key, elapsed: bytes, id_: bytes, stamp: bytes, times: int) -> None:
        seconds = read_elapsed(elapsed)
        if seconds is None:
            self._additions.count(("label_overflows", "elapsed"), times)
        else:
            self._additions.observations.append((key, seconds, id_, stamp, times))

    def _add_memory(self, text: bytes) -> None:
        memory_bytes = read_memory(text)
        if memory_bytes is None:
            self._additions.count(("label_overflows", "memory"))
        else:
            self._additions.memory_bytes = memory_bytes

    def _continue_header(self, line: bytes) -> None:
        """
        Note the name at the end of a header's further line: the last one is the milter's.
        """
        if self._open:
            _, found, name = line.rpartition(b">: ")
            self._open.name = name if found else self._open.name
            self._open.extend(b"\n" + line)

    def _close_header(self) -> None:
        """
        Count a header whose value went on in further lines for the milter named at its end.
        """
        opened, self._open = self._open, None
        if opened is None:
            return
        milter = OTHER if opened.name is None else self._label(opened.name)
        checks = find_checks(opened.reading.header or OTHER, split_value(opened.text))
        for key in milter_counters_of(replace(opened.reading, milter=milter, checks=checks)):
            self._additions.count(key, opened.times)

    def _is_by_level(self, key: RowKey, parts: Parts) -> bool:
        """
        Say whether a stamp's level decides what a row is: then each is read by itself.
        """
        if key in self._by_level:
            return True
        if not self._recogniser.depends_on_level(parts):
            return False
        if len(self._by_level) < MEMO_ENTRIES:
            self._by_level.add(key)
        return True

    def _recognise(self, parts: Parts, stamped_level: str | None = None) -> Reading:
        known = len(self._recogniser.names)
        reading = self._recogniser.recognise(parts, stamped_level)
        if len(self._recogniser.names) != known:
            self._forget()
        return reading

    def _label(self, name: bytes) -> str:
        known = len(self._recogniser.names)
        label = self._recogniser.names.label(name)
        if len(self._recogniser.names) != known:
            self._forget()
        return label

    def _remember(self, key: RowKey, reading: Reading) -> Effect:
        if len(self._memo) >= MEMO_ENTRIES:
            self._forget()
        unknown = reading.outcome == "unknown"
        # Either the value stands in the key's text, or each row has one of its own.
        header = "" if key[2].startswith(b"<") else _checked_header(reading)
        if header:
            reading = replace(reading, checks=())
        effect = Effect(
            counters_of(reading), histogram_of(reading), unknown, reading.milter or "", header
        )
        self._memo[key] = effect
        return effect

    def _forget(self) -> None:
        """
        Drop what was worked out: a new milter name may give a line another reading.
        """
        self._flush()
        self._memo.clear()
        self._by_level.clear()
        self._by_tags.clear()

    def _flush(self) -> None:
        """
        Add what was counted by key, and the values that lines carried, in the log's order.
        """
        for (tags, _, _), kind in self._kinds.items():
            effect, times = kind.effect, len(kind.texts)
            for key in effect.keys:
                self._additions.count(key, times)
            if effect.header:
                self._add_checks(effect, kind.texts)
            if effect.unknown:
                self._recogniser.unknown_tags.count(tags.removeprefix(MARK), times)
        if self._timed:
            self._add_times()
        if self._finished:
            self._add_finished()
        self._kinds.clear()
        self._known.clear()
        self._timed.clear()
        self._finished.clear()

    def _add_times(self) -> None:
        """
        Add the durations that lines carried.
        """
        observations = self._additions.observations
        for kind, elapsed, id_, stamp in self._timed:
            histogram = kind.effect.histogram
            if not histogram:
                continue
            # What the fast pattern takes for a time, `float` reads as `read_elapsed` does.
            try:
                seconds = float(elapsed)
            except ValueError:
                seconds = -1.0
            if 0.0 <= seconds < LONGEST_SECONDS:
                observations.append((histogram, seconds, id_, stamp, 1))
            else:
                self._observe(histogram, elapsed, id_, stamp, 1)

    def _add_finished(self) -> None:
        """
        Add the numbers of the [sessions][finished] lines.
        """
        sessions = 0
        in_progress = self._additions.in_progress
        numbers = read_finished([text for _, text, _ in self._finished])
        for (pid, _, times), (since_last, now) in zip(self._finished, numbers, strict=True):
            if now:
                in_progress[pid] = int(now)
                sessions += int(since_last) * times
            else:
                self._additions.count(("label_overflows", "finished"), times)
        self._additions.count(("sessions_finished",), sessions)

    def _add_checks(self, effect: Effect, texts: list[bytes]) -> None:
        """
        Add what the values of a child's header say of the mails.
        """
        found: Counter[tuple[Check, ...]] = Counter()
        for text, times in Counter(texts).items():
            found[find_checks(effect.header, split_value(text[1:]))] += times
        for checks, times in found.items():
            for key in check_counters_of(effect.milter, checks):
                self._additions.count(key, times)

    def _read_stamp(self, stamp: bytes) -> float | None:
        if stamp not in self._stamps:
            self._stamps[stamp] = read_stamp(stamp, self._now())
        return self._stamps[stamp]


def write_lines(chunk: bytes) -> bytes:
    """
    Write a chunk of journal entries as lines of syslog; what is no entry stays as it is.
    """
    lines = chunk.split(b"\n")  # an empty one in front
    entries = ((line, read_entry(line)) for line in lines)
    return b"\n".join([write_line(entry) if entry else line for line, entry in entries])


def _without_value(row: RowKey) -> RowKey:
    """
    Leave out the value of a header, of which few matter, where it is sure to be whole.
    """
    tags, header, text = row
    if len(text) > MOST_VALUE_BYTES or not header or header == ELAPSED:
        return row
    # A value may hold ">: " too; the name stands behind the last.
    _, found, name = text.rpartition(b">: ")
    return (tags, header, b" " + name) if found else row


def _row_parts(key: RowKey, elapsed: bytes) -> Parts:
    """
    Put a message's parts together from a row, without the id; of a header's value only the end.
    """
    tags, header, text = key
    marked = tags.startswith(MARK)
    text = b"" if text == ANY_TEXT else text
    if header and not elapsed:
        text = b": <" + header + b">=" + (text if text.startswith(b"<") else b"<>:" + text)
    return Parts(1, marked, tags.removeprefix(MARK), elapsed, b"", text)


def _decided_by_tags(reading: Reading) -> bool:
    """
    Say whether another text behind the same tags has the same reading.
    """
    message = reading.message
    if message is None:
        return reading.outcome == "unknown"
    return not (message.milter or message.harmless or message.text or message.counts == "memory")


def _read_alone(reading: Reading, parts: Parts) -> bool:
    """
    Say whether a line is not worth remembering, or has more to be read than counters.
    """
    counts = reading.message.counts if reading.message else ""
    open_ended = counts == "milter_header" and b">: " not in parts.text
    return counts == "memory" or open_ended or len(parts.text) > MEMO_TEXT_BYTES


def _checked_header(reading: Reading) -> str:
    """
    Give the header's name if a child added it and its value says something of the mail.
    """
    if reading.message is None or reading.message.counts != "milter_header":
        return ""
    header = reading.header or OTHER
    return header if header in READERS else ""


def _value_start(parts: Parts) -> bytes:
    """
    Give what there is of a value that goes on.
    """
    match = HEADER.fullmatch(parts.text)
    return match[2] if match else b""


def _goes_on(parts: Parts, stamp: bytes) -> bool:
    """
    Say whether a header line ends inside its value: only where a line is the program's own.
    """
    return (not stamp or stamp.startswith(b"[")) and b">: " not in parts.text
