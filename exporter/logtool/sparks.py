"""
Activity over time as rows of small bars, for a terminal.

Each row has its own scale, named at its end, so that a few errors show beside many sessions.
Pure: a plot in, text out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = ".:-=+*#@"
"""Where the terminal has no block elements."""
NOTHING = " "


@dataclass(frozen=True, slots=True)
class Row:
    """
    One series.
    """

    name: str
    values: Sequence[int]
    style: str
    """A colour of rich's."""


def draw_bars(values: Sequence[int], blocks: str = BLOCKS) -> str:
    """
    Write a character a value, as high as its share of the largest; nothing only for 0.
    """
    most = max(values, default=0)
    if most <= 0:
        return NOTHING * len(values)
    return "".join(
        blocks[-(-value * len(blocks) // most) - 1] if value > 0 else NOTHING for value in values
    )


def draw_ticks(labels: Sequence[str], wide: int) -> str:
    """
    Write as many times as fit, each beginning below its own bar, which is so many columns wide.
    """
    width = max(map(len, labels), default=0)
    columns = len(labels) * wide
    every = -(-(width + 3) // wide)
    return "".join(
        labels[i].ljust(every * wide)
        for i in range(0, len(labels), every)
        if not i or i * wide + width <= columns
    ).rstrip()
