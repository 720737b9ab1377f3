"""
What milter-manager can say: catalogue.toml, expanded so that one look-up finds a run of tags.

Knows the messages, not the lines: no stamps, no milter names, no counting.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from itertools import product

OTHER = "other"
ELAPSED = "{elapsed}"
PLACEHOLDER = re.compile(r"\{([^}]+)\}")
ANY_TAG = r"([\w-]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """
    One entry of the catalogue; the keys are explained at the head of catalogue.toml.
    """

    number: str
    module: str
    level: str
    en: str
    ja: str
    tags: str = ""
    submodule: str = ""
    documented_level: str = ""
    logged: str = ""
    text: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)
    counts: str = ""
    milter: str = ""
    strict: bool = False
    retired: bool = False
    recognisable: bool = True
    harmless: str = ""
    harmless_en: str = ""
    harmless_ja: str = ""

    @property
    def runs(self) -> tuple[str, ...]:
        """
        The runs of tags it can be logged under, placeholders in them: documented, then real.
        """
        if not self.recognisable or not self.tags.startswith("["):
            return ()
        documented = self.tags.removesuffix(self.text).rstrip() if self.text else self.tags
        return (documented, self.logged) if self.logged else (documented,)


@dataclass(frozen=True, slots=True)
class Match:
    """
    A run of tags found in the catalogue.
    """

    messages: tuple[Message, ...]
    """One; or several that differ in nothing but their level."""
    words: Mapping[str, str]
    """Placeholder -> word, `OTHER` for a word outside its list; no elapsed among them."""
    unlisted: tuple[str, ...] = ()
    """The placeholders whose word is outside its list."""


class Catalogue:
    """
    All messages, by run of tags and by text.
    """

    def __init__(self, messages: tuple[Message, ...], lists: Mapping[str, tuple[str, ...]]) -> None:
        """
        Expand `messages`; `lists` are the words that may stand for a placeholder.
        """
        self.messages = messages
        self.lists = lists
        self._by_run: dict[bytes, Match] = {}
        self._loose: list[tuple[re.Pattern[str], tuple[str, ...], Message]] = []
        for message in messages:
            for run in message.runs:
                for tags, words in self._expand(message, run):
                    known = self._by_run.get(tags)
                    together = (*known.messages, message) if known else (message,)
                    self._by_run[tags] = Match(together, words)
                if not message.strict and self._open_placeholders(run):
                    self._loose.append(self._loosen(message, run))
        self._by_text = sorted(
            ((m.text.encode(), m) for m in messages if m.text and not m.tags.startswith("[")),
            key=lambda pair: -len(pair[0]),
        )

    def find(self, run: bytes) -> Match | None:
        """
        Find a whole run of tags, an elapsed written `[{elapsed}]`; None when it is unknown.
        """
        return self._by_run.get(run) or self._find_loose(run)

    def find_text(self, text: bytes) -> Message | None:
        """
        Find an untagged message by the fixed text it starts with.
        """
        for start, message in self._by_text:
            if text == start or text.startswith(start + b":"):
                return message
        return None

    def words_of(self, message: Message, placeholder: str) -> tuple[str, ...]:
        """
        List the words that may stand for a placeholder; empty where any may.
        """
        return self.lists.get(message.words.get(placeholder, placeholder), ())

    def _find_loose(self, run: bytes) -> Match | None:
        """
        Find a run with words that no list has: new in the program, or garbage.
        """
        text = run.decode("ascii", "replace")
        for pattern, placeholders, message in self._loose:
            found = pattern.fullmatch(text)
            if not found:
                continue
            words: dict[str, str] = {}
            unlisted: list[str] = []
            for placeholder, word in zip(placeholders, found.groups(), strict=True):
                listed = self.words_of(message, placeholder)
                words[placeholder] = word if word in listed else OTHER
                if listed and word not in listed:
                    unlisted.append(placeholder)
            return Match((message,), words, tuple(unlisted))
        return None

    def _open_placeholders(self, run: str) -> list[str]:
        return [name for name in PLACEHOLDER.findall(run) if f"{{{name}}}" != ELAPSED]

    def _expand(self, message: Message, run: str) -> Iterator[tuple[bytes, dict[str, str]]]:
        """
        Write a run once for each choice of words.
        """
        names = self._open_placeholders(run)
        for choice in product(*(self.words_of(message, name) for name in names)):
            words = dict(zip(names, choice, strict=True))
            tags = PLACEHOLDER.sub(lambda found: words.get(found[1], found[0]), run)  # noqa: B023
            yield tags.encode(), words

    def _loosen(
        self, message: Message, run: str
    ) -> tuple[re.Pattern[str], tuple[str, ...], Message]:
        """
        Make a pattern that takes any tag for the placeholders of a run.
        """
        names = self._open_placeholders(run)
        pattern = re.escape(run)
        for name in names:
            pattern = pattern.replace(re.escape(f"{{{name}}}"), ANY_TAG)
        return re.compile(pattern), tuple(names), message


@cache
def load_catalogue() -> Catalogue:
    """
    Read the catalogue that comes with the package.
    """
    source = resources.files("exporter").joinpath("catalogue.toml")
    with source.open("rb") as file:
        table = tomllib.load(file)
    lists = {name: tuple(words) for name, words in table["words"].items()}
    return Catalogue(tuple(Message(**entry) for entry in table["message"]), lists)
