"""
How fast the exporter catches up in the systemd journal, beside journalctl on its own.

    python benchmarks/journal.py [ENTRIES]

Writes a journal of milter-manager's messages from the capture in tests/data with
systemd-journal-remote, reads it with `journalctl -o json | wc -l`, then with the exporter's own
reader and counting.  journalctl and who reads it run side by side, on two processors if there are;
the machine may be noisy: what to look at is the ratio, and the exporter's own CPU time.
"""

import lzma
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from exporter.catalogue import load_catalogue
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.input import Input
from exporter.journal import Journal
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Tally

ROOT = Path(__file__).parents[1]
CAPTURE = ROOT / "tests" / "data" / "volume.log.xz"
REMOTE = "/usr/lib/systemd/systemd-journal-remote"
PROGRAMS = ("milter-manager",)
START = 1795385937000000
FIELDS = (
    b"_BOOT_ID=62bacccb5162495cbe35e188fabe664e\n_MACHINE_ID=3d1219c7c4c5404aaa1f6d2a48adfda4\n"
    b"_HOSTNAME=mail\n_TRANSPORT=syslog\n_UID=999\n_GID=995\n_COMM=milter-manager\n"
    b"_EXE=/usr/sbin/milter-manager\n_CMDLINE=/usr/sbin/milter-manager --daemon\n"
    b"_SYSTEMD_UNIT=milter-manager.service\nSYSLOG_IDENTIFIER=milter-manager\n"
    b"SYSLOG_FACILITY=2\nPRIORITY=5\n"
)


def write_journal(path: Path, entries: int) -> None:
    """
    Write a journal of so many entries.
    """
    grammar = Grammar(PROGRAMS)
    lines = [grammar.read_line(line) for line in lzma.decompress(CAPTURE.read_bytes()).splitlines()]
    said = [(line.pid, line.message) for line in lines if line and line.message]
    with subprocess.Popen(
        [REMOTE, f"--output={path}", "-"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as writer:
        if writer.stdin is None:
            raise RuntimeError
        for number in range(entries):
            pid, message = said[number % len(said)]
            writer.stdin.write(
                b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n%s_PID=%s\nMESSAGE=%s\n\n"
                % (START + 100 * number, 100 * number, FIELDS, pid, message)
            )


def measure_journalctl(directory: Path, *arguments: str) -> float:
    """
    Give the seconds that journalctl takes on its own.
    """
    started = time.perf_counter()
    command = ["journalctl", f"--directory={directory}", "--output=json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        subprocess.run(["wc", "-l"], stdin=reader.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def measure_exporter(directory: Path) -> tuple[float, float, int]:
    """
    Give the seconds that the exporter takes, those of its own CPU, and the lines that it counted.
    """
    catalogue = load_catalogue()
    tally = Tally((1.0,), zero_counters(catalogue), zero_histograms())
    names = MilterNames()
    recogniser = Recogniser(catalogue, names)

    def new_counting() -> Counting:
        return Counting("journal", Grammar(PROGRAMS), recogniser, tally, time.time)

    journal = Journal(PROGRAMS, from_beginning=True, environ=os.environ, directory=directory)
    input_ = Input(journal, new_counting, tally)
    started, computing = time.perf_counter(), time.process_time()
    while input_.is_behind:
        input_.read(time.monotonic(), lambda: False)
        time.sleep(0.001)
    seconds, computed = time.perf_counter() - started, time.process_time() - computing
    journal.close()
    counts = tally.snapshot().counts
    return seconds, computed, sum(value for key, value in counts.items() if key[0] == "lines")


def main() -> None:
    """
    Run it.
    """
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_journal(directory / "system.journal", entries)
        size = sum(path.stat().st_size for path in directory.iterdir())
        print(f"{entries:,} entries, {size / 2**20:,.0f} MiB, cached")
        for _ in range(2):
            alone = measure_journalctl(directory)
            print(f"journalctl -o json | wc -l     {entries / alone:10,.0f} entries/s")
            seconds, computed, counted = measure_exporter(directory)
            if counted != entries:
                raise RuntimeError(counted)
            print(
                f"the exporter                   {entries / seconds:10,.0f} entries/s"
                f" {alone / seconds:6.2f} x that, {computed / entries * 1e6:.2f} us of CPU an entry"
            )


if __name__ == "__main__":
    main()
