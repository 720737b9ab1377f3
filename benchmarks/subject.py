"""
What the benchmarks measure: the exporter and mtail as real processes, and who writes their logs.

Each program that is started here is ended here, by its process id.  What a process costs is asked
of the kernel, in nanoseconds (/proc/PID/task/*/schedstat).
"""

import contextlib
import http.client
import lzma
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CAPTURE = ROOT / "tests" / "data" / "volume.log.xz"
DEADLINE_SECONDS = 60.0

PROMETHEUS_HEADERS = {
    "Accept": "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2",
    "Accept-Encoding": "gzip",
}
"""What Prometheus asks for."""

PROBE = (
    "Nov 22 22:07:33 vm milter-manager[509]: [statistics] [reply][end-of-message][quarantine](1)\n"
)
"""Nothing else raises this counter."""
PROBED = "milter_manager_quarantines_total"
LINES = "milter_manager_exporter_lines_total"

MTAIL_PROBE = """
counter probes
/: \\[statistics\\] \\[reply\\]\\[end-of-message\\]\\[quarantine\\]/ {
  probes++
}
counter lines
/$/ {
  lines++
}
"""


class Subject:
    """
    A program that follows a log and serves metrics.
    """

    def __init__(self, command: Sequence[str], port: int, probed: str, lines: str) -> None:
        self.port = port
        self._probed, self._lines = probed, lines
        environ = {k: v for k, v in os.environ.items() if not k.startswith("MILTER_MANAGER_")}
        environ["PYTHONPATH"] = str(ROOT)
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._proc = Path(f"/proc/{self._process.pid}")
        self.client = Client(port)

    def __enter__(self) -> Self:
        try:
            self._wait_until_ready()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def cpu_seconds(self) -> float:
        """
        Ask how long all of its threads have computed.
        """
        nanoseconds = 0
        for task in (self._proc / "task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                nanoseconds += int((task / "schedstat").read_text().split()[0])
        return nanoseconds / 1e9

    def main_thread(self) -> tuple[int, float]:
        """
        Ask how many bytes its main thread has read, and how long it has waited for a processor.
        """
        main = self._proc / "task" / self._proc.name
        read_bytes = int((main / "io").read_text().split()[1])
        return read_bytes, int((main / "schedstat").read_text().split()[1]) / 1e9

    def resident_mib(self) -> float:
        """
        Ask how much memory it takes.
        """
        words = (self._proc / "status").read_text().split()
        return int(words[words.index("VmRSS:") + 1]) / 1024

    def threads(self) -> int:
        """
        Count its threads.
        """
        return sum(1 for _ in (self._proc / "task").iterdir())

    def descriptors(self) -> int:
        """
        Count its open files and sockets.
        """
        return sum(1 for _ in (self._proc / "fd").iterdir())

    def probes(self) -> float:
        """
        Ask it, as cheaply as it can be asked, how many probe lines it has counted.
        """
        return total(self.client.get(f"/metrics?name[]={self._probed}"), self._probed)

    def lines(self) -> float:
        """
        Ask it how many lines it has read.
        """
        return total(self.client.get("/metrics"), self._lines)

    def lines_cheaply(self) -> float:
        """
        Ask it so, as cheaply as it can be asked.
        """
        return total(self.client.get(f"/metrics?name[]={self._lines}"), self._lines)

    def wait_for_lines(self, lines: float, pause: float = 0.05) -> None:
        """
        Wait until it has read as many.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.lines_cheaply() < lines:
            if time.monotonic() > deadline:
                raise TimeoutError("lines are missing")
            time.sleep(pause)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.client.close()
                if self._lines in self.client.get("/metrics").decode():
                    return
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise TimeoutError("does not serve")
            time.sleep(0.05)

    def _end(self) -> None:
        self.client.close()
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Client:
    """
    One connection that stays, as Prometheus keeps one.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> bytes:
        """
        Ask once more; again where the server has hung up after a while without a question.
        """
        try:
            return self._ask(path, headers or {})
        except (ConnectionError, http.client.RemoteDisconnected):
            self._connection.close()
            return self._ask(path, headers or {})

    def _ask(self, path: str, headers: Mapping[str, str]) -> bytes:
        self._connection.request("GET", path, headers=dict(headers))
        response = self._connection.getresponse()
        body = response.read()
        if response.status != 200:
            raise http.client.HTTPException(response.status)
        return body

    def close(self) -> None:
        """
        Hang up.
        """
        self._connection.close()


def exporter(log: Path, *flags: str) -> Subject:
    """
    Make an exporter that follows a log; it keeps a state, as on a server.
    """
    port = free_port()
    command = [
        *(sys.executable, "-m", "exporter", f"--input.file={log}"),
        *(f"--state.file={log.with_name('state')}", f"--web.listen-address=127.0.0.1:{port}"),
    ]
    return Subject([*command, *flags], port, PROBED, LINES)


def mtail(log: Path) -> Subject:
    """
    Make mtail in its place, with milter.mtail and two counters for the measurement.
    """
    port = free_port()
    program = log.with_name("milter.mtail")
    program.write_text((HERE / "milter.mtail").read_text() + MTAIL_PROBE)
    command = [
        *("mtail", "-address", "127.0.0.1", "-port", str(port), "-log_dir", str(log.parent)),
        *("-progs", str(program), "-logs", str(log)),
    ]
    return Subject(command, port, "probes", "lines")


def has_mtail() -> bool:
    """
    Say whether mtail is installed.
    """
    return shutil.which("mtail") is not None


WRITER = """
import os, sys, time
path, source, rate, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
with open(source, "rb") as file:
    lines = file.readlines()
# Each log begins with other lines: one that is alike, under the same inode, was read already.
offset = time.time_ns() // 1000
start, written = time.monotonic(), 0
while (now := time.monotonic() - start) < seconds:
    due = int(now * rate)
    while written < due:
        os.write(log, lines[(offset + written) % len(lines)])
        written += 1
    time.sleep(0.001)
print(written)
"""


@contextlib.contextmanager
def writing(log: Path, source: Path, rate: float, seconds: float) -> "Iterator[Writer]":
    """
    Append a source's lines to a log, one write() for each, so many a second, in another process.
    """
    command = [sys.executable, "-c", WRITER, str(log), str(source), str(rate), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield Writer(process)
        finally:
            process.terminate()


class Writer:
    """
    The other process that writes.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def wait(self) -> int:
        """
        Wait until it has done; give the lines that it has written.
        """
        return int(self._process.communicate()[0])


@contextlib.contextmanager
def workplace() -> Iterator[Path]:
    """
    Give a directory with an empty mail.log, and in `source` the lines that others append to it.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "logs").mkdir()
        log = directory / "logs" / "mail.log"
        log.touch()
        (directory / "source").write_bytes(lzma.decompress(CAPTURE.read_bytes()))
        yield log


def source_of(log: Path) -> Path:
    """
    Give the capture beside a log.
    """
    return log.parent.parent / "source"


def total(exposition: bytes, name: str) -> float:
    """
    Add up all series of a name.
    """
    pattern = rf"^{name}(?:\{{.*\}})? (\S+)".encode()
    return sum(float(value) for value in re.findall(pattern, exposition, re.MULTILINE))


def percentile(values: Sequence[float], share: float) -> float:
    """
    Give the value that so large a share of them does not exceed; 0 of none.
    """
    ranked = sorted(values) or [0.0]
    return ranked[min(int(share * len(ranked)), len(ranked) - 1)]


def free_port() -> int:
    """
    Find a port that nobody listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
