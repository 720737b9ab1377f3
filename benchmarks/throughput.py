"""
Lines per CPU second of the reading half, beside `grep -c` and, where installed, mtail.

    python benchmarks/throughput.py [LOG] [--rounds N]

Without a log the capture of 20,000 sessions in tests/data is taken.  The contenders take turns, the
best round of each counts, and what to look at are the ratios: the machine may be noisy.

What each one does: `grep -c` looks for one fixed word.  mtail runs milter.mtail, five patterns and
two histograms, start-up included.  The exporter reads the file as the daemon does and counts
everything it can recognise; its start-up, the same for any log, stands in a line of its own.
"""

import argparse
import lzma
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CAPTURE = HERE.parent / "tests" / "data" / "volume.log.xz"


def count(log: Path) -> float:
    """
    Count a log with the exporter, in this process; give the CPU seconds it took.
    """
    from exporter.catalogue import load_catalogue  # noqa: PLC0415 - only one of the contenders
    from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS  # noqa: PLC0415
    from exporter.counters import zero_counters, zero_histograms  # noqa: PLC0415
    from exporter.counting import Counting  # noqa: PLC0415
    from exporter.input import Input  # noqa: PLC0415
    from exporter.logfile import LogFile  # noqa: PLC0415
    from exporter.milters import MilterNames  # noqa: PLC0415
    from exporter.recognise import Recogniser  # noqa: PLC0415
    from exporter.record import Grammar  # noqa: PLC0415
    from exporter.tally import Tally  # noqa: PLC0415

    catalogue = load_catalogue()
    tally = Tally(DEFAULT_BUCKETS, zero_counters(catalogue), zero_histograms())
    grammar, recogniser = Grammar(DEFAULT_PROGRAMS), Recogniser(catalogue, MilterNames())
    input_ = Input(
        LogFile(log, from_beginning=True),
        lambda: Counting(str(log), grammar, recogniser, tally, time.time),
        tally,
    )
    start = time.process_time()
    input_.read(0.0, lambda: False)
    return time.process_time() - start


def run(command: Sequence[str]) -> tuple[float, str]:
    """
    Run a program; give the CPU seconds of it and its children, and what it wrote.

    `grep -c` stops at the first match when its output is the null device, so it gets a pipe.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, done.stdout.decode()


def contenders(log: Path) -> dict[str, list[str]]:
    """
    Give each contender's command.
    """
    commands = {"grep -c": ["grep", "-c", "milter-manager", str(log)]}
    if shutil.which("mtail"):
        commands["mtail"] = [
            *("mtail", "-one_shot", "-logtostderr", "-address", "127.0.0.1", "-port", "0"),
            *("-progs", str(HERE / "milter.mtail"), "-logs", str(log)),
        ]
    commands["exporter"] = [sys.executable, __file__, "--count", str(log)]
    return commands


def measure(log: Path, rounds: int) -> dict[str, float]:
    """
    Let the contenders take turns; give the least CPU seconds of each.
    """
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, command in contenders(log).items():
            seconds, output = run(command)
            if name == "exporter":
                whole, seconds = seconds, float(output)
                best["exporter's start-up"] = min(
                    best.get("exporter's start-up", whole), whole - seconds
                )
            best[name] = min(best.get(name, seconds), seconds)
    return best


def report(log: Path, best: dict[str, float]) -> None:
    """
    Print what was measured.
    """
    with log.open("rb") as file:
        lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    print(f"{log.name}: {lines:,} lines, {log.stat().st_size:,} bytes; CPU, best round of each")
    for name, seconds in best.items():
        if name == "exporter's start-up":
            print(f"  {name:20} {seconds:7.3f} s")
            continue
        rate, ratio = lines / max(seconds, 0.001), seconds / best["exporter"]
        cost = seconds / lines * 1e6
        print(
            f"  {name:20} {seconds:7.3f} s {rate:12,.0f} lines/s {cost:7.3f} us/line"
            f" {ratio:6.2f} x the exporter's"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="lines per CPU second")
    parser.add_argument("log", nargs="?", type=Path, help="default: the capture in tests/data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.count:
        print(count(arguments.count))
        return 0
    if arguments.log:
        report(arguments.log, measure(arguments.log, arguments.rounds))
        return 0
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "volume.log")
        log.write_bytes(lzma.decompress(CAPTURE.read_bytes()))
        report(log, measure(log, arguments.rounds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
