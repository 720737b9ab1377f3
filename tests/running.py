"""
Programs under test and beside it, as processes: the exporter, Prometheus, Alertmanager.

Each is ended by its own process id, and waited for by what it says or serves, never by the clock.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

# Far more than anything takes on a slow machine; nothing waits this long unless a test fails.
DEADLINE_SECONDS = 60.0

Sample = tuple[str, tuple[tuple[str, str], ...]]
"""A series: its name and its labels, sorted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back over HTTP.
    """

    status: int
    body: bytes


def require(program: str, package: str = "prometheus") -> str:
    """
    Find a program, an administrator's too; without it the test is skipped, in CI it fails.
    """
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/systemd")
    if found is None:
        reason = f"needs {program}: apt-get install {package}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def check_metrics(exposition: bytes) -> str:
    """
    Say what `promtool check metrics` has to say.
    """
    result = subprocess.run(
        [require("promtool"), "check", "metrics"],
        input=exposition,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    return result.stdout.decode()


def wait_until(condition: Callable[[], bool]) -> None:
    """
    Look until something is so; fail when it never is.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert deadline > time.monotonic(), "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    """
    Find a port that nobody listens on.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def get(host: str, port: int, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """
    Ask once, on a connection of its own.
    """
    with closing(http.client.HTTPConnection(host, port, timeout=DEADLINE_SECONDS)) as connection:
        connection.request("GET", path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Answer(response.status, response.read())


def read_samples(exposition: bytes, name: str = "") -> dict[Sample, float]:
    """
    Parse the plain text format; only series whose names begin so, which takes a fiftieth of it.
    """
    wanted = name.encode()
    lines = [line for line in exposition.split(b"\n") if line.startswith(wanted)]
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(b"\n".join(lines).decode())
        for sample in family.samples
    }


def total(samples: Mapping[Sample, float], name: str, **labels: str) -> float:
    """
    Add up the series of a name that have these labels.
    """
    wanted = set(labels.items())
    return sum(
        value for (found, pairs), value in samples.items() if found == name and wanted <= set(pairs)
    )


class Program:
    """
    One process whose standard error is read line by line.
    """

    def __init__(
        self,
        arguments: list[str],
        cwd: Path,
        environ: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        standard_input: int = subprocess.DEVNULL,
    ) -> None:
        """
        Start it.
        """
        self.lines: list[str] = []
        self._unheard: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=environ,
            stdin=standard_input,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=descriptors,
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    @property
    def pid(self) -> int:
        """
        Give its process id.
        """
        return self._process.pid

    def children(self) -> list[int]:
        """
        Ask the kernel for the ids of the processes that it has started.
        """
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(word) for task in tasks for word in task.read_text().split()]

    def hear(self, text: str) -> str:
        """
        Wait for the next line of its log that holds `text`.
        """
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                line = self._unheard.get(timeout=max(deadline - time.monotonic(), 0.0))
            except Empty:
                pytest.fail(f"never said {text!r}, but:\n{''.join(self.lines)}")
            if text in line:
                return line

    def read_bytes(self) -> int:
        """
        Ask the kernel how much it has read, from whatever.
        """
        counters = Path(f"/proc/{self._process.pid}/io").read_text().split()
        return int(counters[counters.index("rchar:") + 1])

    def send(self, number: signal.Signals) -> None:
        """
        Send it a signal.
        """
        self._process.send_signal(number)

    def status(self, name: str) -> int:
        """
        Ask the kernel for a number of it: Threads, or VmRSS in KiB.
        """
        words = Path(f"/proc/{self._process.pid}/status").read_text().split()
        return int(words[words.index(f"{name}:") + 1])

    def cpu_seconds(self) -> float:
        """
        Ask the kernel how long it has computed.
        """
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """
        Ask the kernel how many files and sockets it has open.
        """
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """
        Ask it to end; give its exit status.
        """
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """
        Wait for its end; give its exit status.
        """
        status = self._process.wait(DEADLINE_SECONDS)
        self._listener.join(DEADLINE_SECONDS)
        return status

    def kill(self) -> None:
        """
        End it if it has not ended yet.
        """
        if self._process.poll() is None:
            self._process.kill()
        self.wait()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.lines.append(line)
                self._unheard.put(line)


