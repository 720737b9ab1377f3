"""
Numbers over time -> charts in SVG, to stand in a page.

pygal lays them out.  Of what it writes only plain shapes and texts are taken over: no script, no
style, no link, so that the page's own style sheet colours them, light or dark, and its policy need
allow nothing.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import pygal  # type: ignore[import-untyped]  # it has no types
from pygal.style import Style  # type: ignore[import-untyped]  # the same

# pygal hooks into all imports to come, for plugins with maps, in a way that Python 3.11 warns of.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

WIDTH, HEIGHT = 560, 190
LABEL_PIXELS = 11
MOST_BARS = 72
MOST_TICKS = 5
"""Below a chart; that many times fit beside each other."""
LINES = 4
"""Above 0, about."""

SVG = "{http://www.w3.org/2000/svg}"
TAGS = ("g", "path", "rect", "text")
ATTRIBUTES = ("class", "d", "height", "transform", "width", "x", "y")
ROUNDED = ("height", "width", "x", "y")


@dataclass(frozen=True, slots=True)
class Bars:
    """
    One series of a chart.
    """

    name: str
    tone: str
    """The class of the style sheet that gives it its colour."""
    values: Sequence[int]


def draw(title: str, labels: Sequence[str], series: Sequence[Bars]) -> str:
    """
    Draw bars, each series on top of the one before; a pointer over a bar shows its number.
    """
    highest = max(sum(one) for one in zip(*(bars.values for bars in series), strict=True))
    step = step_of(highest)
    top = math.ceil(highest / step) * step
    chart = pygal.StackedBar(
        width=WIDTH,
        height=HEIGHT,
        margin=4,
        spacing=4,
        js=(),
        show_legend=False,
        show_x_guides=False,
        show_minor_x_labels=False,
        x_labels_major_every=math.ceil(len(labels) / MOST_TICKS),
        truncate_label=-1,
        range=(0, top),
        y_labels=list(range(0, top + 1, step)),
        value_formatter="{:,.0f}".format,
        style=Style(label_font_size=LABEL_PIXELS, major_label_font_size=LABEL_PIXELS),
    )
    chart.x_labels = labels
    for bars in series:
        chart.add("", bars.values)
    drawn = ET.fromstring(str(chart.render(is_unicode=True)))  # noqa: S314 - pygal's own
    svg = ET.Element("svg", {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "class": "chart", "role": "img"})
    ET.SubElement(svg, "title").text = title
    plot = drawn.find(f".//{SVG}g[@class='plot']")
    assert plot is not None  # noqa: S101 - pygal always draws one
    add_plain(svg, plot)
    for group, bars in zip(svg.iterfind(".//g[@class='bars']"), series, strict=True):
        group.set("class", bars.tone)
        for label, value, bar in zip(labels, bars.values, list(group), strict=True):
            if value:
                ET.SubElement(bar, "title").text = f"{label}  {bars.name}: {value:,}"
            else:
                group.remove(bar)
    return ET.tostring(svg, encoding="unicode")


def step_of(highest: int) -> int:
    """
    Choose what lies between two lines of the scale: 1, 2 or 5 times a power of ten.
    """
    rough = max(highest / LINES, 1.0)
    power: int = 10 ** int(math.log10(rough))
    return next((power * factor for factor in (1, 2, 5) if power * factor >= rough), power * 10)


def add_plain(parent: ET.Element, drawn: ET.Element) -> None:
    """
    Take over plain shapes and texts, and nothing else.
    """
    tag = drawn.tag.removeprefix(SVG)
    if tag not in TAGS or "background" in drawn.get("class", ""):
        return
    element = ET.SubElement(parent, tag)
    for name in ATTRIBUTES:
        value = drawn.get(name, "")
        if value:
            element.set(name, f"{float(value):.1f}" if name in ROUNDED else value)
    if tag == "text":
        element.text = drawn.text
    for child in drawn:
        add_plain(element, child)
