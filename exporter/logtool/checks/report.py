"""
Findings in words: for a person at a terminal, as plain text, or as JSON.

The words are in check.toml, in each language.  What comes from names or logs is escaped.
"""

import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from exporter.logtool.checks.finding import SEVERITIES, Finding, Value, exit_status
from exporter.logtool.terminal import Terminal, one_line
from exporter.wording import Wording, show_size

STYLES = {"problem": "bold red", "unknown": "bold yellow", "note": "bold cyan", "ok": "green"}
INDENT = 9
"""Columns of the severity in front of each finding."""
UNIT = re.compile(r" |[!-~]+[\u3000-\u3002\uff09]*|[^ -~][\u3000-\u3002\uff09]*")
"""What stays in one line: a blank, a word, a Japanese character; with punctuation behind it."""
NAMES = frozenset(("gid", "pid", "port"))
"""Numbers that count nothing."""
READY = frozenset(("flags", "journalctl", "query", "again"))
"""Values that are words of a command already, quoted one by one."""


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    What check.toml has for one key; texts by language.
    """

    severity: str
    what: Mapping[str, str]
    why: Mapping[str, str] = {}
    how: Mapping[str, str] = {}
    """What to do with the commands, or instead of them."""
    commands: Sequence[str] = ()


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    The whole of check.toml.
    """

    word: Mapping[str, Mapping[str, str]]
    finding: Mapping[str, Entry]


@cache
def load_entries() -> Texts:
    """
    Read the texts that come with the package.
    """
    source = resources.files("exporter.logtool.checks").joinpath("check.toml")
    with source.open("rb") as file:
        return msgspec.convert(tomllib.load(file), Texts)


class Told(msgspec.Struct, frozen=True):
    """
    A finding in words; as such an element of `findings` in JSON.
    """

    key: str
    severity: str
    what: str
    why: str
    how: str
    commands: Sequence[str]
    values: Mapping[str, Value]


class Report(msgspec.Struct, frozen=True):
    """
    What JSON has.
    """

    status: int
    """The exit status."""
    user: str
    findings: Sequence[Told]


class Words:
    """
    The words of one language.
    """

    def __init__(self, language: str, now: float) -> None:
        self._language = language
        self._wording = Wording(language, now)

    def word(self, key: str, **values: object) -> str:
        """
        Give a word or a short text of the report's own.
        """
        return load_entries().word[key][self._language].format(**values)

    def user(self, name: str) -> str:
        """
        Write who was checked for.
        """
        return self.word("user", name=one_line(name)) if name else self.word("service")

    def tell(self, finding: Finding) -> Told:
        """
        Put a finding into words.
        """
        entry = load_entries().finding[finding.key]
        shown = {name: self._show(name, value) for name, value in finding.values.items()}
        quoted = {name: quote(name, value) for name, value in finding.values.items()}
        return Told(
            finding.key,
            entry.severity,
            entry.what[self._language].format(**shown),
            entry.why.get(self._language, "").format(**shown),
            entry.how.get(self._language, "").format(**shown),
            tuple(one_line(command.format(**quoted)) for command in entry.commands),
            finding.values,
        )

    def _show(self, name: str, value: Value) -> str:
        if isinstance(value, str):
            return self._show_text(name, value)
        if name.endswith("_bytes"):
            return show_size(value)
        if name.endswith("_seconds"):
            return self._wording.duration(value)
        if name in NAMES:
            return str(value)
        return f"{value:.1%}" if isinstance(value, float) else f"{value:,}"

    def _show_text(self, name: str, text: str) -> str:
        if name == "dialects":
            return "; ".join(self._wording.word("dialect", word) for word in text.split())
        return self.user(text) if name == "user" else one_line(text)


def quote(name: str, value: Value) -> str:
    """
    Write a value as a word of a command.
    """
    text = str(value)
    return text if name in READY else shlex.quote(text)


def report(
    findings: Sequence[Finding], user: str, words: Words, terminal: Terminal, *, as_json: bool
) -> int:
    """
    Write the findings, the worst first, and give the exit status.
    """
    told = sorted(map(words.tell, findings), key=lambda one: SEVERITIES.index(one.severity))
    status = exit_status(one.severity for one in told)
    if as_json:
        built = msgspec.to_builtins(Report(status, user, told))
        terminal.write(json.dumps(built, ensure_ascii=False, indent=2))
        return status
    console = terminal.console()
    write(console, Text(), words.word("head", user=words.user(user)))
    before = ""
    for one in told:
        # Of what is ok, one line each, without a gap.
        if {before, one.severity} != {"ok"}:
            console.print()
        before = one.severity
        write_finding(console, one, words)
    console.print()
    numbers = Counter(one.severity for one in told)
    counted = (words.word(f"count_{name}", number=numbers[name]) for name in SEVERITIES)
    write(console, Text(), words.word("comma").join(counted))
    return status


def write_finding(console: Console, told: Told, words: Words) -> None:
    """
    Write one finding, led by its severity.
    """
    label = words.word(told.severity)
    head = Text(label + " " * (INDENT - cell_len(label)))
    head.stylize(STYLES[told.severity], 0, len(label))
    write(console, head, told.what, "bold" if told.severity != "ok" else "")
    indent = Text(" " * INDENT)
    for paragraph in filter(None, (told.why, told.how)):
        write(console, indent, paragraph)
    for command in told.commands:
        # Not wrapped: it is to be copied.
        console.print(indent + Text(f"  $ {command}"), soft_wrap=True)


def write(console: Console, head: Text, paragraph: str, style: str = "") -> None:
    """
    Write a paragraph behind its head, the further lines below its text.
    """
    for line in wrap(paragraph, console.width - head.cell_len):
        console.print(Text.assemble(head, (line, style)), soft_wrap=True)
        head = Text(" " * head.cell_len)


def wrap(paragraph: str, width: int) -> Iterator[str]:
    """
    Break a paragraph into lines of so many columns; what is to be copied stays whole.

    rich itself breaks names in Japanese texts, and begins lines with a full stop.
    """
    line = ""
    for unit in UNIT.findall(paragraph):
        if line and cell_len(line + unit.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += unit if line else unit.lstrip()
    yield line.rstrip()
