"""
What a mail host costs a fleet's Prometheus: series, bytes of a scrape, memory of the central one.

    python benchmarks/fleet.py [--hosts N] [--seconds N]

Scrapes real exporters: one that has read nothing, and two whose milters all worked and all failed.
Then lets a real Prometheus with the shipped rules scrape the answer of the one with 10 milters as
if it came from N hosts, and from a tenth of them; the difference in memory is what a series costs.
"""

import argparse
import gzip
import http.client
import json
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server

ROOT = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 60.0
ADDED_BY_PROMETHEUS = 5
"""`up`, `scrape_duration_seconds` and three more of its own for each target."""
HEAD = "Nov 22 22:10:34 vm milter-manager[7]: "
OF_EACH_MILTER = (
    "[statistics] [milter][end][end-of-message][pass][0.0051]({i}): milter-{i}",
    "[statistics] [milter][end][envelope-recipient][reject][0.0042]({i}): milter-{i}",
    "[statistics] [milter][end][envelope-recipient][temporary-failure][0.0042]({i}): milter-{i}",
    "[statistics] [milter][header][add]({i}): <X-Spam>=<no>: milter-{i}",
    "[statistics] [session][header][add]({i}): <X-Spam>=<no>",
    "[statistics] [session][end][end-of-message][pass][0.02899]({i})",
    "[{i}] [children][error][connection] [37] Connection refused: milter-{i}",
    "[{i}] [children][timeout][reading][envelope-from][accept] [28] milter-{i}",
    "[{i}] [children][error][envelope-from][accept] [28] Connection reset by peer: milter-{i}",
)
CONFIG = """\
global: {{scrape_interval: 5s, evaluation_interval: 15s}}
rule_files: ['{rules}/*.yml']
scrape_configs:
  - job_name: milter-manager
    static_configs: [{{targets: [{targets}]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: instance}}
      - {{target_label: __address__, replacement: '127.0.0.1:{port}'}}
"""


@dataclass(frozen=True, slots=True)
class Scrape:
    """
    One answer to Prometheus.
    """

    body: bytes
    gzipped: int
    """Bytes of it on the wire."""
    seconds: float

    @property
    def series(self) -> int:
        """
        Count the series that Prometheus keeps of it.
        """
        lines = self.body.splitlines()
        return ADDED_BY_PROMETHEUS + sum(not line.startswith(b"#") for line in lines)


def get(port: int, path: str, accept_encoding: str = "identity") -> bytes | None:
    """
    Ask once; None while nobody answers, or not yet.
    """
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("GET", path, headers={"Accept-Encoding": accept_encoding})
            response = connection.getresponse()
            body = response.read()
            return body if response.status == 200 else None
    except ConnectionRefusedError:
        return None


def wait_for(port: int, path: str) -> bytes:
    """
    Ask until there is an answer.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        body = get(port, path)
        if body is not None:
            return body
        time.sleep(0.05)
    sys.exit(f"no answer on port {port}")


def free_port() -> int:
    """
    Find a port that nobody listens on.
    """
    with create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def running(command: list[str]) -> Iterator[None]:
    """
    Run a program for a while.
    """
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def scrape_exporter(milters: int) -> Scrape:
    """
    Scrape an exporter whose log tells of some milters.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "mail.log"
        log.write_text(
            "".join(
                f"{HEAD}{line.format(i=i)}\n" for i in range(milters) for line in OF_EACH_MILTER
            )
        )
        flags = [f"--input.file={log}", "--input.from=beginning", "--no-state"]
        listen = f"--web.listen-address=127.0.0.1:{port}"
        with running([sys.executable, "-m", "exporter", *flags, listen]):
            body = wait_for(port, "/metrics")
            start = time.perf_counter()
            get(port, "/metrics")
            seconds = time.perf_counter() - start
            packed = get(port, "/metrics", "gzip") or b""
            assert len(gzip.decompress(packed)) > len(body) / 2, "not compressed"  # noqa: S101
            return Scrape(body, len(packed), seconds)


@contextmanager
def hosts_that_say(body: bytes) -> Iterator[int]:
    """
    Answer every scrape with the same, on one port.
    """

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """
            Answer.
            """
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """
            Say nothing.
            """

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def value_of(body: bytes, name: str) -> float:
    """
    Find a series without labels in the plain text format.
    """
    for line in body.decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return 0.0


@dataclass(frozen=True, slots=True)
class Central:
    """
    What a Prometheus takes.
    """

    series: float
    resident_bytes: float


def run_prometheus(body: bytes, hosts: int, seconds: float) -> Central:
    """
    Have it scrape that many hosts for a time; give its largest resident size.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as directory, hosts_that_say(body) as target:
        config = Path(directory) / "prometheus.yml"
        targets = ", ".join(f"'mx{i}.example.net:10125'" for i in range(hosts))
        rules = ROOT / "monitoring" / "rules"
        config.write_text(CONFIG.format(rules=rules, targets=targets, port=target))
        command = [
            *("prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory}/data"),
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with running(command):
            wait_for(port, "/-/ready")
            most = 0.0
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                time.sleep(1)
                most = max(
                    most, value_of(wait_for(port, "/metrics"), "process_resident_memory_bytes")
                )
            status = wait_for(port, "/metrics")
            series = value_of(status, "prometheus_tsdb_head_series")
            query = urllib.parse.quote("sum(scrape_samples_scraped)")
            answer = json.loads(wait_for(port, f"/api/v1/query?query={query}"))
            scraped = float(answer["data"]["result"][0]["value"][1])
            if scraped < hosts * (body.count(b"\n") - 2 * body.count(b"# TYPE")):
                sys.exit("not all hosts were scraped: fewer --hosts or more --seconds")
            return Central(series, most)


def main() -> None:
    """
    Print all of it.
    """
    parser = argparse.ArgumentParser(description="Measure what a mail host costs a fleet.")
    parser.add_argument("--hosts", type=int, default=200, help="of the larger run; 0 for neither")
    parser.add_argument("--seconds", type=float, default=120, help="for each of the two runs")
    options = parser.parse_args()

    scrapes = {milters: scrape_exporter(milters) for milters in (0, 10, 30)}
    print(f"{'':12}{'series':>8}{'bytes':>9}{'gzip':>8}{'ms':>6}")
    for milters, scrape in scrapes.items():
        print(
            f"{milters:>3} milters {scrape.series:>8}{len(scrape.body):>9}{scrape.gzipped:>8}"
            f"{1000 * scrape.seconds:>6.0f}"
        )
    if options.hosts == 0:
        return
    body = scrapes[10].body
    few, many = (
        run_prometheus(body, hosts, options.seconds)
        for hosts in (options.hosts // 10, options.hosts)
    )
    for central in (few, many):
        mib = central.resident_bytes / 2**20
        print(f"Prometheus with {central.series:>8.0f} series: {mib:>6.0f} MiB")
    each = (many.resident_bytes - few.resident_bytes) / (many.series - few.series)
    print(f"bytes of memory for each series: {each:.0f}")


if __name__ == "__main__":
    main()
