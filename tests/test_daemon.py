"""
The daemon inside the test: which log it takes, when it is ready, how it is stopped.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import Answer, get, read_samples, total, wait_until
from structlog.testing import capture_logs

from exporter import daemon
from exporter.config import Address, Config, StartError
from exporter.daemon import Daemon
from exporter.input import Input
from exporter.watch import Watch

LOCAL = (Address("127.0.0.1", 0),)
END = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] [session][end][quit][pass][0.1](1)\n"
ENDED = "milter_manager_sessions_ended_total"
WATCHER_UP = "milter_manager_exporter_watcher_up"
DEADLINE_SECONDS = 20.0

Said = Sequence[Mapping[str, object]]


@dataclass(slots=True)
class Running:
    """
    A daemon in a thread.
    """

    daemon: Daemon
    said: Said
    """The exporter's own log so far."""

    def get(self, path: str) -> Answer:
        """
        Ask it over HTTP.
        """
        (addresses,) = self.lines("serving metrics", "addresses")
        host, _, port = str(addresses).rpartition(":")
        return get(host, int(port), path)

    def total(self, name: str) -> float:
        """
        Scrape it and add up the series of a name.
        """
        return total(read_samples(self.get("/metrics").body), name)

    def lines(self, event: str, key: str = "event") -> list[object]:
        """
        List one value of each line of the log with an event.
        """
        return [line[key] for line in self.said if line["event"] == event]


Start = Callable[[Config], Running]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """
    Start daemons that look often, and stop them at the end, together with all of their threads.
    """
    monkeypatch.setattr(daemon, "POLL_SECONDS", 0.01)
    before = set(threading.enumerate())
    running: list[tuple[Daemon, threading.Thread]] = []
    with capture_logs() as said:

        def start(config: Config) -> Running:
            exporter = Daemon(config)
            thread = threading.Thread(target=exporter.run)
            running.append((exporter, thread))
            thread.start()
            wait_until(lambda: any(line["event"] == "serving metrics" for line in said))
            return Running(exporter, said)

        yield start
        for exporter, thread in running:
            exporter.stop()
            thread.join(DEADLINE_SECONDS)

    assert before == set(threading.enumerate())
    assert "stopped" == said[-1]["event"]


@pytest.fixture
def candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """
    Where a log may be when none is given, in order of preference.
    """
    paths = (tmp_path / "mail.log", tmp_path / "maillog", tmp_path / "milter-manager.log")
    monkeypatch.setattr(daemon, "CANDIDATES", paths)
    return paths


def append(path: Path, data: bytes) -> None:
    """
    Write at the end of a file, and make it if need be.
    """
    with path.open("ab") as file:
        file.write(data)


def test_first_that_exists(candidates: tuple[Path, ...], start: Start) -> None:
    """
    Without --input.file the first log that exists is followed from its end, and it says which.
    """
    for path in candidates[1:]:
        append(path, END)
    running = start(Config(listen_addresses=LOCAL))
    wait_until(lambda: bool(running.lines("ready")))

    assert 0 == running.total(ENDED)
    assert [str(candidates[1])] == running.lines("following a log", "file")
    assert ["the first that exists"] == running.lines("following a log", "reason")

    append(candidates[1], END)
    wait_until(lambda: running.total(ENDED) == 1)
    append(candidates[0], END)
    append(candidates[1], END)
    wait_until(lambda: running.total(ENDED) == 2)

    assert 1 == len(running.lines("following a log"))


def test_first_to_appear(candidates: tuple[Path, ...], start: Start) -> None:
    """
    Where there is no log it says so once and waits; the first to appear is read whole.
    """
    running = start(Config(listen_addresses=LOCAL))
    wait_until(lambda: bool(running.lines("ready")))

    assert b"No log found yet" in running.get("/").body
    assert 200 == running.get("/metrics").status
    assert 1 == running.total(WATCHER_UP)

    append(candidates[2], END)
    wait_until(lambda: running.total(ENDED) == 1)

    assert str(candidates[2]).encode() in running.get("/").body
    assert [" ".join(map(str, candidates))] == running.lines(
        "no log found, waiting for one to appear", "looked_for"
    )
    assert [str(candidates[2])] == running.lines("following a log", "file")


