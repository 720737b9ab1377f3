"""
The landing page's words in each language, from page.toml, and numbers and times as people write.

Everything that is put into a text is escaped; what a log or a name may hold that does not print,
or turns the direction of writing, is shown as its code.
"""

import tomllib
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources

from markupsafe import Markup, escape

KIBI = 1024
SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
NAME_LENGTH = 200
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a sign that look like nothing, though Unicode has them print."""
MARKS_IN_A_ROW = 2
"""As many as languages need; more of them pile up over the lines around."""
JUST_NOW_SECONDS = 2.0
LEAST_SHARE = 0.001


@cache
def load_texts() -> Mapping[str, Mapping[str, str]]:
    """
    Read the texts that come with the package: key -> language -> text.
    """
    source = resources.files("exporter").joinpath("page.toml")
    with source.open("rb") as file:
        return tomllib.load(file)


def visible(text: str, length: int = NAME_LENGTH) -> str:
    """
    Write a name so that it shows what it is: bounded, and codes for what does not print.

    `isprintable` is False for controls, for the marks that turn the direction of writing
    (Unicode's category Cf) and for halves of surrogate pairs.
    """
    cut = f"{text[:length]}…" if len(text) > length else text
    shown: list[str] = []
    marks = 0
    for c in cut:
        marks = marks + 1 if unicodedata.category(c) in {"Mn", "Me"} else 0
        plain = c.isprintable() and c not in BLANK and marks <= MARKS_IN_A_ROW
        shown.append(c if plain else f"\\u{ord(c):04x}")
    return "".join(shown)


def mark_code(text: str) -> Markup:
    """
    Mark up what stands in backticks as code, everything escaped.
    """
    pieces = str(escape(text)).split("`")
    marked = "".join(f"<code>{one}</code>" if i % 2 else one for i, one in enumerate(pieces))
    return Markup(marked)  # noqa: S704 - escaped two lines above


def show_name(text: str) -> Markup:
    """
    Mark up a name, apart from the direction of what is around it.
    """
    return Markup("<bdi>{}</bdi>").format(visible(text))


def show_size(number: float) -> str:
    """
    Write bytes: 512 B, 1.2 MiB.
    """
    power = 0
    while number >= KIBI and power < len(SIZES) - 1:
        number /= KIBI
        power += 1
    return f"{number:,.1f} {SIZES[power]}" if power else f"{number:,.0f} {SIZES[power]}"


def show_share(part: float, whole: float) -> str:
    """
    Write a percentage; what is not nothing never reads as 0.
    """
    share = part / whole if whole else 0.0
    return "<0.1%" if 0 < share < LEAST_SHARE else f"{share:.1%}"


class Wording:
    """
    The texts of one language.
    """

    def __init__(self, language: str, now: float) -> None:
        """
        Speak of times as seen at `now`, seconds since the epoch.
        """
        self._texts = {key: text[language] for key, text in load_texts().items()}
        self._now = now

    def __call__(self, key: str, /, **values: object) -> Markup:
        """
        Give a text with its values filled in, escaped; `code` in backticks as such.
        """
        return mark_code(self._texts[key]).format(**values)

    def word(self, kind: str, word: str) -> str:
        """
        Give what a word of the log is called; the word itself where there is no other name.
        """
        return self._texts.get(f"{kind}_{word}", visible(word))

    def duration(self, seconds: float) -> str:
        """
        Write a length of time in its largest unit.
        """
        unit, length = next((one for one in UNITS if seconds >= one[1]), UNITS[-1])
        number = int(seconds // length)
        return str(self(f"{unit}_one" if number == 1 else f"{unit}_many", number=number))

    def since(self, moment: float) -> str:
        """
        Write the time that has passed since a moment.
        """
        return self.duration(max(self._now - moment, 0.0))

    def ago(self, moment: float) -> str:
        """
        Say how long ago a moment was, or how far ahead the log's clock is.
        """
        seconds = self._now - moment
        if abs(seconds) < JUST_NOW_SECONDS:
            return str(self("just_now"))
        key = "ago" if seconds > 0 else "ahead"
        return str(self(key, duration=self.duration(abs(seconds))))

    def moment(self, moment: float) -> Markup:
        """
        Write a moment in this machine's time zone, with its offset, and how long ago it was.
        """
        try:
            local = datetime.fromtimestamp(moment, UTC).astimezone()
        except (ValueError, OverflowError, OSError):
            return Markup("{}").format(moment)
        return Markup('<time datetime="{}">{}</time>').format(
            local.isoformat(timespec="seconds"), local.isoformat(" ", "seconds")
        )
