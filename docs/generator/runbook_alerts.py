"""
The alerts of monitoring/rules, and the messages and metrics that their expressions look at.

PromQL is not parsed: names and label matchers are enough to tell what an alert is about.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from runbook_metrics import Counted, counted_in

from exporter.catalogue import Message, load_catalogue

STRING = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`'
SELECTOR = re.compile(
    rf"#[^\n]*|{STRING}|(?P<name>[A-Za-z_:][\w:]*)\s*(?:\{{(?P<matchers>(?:{STRING}|[^}}])*)\}})?"
)
MATCHER = re.compile(rf"(?P<label>\w+)\s*(?P<sign>=~|!~|!=|=)\s*(?P<value>{STRING})")
PARTS_OF_HISTOGRAM = re.compile(r"_(?:bucket|sum|count)$")
METRIC = re.compile(r"milter_manager_\w+|up")

# What an expression is about comes first; traffic is what failures are measured against, and
# `up` what both need. An alert is about the first of these that it looks at.
TRAFFIC = ("milter_manager_sessions_disconnected_total",)
ALL_TRAFFIC = (
    "milter_manager_sessions_ended_total",
    "milter_manager_sessions_finished_total",
    "milter_manager_sessions_in_progress",
)
PRESENCE = ("up", "milter_manager_exporter_build_info")
# Subtracted from others, never alerted on.
SUBTRACTED = ("milter_manager_harmless_messages_total",)


@dataclass(frozen=True, slots=True)
class Matcher:
    """
    One condition on a label.
    """

    label: str
    sign: str
    value: str

    def accepts(self, value: str) -> bool:
        """
        Say whether a label may have this value.
        """
        same = (
            re.fullmatch(self.value, value) is not None if "~" in self.sign else self.value == value
        )
        return same != self.sign.startswith("!")


@dataclass(frozen=True, slots=True)
class Selection:
    """
    A metric with its conditions.
    """

    metric: str
    matchers: tuple[Matcher, ...]

    def has(self, message: Message) -> bool:
        """
        Say whether a line with this message raises a series of the selection.
        """
        return any(
            counted.name in (self.metric, PARTS_OF_HISTOGRAM.sub("", self.metric))
            and all(self.may_be(message, counted, matcher) for matcher in self.matchers)
            for counted in counted_in(message)
        )

    @staticmethod
    def may_be(message: Message, counted: Counted, matcher: Matcher) -> bool:
        """
        Say whether a series of this metric can have the label; names of milters may be any.
        """
        if matcher.label in counted.fixed:
            return matcher.accepts(counted.fixed[matcher.label])
        words = load_catalogue().words_of(message, matcher.label)
        return not words or any(map(matcher.accepts, words))


@dataclass(frozen=True, slots=True)
class Alert:
    """
    One alert with what it looks at.
    """

    name: str
    severity: str
    expression: str
    wait: str
    annotations: Mapping[str, str]
    metrics: tuple[str, ...]
    messages: tuple[Message, ...]
    """In the catalogue's order."""


def find_alerts(rules: Path, messages: Sequence[Message]) -> list[Alert]:
    """
    Read the alerts of all files of rules, in their order.
    """
    entries = [
        entry
        for path in sorted(rules.glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for entry in group["rules"]
    ]
    recorded = {str(entry["record"]): str(entry["expr"]) for entry in entries if "record" in entry}
    return [describe(entry, recorded, messages) for entry in entries if "alert" in entry]


def describe(
    entry: Mapping[str, object], recorded: Mapping[str, str], messages: Sequence[Message]
) -> Alert:
    """
    Find what one alert looks at.
    """
    expression = str(entry["expr"])
    selections = narrow(set(select(expression, recorded)))
    return Alert(
        str(entry["alert"]),
        text_of(entry, "labels").get("severity", ""),
        expression.strip(),
        str(entry.get("for", "")),
        text_of(entry, "annotations"),
        tuple(sorted({PARTS_OF_HISTOGRAM.sub("", one.metric) for one in selections})),
        tuple(message for message in messages if any(one.has(message) for one in selections)),
    )


def text_of(entry: Mapping[str, object], key: str) -> Mapping[str, str]:
    """
    Give a rule's labels or annotations.
    """
    found = entry.get(key)
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def select(
    expression: str, recorded: Mapping[str, str], outer: tuple[Matcher, ...] = ()
) -> Iterator[Selection]:
    """
    Find the metrics that an expression looks at, through recording rules too.
    """
    for found in SELECTOR.finditer(expression):
        name = found["name"]
        if name is None:
            continue
        matchers = (
            *outer,
            *(
                Matcher(one["label"], one["sign"], unquote(one["value"]))
                for one in MATCHER.finditer(found["matchers"] or "")
            ),
        )
        if name in recorded:
            yield from select(recorded[name], recorded, matchers)
        elif METRIC.fullmatch(name) and name not in SUBTRACTED:
            yield Selection(name, matchers)


def unquote(string: str) -> str:
    """
    Give what a string of PromQL stands for.
    """
    if string[0] == "`":
        return string[1:-1]
    inner = (
        string[1:-1] if string[0] == '"' else string[1:-1].replace("\\'", "'").replace('"', '\\"')
    )
    return str(json.loads(f'"{inner}"'))


def narrow(selections: set[Selection]) -> set[Selection]:
    """
    Keep what the expression is about, without what that is only measured against.
    """
    background = (*TRAFFIC, *ALL_TRAFFIC, *PRESENCE)
    about = {one for one in selections if one.metric not in background}
    for metrics in (TRAFFIC, ALL_TRAFFIC, PRESENCE):
        if about:
            break
        about = {one for one in selections if one.metric in metrics}
    return about
