"""
Command line and environment in, exit status out.

It is the only place that knows argparse.  It never opens a log, a port or the state: all of that
begins in `daemon.run`, imported only once the flags are good.
"""

import argparse
import gc
import os
import platform
import signal
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import structlog

import exporter
from exporter.config import (
    DEFAULT_BUCKETS,
    DEFAULT_LISTEN_ADDRESSES,
    DEFAULT_PROGRAMS,
    DEFAULT_TELEMETRY_PATH,
    Address,
    Config,
    StartError,
    parse_address,
    parse_buckets,
    parse_directory,
    parse_input_file,
    parse_program,
    parse_seconds,
    parse_state_file,
    parse_switch,
    parse_telemetry_path,
    parse_web_config_file,
)
from exporter.ownlog import FORMATS, LEVELS, configure_log, printable

PROGRAM = "milter-manager-exporter"
PREFIX = "MILTER_MANAGER_EXPORTER_"
# Variables with the prefix that are no flag: systemd's unit puts this one on the command line.
NOT_FLAGS = frozenset({f"{PREFIX}OPTS"})
EXCLUSIVE = (
    ("input_journal", "input_file"),
    ("input_journal_directory", "input_file"),
    ("no_state", "state_file"),
    ("web_systemd_socket", "web_listen_address"),
)
"""Of two only one may be given; on the command line it replaces the other's variable too."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

HELP_COLUMNS = 80

T = TypeVar("T")


class UsageError(Exception):
    """
    The command line or the environment is wrong; the text says how.
    """


class Options(argparse.Namespace):
    """
    What argparse and the environment gave, over the defaults.
    """

    version: bool = False
    help: bool = False
    input_file: Sequence[Path] = ()
    input_journal: bool = False
    input_journal_directory: Path | None = None
    input_program: Sequence[str] = DEFAULT_PROGRAMS
    input_from: str = "end"
    state_file: Path | None = None
    no_state: bool = False
    web_listen_address: Sequence[Address] = DEFAULT_LISTEN_ADDRESSES
    web_systemd_socket: bool = False
    web_telemetry_path: str = DEFAULT_TELEMETRY_PATH
    web_config_file: Path | None = None
    web_linger: float = 0.0
    log_level: str = "info"
    log_format: str = "logfmt"
    histogram_buckets: tuple[float, ...] = DEFAULT_BUCKETS


@dataclass(frozen=True, slots=True)
class Flag:
    """
    One flag, on the command line and in the environment.
    """

    name: str
    value: str
    """What --help calls its value; empty for a switch, true or false in the environment."""
    parse: Callable[[str], object]
    default: str
    text: str
    repeatable: bool = False

    @property
    def option(self) -> str:
        """
        What it is called among the `Options`.
        """
        return self.name.replace(".", "_").replace("-", "_")

    @property
    def variable(self) -> str:
        """
        The environment variable that stands for the flag.
        """
        return PREFIX + self.option.upper()

    @property
    def help(self) -> str:
        """
        What --help says, one fact a line.
        """
        again = (
            "May be repeated; in the environment, commas separate (so no value can have one)."
            if self.repeatable
            else ""
        )
        lines = [
            *textwrap.wrap(f"{self.text} {again}", HELP_COLUMNS - 8),
            *textwrap.wrap(f"Default: {self.default}", HELP_COLUMNS - 8),
            f"Environment: {self.variable}",
        ]
        return "\n".join(lines).replace("%", "%%")


def one_of(*words: str) -> Callable[[str], str]:
    """
    Make a parser that takes these words and no other.
    """

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be {', '.join(words[:-1])} or {words[-1]}, not {text!r}")
        return text

    return parse


FLAGS = (
    Flag(
        "input.file",
        "PATH",
        parse_input_file,
        "the first that exists of /var/log/mail.log, /var/log/maillog, "
        "/var/log/milter-manager.log, else the journal",
        "Log to follow: a file, a FIFO, or - for standard input.",
        repeatable=True,
    ),
    Flag(
        "input.journal",
        "",
        parse_switch,
        "false",
        "Follow the systemd journal instead of files.",
    ),
    Flag(
        "input.journal-directory",
        "PATH",
        parse_directory,
        "none: this machine's own journal",
        "Directory of journal files to follow instead, as a journal that is mounted.",
    ),
    Flag(
        "input.program",
        "NAME",
        parse_program,
        ",".join(DEFAULT_PROGRAMS),
        "Program name in a syslog line that counts.",
        repeatable=True,
    ),
    Flag(
        "input.from",
        "{end,beginning}",
        one_of("end", "beginning"),
        Options.input_from,
        "Where in the log to start.",
    ),
    Flag(
        "state.file",
        "PATH",
        parse_state_file,
        "state in $STATE_DIRECTORY, /var/lib/milter-manager-exporter or ~/.local/state",
        "Where to keep counters and positions, so that a restart goes on where it was.",
    ),
    Flag(
        "no-state",
        "",
        parse_switch,
        "false",
        "Keep nothing: a restart starts at 0, and at --input.from.",
    ),
    Flag(
        "web.listen-address",
        "ADDRESS",
        parse_address,
        ",".join(str(address) for address in DEFAULT_LISTEN_ADDRESSES),
        "Address to serve on: host:port, :port or [IPv6 address]:port.",
        repeatable=True,
    ),
    Flag(
        "web.systemd-socket",
        "",
        parse_switch,
        "false",
        "Serve on the sockets that systemd passes, instead of on addresses.",
    ),
    Flag(
        "web.telemetry-path",
        "PATH",
        parse_telemetry_path,
        DEFAULT_TELEMETRY_PATH,
        "Path under which to serve the metrics.",
    ),
    Flag(
        "web.config.file",
        "PATH",
        parse_web_config_file,
        "none: plain HTTP for everybody",
        "File that turns on TLS, passwords, headers and a rate limit.",
    ),
    Flag(
        "web.linger",
        "SECONDS",
        parse_seconds,
        f"{Options.web_linger:g}",
        "How long to go on serving after the end of standard input.",
    ),
    Flag(
        "log.level",
        f"{{{','.join(LEVELS)}}}",
        one_of(*LEVELS),
        Options.log_level,
        "Only write messages of this level or above to the exporter's own log.",
    ),
    Flag(
        "log.format",
        f"{{{','.join(FORMATS)}}}",
        one_of(*FORMATS),
        Options.log_format,
        "Format of the exporter's own log, on standard error.",
    ),
    Flag(
        "histogram.buckets",
        "SECONDS",
        parse_buckets,
        ",".join(f"{seconds:g}" for seconds in DEFAULT_BUCKETS),
        "Upper bounds of the histogram buckets, comma-separated and rising; +Inf is always there.",
    ),
)


class Parser(argparse.ArgumentParser):
    """
    An argparse that raises UsageError instead of printing its usage and exiting.
    """

    def error(self, message: str) -> NoReturn:
        """
        Raise what argparse would print.
        """
        raise UsageError(message.removeprefix("argument "))


def build_parser() -> Parser:
    """
    Make the parser; what is not given is absent from its result, so that layers can be merged.
    """
    parser = Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [<flags>]",
        description="Prometheus exporter that follows milter-manager's log.",
        epilog="Flags win over environment variables; an empty variable counts as not set.",
        formatter_class=lambda prog: argparse.RawTextHelpFormatter(
            prog, max_help_position=6, width=HELP_COLUMNS
        ),
        argument_default=argparse.SUPPRESS,
        add_help=False,
        allow_abbrev=False,
    )
    flags = parser.add_argument_group("flags")
    flags.add_argument("-h", "--help", action="store_true", help="Show this help.")
    flags.add_argument("--version", action="store_true", help="Show the version.")
    for flag in FLAGS:
        if not flag.value:
            flags.add_argument(
                f"--{flag.name}", dest=flag.option, action="store_true", help=flag.help
            )
            continue
        flags.add_argument(
            f"--{flag.name}",
            dest=flag.option,
            metavar=flag.value,
            type=_argument(flag.parse),
            action="append" if flag.repeatable else "store",
            help=flag.help,
        )
    return parser


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    """
    Let argparse pass on what a ValueError says; by itself it says only "invalid value".
    """

    def convert(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def read_options(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """
    Put the layers together: defaults, environment, command line; UsageError on the first fault.
    """
    parser = build_parser()
    given = vars(parser.parse_args(argv))
    if "help" in given or "version" in given:
        return Options(**given)
    layers = dict[str, object]()
    for flag in FLAGS:
        text = environ.get(flag.variable, "")
        if not text:
            continue
        values = text.split(",") if flag.repeatable else [text]
        try:
            layers |= vars(parser.parse_args(_arguments(flag, values)))
        except (UsageError, ValueError) as error:
            reason = str(error).removeprefix(f"--{flag.name}: ")
            raise UsageError(f"environment variable {flag.variable}: {reason}") from error
    for pair in EXCLUSIVE:
        if any(name in given for name in pair):
            layers = {name: value for name, value in layers.items() if name not in pair}
    options = Options(**(layers | given))
    for pair in EXCLUSIVE:
        if all(name in vars(options) for name in pair):
            names = (f"--{flag.name}" for option in pair for flag in FLAGS if flag.option == option)
            raise UsageError(f"{' and '.join(names)} exclude each other")
    return options


def _arguments(flag: Flag, values: Sequence[str]) -> list[str]:
    """
    Write values from the environment as arguments; ValueError for what is no switch's value.
    """
    if not flag.value:
        return [f"--{flag.name}"] if parse_switch(values[0].strip()) else []
    return [f"--{flag.name}={item.strip()}" for item in values]


def build_config(options: Options) -> Config:
    """
    Keep of the options what concerns the daemon.
    """
    return Config(
        input_files=tuple(dict.fromkeys(options.input_file)),  # each log counts once
        journal=options.input_journal or options.input_journal_directory is not None,
        journal_directory=options.input_journal_directory,
        input_programs=tuple(options.input_program),
        from_beginning=options.input_from == "beginning",
        listen_addresses=tuple(options.web_listen_address),
        systemd_socket=options.web_systemd_socket,
        telemetry_path=options.web_telemetry_path,
        buckets=options.histogram_buckets,
        state_file=options.state_file,
        keep_state=not options.no_state,
        web_config_file=options.web_config_file,
        linger_seconds=options.web_linger,
    )


def version_line() -> str:
    """
    Say the version as Prometheus programs do.
    """
    details = f"revision: {exporter.REVISION}, python: {platform.python_version()}"
    return f"{PROGRAM}, version {exporter.__version__} ({details})"


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the program and return its exit status.
    """
    try:
        options = read_options(sys.argv[1:] if argv is None else argv, os.environ)
    except UsageError as error:
        return _fail(str(error), EXIT_USAGE)
    if options.help:
        sys.stdout.write(build_parser().format_help())
        return 0
    if options.version:
        sys.stdout.write(f"{version_line()}\n")
        return 0
    configure_log(options.log_level, options.log_format)
    _warn_of_unknown_variables(os.environ)
    return _run(build_config(options))


def _run(config: Config) -> int:
    """
    Run the daemon; its servers are imported here, not for a wrong flag or --help.
    """
    # What it asks for is to be done anyway, and by default it would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        from exporter import daemon  # noqa: PLC0415  see above

        status = daemon.run(config)
    except StartError as error:
        return _fail(str(error), EXIT_FAILED)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    # Python's way out would look for garbage in all that there is, again and again: 50 of its 65 ms
    # of processor time, which took 1 s on a busy machine.
    gc.freeze()
    try:
        sys.stderr.flush()
    except OSError:
        # Whoever read the log has gone: Python would try again on its way out, and end with 120.
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stderr.fileno())
    return status


def _fail(reason: str, status: int) -> int:
    """
    Write the one line that says why, and return the exit status.
    """
    line = printable(reason).replace("\n", "\\n")
    sys.stderr.write(f"{PROGRAM}: error: {line}\n")
    return status


def _warn_of_unknown_variables(environ: Mapping[str, str]) -> None:
    """
    Name variables that look like flags but are none: mostly misspelt ones.
    """
    known = NOT_FLAGS | {flag.variable for flag in FLAGS}
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            log.warning("unknown environment variable, ignored", variable=name)
