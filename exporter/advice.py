"""
What to do about a message or a metric: advice.toml, and where the runbook has it.

Never read at the start, to which parsing it would add: only for somebody who looks at an error on
the landing page.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from exporter.catalogue import Message

LANGUAGES = ("en", "ja")
UNTAGGED = "(untagged)"


@dataclass(frozen=True, slots=True)
class Wording:
    """
    An advice in one language; commands and settings are in backquotes.
    """

    title: str
    causes: tuple[str, ...]
    """Likely causes, the most likely first."""
    check: tuple[str, ...]
    """What to check or to do, in this order."""
    notes: Mapping[str, str]
    """Number of a message -> a sentence for that one alone."""


@dataclass(frozen=True, slots=True)
class Advice:
    """
    What some messages, or some metrics, have in common; the keys are explained in advice.toml.
    """

    name: str
    messages: tuple[str, ...]
    metrics: tuple[str, ...]
    harmless: bool
    wording: Mapping[str, Wording]
    """Language -> text."""


class AdviceBook:
    """
    All advice, by message and by metric.
    """

    def __init__(self, groups: tuple[Advice, ...]) -> None:
        """
        Look up in `groups`.
        """
        self.groups = groups
        self._by_number = {number: group for group in groups for number in group.messages}
        self._by_metric = {metric: group for group in groups for metric in group.metrics}

    def of_message(self, message: Message) -> Advice:
        """
        Give the advice for a message of the catalogue.
        """
        return self._by_number[message.number]

    def of_metric(self, name: str) -> Advice | None:
        """
        Give the advice for a metric whose messages alone would not say enough.
        """
        return self._by_metric.get(name)


def advise(message: Message | None, language: str) -> Wording | None:
    """
    Give the likely causes of a message and what to check; None where the catalogue lacks it.
    """
    return load_advice().of_message(message).wording[language] if message else None


def heading(message: Message) -> str:
    """
    Give a message's heading in the runbook, without marks, the same in every language.
    """
    return f"{message.number} {message.tags or UNTAGGED}"


def anchor(message: Message) -> str:
    """
    Give the part after # of a link to a message's section of the runbook.
    """
    return slug(heading(message))


def slug(text: str) -> str:
    """
    Give the anchor that GitHub makes of a heading.
    """
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def load_advice() -> AdviceBook:
    """
    Read the advice that comes with the package.
    """
    with resources.files("exporter").joinpath("advice.toml").open("rb") as file:
        table = tomllib.load(file)
    return AdviceBook(
        tuple(
            Advice(
                name,
                tuple(entry.get("messages", ())),
                tuple(entry.get("metrics", ())),
                entry.get("harmless", False),
                {
                    language: Wording(
                        entry[f"title_{language}"],
                        tuple(entry[f"causes_{language}"]),
                        tuple(entry[f"check_{language}"]),
                        entry.get(f"notes_{language}", {}),
                    )
                    for language in LANGUAGES
                },
            )
            for name, entry in table.items()
        )
    )
