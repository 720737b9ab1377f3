"""
Bars and times for a terminal.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.sparks import BLOCKS, PLAIN_BLOCKS, draw_bars, draw_ticks


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        ([0, 0], "  "),
        ([1], "█"),
        ([0, 1, 8], " ▁█"),
        ([1, 1000], "▁█"),
        ([4, 8, 2, 6], "▄█▂▆"),
        ([-1, 2], " █"),
    ],
)
def test_bars(values: list[int], expected: str) -> None:
    """
    The largest fills its place; nothing but 0 is blank.
    """
    assert expected == draw_bars(values)


@given(st.lists(st.integers(0, 10**9)), st.sampled_from([BLOCKS, PLAIN_BLOCKS]))
def test_order(values: list[int], blocks: str) -> None:
    """
    A bar is never lower than that of a smaller number.
    """
    heights = [(" " + blocks).index(bar) for bar in draw_bars(values, blocks)]
    ranked = sorted(zip(values, heights, strict=True))

    assert [height for _, height in ranked] == sorted(heights)
    assert [not value for value in values] == [not height for height in heights]


@pytest.mark.parametrize(
    ("labels", "wide", "expected"),
    [
        ([], 1, ""),
        (["12:00"], 1, "12:00"),
        (["12:00", "12:01"], 8, "12:00   12:01"),
        (["12:00", "12:01", "12:02"], 5, "12:00     12:02"),
        ([f"12:{i:02}" for i in range(20)], 1, "12:00   12:08"),
    ],
)
def test_ticks(labels: list[str], wide: int, expected: str) -> None:
    """
    Each time begins below its bar, three blanks apart, and none is cut.
    """
    assert expected == draw_ticks(labels, wide)


@given(st.integers(1, 80), st.integers(1, 8))
def test_ticks_stand_below_their_bars(number: int, wide: int) -> None:
    """
    Whatever the numbers, a label is at its own bar, and the line no longer than the bars.
    """
    labels = [f"{i:05}" for i in range(number)]
    line = draw_ticks(labels, wide)

    assert len(line) <= max(number * wide, 5)
    assert all(line.index(label) == int(label) * wide for label in line.split())
