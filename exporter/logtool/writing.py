"""
An interpretation -> text for people or an object for programs.

Whatever stems from the log is escaped in the text, and left to JSON's own escapes in the object.
Finds nothing out by itself.
"""

import textwrap
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from rich.cells import cell_len

from exporter.advice import load_advice
from exporter.catalogue import Message
from exporter.collector import FAMILIES
from exporter.config import DEFAULT_BUCKETS
from exporter.logtool.interpret import Interpretation
from exporter.logtool.terminal import one_line, shown
from exporter.logtool.words import Words
from exporter.tally import Key

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"

MOST_SHOWN = 400
"""Characters of a line that is shown once more."""
NAME_COLUMNS = 12
LEAST_COLUMNS = 60
MOST_COLUMNS = 110


def write_text(what: Interpretation, number: int, words: Words, columns: int) -> str:
    """
    Write it as a paragraph of named facts.
    """
    text = shown(what.text[: MOST_SHOWN * 4])
    text = f"{text[:MOST_SHOWN]}…" if len(text) > MOST_SHOWN else text
    head = f"{words('line', n=number)}: {text}"
    lines = [head]
    last = ""
    for name, fact in _facts(what, words):
        lines += _wrap("" if name == last else name, fact, columns)
        last = name
    return "\n".join(lines)


def _wrap(name: str, fact: str, columns: int) -> Iterator[str]:
    """
    Break a fact into lines behind its name; Japanese is broken anywhere, by its width.
    """
    width = min(max(columns, LEAST_COLUMNS), MOST_COLUMNS) - NAME_COLUMNS - 2
    pieces: list[str] = []
    if cell_len(fact) == len(fact):
        pieces = textwrap.wrap(fact, width, break_long_words=False, break_on_hyphens=False)
    else:
        start = used = 0
        for i, character in enumerate(fact):
            used += cell_len(character)
            if used > width:
                pieces.append(fact[start:i])
                start, used = i, cell_len(character)
        pieces.append(fact[start:])
    padding = " " * (NAME_COLUMNS - cell_len(name))
    for i, piece in enumerate(pieces):
        yield f"  {name}{padding}{piece}" if not i else f"  {' ' * NAME_COLUMNS}{piece}"


def _facts(what: Interpretation, words: Words) -> Iterator[tuple[str, str]]:
    yield words("dialect"), words(_dialect(what))
    yield from _envelope(what, words)
    for message in what.messages:
        module = f"{message.module}.{message.submodule}" if message.submodule else message.module
        level = what.reading.level if what.reading and what.outcome != "tags" else message.level
        tags = message.tags or message.text
        yield words("message"), f"{tags}  ({message.number}, {module}, {level})"
    yield from _said(what, words)
    yield from _meaning(what, words)
    for near in what.nearest:
        yield words("nearest"), f"{near.tags}: {words.meaning(near)}"
    for key, times in sorted(what.raised.counts.items()):
        yield words("raises"), one_line(f"{_sample(key)} +{times}")
    for key, seconds in sorted(what.raised.times.items()):
        observed = "" if what.outcome == "tags" else f" {words('seconds', n=f'{seconds:g}')}"
        yield words("raises"), one_line(f"{_sample(key)}{observed}")
    for key, value in sorted(what.raised.gauges.items()):
        yield words("sets"), one_line(f"{_sample(key)} = {value:g}")


def _dialect(what: Interpretation) -> str:
    if what.outcome == "tags":
        return "tags_only"
    if what.line:
        return what.line.dialect
    return "unstamped" if what.outcome == "malformed" else "bare"


def _envelope(what: Interpretation, words: Words) -> Iterator[tuple[str, str]]:
    """
    Say when and by whom, as far as the line tells.
    """
    if what.time is not None:
        yield words("time"), _iso(what.time)
    line = what.line
    if line and (line.host or line.program or line.pid):
        pid = f"[{line.pid.decode('ascii', 'replace')}]" if line.pid else ""
        host = f" @ {shown(line.host)}" if line.host else ""
        yield words("program"), f"{shown(line.program)}{pid}{host}"
    ids = _ids(what)
    if ids:
        said = (words(f"id_{name}", id=value) for name, value in ids.items())
        yield words("ids"), ", ".join(said)
    if what.parts.repeated > 1:
        yield words("repeated"), words("repeated_by", n=what.parts.repeated)


def _said(what: Interpretation, words: Words) -> Iterator[tuple[str, str]]:
    """
    Give the values that the line carries.
    """
    reading = what.reading
    if reading is None or what.outcome == "tags":
        return
    if reading.words:
        yield words("words"), ", ".join(f"{name}={word}" for name, word in reading.words.items())
    if reading.milter is not None:
        yield words("milter"), one_line(reading.milter)
    if reading.header is not None:
        yield words("header"), reading.header
    if what.elapsed is not None:
        yield words("elapsed"), words("seconds", n=f"{what.elapsed:g}")
    for label in reading.dropped:
        yield words("note"), words("dropped", label=label)


