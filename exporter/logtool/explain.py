"""
`milter-manager-logtool explain`: what lines mean, what to check, which metrics they raise.

Of lines that come through a pipe the first of each kind is explained and the rest counted, so that
a long log says something new with every paragraph; what it remembers is bounded.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_PROGRAMS
from exporter.logtool.interpret import Interpretation, Interpreter
from exporter.logtool.sources import STANDARD_INPUT, Source, SourceError
from exporter.logtool.terminal import (
    EXIT_SOME_FAILED,
    EXIT_UNUSABLE,
    CommonOptions,
    Terminal,
    UsageError,
    one_line,
)
from exporter.logtool.words import Words
from exporter.logtool.writing import write_object, write_text

MOST_KINDS = 1_000
"""Kinds of lines that are remembered: strangers choose unknown tags."""
MOST_LISTED = 50


class Options(CommonOptions):
    """
    What the command line says.
    """

    lines: Sequence[str] = ()
    json: bool = False
    all: bool = False
    programs: Sequence[str] | None = None


@dataclass(slots=True)
class Kind:
    """
    Lines that are explained by the same words.
    """

    first: int
    what: str
    more: int = 0


def run(parser: argparse.ArgumentParser, arguments: Sequence[str], terminal: Terminal) -> int:
    """
    Explain the lines given, else standard input; status 1 where one is not milter-manager's.
    """
    parser.add_argument(
        "lines",
        metavar="LINE|TAGS",
        nargs="*",
        help="a line of the log, its tags, a metric's label tag, or a number of the catalogue"
        " (default: lines of standard input)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for each line")
    parser.add_argument(
        "--all",
        action="store_true",
        help="explain lines of standard input that are like earlier ones too",
    )
    parser.add_argument(
        "--input.program",
        dest="programs",
        metavar="NAME",
        action="append",
        help="the program's name in syslog, as the exporter takes it; repeatable",
    )
    options = parser.parse_args(arguments, Options())
    explainer = Explainer(options, terminal)
    if options.lines and list(options.lines) != [STANDARD_INPUT]:
        return explainer.explain_arguments(options.lines)
    return explainer.explain_input()


class Explainer:
    """
    One run of `explain`.
    """

    def __init__(self, options: Options, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal
        self._words = Words(options.lang)
        self._columns = terminal.console().width
        self._interpreter = Interpreter(load_catalogue(), options.programs or DEFAULT_PROGRAMS)
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._other_kinds = 0
        self._written = 0

    def explain_arguments(self, arguments: Sequence[str]) -> int:
        """
        Explain each argument by itself.
        """
        for argument in arguments:
            # Path.is_file would raise for what is longer than any name.
            if "[" not in argument and os.path.isfile(argument):  # noqa: PTH113
                raise UsageError(f"{argument} is a file: give its lines on standard input (< FILE)")
        known = True
        for number, argument in enumerate(arguments, 1):
            what = self._interpret(argument.encode("utf-8", "surrogateescape"))
            self._write(what, number)
            known = known and what.outcome in {"recognised", "tags"}
        return 0 if known else EXIT_SOME_FAILED

    def explain_input(self) -> int:
        """
        Explain standard input line by line, as it comes.
        """
        source = Source(STANDARD_INPUT, self._terminal.input)
        number = 0
        status = 0
        try:
            for number, what in enumerate(self._interpret_lines(source), 1):
                if self._options.json or self._options.all:
                    self._write(what, number)
                else:
                    self._write_if_new(what, number)
        except SourceError as error:
            self._terminal.warn(str(error))
            status = EXIT_SOME_FAILED
        self._write_rest()
        if source.statistics.overlong_lines:
            n = source.statistics.overlong_lines
            self._terminal.warn(self._words("overlong", n=n))
        if not number:
            if not status:
                self._terminal.warn("standard input: nothing to explain")
            return EXIT_UNUSABLE
        return status

    def _interpret(self, text: bytes) -> Interpretation:
        """
        Interpret a text that stands alone: a line, or something that is looked up.
        """
        text = text.replace(b"\n", b" ").replace(b"\0", b"")
        self._interpreter.start()
        what = self._interpreter.read(text)
        if what.opens:
            what = replace(what, raised=what.raised + self._interpreter.close())
        if what.line:
            return what
        found = self._interpreter.look_up(text)
        # What somebody looks up rather than what a line so short would count as.
        return what if found is None or (not found.messages and what.messages) else found

    def _interpret_lines(self, source: Source) -> Iterator[Interpretation]:
        """
        Interpret a log's lines; where a header goes on, one is held back for what its end tells.
        """
        self._interpreter.start()
        held: Interpretation | None = None
        for text in read_lines(source, self._interpreter):
            if held:
                if self._interpreter.closes(text):
                    held = replace(held, raised=held.raised + self._interpreter.close())
                yield held
                held = None
            what = self._interpreter.read(text)
            if what.opens:
                held = what
            else:
                yield what
        if held:
            yield replace(held, raised=held.raised + self._interpreter.close())

    def _write(self, what: Interpretation, number: int) -> None:
        if self._options.json:
            self._terminal.write(json.dumps(write_object(what, number, self._words)))
            return
        space = "\n" if self._written else ""
        self._written += 1
        self._terminal.write(space + write_text(what, number, self._words, self._columns))
        self._terminal.output.flush()

    def _write_if_new(self, what: Interpretation, number: int) -> None:
        reading = what.reading
        message = reading.message if reading else None
        key = (
            what.outcome,
            what.line.program if what.outcome == "foreign" and what.line else b"",
            message.number if message else "",
            what.parts.tags if what.outcome == "unknown" else b"",
            reading.milter if reading else None,
            reading.harmless if reading else None,
            what.continues,
        )
        kind = self._kinds.get(key)
        if kind:
            kind.more += 1
        elif len(self._kinds) >= MOST_KINDS:
            self._other_kinds += 1
        else:
            self._kinds[key] = Kind(number, describe(what))
            self._write(what, number)

    def _write_rest(self) -> None:
        """
        Say how many lines there were that nothing was said of.
        """
        repeated = sorted(
            (kind for kind in self._kinds.values() if kind.more), key=lambda kind: -kind.more
        )
        others = self._other_kinds + sum(kind.more for kind in repeated[MOST_LISTED:])
        if not repeated and not others:
            return
        self._terminal.write(f"\n{self._words('more')}")
        for kind in repeated[:MOST_LISTED]:
            said = self._words("more_like", n=f"{kind.more:,}", first=kind.first, what=kind.what)
            self._terminal.write(f"  {said}")
        if others:
            self._terminal.write(f"  {self._words('more_kinds', n=f'{others:,}')}")


def describe(what: Interpretation) -> str:
    """
    Give a few words that tell a kind from others.
    """
    reading = what.reading
    if reading and reading.message:
        said = reading.message.tags or reading.message.text
        return one_line(f"{said} {reading.milter}" if reading.milter else said)
    if what.outcome == "foreign" and what.line and what.line.program:
        return one_line(what.line.program.decode("utf-8", "replace"))[:100]
    tags = what.parts.tags.decode("utf-8", "replace")[:100]
    return one_line(f"{what.outcome} {tags}".rstrip())


def read_lines(source: Source, interpreter: Interpreter) -> Iterator[bytes]:
    """
    Give the lines of a source, its last one too where that has no newline.
    """
    started = False
    for chunk in source.chunks():
        if not chunk:
            continue
        if not started:
            interpreter.start(source.head)
            started = True
        yield from chunk[1:].split(b"\n")
    if source.unfinished:
        if not started:
            interpreter.start(source.unfinished)
        yield source.unfinished.replace(b"\0", b"")
