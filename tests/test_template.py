"""
The templates that come with the package.
"""

import re
from pathlib import Path

import pytest
from jinja2 import DictLoader, UndefinedError

import exporter
from exporter import template
from exporter.template import load_template

HOSTILE = "</p><b>&\"'"
ESCAPED = "&lt;/p&gt;&lt;b&gt;&amp;&#34;&#39;"


def test_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every value is escaped: what is given, what filters make of it and what names stand for.
    """
    source = "{{ given }} {{ given|twice }} {{ known }}"
    monkeypatch.setattr(template, "PackageLoader", lambda *_: DictLoader({"x.html": source}))
    render = load_template("x.html", {"twice": lambda text: text * 2}, {"known": HOSTILE})

    assert f"{ESCAPED} {ESCAPED}{ESCAPED} {ESCAPED}" == render(given=HOSTILE)


def test_all_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A value that is missing is an error, never a gap in the page.
    """
    monkeypatch.setattr(template, "PackageLoader", lambda *_: DictLoader({"x.html": "{{ a }}"}))

    with pytest.raises(UndefinedError):
        load_template("x.html", {}, {})()


def test_nothing_is_let_through() -> None:
    """
    No template of the package takes escaping back.
    """
    package = Path(exporter.__file__).parent
    texts = {path.name: path.read_text(encoding="utf-8") for path in package.rglob("*.html")}

    assert {"page.html", "advice.html", "summary.html"} == set(texts)
    assert not any(re.search(r"\|\s*safe\b|autoescape", text) for text in texts.values())
