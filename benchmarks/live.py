"""
From a written line to /metrics, and what following a busy log costs, beside mtail.

    python benchmarks/live.py [--seconds N]

Latency: a probe line is written with one write() and the only counter that it raises is asked for,
on one connection, until it shows it.  That includes the answer's own time, which is the resolution.
CPU: what all threads of the process took while another process wrote real lines, one write() each.
Idle: the same while nobody writes to the log, but somebody to another file of its directory.
"""

import argparse
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from figures import Figure, show
from subject import (
    DEADLINE_SECONDS,
    PROBE,
    Subject,
    exporter,
    has_mtail,
    mtail,
    percentile,
    source_of,
    workplace,
    writing,
)

BUSY_RATE = 20_000.0
NEIGHBOUR_RATE = 5_000.0
BETWEEN_ANSWERS_SECONDS = 0.005
"""While the log is busy: asking without a pause would take the CPU that reads it."""


def probe(subject: Subject, log: Path, seconds: float, pause: float) -> list[float]:
    """
    Write probe lines for so long; give for each the seconds until it was seen.
    """
    chance = random.Random(1)  # noqa: S311 - only to meet the timers at any phase
    seen = subject.probes()
    latencies = []
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(chance.uniform(0.05, 0.15))
        start = time.perf_counter()
        os.write(descriptor, PROBE.encode())
        while subject.probes() <= seen:
            if time.perf_counter() - start > DEADLINE_SECONDS:
                raise TimeoutError("a probe is missing")
            time.sleep(pause)
        latencies.append(time.perf_counter() - start)
        seen += 1
    os.close(descriptor)
    return latencies


def resolution(subject: Subject) -> float:
    """
    Time the question that `probe` asks.
    """
    times = []
    for _ in range(20):
        start = time.perf_counter()
        subject.probes()
        times.append(time.perf_counter() - start)
    return percentile(times, 0.5)


def cpu_per_line(subject: Subject, log: Path, seconds: float) -> float:
    """
    Give the CPU seconds for each line while the log is busy and nobody asks.
    """
    with writing(log, source_of(log), BUSY_RATE, seconds) as writer:
        lines, cpu = subject.lines(), subject.cpu_seconds()
        written = writer.wait()
        # What is still to be read will cost as well.
        cpu, lines = subject.cpu_seconds() - cpu, subject.lines_cheaply() - lines
        subject.wait_for_lines(0.9 * written)
        return cpu / max(lines, 1.0)


def busy_latency(subject: Subject, log: Path, seconds: float) -> list[float]:
    """
    Probe while the log is busy.
    """
    with writing(log, source_of(log), BUSY_RATE, seconds + 2):
        time.sleep(1)
        return probe(subject, log, seconds, BETWEEN_ANSWERS_SECONDS)


def idle_share(subject: Subject, log: Path, seconds: float) -> float:
    """
    Give the percentage of a core that it takes with a busy neighbour.
    """
    with writing(log.with_name("other.log"), source_of(log), NEIGHBOUR_RATE, seconds + 1):
        time.sleep(0.5)
        start, cpu = time.perf_counter(), subject.cpu_seconds()
        time.sleep(seconds)
        return 100 * (subject.cpu_seconds() - cpu) / (time.perf_counter() - start)


def measure(seconds: float, make: Callable[[Path], Subject]) -> dict[str, float]:
    """
    Measure one program.
    """
    with workplace() as log, make(log) as subject:
        resolved = resolution(subject)
        quiet = probe(subject, log, seconds, 0.0)
        cost = cpu_per_line(subject, log, seconds)
        busy = busy_latency(subject, log, seconds)
        time.sleep(1)  # the last of them may still be read
        idle = idle_share(subject, log, 2 * seconds)
    return {
        "resolution": 1e3 * resolved,
        "quiet p50": 1e3 * percentile(quiet, 0.5),
        "quiet p99": 1e3 * percentile(quiet, 0.99),
        "busy cpu": 1e6 * cost,
        "busy p50": 1e3 * percentile(busy, 0.5),
        "busy p99": 1e3 * percentile(busy, 0.99),
        "idle": idle,
    }


def figures(seconds: float) -> Iterator[Figure]:
    """
    Measure all of it.
    """
    ours = measure(seconds, exporter)
    yield Figure("live: resolution of the latencies", ours["resolution"], "ms")
    yield Figure("live: quiet log, latency p50", ours["quiet p50"], "ms", at_most=10)
    yield Figure("live: quiet log, latency p99", ours["quiet p99"], "ms", at_most=50)
    yield Figure("live: 20,000 lines/s, CPU for a line", ours["busy cpu"], "us", at_most=2)
    yield Figure("live: 20,000 lines/s, latency p50", ours["busy p50"], "ms")
    yield Figure("live: 20,000 lines/s, latency p99", ours["busy p99"], "ms", at_most=250)
    yield Figure("live: CPU beside 5,000 lines/s elsewhere", ours["idle"], "% of one", at_most=0.1)
    if not has_mtail():
        return
    theirs = measure(seconds, mtail)
    yield Figure("live: mtail, quiet log, latency p50", theirs["quiet p50"], "ms")
    yield Figure("live: mtail, quiet log, latency p99", theirs["quiet p99"], "ms")
    yield Figure("live: mtail, 20,000 lines/s, CPU for a line", theirs["busy cpu"], "us")
    yield Figure("live: mtail, 20,000 lines/s, latency p50", theirs["busy p50"], "ms")
    yield Figure("live: mtail, 20,000 lines/s, latency p99", theirs["busy p99"], "ms")
    yield Figure("live: mtail, CPU beside 5,000 lines/s elsewhere", theirs["idle"], "% of one")
    ratio = theirs["quiet p50"] / ours["quiet p50"]
    yield Figure("live: mtail's latency / ours, quiet p50", ratio, "times", at_least=20)
    ratio = theirs["busy cpu"] / ours["busy cpu"]
    yield Figure("live: mtail's CPU for a line / ours", ratio, "times", at_least=5, limit=2)


def main() -> None:
    """
    Print it.
    """
    parser = argparse.ArgumentParser(description="latency and CPU of following a log")
    parser.add_argument("--seconds", type=float, default=20, help="for each of the measurements")
    show(figures(parser.parse_args().seconds))


if __name__ == "__main__":
    main()
