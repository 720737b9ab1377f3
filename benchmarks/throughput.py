"""
Lines per CPU second of the reading half, beside `grep -c` and, where installed, mtail.

    python benchmarks/throughput.py [LOG] [--rounds N] [--large]

Without a log these are made of the capture of 20,000 sessions in tests/data: `volume`, the capture,
44 % of it milter-manager's lines; `mixed`, a mail server's log with 10 % of them; `ours`, nothing
else; `flood`, one line of them again and again.  `--large` adds 10 MB and 2 GB of the capture, to
see whether the cost of a line stays.  The contenders take turns, the best round of each counts, and
what to look at are the ratios: the machine may be noisy.

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
from collections.abc import Iterator, Sequence
from pathlib import Path

from figures import Figure, show

HERE = Path(__file__).resolve().parent
CAPTURE = HERE.parent / "tests" / "data" / "volume.log.xz"
OURS = b" milter-manager["
MIXED_EVERY = 10
"""One line in so many of the mixed log is milter-manager's."""
FLOOD_LINES = 200_000
SMALL_BYTES = 10_000_000
LARGE_BYTES = 2_000_000_000


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


def build(directory: Path) -> list[Path]:
    """
    Write the logs; give their paths.
    """
    capture = lzma.decompress(CAPTURE.read_bytes())
    lines = capture.splitlines(keepends=True)
    ours = [line for line in lines if OURS in line]
    logs = {
        "volume": [capture],
        "mixed": mix(ours, [line for line in lines if OURS not in line]),
        "ours": ours,
        "flood": [ours[0]] * FLOOD_LINES,
    }
    for name, parts in logs.items():
        (directory / name).write_bytes(b"".join(parts))
    return [directory / name for name in logs]


def mix(ours: Sequence[bytes], others: Sequence[bytes]) -> list[bytes]:
    """
    Spread lines of ours evenly among those of others.
    """
    step = MIXED_EVERY - 1
    mixed: list[bytes] = []
    for i, line in enumerate(ours[: len(others) // step]):
        mixed += [line, *others[i * step : (i + 1) * step]]
    return mixed


def build_large(directory: Path, size: int) -> Path:
    """
    Write the capture again and again, about `size` bytes.
    """
    capture = lzma.decompress(CAPTURE.read_bytes())
    path = directory / f"{size // 1_000_000} MB"
    with path.open("wb") as file:
        for start in range(0, size, len(capture)):
            part = capture[: size - start]
            file.write(part[: part.rfind(b"\n") + 1])
    return path


def count_lines(log: Path) -> int:
    """
    Count the lines of a log.
    """
    with log.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def report(log: Path, best: dict[str, float]) -> None:
    """
    Print what was measured.
    """
    lines = count_lines(log)
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


def cost(log: Path, best: dict[str, float]) -> float:
    """
    Give the exporter's microseconds a line.
    """
    return best["exporter"] / count_lines(log) * 1e6


def figures(rounds: int) -> Iterator[Figure]:
    """
    Measure the logs that are made here, and set the costs against each other.

    The limits are below half of the aims where those are missed on a busy machine.
    """
    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        for log in build(Path(directory)):
            best = measure(log, rounds)
            report(log, best)
            costs[log.name] = cost(log, best)
            if log.name in ("volume", "mixed"):
                yield from compare(log.name, best)
    for one, other, aim in (("ours", "mixed", 1.5), ("ours", "volume", None)):
        ratio = costs[one] / costs[other]
        yield Figure(f"catch-up: a line of {one} / one of {other}", ratio, "times", at_most=aim)
    ratio = costs["ours"] / costs["flood"]
    yield Figure(
        "catch-up: a line of ours / one of flood", ratio, "times", at_least=1.5, limit=0.75
    )


def compare(name: str, best: dict[str, float]) -> Iterator[Figure]:
    """
    Set the exporter's cost of one log against those of the others.
    """
    if "mtail" in best:
        ratio = best["mtail"] / best["exporter"]
        yield Figure(f"catch-up: {name}, mtail's CPU / ours", ratio, "times", at_least=10, limit=4)
    ratio = best["exporter"] / max(best["grep -c"], 0.001)
    yield Figure(f"catch-up: {name}, our CPU / grep's", ratio, "times", at_most=20, limit=50)


def measure_large(directory: Path, rounds: int) -> None:
    """
    Measure a small and a large log, the exporter only.
    """
    costs: list[float] = []
    for size in (SMALL_BYTES, LARGE_BYTES):
        log = build_large(directory, size)
        seconds = min(
            float(run(contenders(log)["exporter"])[1])
            for _ in range(rounds if size == SMALL_BYTES else 1)
        )
        costs.append(seconds / count_lines(log) * 1e6)
        print(f"{log.name}: {costs[-1]:.3f} us/line")
        log.unlink()
    print(f"a line of the large log: {costs[1] / costs[0]:.2f} x one of the small one")


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="lines per CPU second")
    parser.add_argument("log", nargs="?", type=Path, help="default: those made of tests/data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="10 MB and 2 GB as well")
    parser.add_argument("--count", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.count:
        print(count(arguments.count))
        return 0
    if arguments.log:
        report(arguments.log, measure(arguments.log, arguments.rounds))
        return 0
    show(figures(arguments.rounds))
    if not arguments.large:
        return 0
    with tempfile.TemporaryDirectory() as directory:
        measure_large(Path(directory), arguments.rounds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
