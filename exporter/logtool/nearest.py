"""
Tags that the catalogue lacks -> the known ones most like them.

difflib's ratio, gated as its own `get_close_matches` does it: a few ms for a run of tags, so that
no library is needed.  Never says that tags are known.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from exporter.catalogue import Catalogue, Message

MOST_NEAREST = 3
LEAST_RATIO = 0.6
"""difflib's own threshold for "close"."""
MOST_CHARACTERS = 200
"""Longer runs are no typing errors, and comparing takes the square of the length."""
TAG = re.compile(r"\[[^\]]*\]")


def find_nearest(catalogue: Catalogue, tags: str) -> tuple[Message, ...]:
    """
    Give the messages whose tags are most like these, the likest first.
    """
    if not tags or len(tags) > MOST_CHARACTERS:
        return ()
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(tags)
    given = TAG.findall(tags)
    ratios: dict[str, tuple[float, Message]] = {}
    for message in catalogue.messages:
        for run in message.runs:
            matcher.set_seq1(_fill_in(run, given))
            if min(matcher.real_quick_ratio(), matcher.quick_ratio()) < LEAST_RATIO:
                continue
            ratio = matcher.ratio()
            if ratio >= max(LEAST_RATIO, ratios.get(message.tags, (0.0, message))[0]):
                ratios[message.tags] = (ratio, message)
    ranked = sorted(ratios.values(), key=lambda pair: (-pair[0], pair[1].tags))
    return tuple(message for _, message in ranked[:MOST_NEAREST])


def _fill_in(run: str, given: Sequence[str]) -> str:
    """
    Put the given tags where a run has placeholders, any word being as good as another there.
    """
    known = TAG.findall(run)
    if len(known) != len(given) or all(tag.startswith("[{") for tag in known):
        return run
    pairs = zip(known, given, strict=True)
    return "".join(theirs if ours.startswith("[{") else ours for ours, theirs in pairs)