def test_log_that_cannot_be_looked_for(
    candidates: tuple[Path, ...], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A place that the system does not let anyone look at is passed over.
    """
    nowhere = candidates[0].with_name("x" * 1000)
    monkeypatch.setattr(daemon, "CANDIDATES", (nowhere, candidates[1]))
    append(candidates[1], END)
    running = start(Config(listen_addresses=LOCAL))
    wait_until(lambda: bool(running.lines("ready")))

    assert [str(candidates[1])] == running.lines("following a log", "file")


def test_given_logs(candidates: tuple[Path, ...], tmp_path: Path, start: Start) -> None:
    """
    With --input.file no other log is looked for, and all those given are followed and shown.
    """
    append(candidates[0], END)
    paths = (tmp_path / "one.log", tmp_path / "two.log")
    for path in paths:
        append(path, END)
    running = start(Config(listen_addresses=LOCAL, input_files=paths, from_beginning=True))
    wait_until(lambda: bool(running.lines("ready")))

    assert 2 == running.total(ENDED)
    assert list(map(str, paths)) == running.lines("following a log", "file")
    for path in paths:
        assert str(path).encode() in running.get("/").body


def test_readiness(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Until the log has been read once, the daemon is healthy but not ready and shows no metrics.
    """
    go_on = threading.Event()
    read = Input.read

    def wait_and_read(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        go_on.wait(DEADLINE_SECONDS)
        read(self, now, stopping)

    monkeypatch.setattr(Input, "read", wait_and_read)
    path = tmp_path / "mail.log"
    append(path, END)
    running = start(Config(listen_addresses=LOCAL, input_files=(path,), from_beginning=True))

    assert 503 == running.get("/-/ready").status
    assert 503 == running.get("/metrics").status
    assert 200 == running.get("/-/healthy").status
    assert 200 == running.get("/").status

    go_on.set()
    wait_until(lambda: running.get("/-/ready").status == 200)

    assert 1 == running.total(ENDED)
    assert 1 == len(running.lines("ready"))


def test_stopped_before_ready(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A daemon that is stopped while it reads the backlog never says that it is ready.
    """
    asked: list[bool] = []

    def read(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        del self, now
        running.daemon.stop()
        asked.append(stopping())

    append(tmp_path / "mail.log", END)
    reading = threading.Event()

    def wait_and_read(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        reading.wait(DEADLINE_SECONDS)
        read(self, now, stopping)

    monkeypatch.setattr(Input, "read", wait_and_read)
    running = start(Config(listen_addresses=LOCAL, input_files=(tmp_path / "mail.log",)))
    reading.set()
    wait_until(lambda: bool(running.lines("stopped")))

    assert [True] == asked
    assert [] == running.lines("ready")


def test_watcher(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    That events are lost, and that they are back, is told once each; numbers come all the same.
    """
    up = threading.Event()

    def ensure(_: Watch, paths: Iterable[Path]) -> bool:
        assert [path] == list(paths)

        return up.is_set()

    monkeypatch.setattr(Watch, "ensure", ensure)
    path = tmp_path / "mail.log"
    running = start(Config(listen_addresses=LOCAL, input_files=(path,)))
    wait_until(lambda: bool(running.lines("ready")))
    append(path, END)
    wait_until(lambda: running.total(ENDED) == 1)

    assert 0 == running.total(WATCHER_UP)

    up.set()
    wait_until(lambda: running.total(WATCHER_UP) == 1)
    up.clear()
    wait_until(lambda: running.total(WATCHER_UP) == 0)

    lost = "no file events, only the timer wakes the reader: numbers come later"
    assert 2 == len(running.lines(lost))
    assert 1 == len(running.lines("file events arrive again"))


def test_events_wake(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is written is counted long before the timer would find it.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    monkeypatch.setattr(daemon, "POLL_SECONDS", DEADLINE_SECONDS * 10)
    running = start(Config(listen_addresses=LOCAL, input_files=(path,)))
    wait_until(lambda: bool(running.lines("ready")))
    append(path, END)
    wait_until(lambda: running.total(ENDED) == 1)
    running.daemon.stop()
    append(path, END)  # the timer would take its time here too


def test_stop_takes_no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A signal may interrupt the loop wherever it is, so that its handler must not wait for a lock.
    """

    class Busy(threading.Event):
        """
        An event whose lock is held by the very thread that the signal interrupts.
        """

        def set(self) -> None:
            """
            Wait for ever.
            """
            pytest.fail("a deadlock")

    monkeypatch.setattr(threading, "Event", Busy)
    exporter = Daemon(Config(listen_addresses=LOCAL))
    exporter.stop(signal.SIGTERM, None)


def test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    SIGTERM and SIGINT end the loop, status 0.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    config = Config(listen_addresses=LOCAL, input_files=(tmp_path / "mail.log",))
    try:
        for number in before:

            def read(_: Input, __: float, ___: Callable[[], bool], number: int = number) -> None:
                os.kill(os.getpid(), number)

            monkeypatch.setattr(Input, "read", read)
            with capture_logs():
                assert 0 == daemon.run(config)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_address_in_use(tmp_path: Path) -> None:
    """
    An address that cannot be had is an error before anything else is started.
    """
    before = set(threading.enumerate())
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address = Address("127.0.0.1", sock.getsockname()[1])
        config = Config(listen_addresses=(address,), input_files=(tmp_path / "mail.log",))
        with pytest.raises(StartError, match="address already in use"):
            Daemon(config).run()

    assert before == set(threading.enumerate())
