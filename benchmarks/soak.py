"""
Whether anything grows in the exporter while a log grows, is rotated and scraped.

    python benchmarks/soak.py [MINUTES]

Memory, threads, open files and CPU for a line are sampled all the time.  What counts is the median
of the last third beside that of the second: the first is for what is filled once.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from figures import Figure, show
from subject import PROMETHEUS_HEADERS, Subject, exporter, source_of, workplace, writing

RATE = 2_000.0
SAMPLES = 90
PER_ROTATION = 10
"""Samples from one rotation to the next."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    What was seen at a moment.
    """

    resident_mib: float
    threads: float
    descriptors: float
    cpu_us_per_line: float


def samples(subject: Subject, pause: float) -> Iterator[Sample]:
    """
    Look again and again, with a scrape each time.
    """
    while True:
        lines, cpu = subject.lines_cheaply(), subject.cpu_seconds()
        time.sleep(pause)
        cpu = subject.cpu_seconds() - cpu
        lines = max(subject.lines_cheaply() - lines, 1)
        subject.client.get("/metrics", PROMETHEUS_HEADERS)
        yield Sample(
            subject.resident_mib(), subject.threads(), subject.descriptors(), 1e6 * cpu / lines
        )


def watch(minutes: float) -> list[Sample]:
    """
    Write, rotate and scrape; give what was seen meanwhile.
    """
    pause = 60 * minutes / SAMPLES
    seen: list[Sample] = []
    with workplace() as log, exporter(log) as subject:
        looking = samples(subject, pause)
        while len(seen) < SAMPLES:
            # The writer opens each new log, as one does that is told to.
            with writing(log, source_of(log), RATE, 3600):
                seen += [next(looking) for _ in range(PER_ROTATION)]
            log.rename(log.with_name("mail.log.1"))
            log.touch()
    return seen


def figures(minutes: float) -> Iterator[Figure]:
    """
    Compare the end with the middle.
    """
    seen = watch(minutes)
    third = len(seen) // 3
    for name, unit, aim, limit in (
        ("resident_mib", "MiB", 1.05, 1.3),
        ("threads", "", 1.0, 1.5),
        ("descriptors", "", 1.0, 1.5),
        ("cpu_us_per_line", "us", 1.3, 3.0),
    ):
        values = [float(getattr(sample, name)) for sample in seen]
        middle = statistics.median(values[third : 2 * third])
        end = statistics.median(values[-third:])
        what = f"soak: {name} in {minutes:g} min"
        yield Figure(f"{what}, end", end, unit)
        yield Figure(f"{what}, end / middle", end / middle, "times", at_most=aim, limit=limit)


def main() -> None:
    """
    Print it.
    """
    parser = argparse.ArgumentParser(description="whether anything grows")
    parser.add_argument("minutes", nargs="?", type=float, default=10.0)
    show(figures(parser.parse_args().minutes))


if __name__ == "__main__":
    main()
