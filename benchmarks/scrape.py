"""
How long a scrape takes, and for how long it keeps the reader from reading.

    python benchmarks/scrape.py [--scrapes N]

Scrapes as Prometheus does: one connection that stays, OpenMetrics, gzip.  At rest, and while
another process writes 50,000 lines/s to the log; with the series that are there from the start, and
with 30 milters that have ended with every status in every state.

A stall: while a backlog is read the main thread reads chunk after chunk, which the kernel counts
(/proc/PID/task/PID/io).  The longest time between two reads, without what it waited for a processor
that somebody else had, with scrapes one after the other and without any; the difference is theirs.
"""

import argparse
import gzip
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, show
from prometheus_client.exposition import choose_encoder
from subject import (
    PROMETHEUS_HEADERS,
    Client,
    Subject,
    exporter,
    percentile,
    source_of,
    workplace,
    writing,
)

from exporter.catalogue import load_catalogue
from exporter.collector import new_registry
from exporter.config import DEFAULT_BUCKETS
from exporter.counters import zero_counters, zero_histograms
from exporter.tally import Tally

RATE = 50_000.0
MILTERS = 30
STATES = ("connect", "envelope-from", "envelope-recipient", "data", "header", "end-of-message")
STATUSES = (
    *("reject", "discard", "accept", "temporary-failure", "pass", "stop", "abort", "quarantine"),
    *("error", "skip", "no-reply"),
)
HEAD = "Nov 22 22:10:34 vm milter-manager[7]: "


def write_milters(log: Path) -> int:
    """
    Let every milter end in every way; give the lines.
    """
    lines = [
        f"{HEAD}[statistics] [milter][end][{state}][{status}][0.0051]({i}): milter-{i}\n"
        for i in range(MILTERS)
        for state in STATES
        for status in STATUSES
    ]
    with log.open("a") as file:
        file.writelines(lines)
    return len(lines)


def time_scrapes(port: int, scrapes: int, pause: float) -> list[float]:
    """
    Scrape so often; give the seconds of each.
    """
    client = Client(port)
    times = []
    for _ in range(scrapes):
        time.sleep(pause)
        start = time.perf_counter()
        client.get("/metrics", PROMETHEUS_HEADERS)
        times.append(time.perf_counter() - start)
    client.close()
    return times


def render_seconds() -> float:
    """
    Time prometheus_client on this machine, with the series that the exporter has from the start.
    """
    catalogue = load_catalogue()
    registry = new_registry(Tally(DEFAULT_BUCKETS, zero_counters(catalogue), zero_histograms()))
    encode, _ = choose_encoder(PROMETHEUS_HEADERS["Accept"])
    times = []
    for _ in range(15):
        start = time.perf_counter()
        gzip.compress(encode(registry), 1)
        times.append(time.perf_counter() - start)
    return percentile(times, 0.5)


def read_gaps(subject: Subject, seconds: float) -> list[float]:
    """
    Give the time from each read of the main thread to the next; the first and last are cut off.
    """
    gaps = []
    (last, delayed), changed = subject.main_thread(), time.perf_counter()
    end = changed + seconds
    while changed < end and time.perf_counter() - changed < 0.5:
        time.sleep(0.0002)
        (read_bytes, waited), now = subject.main_thread(), time.perf_counter()
        if read_bytes != last:
            gaps.append(now - changed - (waited - delayed))
            last, delayed, changed = read_bytes, waited, now
    return gaps[1:-1]


def backlog_gaps(subject: Subject, log: Path, backlog: int, *, scraping: bool) -> list[float]:
    """
    Give it a backlog to read, with somebody who scrapes meanwhile or without.
    """
    lines = subject.lines()
    source = source_of(log).read_bytes()
    stop = threading.Event()

    def scrape() -> None:
        while not stop.is_set():
            time_scrapes(subject.port, 1, 0.0)

    scraper = threading.Thread(target=scrape)
    if scraping:
        scraper.start()
    with log.open("ab") as file:
        for _ in range(backlog):
            file.write(source)
    gaps = read_gaps(subject, 60)
    if scraping:
        stop.set()
        scraper.join()
    subject.wait_for_lines(lines + backlog * source.count(b"\n"))
    return gaps


def measure(scrapes: int, backlog: int, *, milters: bool) -> dict[str, float]:
    """
    Measure one exporter.
    """
    with workplace() as log, exporter(log) as subject:
        if milters:
            subject.wait_for_lines(write_milters(log))
        idle = time_scrapes(subject.port, scrapes, 0.02)
        size = len(Client(subject.port).get("/metrics", PROMETHEUS_HEADERS))
        with writing(log, source_of(log), RATE, 3600):
            time.sleep(1)
            busy = time_scrapes(subject.port, scrapes, 0.02)
        time.sleep(0.5)
        alone = backlog_gaps(subject, log, backlog, scraping=False)
        scraped = backlog_gaps(subject, log, backlog, scraping=True)
    return {
        "size": size / 1024,
        "idle p50": 1e3 * percentile(idle, 0.5),
        "idle p99": 1e3 * percentile(idle, 0.99),
        "busy p50": 1e3 * percentile(busy, 0.5),
        "busy p99": 1e3 * percentile(busy, 0.99),
        "gap": 1e3 * max(alone, default=0.0),
        "scraped gap": 1e3 * max(scraped, default=0.0),
        "scraped gap p99": 1e3 * percentile(scraped, 0.99),
    }


def figures(scrapes: int, backlog: int) -> Iterator[Figure]:
    """
    Measure all of it.
    """
    render = 1e3 * render_seconds()
    yield Figure("scrape: default series, written by prometheus_client", render, "ms")
    for name, milters, aim in (("default series", False, 20), ("30 milters", True, 60)):
        found = measure(scrapes, backlog, milters=milters)
        yield Figure(f"scrape: {name}, size", found["size"], "KiB")
        yield Figure(f"scrape: {name}, at rest, p50", found["idle p50"], "ms")
        if not milters:
            ratio = render / found["idle p50"]
            yield Figure("scrape: the former / that", ratio, "times", at_least=1, limit=0.5)
        yield Figure(f"scrape: {name}, at rest, p99", found["idle p99"], "ms", at_most=aim)
        yield Figure(f"scrape: {name}, 50,000 lines/s, p50", found["busy p50"], "ms")
        yield Figure(f"scrape: {name}, 50,000 lines/s, p99", found["busy p99"], "ms", at_most=aim)
        yield Figure(f"scrape: {name}, longest time without a read", found["gap"], "ms")
        yield Figure(f"scrape: {name}, the same with scrapes", found["scraped gap"], "ms")
        yield Figure(f"scrape: {name}, the same, p99", found["scraped gap p99"], "ms")
        stall = max(found["scraped gap"] - found["gap"], 0.0)
        yield Figure(f"scrape: {name}, stall by scrapes", stall, "ms", at_most=20)


def main() -> None:
    """
    Print it.
    """
    parser = argparse.ArgumentParser(description="latency of scrapes")
    parser.add_argument("--scrapes", type=int, default=500, help="for each of the measurements")
    parser.add_argument("--backlog", type=int, default=4, help="times 234,040 lines")
    options = parser.parse_args()
    show(figures(options.scrapes, options.backlog))


if __name__ == "__main__":
    main()
