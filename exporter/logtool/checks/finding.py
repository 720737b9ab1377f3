"""
One thing that `check` has to say: a key, under which check.toml has the words, and its values.

Knows no texts and looks at nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

SEVERITIES: Final = ("problem", "unknown", "note", "ok")
"""The worst first: to be mended, cannot be told, good to know, as it should be."""

EXIT_GOOD = 0
EXIT_PROBLEMS = 1
EXIT_CANNOT_TELL = 2

Value: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing to say; `*_bytes` and `*_seconds` among the values are written with their unit.
    """

    key: str
    values: Mapping[str, Value] = field(default_factory=dict)


def exit_status(severities: Iterable[str]) -> int:
    """
    Give the exit status that findings of these severities stand for.
    """
    found = set(severities)
    if "problem" in found:
        return EXIT_PROBLEMS
    return EXIT_CANNOT_TELL if "unknown" in found else EXIT_GOOD
