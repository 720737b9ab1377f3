"""
The words of the page: the same in both languages, and whatever is put into them is escaped.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.negotiate import LANGUAGES
from exporter.wording import (
    NAME_LENGTH,
    Wording,
    load_texts,
    mark_code,
    show_name,
    show_share,
    show_size,
    visible,
)

NOW = 1_795_390_000.0
PLACEHOLDER = re.compile(r"\{(\w*)\}")
TEMPLATE = Path(__file__).resolve().parent.parent / "exporter" / "page.html"


@pytest.fixture
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """
    A machine in Tokyo.
    """
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("key", load_texts())
def test_both_languages(key: str) -> None:
    """
    Each text is there in each language, with the same values in it and its code in pairs of ticks.
    """
    text = load_texts()[key]

    assert set(LANGUAGES) == set(text)
    assert all(text.values())
    assert 1 == len({frozenset(PLACEHOLDER.findall(words)) for words in text.values()})
    assert {0} == {words.count("`") % 2 for words in text.values()}


def test_japanese_is_japanese() -> None:
    """
    What is a sentence in English is one in Japanese characters.
    """
    kana = re.compile(r"[\u3040-\u30ff]")

    assert [] == [
        key
        for key, text in load_texts().items()
        if text["en"].endswith(".") and not kana.search(text["ja"])
    ]


def test_template_keys() -> None:
    """
    Each text that the template names is there.
    """
    named = set(re.findall(r'say\("(\w+)"[,)]', TEMPLATE.read_text()))

    assert named
    assert set() == named - set(load_texts())


def test_text() -> None:
    """
    Values are escaped, and what stands in backticks is code.
    """
    say = Wording("en", NOW)

    assert (
        "In a systemd unit that is <code>SupplementaryGroups=&lt;b&gt;</code>,"
        " in a container <code>--group-add 4</code>."
    ) == say("remedy_group_more", group="<b>", gid=4)


def test_code() -> None:
    """
    Code is marked up, markup and braces in it are not.
    """
    assert "see <code>a &lt;{b}&gt;</code>, <code>c</code>." == mark_code("see `a <{b}>`, `c`.")


def test_values_are_not_templates() -> None:
    """
    Braces and backticks in a value stay what they are.
    """
    say = Wording("en", NOW)

    assert "`{x}` ago" == say("ago", duration="`{x}`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail.log", "mail.log"),
        ("日本語 é", "日本語 é"),
        ("a\u202eb\u2066c\u200fd\u061c", "a\\u202eb\\u2066c\\u200fd\\u061c"),
        ("\0\n\x1b[31m\x7f\x85\u2028", "\\u0000\\u000a\\u001b[31m\\u007f\\u0085\\u2028"),
        ("\udcff", "\\udcff"),
        ("\u3164\u2800", "\\u3164\\u2800"),
        ("ệ\u0302\u0323", "ệ\u0302\u0323"),
        ("z\u0300\u0301\u0302\u20ddz\u0300", "z\u0300\u0301\\u0302\\u20ddz\u0300"),
        ("x" * NAME_LENGTH, "x" * NAME_LENGTH),
        ("x" * 10_000, "x" * NAME_LENGTH + "…"),
    ],
)
def test_visible(text: str, expected: str) -> None:
    """
    What cannot be seen, turns the writing or piles up is shown as its code; what is long is cut.
    """
    assert expected == visible(text)


@given(st.text())
def test_any_name(text: str) -> None:
    """
    Any name comes out as text: printable, bounded, isolated, without markup.
    """
    shown = show_name(text)
    inner = shown.removeprefix("<bdi>").removesuffix("</bdi>")

    assert len(inner) == len(shown) - len("<bdi></bdi>")
    assert inner.isprintable()
    assert not set("<>\"'") & set(inner)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"),
        (1023, "1,023 B"),
        (1024, "1.0 KiB"),
        (1_258_291, "1.2 MiB"),
        (3 * 2**30, "3.0 GiB"),
        (5000 * 2**40, "5,000.0 TiB"),
    ],
)
def test_size(number: float, expected: str) -> None:
    """
    Bytes are written in the unit that fits.
    """
    assert expected == show_size(number)


@pytest.mark.parametrize(
    ("part", "whole", "expected"),
    [(0, 0, "0.0%"), (0, 9, "0.0%"), (1, 10_000, "<0.1%"), (1, 3, "33.3%"), (9, 9, "100.0%")],
)
def test_share(part: float, whole: float, expected: str) -> None:
    """
    A share of something is never shown as nothing.
    """
    assert expected == show_share(part, whole)


@pytest.mark.parametrize(
    ("age", "english", "japanese"),
    [
        (0, "just now", "たった今"),
        (-1.9, "just now", "たった今"),
        (2, "2 seconds ago", "2秒前"),
        (60, "1 minute ago", "1分前"),
        (7199, "1 hour ago", "1時間前"),
        (3 * 86400, "3 days ago", "3日前"),
    ],
)  # fmt: skip
def test_ago(age: float, english: str, japanese: str) -> None:
    """
    A moment is told by how long ago it was, in its largest unit, or how far ahead.
    """
    assert english == Wording("en", NOW).ago(NOW - age)
    assert japanese == Wording("ja", NOW).ago(NOW - age)


@pytest.mark.parametrize(("language", "duration"), [("en", "3 minutes"), ("ja", "3分")])
def test_ahead(language: str, duration: str) -> None:
    """
    A log whose clock is ahead of ours is not told as the past.
    """
    expected = load_texts()["ahead"][language].format(duration=duration)

    assert expected == Wording(language, NOW).ago(NOW + 180)


def test_since() -> None:
    """
    A length of time has no less than nothing.
    """
    say = Wording("en", NOW)

    assert ["1 second", "0 seconds"] == [say.since(NOW - 1), say.since(NOW + 5)]


@pytest.mark.usefixtures("_zone")
def test_moment() -> None:
    """
    A moment is written in the machine's zone, with its offset, for people and for programs.
    """
    assert (
        '<time datetime="2026-11-23T08:26:40+09:00">2026-11-23 08:26:40+09:00</time>'
    ) == Wording("en", NOW).moment(NOW)


@pytest.mark.parametrize("moment", [1e300, -1e300, float("nan")])
def test_moment_that_is_none(moment: float) -> None:
    """
    A number that is no moment is shown as it is.
    """
    assert str(moment) == Wording("en", NOW).moment(moment)


def test_word() -> None:
    """
    A word of the log has a name beside it in Japanese; one that has none stands for itself.
    """
    say = Wording("ja", NOW)

    assert load_texts()["status_reject"]["ja"] == say.word("status", "reject")
    assert "拒否" in say.word("status", "reject")
    assert "other" == say.word("status", "other")
