"""
What a benchmark found, beside what it is meant to be.

An aim may be missed on a slow or busy machine, and is then only said.  What fails is a figure
beyond its `limit`, and only those have one that do not depend on the machine: ratios within one
run, and memory.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """
    One number.
    """

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    """The aim, where less is better."""
    at_least: float | None = None
    """The aim, where more is better."""
    limit: float | None = None
    """What is no longer a matter of noise: mostly twice the aim, or half of it."""

    @property
    def is_missed(self) -> bool:
        """
        Say whether the aim was missed.
        """
        if self.at_most is not None:
            return self.value > self.at_most
        return self.at_least is not None and self.value < self.at_least

    @property
    def is_gross(self) -> bool:
        """
        Say whether that is so on any machine.
        """
        if self.limit is None:
            return False
        return self.value > self.limit if self.at_most is not None else self.value < self.limit

    def __str__(self) -> str:
        bound = self.at_most if self.at_most is not None else self.at_least
        aim = ""
        if bound is not None:
            aim = f"{'at most' if self.at_most is not None else 'at least'} {bound:g}"
        mark = "  FAILED" if self.is_gross else "  missed" if self.is_missed else ""
        return f"{self.what:58} {self.value:10.3f} {self.unit:8} {aim}{mark}".rstrip()


def show(figures: Iterable[Figure]) -> list[Figure]:
    """
    Print figures as they come, and give them.
    """
    shown = []
    for figure in figures:
        print(figure, flush=True)
        shown.append(figure)
    return shown
