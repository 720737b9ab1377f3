"""
The words of `summary` in each language, and numbers and times as people write.

The landing page's words (exporter/page.toml) are used where it says the same.  Plain text: whoever
puts it into HTML escapes it.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from exporter.catalogue import Message
from exporter.wording import UNITS, load_texts


@cache
def load_phrases() -> Mapping[str, Mapping[str, str]]:
    """
    Read the texts that come with the package: key -> language -> text.
    """
    with resources.files("exporter.logtool").joinpath("summary.toml").open("rb") as file:
        return {**load_texts(), **tomllib.load(file)}


class Phrases:
    """
    The texts of one language.
    """

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, key: str, /, **values: object) -> str:
        """
        Give a text with its values filled in.
        """
        return load_phrases()[key][self.language].format(**values)

    def word(self, kind: str, word: str) -> str:
        """
        Give what a word of the log is called; the word itself where there is no other name.
        """
        known = load_phrases().get(f"{kind}_{word}")
        return known[self.language] if known else word

    def meaning(self, message: Message) -> str:
        """
        Give what a message means.
        """
        return message.ja if self.language == "ja" else message.en

    def duration(self, seconds: int) -> str:
        """
        Write a length of time in the largest unit that it is a whole number of.
        """
        unit, length = next(one for one in UNITS if not seconds % one[1])
        number = seconds // length
        return self(f"{unit}_one" if number == 1 else f"{unit}_many", number=number)


def show_count(number: int) -> str:
    """
    Write a number of things.
    """
    return f"{number:,}"


def show_share(part: int, whole: int) -> str:
    """
    Write a percentage.
    """
    return f"{part / whole:.1%}" if whole else ""


def show_seconds(seconds: float) -> str:
    """
    Write seconds with three digits that count: 0.0315, 12.6, 301.
    """
    if not seconds:
        return "0"
    if seconds < 0.001:  # noqa: PLR2004 - below, %g would write an exponent
        return f"{seconds:.6f}".rstrip("0")
    return f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.3g}"  # noqa: PLR2004 - as above


def show_moment(moment: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """
    Write a moment in local time.
    """
    return datetime.fromtimestamp(moment, UTC).astimezone().strftime(form)


def tick_form(seconds: int, span: int) -> str:
    """
    Choose how to write the times below a chart, by its step and its length.
    """
    if seconds >= 86400:  # noqa: PLR2004 - a day
        return "%Y-%m-%d"
    return "%H:%M" if span <= 86400 else "%m-%d %H:%M"  # noqa: PLR2004 - a day
