"""
A history -> OpenMetrics with timestamps, for `promtool tsdb create-blocks-from openmetrics`.

The families come one after the other, the series of each too, the samples of each in order, as
OpenMetrics 1.0 has it ("MUST NOT be interleaved").  prometheus_client's own writer is not used: it
wants all of a family in memory.
"""

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TypeAlias

from exporter.collector import FAMILIES, Family
from exporter.logtool.history import Change, History
from exporter.tally import Key

END = "# EOF\n"
BATCH_LINES = 10_000

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values."""


def write_history(history: History, labels: Labels) -> Iterator[tuple[int, str]]:
    """
    Write all of it in pieces, each with how many keys are done; `labels` come last in a sample.
    """
    keys: dict[str, list[Key]] = {}
    for key in history.keys():  # noqa: SIM118 - no mapping
        keys.setdefault(key[0], []).append(key)
    done = 0
    for name, family in FAMILIES.items():
        if name in keys:
            yield done, head_of(family)
        for key in keys.get(name, ()):
            for text in write_series(history, key, labels):
                yield done, text
            done += 1
    yield done, END


def head_of(family: Family) -> str:
    """
    Write a family's first lines; OpenMetrics names a counter without its _total.
    """
    name = family.name.removesuffix("_total")
    return f"# HELP {name} {escape(family.help)}\n# TYPE {name} {family.kind}\n"


def write_series(history: History, key: Key, labels: Labels) -> Iterator[str]:
    """
    Write the samples of a counter, a gauge or a histogram, one for each step.
    """
    names = names_of(key, history.bounds, labels)
    changes = history.changes(key)
    first = next(changes)
    upcoming: Change | None = first
    texts: list[str] = []
    lines: list[str] = []
    for step in history.steps_from(first.step):
        if upcoming and upcoming.step <= step:
            numbers = numbers_of(key, upcoming.values)
            texts = [f"{name} {number(one)}" for name, one in zip(names, numbers, strict=True)]
            upcoming = next(changes, None)
        time = f" {step * history.step_seconds}\n"
        lines += [text + time for text in texts]
        if len(lines) >= BATCH_LINES:
            yield "".join(lines)
            lines.clear()
    yield "".join(lines)


def names_of(key: Key, bounds: tuple[float, ...], labels: Labels) -> list[str]:
    """
    Write the names and labels of the samples of one moment.
    """
    family = FAMILIES[key[0]]
    pairs = (*zip(family.labels, key[1:], strict=True), *labels)
    if family.kind != "histogram":
        return [family.name + braced(pairs)]
    buckets = [("le", bound) for bound in (*map(repr, bounds), "+Inf")]
    return [
        *(f"{family.name}_bucket{braced((*pairs, bucket))}" for bucket in buckets),
        f"{family.name}_count{braced(pairs)}",
        f"{family.name}_sum{braced(pairs)}",
    ]


def numbers_of(key: Key, values: tuple[float, ...]) -> tuple[float, ...]:
    """
    Give their numbers, in the same order: each bucket with all below it.
    """
    if FAMILIES[key[0]].kind != "histogram":
        return values
    *counts, total = values
    buckets = tuple(accumulate(counts))
    return (*buckets, buckets[-1], total)


def braced(pairs: Iterable[tuple[str, str]]) -> str:
    """
    Write labels; nothing where there are none.
    """
    text = ",".join(f'{name}="{escape(value)}"' for name, value in pairs)
    return f"{{{text}}}" if text else ""


def escape(text: str) -> str:
    """
    Escape as OpenMetrics does, in label values and help texts alike.
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number(value: float) -> str:
    """
    Write a number, without a fraction where it has none.
    """
    return str(int(value)) if value.is_integer() else repr(value)
