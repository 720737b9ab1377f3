"""
Seconds from the start of the exporter to its first successful scrape, beside `python -c pass`.

    python benchmarks/start.py [--rounds N]

The exporter reads tests/data/sample.log from its beginning and keeps a state, as it does on a
server.  The two take turns and the best round of each counts: the machine may be noisy.
"""

import argparse
import http.client
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

SAMPLE = Path(__file__).resolve().parent.parent / "tests" / "data" / "sample.log"
DEADLINE_SECONDS = 30.0


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
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                while not scrape(port):
                    assert time.perf_counter() - start < DEADLINE_SECONDS, "never served"  # noqa: S101
                    time.sleep(0.005)
                return time.perf_counter() - start
            finally:
                process.terminate()


def time_python() -> float:
    """
    Start Python for nothing.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """
    Print both, and their ratio.
    """
    parser = argparse.ArgumentParser(description="Time the start of the exporter.")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed")
    rounds = parser.parse_args().rounds
    times = [(time_python(), time_exporter()) for _ in range(rounds)]
    python, exporter = (min(column) for column in zip(*times, strict=True))
    print(f"python -c pass              {python:6.3f} s")
    print(f"start to first scrape       {exporter:6.3f} s  {exporter / python:6.1f} times as long")


if __name__ == "__main__":
    main()