def _meaning(what: Interpretation, words: Words) -> Iterator[tuple[str, str]]:
    """
    Say what it means and what to do, or why nothing is known of it.
    """
    why = explain_outcome(what, words)
    if why:
        yield words("why"), why
    if what.opens:
        yield words("note"), words("opens")
    for message in what.messages:
        yield words("means"), words.meaning(message)
        if message.retired:
            yield words("note"), words("retired")
        if what.reading and what.reading.harmless:
            yield words("harmless"), words.harmless_because(message)
            continue
        advice = load_advice().of_message(message).wording[words.language]
        if message.number in advice.notes:
            yield words("note"), advice.notes[message.number]
        for cause in advice.causes:
            yield words("likely"), cause
        for i, check in enumerate(advice.check, 1):
            yield words("check"), f"{i}. {check}"


def explain_outcome(what: Interpretation, words: Words) -> str:
    """
    Say why a line is not one of the catalogue's; nothing where it is.
    """
    match what.outcome:
        case "foreign":
            program = shown(what.line.program) if what.line else ""
            return words("foreign", program=program) if program else words("foreign_stamped")
        case "malformed":
            return words("continues" if what.continues else "malformed")
        case "unknown":
            return words("unknown" if what.line else "unknown_bare")
        case "untagged":
            return words("continues" if what.continues else "untagged")
        case _:
            return ""


def _ids(what: Interpretation) -> dict[str, str]:
    """
    Give the ids of the line, by what they are of.
    """
    ids: dict[str, str] = {}
    if what.line_id:
        ids["line"] = what.line_id
    if what.parts.id:
        kind = "milter" if what.parts.tags.startswith(b"[milter]") else "session"
        ids[kind] = what.parts.id.decode("ascii")
    if what.child_id:
        ids["milter"] = what.child_id
    return ids


def _labels(key: Key) -> dict[str, str]:
    return dict(zip(FAMILIES[key[0]].labels, key[1:], strict=True))


def _sample(key: Key) -> str:
    """
    Write a sample's name as PromQL has it.
    """
    labels = ",".join(f'{name}="{value}"' for name, value in _labels(key).items())
    name = FAMILIES[key[0]].name
    return f"{name}{{{labels}}}" if labels else name


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat()


def write_object(what: Interpretation, number: int, words: Words) -> dict[str, Json]:
    """
    Write it as an object of JSON; what the line does not have is null or empty.
    """
    line, reading = what.line, what.reading
    return {
        "line": number,
        "text": _text(what.text),
        "outcome": what.outcome,
        "dialect": None if what.outcome == "tags" else line.dialect if line else None,
        "time": None if what.time is None else _iso(what.time),
        "host": _text(line.host) if line and line.host else None,
        "program": _text(line.program) if line and line.program else None,
        "pid": _text(line.pid) if line and line.pid else None,
        "ids": _ids(what),
        "repeated": what.parts.repeated,
        "tags": _text(what.parts.tags) or None,
        "level": reading.level if reading else None,
        "words": dict(reading.words) if reading and what.outcome != "tags" else {},
        "milter": reading.milter if reading and what.outcome != "tags" else None,
        "header": reading.header if reading and what.outcome != "tags" else None,
        "elapsed": what.elapsed,
        "harmless": bool(reading and reading.harmless),
        "dropped": list(reading.dropped) if reading else [],
        "why": explain_outcome(what, words) or None,
        "messages": [message_object(message, words) for message in what.messages],
        "nearest": [message.tags for message in what.nearest],
        "raises": [
            {"metric": FAMILIES[key[0]].name, "labels": _labels(key), "by": times}
            for key, times in sorted(what.raised.counts.items())
        ],
        "observes": [
            {"metric": FAMILIES[key[0]].name, "labels": _labels(key), **_observed(what, seconds)}
            for key, seconds in sorted(what.raised.times.items())
        ],
        "sets": [
            {"metric": FAMILIES[key[0]].name, "labels": _labels(key), "to": value}
            for key, value in sorted(what.raised.gauges.items())
        ],
    }


def _observed(what: Interpretation, seconds: float) -> dict[str, Json]:
    if what.outcome == "tags" or what.elapsed is None:
        return {}
    i = bisect_left(DEFAULT_BUCKETS, what.elapsed)
    le = repr(DEFAULT_BUCKETS[i]) if i < len(DEFAULT_BUCKETS) else "+Inf"
    return {"seconds": seconds, "le": le}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def message_object(message: Message, words: Words) -> dict[str, Json]:
    """
    Write an entry of the catalogue as an object of JSON.
    """
    language = words.language
    advice = load_advice().of_message(message).wording[language]
    return {
        "number": message.number,
        "module": message.module,
        "submodule": message.submodule or None,
        "level": message.level,
        "documented_level": message.documented_level or message.level,
        "tags": message.tags or None,
        "logged": message.logged or None,
        "text": message.text or None,
        "retired": message.retired,
        "meaning": words.meaning(message),
        "harmless": message.harmless or None,
        "harmless_because": words.harmless_because(message) or None,
        "title": advice.title,
        "causes": list(advice.causes),
        "check": list(advice.check),
        "note": advice.notes.get(message.number),
    }
