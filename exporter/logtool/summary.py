"""
The subcommand `summary`: what happened in log files, as tables, as JSON and as a page.

Reads each file once, front to back, and keeps numbers only: memory does not grow with the log.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS
from exporter.counters import zero_counters, zero_histograms
from exporter.logtool.jsonreport import write_json
from exporter.logtool.ledger import Ledger
from exporter.logtool.moments import HELP, parse_moment
from exporter.logtool.phrases import Phrases, show_count
from exporter.logtool.report import FileReport, Reading, Report, lines_of_program, make_report
from exporter.logtool.slices import Period, SlicedCounting, Slices, written_before
from exporter.logtool.sources import Source, SourceError, arrange, feed, read_name
from exporter.logtool.tables import show
from exporter.logtool.terminal import (
    EXIT_SOME_FAILED,
    CommonOptions,
    Terminal,
    UsageError,
)
from exporter.logtool.timeline import Timeline
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Snapshot

AHEAD_SECONDS = 86400.0
"""How far a log's clock may be ahead of ours; what claims to be later is on no chart."""


class Options(CommonOptions):
    """
    What the command line says.
    """

    files: Sequence[str] = ()
    since: str = ""
    until: str = ""
    program: Sequence[str] | None = None
    json: bool = False
    html: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """
    Add what `summary` takes.
    """
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="log, plain or compressed (gzip, bzip2, xz, zstd), or - for standard input;"
        " rotated files of one log are put in order, oldest first",
    )
    parser.add_argument("--since", metavar="TIME", default="", help=f"from then on: {HELP}")
    parser.add_argument(
        "--until", metavar="TIME", default="", help="until just before then, written the same way"
    )
    parser.add_argument(
        "--program",
        metavar="NAME",
        action="append",
        help="program name in a syslog line that counts, repeatable"
        f" (default: {', '.join(DEFAULT_PROGRAMS)})",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument(
        "--html", metavar="FILE", default="", help="write one self-contained page with charts too"
    )


def run(parser: argparse.ArgumentParser, arguments: Sequence[str], terminal: Terminal) -> int:
    """
    Run the subcommand and return its exit status.
    """
    add_arguments(parser)
    options = parser.parse_args(arguments, Options())
    now = time.time()
    period = read_period(options, now)
    phrases = Phrases(options.lang)
    summary = Summary(options, period, phrases, now)
    summary.read(terminal)
    report = summary.report()
    problems = sum(1 for one in report.files if one.problem)
    if problems == len(report.files):
        raise UsageError(phrases("summary_nothing"))
    if options.html:
        write_page(options.html, report, phrases, now)
    if options.json:
        terminal.write(write_json(report, options.lang))
    else:
        show(report, phrases, terminal.console())
    return EXIT_SOME_FAILED if problems else 0


def read_period(options: Options, now: float) -> Period:
    """
    Read --since and --until.
    """
    period = Period()
    try:
        since = parse_moment(options.since, now) if options.since else period.since
        until = parse_moment(options.until, now) if options.until else period.until
    except ValueError as error:
        raise UsageError(str(error)) from None
    if since >= until:
        raise UsageError("--since is not before --until")
    return Period(since, until)


def write_page(path: str, report: Report, phrases: Phrases, now: float) -> None:
    """
    Write the page; UsageError where that cannot be.
    """
    # Jinja2 and pygal take longer to import than a small log to read.
    from exporter.logtool.htmlreport import write_html  # noqa: PLC0415

    try:
        Path(path).write_text(write_html(report, phrases, now), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror}") from error


class Summary:
    """
    The logs on their way into a report.
    """

    def __init__(self, options: Options, period: Period, phrases: Phrases, now: float) -> None:
        self._options = options
        self._period = period
        self._phrases = phrases
        self._now = now
        self._catalogue = load_catalogue()
        self._grammar = Grammar(options.program or DEFAULT_PROGRAMS)
        self._recogniser = Recogniser(self._catalogue, MilterNames())
        self._timeline = Timeline(now + AHEAD_SECONDS)
        self._ledger = Ledger(
            DEFAULT_BUCKETS, zero_counters(self._catalogue), zero_histograms(), self._timeline
        )
        self._latest = now
        """No line is from after that."""
        self._files: list[FileReport] = []
        self._notes: list[str] = []
        self._times: list[float] = []
        self._left_out = 0

    def read(self, terminal: Terminal) -> None:
        """
        Read all files, oldest first, and say on standard error what is wrong with any.
        """
        arrangement = arrange(self._options.files, terminal.input)
        for note in arrangement.notes:
            terminal.warn(note)
        written = [written_before(source, self._now) for source in arrangement.sources]
        self._latest = min(max(written), self._period.until)
        sizes = [source.size for source in arrangement.sources]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        console = terminal.progress_console()
        with Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as progress:
            task = progress.add_task(self._phrases("summary_reading"), total=total)
            before = 0
            for source in arrangement.sources:
                progress.update(task, description=source.name)
                for done in self._feed(source):
                    progress.update(task, completed=before + done)
                before += source.done
        for line in (*self._notes, *(file.problem for file in self._files)):
            if line:
                terminal.warn(line)

    def report(self) -> Report:
        """
        Sum up.
        """
        first, last = (min(self._times), max(self._times)) if self._times else (None, None)
        reading = Reading(tuple(self._files), first, last, self._left_out)
        return make_report(reading, self._ledger, self._catalogue)

    def _feed(self, source: Source) -> Iterator[int]:
        """
        Count one file; give how many of its bytes on the disk are done.
        """
        slices = Slices(written_before(source, self._now), self._period, self._ledger.begin)
        log = read_name(source.argument).log
        counting = SlicedCounting(log, self._grammar, self._recogniser, self._ledger, slices)
        before = self._ledger.snapshot()
        problem = ""
        try:
            for done in feed(source, counting, self._ledger):
                slices.seconds = self._timeline.pace(self._latest)
                yield done
        except SourceError as error:
            problem = str(error)
        self._times += [one for one in (slices.first, slices.last) if one is not None]
        self._left_out += slices.left_out
        if source.excused:
            self._notes.append(self._phrases("summary_empty", name=source.name))
            return
        problem = problem or self._complain(source, slices, before)
        self._files.append(FileReport(source.name, problem))

    def _complain(self, source: Source, slices: Slices, before: Snapshot) -> str:
        """
        Say what is wrong with a file that was read whole, if anything.
        """
        after = self._ledger.snapshot()
        if lines_of_program(after) > lines_of_program(before):
            return ""
        if slices.left_out:
            timed = slices.timed
            return "" if timed else self._phrases("summary_without_times", name=source.name)
        lines = lines_of(after) - lines_of(before)
        if not lines:
            return self._phrases("summary_empty", name=source.name)
        return self._phrases("summary_foreign", name=source.name, count=show_count(lines))


def lines_of(snapshot: Snapshot) -> int:
    """
    Count all lines.
    """
    return sum(number for key, number in snapshot.counts.items() if key[0] == "lines")
