"""
The names of the child milters: told from the text around them, and bounded.

A name is whatever the administrator wrote, `paren(1): colon` and `[brackets]` included, so that
some lines can be read in two ways.  A name that was seen before decides; else the shortest reading
that the line allows.  Never more than `LIMIT` names become label values, the rest is `other`.
"""

import re
from collections.abc import Iterable, Iterator

from exporter.catalogue import OTHER

LIMIT = 100
NAME_BYTES = 256
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def as_label(name: bytes) -> str:
    """
    Write a name as a label value: text without control characters.

    They appear as #011, the way rsyslog writes them, so that a milter has one name whether its
    line came through syslog or from the program's own file.
    """
    text = name.decode("utf-8", "replace")
    return CONTROL.sub(lambda found: f"#{ord(found[0]):03o}", text)


class MilterNames:
    """
    The milter names seen so far, in the order they were first seen.
    """

    def __init__(self, names: Iterable[bytes] = ()) -> None:
        """
        Start with `names`, those of an earlier run.
        """
        self._labels = {name: as_label(name) for name in names}

    def __iter__(self) -> Iterator[bytes]:
        """
        Give the names, oldest first.
        """
        return iter(self._labels)

    def __len__(self) -> int:
        """
        Count them.
        """
        return len(self._labels)

    def __contains__(self, name: bytes) -> bool:
        """
        Say whether a name was seen before.
        """
        return name in self._labels

    def label(self, name: bytes) -> str:
        """
        Give the label value of a name, `other` when there is no room left for it.
        """
        known = self._labels.get(name)
        if known is not None:
            return known
        if len(self._labels) >= LIMIT or len(name) > NAME_BYTES:
            return OTHER
        label = self._labels[name] = as_label(name)
        return label

    def last(self, text: bytes, separator: bytes, *, cut: bool = False) -> bytes | None:
        """
        Find the name at the end of a text, behind a separator that the name may hold as well.

        A known name behind any separator comes first, the longest of them; else the name stands
        behind the last one.  In a text that may have lost its end (`cut`) only known names count.
        An empty name may have lost the separator's blank, as in the journal.
        """
        start = max(0, len(text) - NAME_BYTES - len(separator))
        at = text.find(separator, start)
        last = at
        while at >= 0:
            name = text[at + len(separator) :]
            if name in self._labels:
                return name
            last = at
            at = text.find(separator, at + 1)
        if text.endswith(separator.rstrip()) and not cut:
            return b""
        if last < 0:
            last = text.rfind(separator)
        if last < 0 or cut:
            return None
        return text[last + len(separator) :]

    def first(self, text: bytes, separator: bytes) -> bytes | None:
        """
        Find the name at the start of a text, before a separator that the name may hold as well.

        A known name comes first, the longest of them; else the name ends at the first separator.
        """
        at = text.find(separator)
        name = None if at < 0 else text[:at]
        best = name
        while 0 <= at <= NAME_BYTES:
            if text[:at] in self._labels:
                best = text[:at]
            at = text.find(separator, at + 1)
        return best
