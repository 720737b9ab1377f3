"""
The subcommand `backfill`: a log's history as OpenMetrics with timestamps, for Prometheus to import.

What the daemon would have shown at the end of each step, had it been there and been scraped.  Never
talks to a Prometheus; counts nothing by itself.
"""

import argparse
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from rich.progress import Progress

from exporter.collector import FAMILIES
from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS, parse_buckets, parse_program
from exporter.logtool.moments import HELP as MOMENTS
from exporter.logtool.moments import parse_moment
from exporter.logtool.openmetrics import write_history
from exporter.logtool.replay import Replay, Settings
from exporter.logtool.sources import STANDARD_INPUT, SourceError, arrange
from exporter.logtool.spool import Spool
from exporter.logtool.steps import parse_step, show_time
from exporter.logtool.target import ExistsError, new_file
from exporter.logtool.terminal import EXIT_SOME_FAILED, CommonOptions, Terminal, UsageError

STANDARD_OUTPUT = "-"
LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)=(.+)", re.DOTALL)
OUR_LABELS = {label for family in FAMILIES.values() for label in family.labels} | {"le"}
TARGET_LABELS = ("job", "instance")
"""What Prometheus adds to every series that it scrapes."""
EPILOG = """\
Prometheus takes it in with
  promtool tsdb create-blocks-from openmetrics FILE DIRECTORY
where DIRECTORY is the one of its data; docs/migrate.md has the whole way.

Its messages are in English, whatever --lang or the locale says.
"""

Value = TypeVar("Value")


class Options(CommonOptions):
    """
    What the command line says.
    """

    files: Sequence[str] = ()
    output: str = ""
    force: bool = False
    step: int = 60
    labels: Sequence[tuple[str, str]] | None = None
    since: float | None = None
    until: float | None = None
    year: int | None = None
    programs: Sequence[str] | None = None
    buckets: tuple[float, ...] = DEFAULT_BUCKETS


def run(parser: argparse.ArgumentParser, arguments: Sequence[str], terminal: Terminal) -> int:
    """
    Run the subcommand and return its exit status.
    """
    present = time.time()
    add_arguments(parser, present)
    options = parser.parse_args(arguments, Options())
    labels = options.labels or ()
    if len(dict(labels)) < len(labels):
        raise UsageError("argument --label: one name twice")
    settings = Settings(
        options.step,
        options.programs or DEFAULT_PROGRAMS,
        options.buckets,
        options.since,
        options.until,
        options.year,
        present,
    )
    try:
        with open_output(options, terminal) as file, new_spool(options.output) as spool:
            status = fill(options, Replay(settings, spool), file, terminal)
    except ExistsError as error:
        raise UsageError(str(error)) from error
    except BrokenPipeError:
        raise
    except OSError as error:  # of what is written: what is read raises SourceError
        reason = error.strerror or str(error)
        terminal.warn(f"error: cannot write {options.output}: {reason}")
        return EXIT_SOME_FAILED
    missing = [name for name in TARGET_LABELS if name not in dict(labels)]
    if missing:
        flags = " ".join(f"--label {name}=..." for name in missing)
        terminal.warn(f"note: without {flags} these are other series than Prometheus scrapes")
    return status


def fill(options: Options, replay: Replay, file: BinaryIO, terminal: Terminal) -> int:
    """
    Read all files, then write all series; give the exit status.
    """
    console = terminal.progress_console()
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        failed = read_sources(options.files, replay, progress, terminal)
        history = replay.history
        keys = history.keys()
        if not any(FAMILIES[key[0]].kind == "counter" for key in keys):
            raise UsageError("no line of milter-manager in what was to be read: nothing written")
        task = progress.add_task("writing", total=len(keys))
        size = 0
        for done, text in write_history(history, tuple(options.labels or ())):
            size += file.write(text.encode())
            progress.update(task, completed=done)
        file.flush()
    first, last = (step * options.step for step in (history.runs[0][0], history.runs[-1][1]))
    terminal.warn(
        f"{options.output}: {len(keys)} metrics, {size} bytes,"
        f" {show_time(first)} to {show_time(last)}"
    )
    return EXIT_SOME_FAILED if failed else 0


