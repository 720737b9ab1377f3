"""
The runs of tags that the catalogue lacks, counted, so that somebody can see what is new.

Never more than `LIMIT` of them, never longer than `LENGTH`, and never anything but the characters
of tags: the text of a message is nobody's business.
"""

import re

LIMIT = 50
LENGTH = 100
TAGS = re.compile(rb"(?:\[[\w-]+\])+", re.ASCII)


class UnknownTags:
    """
    Counts runs of tags, those seen first by themselves and the rest together.
    """

    def __init__(self) -> None:
        self._lines: dict[bytes, int] = {}
        self.unlisted = 0
        """Lines whose tags were too many, too long, or none."""

    def count(self, tags: bytes, lines: int = 1) -> None:
        """
        Count lines with these tags.
        """
        known = self._lines.get(tags)
        if known is not None:
            self._lines[tags] = known + lines
        elif len(self._lines) < LIMIT and len(tags) <= LENGTH and TAGS.fullmatch(tags):
            self._lines[tags] = lines
        else:
            self.unlisted += lines

    def ranked(self) -> tuple[tuple[str, int], ...]:
        """
        Give the tags and how often they came, the most frequent first.
        """
        pairs = [(tags.decode("ascii"), lines) for tags, lines in self._lines.items()]
        return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
