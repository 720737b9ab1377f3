"""
A report as tables, for a terminal or a pipe.

Whatever a log or a file's name says is escaped.  Leaves out what there is nothing of.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from exporter.logtool.phrases import (
    Phrases,
    show_count,
    show_moment,
    show_seconds,
    show_share,
    tick_form,
)
from exporter.logtool.report import SHARES, DurationReport, Report
from exporter.logtool.sparks import BLOCKS, PLAIN_BLOCKS, Row, draw_bars, draw_ticks
from exporter.logtool.terminal import one_line
from exporter.logtool.timeline import Plot, Series
from exporter.overview import Parts

MOST_BARS = 72
MOST_REPEATED = 8
"""Columns a bar may be wide, where there are few."""
NUMBER_COLUMNS = 16
"""Room for a chart's peak and the gaps around it."""
STATUS_STYLES = {
    "pass": "green",
    "accept": "green",
    "reject": "red",
    "error": "red",
    "temporary-failure": "yellow",
    "discard": "magenta",
    "quarantine": "magenta",
}
LEVEL_STYLES = {"critical": "bold red", "error": "red"}
NAME_STYLE = "bold"
QUIET = "dim"


def show(report: Report, phrases: Phrases, console: Console) -> None:
    """
    Print a report.
    """
    for part in chain(
        heading(report, phrases),
        activity(report, phrases, console),
        sessions(report, phrases),
        durations(report, phrases),
        errors(report, phrases),
        trouble(report, phrases),
        milters(report, phrases),
        checks(report, phrases),
        headers(report, phrases),
    ):
        console.print(part)


def heading(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Say which time and how many lines it is about.
    """
    if report.first is None or report.last is None:
        yield Text(phrases("summary_untimed"), NAME_STYLE)
    else:
        first, last = show_moment(report.first), show_moment(report.last, "%Y-%m-%d %H:%M:%S %Z")
        yield Text(phrases("summary_span", first=first, last=last), NAME_STYLE)
    yield phrases("summary_lines", ours=show_count(report.ours), lines=show_count(report.lines))
    if report.left_out:
        yield phrases("summary_left_out", count=show_count(report.left_out))
    yield ""


def new_table(*columns: str, numbers: Sequence[int] = ()) -> Table:
    """
    Make a table; the columns at the places `numbers` are right-aligned and never broken.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style=QUIET,
    )
    for i, name in enumerate(columns):
        if i in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        else:
            table.add_column(name, overflow="fold")
    return table


def section(title: str, *parts: RenderableType) -> RenderableType:
    """
    Put a title above a part, and a blank line below.
    """
    return Group(Text(title, NAME_STYLE), *parts, "")


def show_parts(parts: Parts) -> str:
    """
    Write words of fixed lists, each with its number.
    """
    return ", ".join(f"{word} {show_count(number)}" for word, number in parts)


