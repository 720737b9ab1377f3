"""
Which file is the one that was read: the search for marks among what lies in a log's directory.

Rule 1: a file that cannot be looked into may be the one, so the search ends there, with an OSError,
and is tried again.  What is damaged is passed over, and so is what is forbidden to us and had been
written for the last time before the mark was set.
Rule 2: of two with the same bytes, the one with the inode is meant, else the newer one.

Opens files and closes them again, but never moves a position.
"""

from collections.abc import Iterable
from pathlib import Path

from exporter.mark import Mark
from exporter.siblings import Compressed, Plain, Sibling


def find_all(
    marks: list[Mark], candidates: list[Sibling], present: Path
) -> dict[int, tuple[Sibling, Plain | Compressed]]:
    """
    Find the files of marks and open them, by the marks' places in the list.

    `present` is the log's own pathname.
    """
    left = candidates.copy()
    found: dict[int, tuple[Sibling, Plain | Compressed]] = {}
    try:
        # An empty file is known by its inode alone, and that may be another's by now.
        for i in sorted(range(len(marks)), key=lambda i: not marks[i].position):
            place = find_again(marks[i], left, present)
            if place:
                found[i] = place
                left.remove(place[0])
    except OSError:
        for _, source in found.values():
            source.close()
        raise
    return found


def find_again(
    mark: Mark, candidates: list[Sibling], present: Path
) -> tuple[Sibling, Plain | Compressed] | None:
    """
    Find the file of a mark and open it: the one with its inode, else the first with its bytes.
    """
    same = [one for one in candidates if one.identity == (mark.device, mark.inode)]
    others = [one for one in candidates if one not in same]
    if not mark.position:
        # Of an old file that was empty only the inode is known, and that may be another's by now.
        others = []
        same = [
            one
            for one in same
            if not one.suffix and (one.path == present or one.modified == mark.modified)
        ]
    for candidate in (*same, *others):
        source = open_with(candidate, [mark])
        if source:
            return candidate, source
    return find_cut(mark, same)


def find_cut(mark: Mark, candidates: list[Sibling]) -> tuple[Sibling, Plain] | None:
    """
    Find the file of a mark that was cut to a part of what was read, and open it.
    """
    for candidate in candidates:
        source = candidate.open()
        if isinstance(source, Plain) and mark.was_cut_to(source, source.status().st_size):
            return candidate, source
        source.close()
    return None


def find_copy(mark: Mark, siblings: list[Sibling]) -> Sibling | None:
    """
    Find the newest generation with the bytes of a mark, whatever its inode; none for an empty one.
    """
    if not mark.position:
        return None
    return next((one for one in reversed(siblings) if is_copy(one, [mark])), None)


def is_copy(sibling: Sibling, marks: Iterable[Mark]) -> bool:
    """
    Say whether a generation has the bytes of one of the marks; an empty mark has none.
    """
    source = open_with(sibling, [mark for mark in marks if mark.position])
    if source:
        source.close()
    return source is not None


def find_later(mark: Mark, siblings: list[Sibling]) -> list[Sibling]:
    """
    Find the generations that are newer than the open file of a mark.
    """
    for i, sibling in enumerate(siblings):
        # While it is open nothing else can have its inode.
        if sibling.identity == (mark.device, mark.inode):
            return siblings[i + 1 :]
    copy = find_copy(mark, siblings)
    if copy:
        return siblings[siblings.index(copy) + 1 :]
    return find_written_since(mark.modified, siblings)


def find_written_since(moment: int, siblings: list[Sibling]) -> list[Sibling]:
    """
    Find the generations that were written to since a moment, nanoseconds since the epoch.

    Only where nothing better is known: clocks are set back, and copies may be younger than they
    look.
    """
    # Times may be equal: the kernel's clock for them ticks every 4 ms.
    return [sibling for sibling in siblings if sibling.modified >= moment]


def open_with(sibling: Sibling, marks: list[Mark]) -> Plain | Compressed | None:
    """
    Open a generation if it has the bytes of one of the marks.
    """
    if not marks:
        return None
    try:
        source = sibling.open()
    except PermissionError:
        if sibling.modified < min(mark.modified for mark in marks):
            return None
        raise
    try:
        if any(mark.fits(source) for mark in marks):
            return source
    except OSError as error:
        source.close()
        # Without a number it is damaged, or not yet compressed to its end.
        if error.errno is not None:
            raise
        return None
    source.close()
    return None
