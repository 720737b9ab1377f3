"""
Charts in SVG.
"""

import sys
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.logtool.charts import ATTRIBUTES, TAGS, Bars, draw, step_of

LABELS = ["12:00", "12:10", "12:20"]
HOSTILE = "</title><script>alert(1)</script>&\"'"


def parse(svg: str) -> ET.Element:
    """
    Read a chart back.
    """
    return ET.fromstring(svg)  # noqa: S314 - made by this very test


def test_bars() -> None:
    """
    Each number that is not 0 is a bar with its text, in the colour of its series.
    """
    drawn = parse(
        draw("title", LABELS, [Bars("a", "green", [1, 0, 3000]), Bars("b", "red", [0, 2, 0])])
    )
    texts = {
        group.get("class"): [bar.findtext("title") for bar in group]
        for group in drawn.iter("g")
        if group.get("class") in ("green", "red")
    }

    assert {"green": ["12:00  a: 1", "12:20  a: 3,000"], "red": ["12:10  b: 2"]} == texts
    assert "title" == drawn.findtext("title")


def test_heights() -> None:
    """
    Bars are as high as their numbers, one on top of the other.
    """
    drawn = parse(draw("t", ["x"], [Bars("a", "green", [10]), Bars("b", "red", [30])]))
    green, red = (drawn.find(f".//g[@class='{tone}']//rect") for tone in ("green", "red"))
    assert green is not None
    assert red is not None

    assert pytest.approx(3, rel=0.02) == float(red.get("height", "")) / float(
        green.get("height", "")
    )
    assert pytest.approx(float(green.get("y", "")), abs=0.2) == float(red.get("y", "")) + float(
        red.get("height", "")
    )


def test_imports_are_left_alone() -> None:
    """
    Whoever imports something later is not bothered by what draws charts.
    """
    assert "pygal" in sys.modules
    assert all(not type(finder).__module__.startswith("pygal") for finder in sys.meta_path)


def test_only_plain_shapes() -> None:
    """
    No script, style or link is in it, whatever the texts are.
    """
    svg = draw(HOSTILE, [HOSTILE], [Bars(HOSTILE, "green", [1])])
    drawn = parse(svg)

    assert {*TAGS, "svg", "title"} >= {element.tag for element in drawn.iter()}
    assert {*ATTRIBUTES, "viewBox", "role"} >= {
        name for element in drawn.iter() for name in element.attrib
    }
    assert "<script" not in svg
    assert HOSTILE == drawn.findtext("title")


@given(st.lists(st.lists(st.integers(0, 10**7), min_size=3, max_size=3), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_any_numbers(rows: list[list[int]]) -> None:
    """
    Any numbers are drawn, each that is not 0 once.
    """
    svg = draw("t", LABELS, [Bars("n", "blue", row) for row in rows])
    bars = [bar for bar in parse(svg).iter("g") if bar.get("class") == "bar"]

    assert sum(1 for row in rows for value in row if value) == len(bars)


@pytest.mark.parametrize(
    ("highest", "step"),
    [(0, 1), (1, 1), (4, 1), (5, 2), (15, 5), (40, 10), (41, 20), (7100, 2000), (8001, 5000),
     (20001, 10000)],
)  # fmt: skip
def test_step(highest: int, step: int) -> None:
    """
    The scale's lines are whole numbers, round ones, and about four.
    """
    assert step == step_of(highest)
