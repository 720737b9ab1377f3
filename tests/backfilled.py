"""
Backfills for the tests: made by the tool, read back by a strict parser, imported by Prometheus.
"""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest import mock
from urllib.parse import quote

from prometheus_client.openmetrics.parser import text_string_to_metric_families
from running import DEADLINE_SECONDS, Sample, Server, get, read_samples, require

from exporter.logtool.cli import main

TARGET = ("--label=job=milter-manager", "--label=instance=mail:10125")
CONFIG = "scrape_configs: []\n"


@dataclass(frozen=True, slots=True)
class Result:
    """
    How the tool ended, and what it said.
    """

    status: int
    output: bytes
    error: str


def run_tool(*arguments: object, log: bytes = b"") -> Result:
    """
    Run the tool in this process, `log` on its standard input.
    """
    output, error = io.BytesIO(), io.StringIO()
    stdout = io.TextIOWrapper(output, encoding="utf-8", write_through=True)
    stdin = io.TextIOWrapper(io.BytesIO(log))
    with (
        mock.patch.object(sys, "stdin", stdin),
        redirect_stdout(stdout),
        redirect_stderr(error),
    ):
        status = main([*map(str, arguments)])
    return Result(status, output.getvalue(), error.getvalue())


def backfill(*arguments: object, log: bytes = b"") -> str:
    """
    Give what the tool writes for a log.
    """
    result = run_tool("backfill", "--output=-", *arguments, log=log)

    assert 0 == result.status, result.error

    return result.output.decode()


def series_of(text: str) -> dict[Sample, list[tuple[float, float]]]:
    """
    Read OpenMetrics: give each series' samples, time and value.

    Families and metrics must stand together and times must rise (OpenMetrics 1.0, "Overall
    Structure").  prometheus_client's parser does not see the second point of a histogram whole, so
    that it is asked moment by moment.
    """
    series: dict[Sample, list[tuple[float, float]]] = {}
    moments: dict[str, list[str]] = {}
    metrics: dict[Sample, str] = {}
    head: list[str] = []
    last: Sample | None = None
    *lines, end, nothing = text.split("\n")

    assert ("# EOF", "") == (end, nothing)

    for line in lines:
        if line.startswith("#"):
            head = [*(head if line.startswith("# TYPE") else ()), line]
            family = line.split(" ")[2]
            continue
        sample, _, moment = line.rpartition(" ")
        written = moments.setdefault(moment, [])
        written += [*(one for one in head if one not in written), sample]
        found, value = read_sample(sample)
        metric = (family, tuple(pair for pair in found[1] if pair[0] != "le"))

        assert metric == last or metric not in metrics, line
        assert float(metrics.get(metric, moment)) <= float(moment), line

        metrics[metric] = moment
        last = metric
        series.setdefault(found, []).append((float(moment), value))
    for written in moments.values():
        exposition = "\n".join((*written, end, ""))

        assert list(text_string_to_metric_families(exposition))  # type: ignore[no-untyped-call]
    return series


def read_sample(text: str) -> tuple[Sample, float]:
    """
    Read one sample without its time.
    """
    ((sample, value),) = read_samples(f"{text}\n".encode()).items()
    return sample, value


def last_values(text: str) -> dict[Sample, float]:
    """
    Give what each series is in the end.
    """
    return {sample: values[-1][1] for sample, values in series_of(text).items()}


class History(Server):
    """
    A Prometheus that scrapes nothing and has an imported past.
    """

    def at(self, expression: str, time: float) -> list[tuple[dict[str, str], float]]:
        """
        Ask for what an expression was at a time.
        """
        answer = get("127.0.0.1", self.port, f"/api/v1/query?query={quote(expression)}&time={time}")

        assert 200 == answer.status, answer.body

        found = json.loads(answer.body)["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]


@contextmanager
def imported(file: Path, directory: Path) -> Iterator[History]:
    """
    Import a backfill as docs/migrate.md says, and ask Prometheus.
    """
    config = directory / "prometheus.yml"
    config.write_text(CONFIG)
    result = subprocess.run(
        [
            require("promtool"), "tsdb", "create-blocks-from", "openmetrics",
            "--max-block-duration=500h", str(file), str(directory / "data"),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )  # fmt: skip

    assert 0 == result.returncode, result.stdout + result.stderr

    server = History(config, "--storage.tsdb.retention.time=10y")
    try:
        yield server
    finally:
        server.kill()