def read_sources(
    files: Sequence[str], replay: Replay, progress: Progress, terminal: Terminal
) -> bool:
    """
    Read all files, oldest first; say whether one of them failed.
    """
    arrangement = arrange(files, terminal.input)
    for note in arrangement.notes:
        terminal.warn(note)
    failed = False
    for source in arrangement.sources:
        task = progress.add_task(f"reading {source.name}", total=source.size)
        try:
            for done in replay.read(source):
                progress.update(task, completed=done)
        except SourceError as error:
            terminal.warn(str(error))
            failed = failed or not source.excused
        if replay.steps.late_lines:
            terminal.warn(
                f"{source.name}: {replay.steps.late_lines} lines bear times of more than an hour"
                " before lines in front of them; they count at the time that was reached"
            )
    replay.history.close_step()
    return failed


@contextmanager
def open_output(options: Options, terminal: Terminal) -> Iterator[BinaryIO]:
    """
    Open what is written to.
    """
    if options.output == STANDARD_OUTPUT:
        yield terminal.output.buffer
        return
    with new_file(Path(options.output), force=options.force) as file:
        yield file


def new_spool(output: str) -> Spool:
    """
    Make the spool beside the output, where there is room for it, or with all temporary files.
    """
    directory = Path(output).parent
    beside = output != STANDARD_OUTPUT and os.access(directory, os.W_OK)
    return Spool(directory if beside else None)


def add_arguments(parser: argparse.ArgumentParser, present: float) -> None:
    """
    Say what the subcommand takes.
    """

    def moment(text: str) -> float:
        return parse_moment(text, present)

    parser.epilog = EPILOG
    add = parser.add_argument
    add(
        "files",
        metavar="FILE",
        nargs="+",
        help=f"one log with its rotated files, compressed or not; {STANDARD_INPUT} reads a pipe",
    )
    add("--output", metavar="FILE", required=True, help="what to write; - is standard output")
    add("--force", action="store_true", help="write over it if it exists")
    add(
        "--step",
        metavar="TIME",
        type=typed(parse_step),
        help="time between two samples, at most 5m (default: 1m)",
    )
    add(
        "--label",
        dest="labels",
        metavar="NAME=VALUE",
        action="append",
        type=typed(parse_label),
        help="a label for every series, as a scrape adds job and instance; repeatable",
    )
    add("--since", metavar="TIME", type=typed(moment), help=f"from when on: {MOMENTS}")
    add("--until", metavar="TIME", type=typed(moment), help="until before when")
    add(
        "--year",
        metavar="YEAR",
        type=typed(parse_year),
        help="that of the first line, if stamps lack it (default: by each file's last change)",
    )
    add(
        "--input.program",
        dest="programs",
        metavar="NAME",
        action="append",
        type=typed(parse_program),
        help="the exporter's flag; repeatable",
    )
    add(
        "--histogram.buckets",
        dest="buckets",
        metavar="SECONDS",
        type=typed(parse_buckets),
        help="the exporter's flag",
    )


def typed(parse: Callable[[str], Value]) -> Callable[[str], Value]:
    """
    Have argparse say what a parser's ValueError says.
    """

    def convert(text: str) -> Value:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return convert


def parse_label(text: str) -> tuple[str, str]:
    """
    Read a label that is added to every series.
    """
    found = LABEL.fullmatch(text)
    if not found or found[1].startswith("__"):
        raise ValueError(f"must be NAME=VALUE as Prometheus allows, not {text!r}")
    if found[1] in OUR_LABELS:
        raise ValueError(f"{found[1]} is a label that the metrics have themselves")
    return found[1], found[2]


def parse_year(text: str) -> int:
    """
    Read a year.
    """
    if not re.fullmatch(r"20\d\d", text):
        raise ValueError(f"must be a year like 2024, not {text!r}")
    return int(text)
