"""
Where the tool's words come from and go to: standard input, output and error, in one place.

Nothing that a log or a name says gets through unescaped, and only a terminal is given colours and
progress.  Knows nothing of logs.
"""

import argparse
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, NoReturn, TextIO

from rich.console import Console

from exporter.ownlog import printable

PROGRAM: Final = "milter-manager-logtool"
LANGUAGES: Final = ("en", "ja")

EXIT_SOME_FAILED = 1
"""Some of the input could not be read; the rest is done."""
EXIT_UNUSABLE = 2
"""A wrong command line, or nothing that could be read."""

PLAIN_COLUMNS = 1_000_000
"""The width where there is no terminal: whoever reads a pipe does not want lines broken."""


class UsageError(Exception):
    """
    The command line is wrong, or there is nothing to work on; the text says how.
    """


class CommonOptions(argparse.Namespace):
    """
    What every subcommand is told; each has a subclass with its own.
    """

    lang: str
    """One of LANGUAGES. No default here: argparse would take that and not the locale's."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """
    Standard input, output and error.
    """

    input: BinaryIO
    output: TextIO
    error: TextIO

    def write(self, text: str) -> None:
        """
        Write a line, or several, to standard output; `text` is the tool's own or escaped.
        """
        self.output.write(f"{text}\n")

    def warn(self, text: str) -> None:
        """
        Write one line to standard error, whatever `text` holds.
        """
        line = one_line(text)
        self.error.write(f"{PROGRAM}: {line}\n")

    def console(self) -> Console:
        """
        Give rich's view of standard output, for tables.
        """
        return new_console(self.output)

    def progress_console(self) -> Console:
        """
        Give rich's view of standard error, for a progress bar; none where it is no terminal.
        """
        return new_console(self.error)


class OurConsole(Console):
    """
    A console that leaves it to its caller what to do when nobody reads any more.
    """

    def on_broken_pipe(self) -> NoReturn:
        """
        Raise it again; rich itself would end the program with status 1.
        """
        raise BrokenPipeError


def new_console(stream: TextIO) -> Console:
    """
    Make rich's console, which finds nothing to mark up or to highlight in a text of its own accord.
    """
    width = None if stream.isatty() else PLAIN_COLUMNS
    return OurConsole(
        file=stream, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False
    )


def one_line(text: str) -> str:
    """
    Escape what would move the cursor, turn the direction of writing or end the line.
    """
    return printable(text).replace("\n", "\\n")


def shown(text: bytes) -> str:
    r"""
    Write bytes of a log for a person: one line, bytes that are no UTF-8 as \xNN.
    """
    return one_line(text.decode("utf-8", "backslashreplace"))


def language_of(environ: Mapping[str, str]) -> str:
    """
    Give the language of the locale (POSIX, 8.2, has the order of its variables), else English.
    """
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return "ja" if locale.startswith("ja") else "en"


def never_fail(stream: TextIO) -> None:
    """
    Have a stream write what its encoding lacks as an escape: Japanese to a Latin-1 terminal.
    """
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")
