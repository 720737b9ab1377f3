"""
What the exporter takes of memory, at first and after everything that could make it grow.

    python benchmarks/memory.py [--share N]

Real lines, a line without an end, milter names that strangers make up, scrapes and rotations; one
exporter goes through all of it.  A smaller share does less of each.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, show
from subject import PROMETHEUS_HEADERS, Subject, exporter, source_of, workplace

LINES = 10_000_000
LINE_MIB = 64
NAMES = 10_000
SCRAPES = 10_000
ROTATIONS = 1_000
HEAD = b"Nov 22 22:07:33 vm milter-manager[509]: [statistics] [milter][end][quit][pass][0.1](1): "


def read_lines(subject: Subject, log: Path, wanted: int) -> None:
    """
    Let it read the capture, again and again, out of one log after the other.
    """
    source = source_of(log).read_bytes()
    each = 1 + source.count(b"\n")
    lines = subject.lines()
    while wanted > 0:
        rotate(log)
        with log.open("ab") as file:
            # No two logs are alike: one that is, under the same inode, was read already.
            file.write(b"%d more lines\n%b" % (wanted, source))
        lines += each
        wanted -= each
        subject.wait_for_lines(lines)


def rotate(log: Path) -> None:
    """
    Put a new log in the place of the present one, of which only the last is kept.
    """
    log.rename(log.with_name("mail.log.1"))
    log.touch()


def read_long_line(subject: Subject, log: Path, mib: int) -> None:
    """
    Let it read a line that goes on and on.
    """
    lines = subject.lines()
    with log.open("ab") as file:
        file.write(HEAD)
        for _ in range(mib):
            file.write(b"x" * 2**20)
            file.flush()
        time.sleep(2)  # half of it may be in memory
        file.write(b"\n" + HEAD + b"x\n")
    subject.wait_for_lines(lines + 2)


def read_names(subject: Subject, log: Path, names: int) -> None:
    """
    Let it read of milters that nobody has.
    """
    chance = random.Random(1)  # noqa: S311 - any names
    lines = subject.lines()
    with log.open("ab") as file:
        for _ in range(names):
            name = chance.randbytes(chance.randint(1, 500)).replace(b"\n", b"")
            file.write(HEAD + name.replace(b"\0", b"") + b"\n")
    subject.wait_for_lines(lines + names)


def rotate_often(subject: Subject, log: Path, rotations: int) -> None:
    """
    Rotate, and see to it that the lines of each log arrive.
    """
    lines = subject.lines()
    for rotation in range(rotations):
        rotate(log)
        with log.open("ab") as file:
            # No two logs are alike here either.
            file.write(b"".join(HEAD + b"milter-%d-%d\n" % (rotation, i) for i in range(5)))
        lines += 5
        subject.wait_for_lines(lines, 0.005)


def figures(share: float) -> Iterator[Figure]:
    """
    Measure all of it.
    """

    def part(whole: int) -> int:
        return max(int(share * whole), 1)

    with workplace() as log, exporter(log) as subject:
        subject.client.get("/metrics", PROMETHEUS_HEADERS)
        at_first = subject.resident_mib()
        yield Figure("memory: after start", at_first, "MiB", at_most=45, limit=68)
        read_lines(subject, log, part(LINES))
        yield Figure(f"memory: after {part(LINES):,} lines", subject.resident_mib(), "MiB")
        read_long_line(subject, log, part(LINE_MIB))
        yield Figure(f"memory: after a line of {part(LINE_MIB)} MiB", subject.resident_mib(), "MiB")
        read_names(subject, log, part(NAMES))
        yield Figure(f"memory: after {part(NAMES):,} milters", subject.resident_mib(), "MiB")
        for _ in range(part(SCRAPES)):
            subject.client.get("/metrics", PROMETHEUS_HEADERS)
        yield Figure(f"memory: after {part(SCRAPES):,} scrapes", subject.resident_mib(), "MiB")
        rotate_often(subject, log, part(ROTATIONS))
        yield Figure(
            f"memory: after {part(ROTATIONS):,} rotations",
            subject.resident_mib(),
            "MiB",
            at_most=60,
            limit=90,
        )


def main() -> None:
    """
    Print it.
    """
    parser = argparse.ArgumentParser(description="memory after everything that could take some")
    parser.add_argument("--share", type=float, default=1.0, help="of the lines and all else")
    show(figures(parser.parse_args().share))


if __name__ == "__main__":
    main()
