"""
The runbook's own words in each language: runbook_words.toml.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """
    What the runbook says beside what the catalogue, the advice and the alerts say.
    """

    title: str
    other: str
    """Link to the same page in the other language."""
    introduction: Sequence[str]
    alerts: str
    alerts_about: str
    no_alerts: str
    alert: str
    severity: str
    summary: str
    severities: Mapping[str, str]
    after: str
    at_once: str
    expression: str
    to_do: str
    behind: str
    behind_many: str
    more: str
    messages: str
    modules: Mapping[str, str]
    causes: str
    check: str
    harmless: str
    there: str
    level: str
    logged_as: str
    counted: str
    by: str
    retired: str
    unrecognisable: str
    separator: str
    colon: str
    numbers: str
    numbers_about: str
    metrics: str
    index: str
    index_about: str
    tag: str


def load_words(language: str) -> Words:
    """
    Read the words of a language.
    """
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return Words(**table[language])
