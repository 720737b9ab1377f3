"""
A report as one page: everything in it, nothing fetched, no script, light or dark.

The graphs of milter-manager-log-analyzer are here: sessions, their status, what the filters
reported and each milter, over the last day, week, month and year, as far as the log reaches.
Everything that stems from a log is escaped, and the page's policy admits its own style alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from markupsafe import Markup

from exporter import __version__
from exporter.advice import advise
from exporter.logtool.charts import MOST_BARS, Bars, draw
from exporter.logtool.ledger import TROUBLES
from exporter.logtool.phrases import (
    Phrases,
    show_count,
    show_moment,
    show_seconds,
    show_share,
    tick_form,
)
from exporter.logtool.report import SHARES, Report
from exporter.logtool.timeline import Plot, Series
from exporter.overview import Parts, total
from exporter.style import load_style, policy_of
from exporter.template import Filters, Render, load_template
from exporter.wording import mark_code, show_name

MOST_MILTERS = 20
"""With charts of their own."""
MOST_CHECKS = 12
"""The same."""
MOST_SERIES = 8
"""In one chart; what is rarer goes together."""

TONES = {
    "pass": "green", "accept": "teal", "clean": "green", "no": "green",
    "reject": "red", "fail": "red", "error": "pink", "permerror": "pink", "yes": "red",
    "infected": "red", "listed": "red", "hardfail": "red",
    "temporary-failure": "amber", "softfail": "amber", "temperror": "yellow", "delayed": "amber",
    "discard": "violet", "quarantine": "blue", "policy": "violet", "whitelisted": "teal",
    "none": "grey", "neutral": "blue", "abort": "grey", "disconnected": "dark", "other": "dark",
    "timeouts": "amber", "fallbacks": "red", "invalid_responses": "violet",
    "connection_failures": "pink",
}  # fmt: skip
SPARE_TONES = ("blue", "teal", "yellow", "violet", "pink", "dark")


@dataclass(frozen=True, slots=True)
class Chart:
    """
    One chart with what stands around it.
    """

    title: str
    text: str
    """What a reader of the screen hears of it."""
    svg: Markup
    legend: tuple[tuple[str, str], ...]
    """Tone and name of each series."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    The charts of one stretch of time.
    """

    name: str
    charts: tuple[Chart, ...]


def write_html(report: Report, phrases: Phrases, now: float) -> str:
    """
    Write the page.
    """
    style = load_report_style()
    names = report.timeline.names()
    return load_report()(
        language=phrases.language,
        say=phrases,
        style=Markup(style),  # noqa: S704 - the package's own
        policy=policy_of(style),
        report=report,
        version=__version__,
        now=now,
        shares=[f"p{share * 100:g}" for share in SHARES],
        stretches=list(stretches_of(report, names, phrases)),
        milter_charts=list(milter_charts_of(report, names, phrases)),
        advise=lambda fault: advise(fault.message, phrases.language),
        total=total,
    )


@cache
def load_report_style() -> str:
    """
    Read the style sheet: the landing page's, and what charts need.
    """
    own = resources.files("exporter.logtool").joinpath("summary.css").read_text("utf-8")
    return load_style() + own


@cache
def load_report() -> Render:
    """
    Compile the report's template, once.
    """
    filters: Filters = {
        "name": show_name,
        "ticks": mark_code,
        "count": show_count,
        "seconds": show_seconds,
        "moment": show_moment,
    }
    return load_template("logtool/summary.html", filters, {"share": show_share})


def stretches_of(report: Report, names: Sequence[str], phrases: Phrases) -> Iterator[Stretch]:
    """
    Draw all that is not of one milter, for each stretch of time.
    """
    for name in names:
        plot = report.timeline.recent(name)
        if plot:
            charts = tuple(charts_of(plot.fold(MOST_BARS), report, phrases))
            yield Stretch(phrases(f"summary_{name}"), charts)


def charts_of(plot: Plot, report: Report, phrases: Phrases) -> Iterator[Chart]:
    """
    Draw sessions, errors, milters in trouble and what the filters found.
    """
    statuses: Parts = tuple((one.status, one.sessions) for one in report.statuses)
    title = phrases("summary_chart_sessions")
    yield from chart_of(title, plot, bars_of(plot, ("sessions",), statuses, phrases), phrases)
    title = phrases("summary_chart_in_progress")
    in_progress = [one.in_progress for one in plot.buckets]
    yield from chart_of(title, plot, [Bars(title, "blue", in_progress)], phrases)
    title = phrases("summary_chart_errors")
    yield from chart_of(title, plot, [Bars(title, "red", plot.values(("errors",)))], phrases)
    kinds = (*TROUBLES.values(), "connection_failures")
    trouble = [
        Bars(trouble_name(kind, phrases), TONES[kind], plot.values(*find_series(plot, kind)))
        for kind in kinds
    ]
    yield from chart_of(phrases("summary_chart_trouble"), plot, trouble, phrases)
    for check, results in checks_by_frequency(report)[:MOST_CHECKS]:
        title = f"{phrases('summary_chart_checks')}: {check}"
        yield from chart_of(
            title, plot, bars_of(plot, ("checks", check), results, phrases), phrases
        )


def trouble_name(kind: str, phrases: Phrases) -> str:
    """
    Say what a kind of trouble is called.
    """
    return phrases("summary_connection_failures" if kind == "connection_failures" else kind)


def find_series(plot: Plot, kind: str) -> list[Series]:
    """
    Find the milters that had a kind of trouble.
    """
    return sorted({name for one in plot.buckets for name in one.counts if name[2:] == (kind,)})


def checks_by_frequency(report: Report) -> list[tuple[str, Parts]]:
    """
    Put what different milters found by the same check together.
    """
    found: dict[str, dict[str, int]] = {}
    for one in report.checks:
        results = found.setdefault(one.check, {})
        for result, number in one.results:
            results[result] = results.get(result, 0) + number
    ranked = sorted(found.items(), key=lambda pair: -sum(pair[1].values()))
    return [
        (check, tuple(sorted(results.items(), key=lambda pair: -pair[1])))
        for check, results in ranked
    ]


def milter_charts_of(report: Report, names: Sequence[str], phrases: Phrases) -> Iterator[Stretch]:
    """
    Draw how the milters ended, those with most ends: all of the time, and the finest stretch of it.
    """
    ended = sorted(
        (one for one in report.milters if one.statuses), key=lambda one: -total(one.statuses)
    )
    for name in dict.fromkeys((names[0], names[-1])):
        plot = report.timeline.recent(name)
        if plot is None:
            return
        folded = plot.fold(MOST_BARS)
        charts: list[Chart] = []
        for one in ended[:MOST_MILTERS]:
            bars = bars_of(folded, ("milters", one.name), one.statuses, phrases)
            charts += chart_of(one.name, folded, bars, phrases)
        if charts:
            yield Stretch(phrases(f"summary_{name}"), tuple(charts))


def bars_of(plot: Plot, kind: Series, parts: Parts, phrases: Phrases) -> list[Bars]:
    """
    Make the series of a kind, a colour each, the most frequent at the bottom.
    """
    spare = iter(SPARE_TONES)
    bars: list[Bars] = []
    used: set[str] = set()
    for word, _ in parts[:MOST_SERIES]:
        tone = TONES.get(word, "")
        if not tone or tone in used:
            tone = next((one for one in spare if one not in used), "grey")
        used.add(tone)
        # A check's "pass" is not a session's: only these are called by other names.
        name = word if kind[0] == "checks" else phrases.word("status", word)
        bars.append(Bars(name, tone, plot.values((*kind, word))))
    rest = [(*kind, word) for word, _ in parts[MOST_SERIES:]]
    if rest:
        bars.append(Bars(phrases("summary_other"), "grey", plot.values(*rest)))
    return bars


def chart_of(title: str, plot: Plot, bars: Sequence[Bars], phrases: Phrases) -> Iterator[Chart]:
    """
    Draw a chart, unless all of it is 0.
    """
    shown = [one for one in bars if any(one.values)]
    if not shown:
        return
    form = tick_form(plot.seconds, plot.seconds * len(plot.starts))
    labels = [show_moment(start, form) for start in plot.starts]
    most = max(sum(one) for one in zip(*(bars.values for bars in shown), strict=True))
    text = phrases(
        "summary_chart_text",
        title=title,
        duration=phrases.duration(plot.seconds),
        most=show_count(most),
    )
    legend = tuple((one.tone, one.name) for one in shown)
    svg = Markup(draw(text, labels, shown))  # noqa: S704 - ElementTree escaped what is in it
    yield Chart(title, text, svg, legend)
