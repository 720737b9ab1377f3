"""
A report as one JSON object, for programs.

`metrics` has every number of the daemon's /metrics that comes from the log, under the same names
and labels; the rest is what no metric has.  docs/summary.md is its reference.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from exporter import __version__
from exporter.advice import advise
from exporter.collector import FAMILIES
from exporter.logtool.quantiles import RELATIVE_ERROR
from exporter.logtool.report import SHARES, DurationReport, Report
from exporter.overview import Fault
from exporter.tally import Histogram, Key

Json: TypeAlias = "str | int | float | bool | Sequence[Json] | Mapping[str, Json] | None"


def write_json(report: Report, language: str) -> str:
    """
    Write it, indented.
    """
    return json.dumps(as_object(report, language), ensure_ascii=True, indent=2, allow_nan=False)


def as_object(report: Report, language: str) -> Mapping[str, Json]:
    """
    Give all of a report; times are ISO 8601, null where the log has none.
    """
    return {
        "version": __version__,
        "files": [{"name": one.name, "problem": one.problem or None} for one in report.files],
        "first": as_time(report.first),
        "last": as_time(report.last),
        "left_out_lines": report.left_out,
        "metrics": metrics_of(report),
        "quantiles": {
            "relative_error": RELATIVE_ERROR,
            "durations": [duration_object(one) for one in report.durations],
        },
        "errors": [fault_object(one, language) for one in report.faults],
        "activity": activity_of(report),
    }


def as_time(moment: float | None) -> str | None:
    """
    Write a moment in local time, with its offset.
    """
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).astimezone().isoformat()


def labels_of(key: Key) -> Mapping[str, Json]:
    """
    Give the labels of a series.
    """
    return dict(zip(FAMILIES[key[0]].labels, key[1:], strict=True))


def metrics_of(report: Report) -> Mapping[str, Json]:
    """
    Give the metrics under their full names, zeros included.
    """
    snapshot = report.snapshot
    bounds = report.bounds
    found: dict[str, list[Json]] = {}
    values: dict[Key, int | float] = {
        **snapshot.counts,
        **snapshot.gauges,
        ("sessions_in_progress",): snapshot.sessions_in_progress,
        ("processes",): snapshot.processes,
    }
    for key, value in sorted(values.items()):
        one = {"labels": labels_of(key), "value": value}
        found.setdefault(FAMILIES[key[0]].name, []).append(one)
    for key, histogram in sorted(snapshot.histograms.items()):
        numbers = histogram_object(bounds, histogram)
        found.setdefault(FAMILIES[key[0]].name, []).append({"labels": labels_of(key), **numbers})
    return found


def histogram_object(bounds: Sequence[float], histogram: Histogram) -> Mapping[str, Json]:
    """
    Give a histogram as Prometheus counts: each bucket with all below it.
    """
    buckets: dict[str, Json] = {}
    so_far = 0
    for bound, count in zip((*map(repr, bounds), "+Inf"), histogram.buckets, strict=True):
        so_far += count
        buckets[bound] = so_far
    return {"count": so_far, "sum": histogram.sum, "buckets": buckets}


def duration_object(one: DurationReport) -> Mapping[str, Json]:
    """
    Give the quantiles of a histogram, in seconds.
    """
    quantiles = zip((f"p{share * 100:g}" for share in SHARES), one.quantiles, strict=True)
    found: dict[str, Json] = dict(quantiles)
    name = FAMILIES[one.key[0]].name
    return {
        "metric": name,
        "labels": labels_of(one.key),
        "count": one.count,
        **found,
        "max": one.most,
    }


def fault_object(fault: Fault, language: str) -> Mapping[str, Json]:
    """
    Give an error with its explanation.
    """
    message = fault.message
    advice = advise(message, language)
    meaning = (message.ja if language == "ja" else message.en) if message else None
    return {
        "module": fault.module,
        "level": fault.level,
        "tag": fault.tags,
        "lines": fault.lines,
        "meaning": meaning,
        "causes": list(advice.causes) if advice else [],
        "check": list(advice.check) if advice else [],
        "note": advice.notes.get(message.number) if advice and message else None,
    }


def activity_of(report: Report) -> Json:
    """
    Give what happened when, as finely as it is kept for so long a time; null without times.
    """
    plot = report.timeline.whole()
    if plot is None:
        return None
    return {
        "seconds": plot.seconds,
        "buckets": [
            {
                "start": as_time(start),
                "in_progress": bucket.in_progress,
                "counts": [
                    {"series": list(series), "value": value}
                    for series, value in sorted(bucket.counts.items())
                ],
            }
            for start, bucket in zip(plot.starts, plot.buckets, strict=True)
            if bucket.counts or bucket.in_progress
        ],
    }
