"""
Colours: those that people know from mail graphs, the same on every panel.

Names are Grafana's where it has one, so that they fit both of its themes.
"""

from collections.abc import Mapping

from grafana_foundation_sdk.models.dashboard import Threshold

GOOD, ODD, WARNING, BAD = "green", "yellow", "orange", "red"
NEUTRAL = "blue"

STATUSES: Mapping[str, str] = {
    # Delivered, at the bottom of the stack.
    "pass": "green",
    "accept": "light-green",
    "stop": "blue",
    "skip": "light-blue",
    "quarantine": "purple",
    "discard": "#8F6B4A",  # brown: gone, and nobody was told
    "temporary-failure": "orange",
    "reject": "red",
    "error": "dark-red",
    "abort": "#808080",
    "no-reply": "#A0A0A0",
    "other": "#606060",
}
"""How a session or a child milter ended, in the order of the stack."""

FALLBACKS: Mapping[str, str] = {
    # Not green: with accept the mail passed unchecked.
    "accept": "dark-yellow",
    "temporary-failure": "orange",
    "reject": "red",
    "discard": "#8F6B4A",
    "other": "#606060",
}
"""What mail got in place of the answer of a child milter."""

PHASES: Mapping[str, str] = {
    "connection": "purple",
    "writing": "blue",
    "reading": "orange",
    "end-of-message": "red",
}
"""What a child milter was waited for in."""

RESULTS: Mapping[str, str] = {
    # Good, at the bottom of the stack.
    "pass": "green",
    "no": "green",
    "clean": "green",
    "spf-compliant": "light-green",
    "whitelisted": "green",
    # Nothing said.
    "none": "#808080",
    "neutral": "light-blue",
    "policy": "yellow",
    "delayed": "light-orange",
    # Bad.
    "softfail": "orange",
    "fail": "red",
    "hardfail": "dark-red",
    "yes": "red",
    "infected": "dark-red",
    # Not known.
    "temperror": "light-purple",
    "permerror": "purple",
    "other": "#606060",
}
"""What a check of a mail came to."""

OUTCOMES: Mapping[str, str] = {
    "recognised": "green",
    "foreign": "#808080",
    "untagged": "yellow",
    "unknown": "orange",
    "malformed": "red",
    "overlong": "dark-red",
}
"""What became of the lines that the exporter read."""


def steps(start: str, *bounds: tuple[float, str]) -> tuple[Threshold, ...]:
    """
    Write thresholds: a colour to start with, then each value at which another one begins.
    """
    return (
        Threshold(value=None, color=start),
        *(Threshold(value=value, color=color) for value, color in bounds),
    )