class Exporter(Program):
    """
    The exporter as it is run, on a port of its own.
    """

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        address: str = "127.0.0.1:0",
        standard_input: int = subprocess.DEVNULL,
        before: Sequence[str] = (),
    ) -> None:
        """
        Start it with some flags, and nothing of this process's own settings.

        `before` is a command that becomes the one behind it, as nsenter does.  Without a word
        about the state it keeps none: this machine may have one of its own.
        """
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MILTER_MANAGER_EXPORTER_")
        }
        if "STATE_DIRECTORY" not in environ:
            environ["MILTER_MANAGER_EXPORTER_NO_STATE"] = "true"
        module = [sys.executable, "-m", "exporter"]
        command = [*before, *module, f"--web.listen-address={address}", *arguments]
        super().__init__(command, directory, environ, standard_input=standard_input)
        self.host, self.port = "", 0

    def serve(self) -> "Exporter":
        """
        Wait until it has said where it listens and that it is ready.
        """
        line = self.hear("serving metrics")
        address = line.partition("127.0.0.1:")[2]
        digits = address[: len(address) - len(address.lstrip("0123456789"))]
        self.host, self.port = "127.0.0.1", int(digits)
        self.hear("ready")
        return self

    def get(self, path: str, accept: str = "") -> Answer:
        """
        Ask it over HTTP.
        """
        return get(self.host, self.port, path, {"Accept": accept} if accept else None)

    def samples(self) -> dict[Sample, float]:
        """
        Scrape it.
        """
        return read_samples(self._scrape())

    def total(self, name: str, **labels: str) -> float:
        """
        Scrape it and add up the series of a name that have these labels.
        """
        return total(read_samples(self._scrape(), name), name, **labels)

    def _scrape(self) -> bytes:
        answer = self.get("/metrics")

        assert 200 == answer.status

        return answer.body


class Server(Program):
    """
    A Prometheus that does what a configuration file says.
    """

    def __init__(self, config: Path, *flags: str, port: int = 0) -> None:
        """
        Start it on loopback, its data beside the file.
        """
        self.port = port or free_port()
        arguments = [
            require("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={config.parent / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            *flags,
        ]
        super().__init__(arguments, config.parent)
        self.hear("Server is ready to receive web requests")

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """
        Ask for the present value of an expression.
        """
        found = self._ask(f"/api/v1/query?query={quote(expression)}")
        assert isinstance(found, dict)
        return [(series["metric"], float(series["value"][1])) for series in found["result"]]

    def number(self, expression: str) -> float | None:
        """
        Ask for the present value of an expression that has but one; None when it has none yet.
        """
        values = [value for _, value in self.query(expression)]
        return values[0] if values else None

    def exemplars(self, expression: str, around: float) -> list[dict[str, object]]:
        """
        Ask for the exemplars of an expression within a day of a moment.
        """
        span = f"start={around - 86400}&end={around + 86400}"
        found = self._ask(f"/api/v1/query_exemplars?query={quote(expression)}&{span}")
        assert isinstance(found, list)
        return [exemplar for series in found for exemplar in series["exemplars"]]

    def _ask(self, path: str) -> object:
        answer = get("127.0.0.1", self.port, path)

        assert 200 == answer.status, answer.body

        found: object = json.loads(answer.body)["data"]
        return found


class Prometheus(Server):
    """
    A Prometheus that scrapes one exporter each second.
    """

    CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: milter-manager
    static_configs: [{{targets: ['{host}:{port}']}}]
"""

    def __init__(self, directory: Path, exporter: Exporter) -> None:
        """
        Start it, its data below `directory`.
        """
        config = directory / "prometheus.yml"
        config.write_text(self.CONFIG.format(host=exporter.host, port=exporter.port))
        super().__init__(config, "--enable-feature=exemplar-storage")


class Agent(Program):
    """
    A Prometheus that only scrapes, and sends what it got elsewhere.
    """

    def __init__(self, config: Path) -> None:
        """
        Start it on loopback, its data beside the file.
        """
        arguments = [
            require("prometheus"),
            "--enable-feature=agent",
            f"--config.file={config}",
            f"--storage.agent.path={config.parent / 'agent'}",
            f"--web.listen-address=127.0.0.1:{free_port()}",
        ]
        super().__init__(arguments, config.parent)
        self.hear("Server is ready to receive web requests")


class Alertmanager(Program):
    """
    An Alertmanager that does what a configuration file says.
    """

    def __init__(self, config: Path) -> None:
        """
        Start it on loopback, without peers, its data beside the file.
        """
        self.port = free_port()
        arguments = [
            require("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={config}",
            f"--storage.path={config.parent / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        super().__init__(arguments, config.parent)
        self.hear("Listening")

    def get(self, path: str) -> bytes:
        """
        Ask it over HTTP.
        """
        answer = get("127.0.0.1", self.port, path)

        assert 200 == answer.status, answer.body

        return answer.body

    def post(self, alerts: Sequence[object]) -> None:
        """
        Tell it of alerts, as Prometheus does.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", "/api/v2/alerts", json.dumps(alerts), headers)

            assert 200 == connection.getresponse().status
