"""
Seconds from the start of the exporter to its first successful scrape, beside what it must import.

    python benchmarks/start.py [--rounds N]

The exporter reads tests/data/sample.log from its beginning and keeps a state, as it does on a
server.  Beside it: Python for nothing, Python importing prometheus_client, watchdog and structlog,
`--help` and `--version`.  They take turns and the best round of each counts: the machine may be
noisy.  Imports come from compiled files, as they do from an installed package.
"""

import argparse
import http.client
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from figures import Figure, show

SAMPLE = Path(__file__).resolve().parent.parent / "tests" / "data" / "sample.log"
DEADLINE_SECONDS = 30.0
REQUIRED = "import prometheus_client, watchdog.observers, structlog"
SERVER = ("exporter.daemon", "exporter.web", "tornado", "prometheus_client", "watchdog", "msgspec")
"""What no `--help` needs."""
IMPORTED = f"""
import sys
from contextlib import suppress
from exporter.cli import main
with suppress(SystemExit):
    main(sys.argv[1:])
print(*(name for name in {SERVER!r} if name in sys.modules), file=sys.stderr)
"""
COMPILING = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Else each start would compile everything anew."""


def free_port() -> int:
    """
    Find a port that nobody listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def scrape(port: int) -> bool:
    """
    Ask once; say whether metrics came back.
    """
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/metrics")
            response = connection.getresponse()
            return response.status == 200 and b"sessions_ended_total" in response.read()
    except ConnectionRefusedError:
        return False


def time_exporter() -> float:
    """
    Start the exporter and ask it until it answers.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = [
            *(sys.executable, "-m", "exporter", f"--input.file={SAMPLE}", "--input.from=beginning"),
            *(f"--web.listen-address=127.0.0.1:{port}", f"--state.file={directory}/state"),
        ]
        start = time.perf_counter()
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=COMPILING) as process:
            try:
                while not scrape(port):
                    assert time.perf_counter() - start < DEADLINE_SECONDS, "never served"  # noqa: S101
                    time.sleep(0.005)
                return time.perf_counter() - start
            finally:
                process.terminate()


def time_python(*arguments: str) -> float:
    """
    Run Python.
    """
    start = time.perf_counter()
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, env=COMPILING, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def cpu_of(flag: str) -> float:
    """
    Run the exporter for a flag that only prints something; give its CPU seconds.

    They are closer to each other than the clock can tell on a busy machine.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    time_python("-m", "exporter", flag)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def server_parts(flag: str) -> list[str]:
    """
    Name what of the server a flag imports that only prints something.
    """
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, flag],
        check=True,
        env=COMPILING,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    return done.stderr.decode().split()


def figures(rounds: int) -> Iterator[Figure]:
    """
    Measure all of it.
    """
    times = [
        (
            time_python("-c", "pass"),
            time_python("-c", REQUIRED),
            min(cpu_of("--help") for _ in range(3)),
            min(cpu_of("--version") for _ in range(3)),
            time_exporter(),
        )
        for _ in range(rounds)
    ]
    python, required, help_, version, exporter = (
        1e3 * min(column) for column in zip(*times, strict=True)
    )
    yield Figure("start: python -c pass", python, "ms")
    yield Figure(f"start: {REQUIRED}", required, "ms")
    yield Figure("start: exporter, to the first scrape", exporter, "ms")
    ratio = exporter / required
    yield Figure("start: that / those imports", ratio, "times", at_most=3, limit=6)
    yield Figure("start: --help, CPU", help_, "ms")
    yield Figure("start: --version, CPU", version, "ms")
    # No slower: what is left over is noise.
    yield Figure("start: --help / --version", help_ / version, "times", at_most=1.1, limit=2)
    for flag in ("--help", "--version"):
        parts = len(server_parts(flag))
        yield Figure(f"start: parts of the server that {flag} imports", parts, at_most=0, limit=0)


def main() -> None:
    """
    Print it.
    """
    parser = argparse.ArgumentParser(description="Time the start of the exporter.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed")
    show(figures(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
