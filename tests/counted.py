"""
A counting with everything around it, for the tests of the modules from the line to the tally.
"""

from collections.abc import Iterable

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_BUCKETS
from exporter.counting import Counting
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar, Row
from exporter.tally import Key, Snapshot, Tally

PROGRAMS = ("milter-manager", "milter-manager-process-launcher")
NOW = 1795390000.0
"""22 November 2026, 23:26:40 UTC: just after the captures were made."""


class ReadableGrammar(Grammar):
    """
    A grammar without the fast pattern: every line is left to `read_line`.
    """

    def find_rows(self, chunk: bytes) -> list[Row]:
        """
        Hand every line over whole.
        """
        return (
            [Row(b"", b"", b"", b"", b"", b"", line) for line in chunk[1:].split(b"\n")]
            if chunk
            else []
        )


FAST = Grammar(PROGRAMS)
READABLE = ReadableGrammar(PROGRAMS)


class Counted:
    """
    One input being counted from nothing.
    """

    def __init__(self, grammar: Grammar = FAST, names: Iterable[bytes] = ()) -> None:
        """
        Start with a new tally.
        """
        self.tally = Tally(DEFAULT_BUCKETS)
        self.names = MilterNames(names)
        self.recogniser = Recogniser(load_catalogue(), self.names)
        self.counting = Counting("log", grammar, self.recogniser, self.tally, lambda: NOW)

    def snapshot(self) -> Snapshot:
        """
        Take a copy of the numbers.
        """
        return self.tally.snapshot()


def count_chunks(
    chunks: Iterable[bytes],
    grammar: Grammar = FAST,
    *,
    head: bytes = b"",
    names: Iterable[bytes] = (),
) -> Snapshot:
    """
    Count chunks to the end of the file; `head` is what `Counting.start` is told.
    """
    counted = Counted(grammar, names)
    counted.counting.start(head)
    for chunk in chunks:
        counted.counting.add(chunk)
    counted.counting.finish()
    return counted.snapshot()


def count_lines(*lines: bytes, head: bytes = b"", names: Iterable[bytes] = ()) -> dict[Key, int]:
    """
    Count lines in one chunk; give the counters that are not 0.
    """
    snapshot = count_chunks([b"".join(b"\n" + line for line in lines)], head=head, names=names)
    return {key: value for key, value in snapshot.counts.items() if value}