def sessions(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show the sessions by status and last state.
    """
    title = f"{phrases('sessions')}  {show_count(report.sessions)}"
    if not report.sessions:
        yield section(title, phrases("summary_sessions_none"))
        return
    columns = [phrases(key) for key in ("status", "count", "share", "summary_last_state")]
    table = new_table(*columns, numbers=(1, 2))
    for one in report.statuses:
        table.add_row(
            Text(phrases.word("status", one.status), STATUS_STYLES.get(one.status, "")),
            show_count(one.sessions),
            show_share(one.sessions, report.sessions),
            show_parts(one.last_states),
        )
    parts: list[RenderableType] = [table]
    if report.quarantines:
        parts.append(f"{phrases('summary_quarantines')}: {show_count(report.quarantines)}")
    yield section(title, *parts)


def durations(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show quantiles of durations.
    """
    if not report.durations:
        return
    columns = (
        phrases("summary_what"),
        phrases("summary_number"),
        *(f"p{share * 100:g}" for share in SHARES),
        phrases("summary_most"),
    )
    table = new_table(*columns, numbers=range(1, len(columns)))
    for one in report.durations:
        table.add_row(
            name_duration(one, phrases),
            show_count(one.count),
            *(show_seconds(seconds) for seconds in (*one.quantiles, one.most)),
        )
    yield section(
        phrases("summary_durations"), Text(phrases("summary_durations_text"), QUIET), table
    )


def name_duration(one: DurationReport, phrases: Phrases) -> str:
    """
    Say what took so long.
    """
    kind, *labels = one.key
    name = one_line(labels[0]) if labels else ""
    return phrases(f"summary_{kind}", name=name)


def errors(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show the errors with their explanation.
    """
    title = f"{phrases('summary_errors')}  {show_count(report.errors)}"
    parts: list[RenderableType] = []
    if report.faults:
        table = new_table(*(phrases(key) for key in ("lines", "message")), numbers=(0,))
        for fault in report.faults:
            tags = Text(fault.tags, LEVEL_STYLES.get(fault.level, ""))
            meaning = phrases.meaning(fault.message) if fault.message else phrases("no_meaning")
            where = Text(f"  {fault.level}, {fault.module}", QUIET)
            explained = Group(tags + where, Padding(meaning, (0, 0, 0, 2)))
            table.add_row(show_count(fault.lines), explained)
        parts.append(table)
    else:
        parts.append(phrases("summary_errors_none"))
    if report.harmless:
        text = phrases("summary_harmless", count=show_count(report.harmless))
        parts.append(Text(text, QUIET))
    yield section(title, *parts)


def trouble(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show the milters that failed, and how.
    """
    found = [one for one in report.milters if one.trouble]
    if not found:
        yield section(phrases("summary_trouble"), phrases("summary_trouble_none"))
        return
    keys = ("milter", "timeouts", "fallbacks", "invalid_responses", "summary_connection_failures")
    table = new_table(*(phrases(key) for key in keys), numbers=(3, 4))
    for one in found:
        table.add_row(
            one_line(one.name),
            show_parts(one.numbers.timeouts),
            show_parts(one.numbers.fallbacks),
            show_count(one.numbers.invalid_responses),
            show_count(one.connection_failures),
        )
    yield section(phrases("summary_trouble"), table)


def milters(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show how the child milters ended.
    """
    found = [one for one in report.milters if one.statuses]
    if not found:
        return
    table = new_table(phrases("milter"), phrases("ended"), phrases("status"), numbers=(1,))
    for one in found:
        ended = sum(number for _, number in one.statuses)
        table.add_row(one_line(one.name), show_count(ended), show_parts(one.statuses))
    text = Text(phrases("summary_milters_text"), QUIET)
    yield section(phrases("summary_milters"), text, table)


def checks(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show what the filters found.
    """
    if not report.checks:
        return
    keys = ("summary_check", "milter", "summary_results")
    table = new_table(*(phrases(key) for key in keys))
    for one in report.checks:
        table.add_row(one.check, one_line(one.milter), show_parts(one.results))
    text = Text(phrases("summary_checks_text"), QUIET)
    yield section(phrases("summary_checks"), text, table)


def headers(report: Report, phrases: Phrases) -> Iterator[RenderableType]:
    """
    Show the headers that were added.
    """
    rows = [(one_line(one.name), one.headers) for one in report.milters if one.headers]
    if report.session_headers:
        rows.append((phrases("summary_headers_session"), report.session_headers))
    if not rows:
        return
    keys = ("summary_by", "summary_total", "summary_header_names")
    table = new_table(*(phrases(key) for key in keys), numbers=(1,))
    for name, parts in rows:
        table.add_row(name, show_count(sum(number for _, number in parts)), show_parts(parts))
    yield section(phrases("summary_headers"), table)


def activity(report: Report, phrases: Phrases, console: Console) -> Iterator[RenderableType]:
    """
    Show what happened when, a row for each kind of thing.
    """
    plot = report.timeline.whole()
    rows = list(rows_of(plot, report, phrases)) if plot else []
    if plot is None or not rows:
        return
    name_columns = max(Text(row.name).cell_len for row in rows)
    room = console.width - name_columns - NUMBER_COLUMNS
    plot = plot.fold(min(max(room, 1), MOST_BARS))
    wide = min(max(min(room, MOST_BARS) // len(plot.buckets), 1), MOST_REPEATED)
    blocks = PLAIN_BLOCKS if console.options.ascii_only else BLOCKS
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style=QUIET)
    table.add_column("")
    table.add_column("", no_wrap=True)
    table.add_column(phrases("summary_peak"), justify="right", no_wrap=True)
    for row in rows_of(plot, report, phrases):
        bars = "".join(
            chain.from_iterable(zip(*repeat(draw_bars(row.values, blocks), wide), strict=True))
        )
        table.add_row(row.name, Text(bars, row.style), show_count(max(row.values)))
    form = tick_form(plot.seconds, plot.seconds * len(plot.starts))
    labels = [show_moment(start, form) for start in plot.starts]
    table.add_row("", Text(draw_ticks(labels, wide), QUIET), "")
    step = phrases("summary_bucket", duration=phrases.duration(plot.seconds))
    yield section(f"{phrases('summary_activity')}  ({step})", table)


def rows_of(plot: Plot, report: Report, phrases: Phrases) -> Iterator[Row]:
    """
    Choose the rows of the chart, those that are not all 0.
    """
    statuses = [one.status for one in report.statuses]
    yield from non_zero(
        (
            phrases("summary_row_sessions"),
            plot.values(*(("sessions", one) for one in statuses)),
            "",
        ),
        *(
            (
                f"  {phrases.word('status', one)}",
                plot.values(("sessions", one)),
                STATUS_STYLES.get(one, ""),
            )
            for one in statuses
        ),
        (phrases("summary_row_in_progress"), [one.in_progress for one in plot.buckets], "cyan"),
        (phrases("summary_row_errors"), plot.values(("errors",)), "red"),
        (phrases("summary_row_trouble"), plot.values(*series_of_kind(plot, "trouble")), "red"),
    )


def non_zero(*rows: tuple[str, Sequence[int], str]) -> Iterator[Row]:
    """
    Drop what never happened.
    """
    for name, values, style in rows:
        if any(values):
            yield Row(name, values, style)


def series_of_kind(plot: Plot, kind: str) -> Iterable[Series]:
    """
    Give the series of a kind that there are.
    """
    return sorted({name for one in plot.buckets for name in one.counts if name[0] == kind})
