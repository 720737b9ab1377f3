"""
Words, numbers and times of `summary`.
"""

import string

import pytest

from exporter.logtool.phrases import (
    Phrases,
    load_phrases,
    show_count,
    show_seconds,
    show_share,
    tick_form,
)
from exporter.logtool.terminal import LANGUAGES
from exporter.wording import load_texts

OWN = {key: text for key, text in load_phrases().items() if key not in load_texts()}
SAME = ("summary_milter_duration", "summary_span")
"""Texts that have hardly a word."""


@pytest.mark.parametrize("key", list(OWN))
def test_both_languages(key: str) -> None:
    """
    Each text is there in both languages, with the same values to fill in.
    """
    fields = [
        sorted(field for _, field, _, _ in string.Formatter().parse(OWN[key][language]) if field)
        for language in LANGUAGES
    ]

    assert fields[0] == fields[1]
    assert {"en", "ja"} == set(OWN[key])
    assert key in SAME or not OWN[key]["ja"].isascii()


def test_no_word_is_taken_twice() -> None:
    """
    The landing page's words are not changed here.
    """
    assert all(load_phrases()[key] == text for key, text in load_texts().items())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0"), (4.8e-05, "0.000048"), (0.001182, "0.00118"), (0.0315, "0.0315"),
        (12.6153, "12.6"), (100.4, "100"), (3600.0, "3600"),
    ],
)  # fmt: skip
def test_seconds(seconds: float, expected: str) -> None:
    """
    Three digits that count, and never an exponent.
    """
    assert expected == show_seconds(seconds)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(60, "1 minute"), (600, "10 minutes"), (3600, "1 hour"), (21600, "6 hours"),
     (86400, "1 day"), (7 * 86400, "7 days"), (5400, "90 minutes"), (61, "61 seconds")],
)  # fmt: skip
def test_duration(seconds: int, expected: str) -> None:
    """
    A length of time is exact, in the largest unit that allows it.
    """
    assert expected == Phrases("en").duration(seconds)


def test_words() -> None:
    """
    A word of the log has a name of its own, or stays what it is.
    """
    assert "切断" == Phrases("ja").word("status", "disconnected")
    assert "unheard-of" == Phrases("ja").word("status", "unheard-of")


def test_numbers() -> None:
    """
    Numbers have their thousands apart; of nothing there is no share.
    """
    assert "102,418" == show_count(102_418)
    assert "82.0%" == show_share(16_408, 20_000)
    assert not show_share(0, 0)


@pytest.mark.parametrize(
    ("seconds", "span", "expected"),
    [(600, 86400, "%H:%M"), (3600, 86401, "%m-%d %H:%M"), (86400, 31 * 86400, "%Y-%m-%d")],
)
def test_tick_form(seconds: int, span: int, expected: str) -> None:
    """
    Below a chart stands as much of a time as tells its bars apart.
    """
    assert expected == tick_form(seconds, span)
