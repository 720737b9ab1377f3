"""
A report as a page.
"""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import browsing
from summing import HEAD, HOSTILE, NOW, TROUBLED, log_of, report_of

from exporter.logtool.htmlreport import (
    MOST_CHECKS,
    MOST_MILTERS,
    MOST_SERIES,
    TONES,
    bars_of,
    load_report_style,
    write_html,
)
from exporter.logtool.phrases import Phrases
from exporter.logtool.report import Report
from exporter.logtool.terminal import LANGUAGES
from exporter.logtool.timeline import Bucket, Plot

REPORT = report_of(log_of(*TROUBLED))
FETCHING = ("src", "srcset", "action", "data", "poster", "background", "xlink:href")


class Page(HTMLParser):
    """
    What a page is made of.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Note an element.
        """
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        """
        Note a text.
        """
        self.texts.append(data)


def page_of(report: Report, language: str = "en") -> Page:
    """
    Write a page and read it.
    """
    return Page(write_html(report, Phrases(language), NOW))


@pytest.mark.parametrize("language", LANGUAGES)
def test_self_contained(language: str) -> None:
    """
    The page fetches nothing, runs nothing, and has no style but its own block.
    """
    page = page_of(REPORT, language)
    names = {name for name, _ in page.attributes}
    links = [value for name, value in page.attributes if name == "href"]

    assert {"script", "iframe", "object", "img", "form", "a"}.isdisjoint(page.tags)
    assert names.isdisjoint(FETCHING)
    assert "style" not in names
    assert not any(name.startswith("on") for name in names)
    assert ["data:,"] == links
    assert 1 == page.tags.count("style")
    assert not re.search(r"url\(|@import", load_report_style())


def test_escaped() -> None:
    """
    A hostile name is text, and shows what it is.
    """
    page = page_of(REPORT)

    assert "b" not in page.tags
    assert any("<b>#033[31m&\\u202eevil" in text for text in page.texts)
    assert HOSTILE not in "".join(page.texts)


def test_charts() -> None:
    """
    Sessions, errors, troubles, checks and milters are drawn; what never happened is not.
    """
    page = page_of(REPORT)
    quiet = page_of(report_of(HEAD + b"x\n"))
    untimed = page_of(report_of(b"[session][end][quit][pass][0.1](1)\n"))

    assert 6 == page.tags.count("svg")
    assert 0 == quiet.tags.count("svg") == untimed.tags.count("svg")


def test_whole_page() -> None:
    """
    Notes on files that failed and on what was left out are there, errors without an entry too.
    """
    report = replace(
        REPORT,
        left_out=7,
        files=(replace(REPORT.files[0], problem="mail.log: <damaged>"),),
        faults=(replace(REPORT.faults[0], message=None),),
    )
    text = " ".join(page_of(report).texts)

    assert "mail.log: <damaged>" in text
    assert "7 lines outside" in text
    assert "No explanation." in text


def test_stretches() -> None:
    """
    A year's log has charts of its last day, week, month and year; older times stay out of them.
    """
    line = b"%s vm milter-manager[7]: [session][end][quit][pass][0.1](1)\n"
    days = (b"2025-12-01", b"2026-11-01", b"2026-11-20", b"2026-11-22")
    text = write_html(
        report_of(b"".join(line % (day + b"T10:00:00Z") for day in days)), Phrases("en"), NOW
    )
    titles = re.findall(r"<h3>(.*?)</h3>", text)

    assert ["The last day", "The last week", "The last month", "The last year"] == titles


def test_limits() -> None:
    """
    Very many milters, checks and words do not make the page endless.
    """
    lines = [
        b"[statistics] [milter][end][quit][pass][0.1](5): m%d" % i for i in range(MOST_MILTERS + 5)
    ]
    page = page_of(report_of(log_of(*lines)))
    parts = tuple((f"word{i}", 1) for i in range(MOST_SERIES + 3))
    buckets = (Bucket({("sessions", word): 1 for word, _ in parts}),)
    bars = bars_of(Plot(60, (0.0,), buckets), ("sessions",), parts, Phrases("en"))

    assert MOST_MILTERS == page.tags.count("svg")
    assert MOST_CHECKS >= 1
    assert MOST_SERIES + 1 == len(bars)
    assert ("other", [3]) == (bars[-1].name, bars[-1].values)


def test_tones() -> None:
    """
    Each colour that a series may have is in the style sheet, for bars and for the legend.
    """
    style = load_report_style()
    tones = {*TONES.values(), "grey", "blue"}

    assert all(f".{tone} rect" in style and f".key.{tone}" in style for tone in tones)


def test_different_colours() -> None:
    """
    Two words that share a colour do not share it in one chart.
    """
    parts = (("reject", 3), ("fail", 2), ("yes", 1))
    buckets = (Bucket({("checks", "x", word): 1 for word, _ in parts}),)
    bars = bars_of(Plot(60, (0.0,), buckets), ("checks", "x"), parts, Phrases("en"))

    assert 3 == len({one.tone for one in bars})


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser(scheme: str, tmp_path: Path) -> None:
    """
    In a browser it is whole on a phone as on a desk, asks for nothing, and breaks no policy.
    """
    path = tmp_path / "report.html"
    path.write_text(write_html(REPORT, Phrases("ja"), NOW), encoding="utf-8")
    with browsing(tmp_path / "profile") as browser:
        for width in (360, 1280):
            browser.show(path.as_uri(), scheme=scheme, width=width)

            assert browser.ask("document.documentElement.scrollWidth <= window.innerWidth")
            assert 6 == browser.ask("document.querySelectorAll('svg.chart').length")
            assert [path.as_uri()] == browser.requests()
            assert [] == browser.complaints()
        fill = "getComputedStyle(document.querySelector('.green rect')).fill"
        light = "rgb(47, 158, 82)"

        assert (light == browser.ask(fill)) == (scheme == "light")


def test_note() -> None:
    """
    What the advice says of one message alone stands among what to check.
    """
    report = report_of(log_of(b"[1] [client][error][accept] Too many open files"))

    assert any("Another reason than" in text for text in page_of(report).texts)
