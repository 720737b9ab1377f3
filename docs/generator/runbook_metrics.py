"""
Which metrics count a message, and with which labels, asked of the exporter's own code.

Writes no text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from exporter.catalogue import PLACEHOLDER, Message
from exporter.collector import FAMILIES
from exporter.counters import counters_of, histogram_of
from exporter.recognise import Reading
from exporter.tally import Key

# Every line raises these two, so that they say nothing of a message.
OF_EVERY_LINE = ("lines", "log_lines")
# Numbers that a line carries: exporter/counting.py.
CARRIED: Mapping[str, tuple[Key, ...]] = {
    "sessions_finished": (("sessions_finished",), ("sessions_in_progress",)),
    "memory": (("memory",),),
}


@dataclass(frozen=True, slots=True)
class Counted:
    """
    The series of one metric that a message raises.
    """

    name: str
    fixed: Mapping[str, str]
    """Labels whose value the message decides."""
    open: tuple[str, ...]
    """Labels whose value the single line decides."""


def counted_in(message: Message) -> tuple[Counted, ...]:
    """
    Name the series that a line with this message raises.
    """
    if not message.recognisable:
        return (Counted(FAMILIES["lines"].name, {"outcome": "untagged"}, ()),)
    names = PLACEHOLDER.findall(message.tags + message.logged)
    reading = Reading(
        "recognised",
        message.level,
        message,
        {name: f"{{{name}}}" for name in names} | dict(message.fixed),
        "{milter}" if message.milter else None,
        "{header}" if message.counts.endswith("_header") else None,
        bool(message.harmless),
        checks=(("{check}", "{result}"),) if message.counts == "milter_header" else (),
    )
    keys = [key for key in counters_of(reading) if key[0] not in OF_EVERY_LINE]
    keys += CARRIED.get(message.counts, ())
    histogram = histogram_of(reading)
    return tuple(describe(key) for key in (*keys, *((histogram,) if histogram else ())))


def describe(key: Key) -> Counted:
    """
    Tell the labels that are known from those that are still open.
    """
    family = FAMILIES[key[0]]
    labels = dict(zip(family.labels, key[1:], strict=True))
    still_open = {name for name, value in labels.items() if value == f"{{{name}}}"}
    fixed = {name: value for name, value in labels.items() if value and name not in still_open}
    return Counted(family.name, fixed, tuple(name for name in labels if name in still_open))
