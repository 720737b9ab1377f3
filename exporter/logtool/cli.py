"""
The tool's command line in, exit status out.

It knows which subcommands there are and imports only the one that is asked for; what each takes and
does is in its module.  Never opens a file.
"""

import argparse
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, TypeAlias

import exporter
from exporter.logtool.terminal import (
    EXIT_SOME_FAILED,
    EXIT_UNUSABLE,
    LANGUAGES,
    PROGRAM,
    Terminal,
    UsageError,
    language_of,
    never_fail,
)

COMMANDS: Mapping[str, str] = {
    "explain": "what lines of the log mean, what to check, and which metrics they raise",
    "check": "whether the exporter can follow this machine's log, and what mends it",
    "summary": "what happened in log files: sessions, errors, milters, durations",
    "backfill": "log files as OpenMetrics, for Prometheus to import their history",
    "messages": "every message that milter-manager can write",
}

EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_NO_READER = 128 + signal.SIGPIPE
"""What a shell says of a program that SIGPIPE ended."""

Run: TypeAlias = "Callable[[argparse.ArgumentParser, Sequence[str], Terminal], int]"
"""A subcommand: adds its arguments to the parser, parses, does its work, gives the exit status."""


class Parser(argparse.ArgumentParser):
    """
    A parser that leaves it to its caller how to say what is wrong.
    """

    def error(self, message: str) -> NoReturn:
        """
        Raise UsageError.
        """
        raise UsageError(f"{message} (see {self.prog} --help)")


class MainOptions(argparse.Namespace):
    """
    Which subcommand, and all that follows it.
    """

    command: str = ""
    arguments: Sequence[str] = ()


def build_parser() -> Parser:
    """
    Make the parser of what comes before the subcommand's own arguments.
    """
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {text}" for name, text in COMMANDS.items())
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s COMMAND ...",
        description=f"Looks at milter-manager's log by hand.\n\ncommands:\n{listed}",
        epilog=f"{PROGRAM} COMMAND --help says what a command takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    version = f"{PROGRAM}, version {exporter.__version__}"
    parser.add_argument("--version", action="version", version=version)
    parser.add_argument(
        "command", choices=list(COMMANDS), metavar="COMMAND", help=argparse.SUPPRESS
    )
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def build_command_parser(command: str, language: str) -> Parser:
    """
    Make the parser of a subcommand, with what all of them take.
    """
    parser = Parser(
        prog=f"{PROGRAM} {command}",
        description=f"Says {COMMANDS[command]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--lang",
        choices=LANGUAGES,
        default=language,
        help="language of what it says (default: the locale's, here %(default)s)",
    )
    return parser


def load_command(command: str) -> Run:
    """
    Import a subcommand, and no other.
    """
    # ruff: noqa: PLC0415 - see above
    match command:
        case "explain":
            from exporter.logtool.explain import run
        case "check":
            from exporter.logtool.check import run
        case "summary":
            from exporter.logtool.summary import run
        case "backfill":
            from exporter.logtool.backfill import run
        case _:
            from exporter.logtool.messages import run
    return run


def open_terminal() -> Terminal:
    """
    Take the standard streams; Python has None for one that is closed.
    """
    none = io.TextIOWrapper(io.BytesIO())
    terminal = Terminal(
        sys.stdin.buffer if sys.stdin else io.BytesIO(), sys.stdout or none, sys.stderr or none
    )
    never_fail(terminal.output)
    never_fail(terminal.error)
    return terminal


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the tool and return its exit status.
    """
    terminal = open_terminal()
    try:
        status = run_command(sys.argv[1:] if argv is None else argv, os.environ, terminal)
        terminal.output.flush()
    except UsageError as error:
        terminal.warn(f"error: {error}")
        return EXIT_UNUSABLE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        discard_output()
        return EXIT_NO_READER
    except OSError as error:  # of standard output: what else is read or written is caught there
        discard_output()
        terminal.warn(f"error: {error}")
        return EXIT_SOME_FAILED
    return status


def discard_output() -> None:
    """
    Give up on standard output: Python flushes it once more at its end, and would complain.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run_command(argv: Sequence[str], environ: Mapping[str, str], terminal: Terminal) -> int:
    """
    Find the subcommand and run it; UsageError for a command line that is wrong.
    """
    options = build_parser().parse_args(argv, MainOptions())
    parser = build_command_parser(options.command, language_of(environ))
    return load_command(options.command)(parser, options.arguments, terminal)
