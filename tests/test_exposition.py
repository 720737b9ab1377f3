"""
The text of an answer, against what prometheus_client makes of the same metrics.
"""

from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from exporter.exposition import write_exposition, write_metric

ACCEPT = [
    "",
    "text/plain;version=0.0.4",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "text/plain;version=1.0.0;escaping=dots",
    "application/openmetrics-text;version=1.0.0;escaping=underscores",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=1.0.0;escaping=values",
    "application/openmetrics-text;version=1.0.0;escaping=dots",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(['\\n"', '\n"\\'])
NUMBERS = st.floats() | st.integers(0, 10**20).map(float)


class Given(Collector):
    """
    Metrics that a test made.
    """

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """
        Give them.
        """
        return self._metrics


def written(registry: Collector, accept: str) -> tuple[bytes, bytes]:
    """
    Write metrics as prometheus_client does, and as the exporter does.
    """
    encode, content_type = choose_encoder(accept)
    return encode(registry), write_exposition(registry, encode, content_type)


def counters(labels: tuple[str, str], value: float, documentation: str) -> Metric:
    """
    Make a counter.
    """
    metric = CounterMetricFamily("a_b_total", documentation, labels=("z", "a"))
    metric.add_metric(labels, value)
    return metric


@pytest.mark.parametrize("accept", ACCEPT)
@given(labels=st.tuples(TEXTS, TEXTS), value=NUMBERS, documentation=TEXTS)
@example(labels=("", ""), value=999999.0, documentation="")
@example(labels=("", ""), value=1000000.0, documentation="")
@example(labels=("", ""), value=1234567.125, documentation="")
@example(labels=("", ""), value=1.5e16, documentation="")
@example(labels=("", ""), value=-12345678.0, documentation="")
@example(labels=("", ""), value=float("inf"), documentation="")
@example(labels=("", ""), value=float("-inf"), documentation="")
def test_same_bytes(accept: str, labels: tuple[str, str], value: float, documentation: str) -> None:
    """
    Counters and gauges come out as prometheus_client writes them, whatever they say.
    """
    gauge = GaugeMetricFamily("c", documentation)
    gauge.add_metric((), value)
    expected, actual = written(Given(counters(labels, value, documentation), gauge), accept)

    assert expected == actual


@pytest.mark.parametrize("accept", ACCEPT)
@given(id_=TEXTS, seconds=NUMBERS, timestamp=st.none() | st.floats(0, 1e10))
def test_exemplars(accept: str, id_: str, seconds: float, timestamp: float | None) -> None:
    """
    Histograms come with their exemplars, in the format that has any.
    """
    metric = HistogramMetricFamily("h", "Help.", labels=("status",))
    exemplar = Exemplar({"session_id": id_}, seconds, timestamp)
    metric.add_metric(("pass",), [("0.5", 1.0, exemplar), ("+Inf", 2.0)], 3.5)
    expected, actual = written(Given(metric), accept)

    assert expected == actual


@pytest.mark.parametrize("accept", ACCEPT)
def test_others(accept: str) -> None:
    """
    What is not plain is left to prometheus_client, and stands where it would.
    """
    registry = CollectorRegistry()
    Info("i", "Help.", registry=registry).info({"a": "b"})
    Counter("c", "Help.", ("x",), registry=registry).labels("y").inc()  # with a _created
    Enum("e", "Help.", states=["on", "off"], registry=registry)
    Gauge("g", "Help.", registry=registry).set(3)
    Gauge("u_seconds", "Help.", unit="seconds", registry=registry).set(3)
    Summary("s", "Help.", registry=registry).observe(1)
    Histogram("h", "Help.", registry=registry).observe(1)
    Gauge("a:b", "Help.", ("x",), registry=registry).labels("y").set(3)
    Gauge("l", "Help.", ("é",), registry=registry).labels("y").set(3)
    timed = GaugeMetricFamily("t", "Help.")
    timed.add_metric((), 1.0, timestamp=1.5)
    registry.register(Given(timed))
    expected, actual = written(registry, accept)

    assert expected == actual


def test_itself() -> None:
    """
    A plain metric is not left to prometheus_client.
    """
    metric = counters(("x", "y"), 3.0, "Help.")
    expected = b'# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total{a="y",z="x"} 3.0\n'

    assert expected == write_metric(metric, openmetrics=False)
