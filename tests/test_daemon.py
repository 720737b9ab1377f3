"""
The daemon inside the test: which log it takes, when it is ready, how it is stopped.
"""

import errno
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import journals
import pytest
from journals import SAID, install, say, write_entry
from running import Answer, get, read_samples, require, total, wait_until
from structlog.testing import capture_logs

from exporter import checkpoint, daemon, journal
from exporter.config import Address, Config, StartError
from exporter.daemon import Daemon
from exporter.input import Input
from exporter.lifecycle import Waker
from exporter.state import StateFile
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
    thread: threading.Thread
    said: Said
    """The exporter's own log so far."""

    def get(self, path: str) -> Answer:
        """
        Ask it over HTTP.
        """
        addresses = self.lines("serving metrics", "addresses")[-1]
        host, _, port = str(addresses).rpartition(":")
        return get(host, int(port), path)

    def ready(self) -> "Running":
        """
        Wait until it has read what there is.
        """
        wait_until(lambda: self.get("/-/ready").status == 200)
        return self

    def stop(self) -> None:
        """
        Stop it, and wait for its end.
        """
        self.daemon.lifecycle.stop()
        self.thread.join(DEADLINE_SECONDS)

        assert not self.thread.is_alive()

    def total(self, name: str) -> float:
        """
        Scrape it and add up the series of a name.
        """
        return total(read_samples(self.get("/metrics").body), name)

    def has_ended(self, sessions: int) -> bool:
        """
        Say whether it has counted so many sessions' ends.
        """
        return self.total(ENDED) == sessions

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
    started: list[Running] = []
    with capture_logs() as said:

        def start(config: Config) -> Running:
            exporter = Daemon(config)
            running = Running(exporter, threading.Thread(target=exporter.run), said)
            started.append(running)
            running.thread.start()
            wait_until(lambda: len(running.lines("serving metrics")) == len(started))
            return running

        yield start
        for running in started:
            running.stop()

    assert before == set(threading.enumerate())
    assert "stopped" == said[-1]["event"]


@pytest.fixture
def candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, ...]:
    """
    Where a log may be when none is given, in order of preference.
    """
    paths = (tmp_path / "mail.log", tmp_path / "maillog", tmp_path / "milter-manager.log")
    monkeypatch.setattr(daemon, "CANDIDATES", paths)
    # This machine's own journal may have entries of the program.
    nobody = tmp_path / "machine-id"
    nobody.write_text("0" * 32)
    monkeypatch.setattr(journal, "MACHINE_ID", nobody)
    return paths


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """
    A daemon that keeps its state, and follows a log.
    """
    return Config(
        input_files=(tmp_path / "mail.log",),
        listen_addresses=LOCAL,
        state_file=tmp_path / "state" / "state",
    )


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
    running = start(Config(keep_state=False, listen_addresses=LOCAL))
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
    running = start(Config(keep_state=False, listen_addresses=LOCAL))
    wait_until(lambda: bool(running.lines("ready")))

    assert b"No log found" in running.get("/").body
    assert 200 == running.get("/metrics").status
    assert 1 == running.total(WATCHER_UP)

    append(candidates[2], END)
    wait_until(lambda: running.total(ENDED) == 1)

    assert str(candidates[2]).encode() in running.get("/").body
    assert [" ".join(map(str, (*candidates, "journal")))] == running.lines(
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
    running = start(Config(keep_state=False, listen_addresses=LOCAL))
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
    running = start(
        Config(keep_state=False, listen_addresses=LOCAL, input_files=paths, from_beginning=True)
    )
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
    running = start(
        Config(keep_state=False, listen_addresses=LOCAL, input_files=(path,), from_beginning=True)
    )

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
        running.daemon.lifecycle.stop()
        asked.append(stopping())

    append(tmp_path / "mail.log", END)
    reading = threading.Event()

    def wait_and_read(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        reading.wait(DEADLINE_SECONDS)
        read(self, now, stopping)

    monkeypatch.setattr(Input, "read", wait_and_read)
    running = start(
        Config(keep_state=False, listen_addresses=LOCAL, input_files=(tmp_path / "mail.log",))
    )
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
    running = start(Config(keep_state=False, listen_addresses=LOCAL, input_files=(path,)))
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
    running = start(Config(keep_state=False, listen_addresses=LOCAL, input_files=(path,)))
    wait_until(lambda: bool(running.lines("ready")))
    append(path, END)
    wait_until(lambda: running.total(ENDED) == 1)
    running.daemon.lifecycle.stop()
    append(path, END)  # the timer would take its time here too


def test_events_of_a_new_log(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    So is what is written after a rotation, line by line: the new log is watched at once.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    monkeypatch.setattr(daemon, "POLL_SECONDS", DEADLINE_SECONDS * 10)
    running = start(Config(keep_state=False, listen_addresses=LOCAL, input_files=(path,)))
    wait_until(lambda: bool(running.lines("ready")))
    path.rename(tmp_path / "mail.log.1")
    for sessions in (1, 2, 3):
        append(path, END)
        wait_until(partial(running.has_ended, sessions))


def test_pace(tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The watch is told how much was read, so that it can let the lines of a busy log gather.
    """
    told: list[int] = []

    def pace(_: Watch, read_bytes: int, now: float) -> None:
        assert now <= time.monotonic()

        told.append(read_bytes)

    monkeypatch.setattr(Watch, "pace", pace)
    path = tmp_path / "mail.log"
    running = start(Config(keep_state=False, listen_addresses=LOCAL, input_files=(path,)))
    wait_until(lambda: bool(running.lines("ready")))
    for lines in (1, 3):
        append(path, END * lines)
    wait_until(partial(running.has_ended, 4))
    wait_until(lambda: told[-1] == 4 * len(END))

    assert 0 == told[0]


def test_interpreter(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Neither a scrape nor a search for garbage in what never is any keeps the reader for long.
    """
    done: list[object] = []

    def run(_: Daemon) -> int:
        done.append("run")
        return 0

    monkeypatch.setattr(sys, "setswitchinterval", done.append)
    monkeypatch.setattr(gc, "freeze", lambda: done.append("frozen"))
    monkeypatch.setattr(Daemon, "run", run)

    assert 0 == daemon.run(config)
    assert [daemon.SWITCH_SECONDS, "frozen", "run"] == done


def test_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    SIGTERM and SIGINT end the loop, status 0.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    config = Config(keep_state=False, listen_addresses=LOCAL, input_files=(tmp_path / "mail.log",))
    try:
        for number in (signal.SIGTERM, signal.SIGINT):

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
        config = Config(
            keep_state=False, listen_addresses=(address,), input_files=(tmp_path / "mail.log",)
        )
        with pytest.raises(StartError, match="address already in use"):
            Daemon(config).run()

    assert before == set(threading.enumerate())


def test_restart(config: Config, start: Start) -> None:
    """
    A restart goes on with the numbers and with the log, and nothing is counted again.
    """
    (path,) = config.input_files
    append(path, END * 100)
    start(config).ready().stop()
    append(path, END * 2)
    running = start(config).ready()

    assert 2 == running.total(ENDED)
    assert 1 == running.total("milter_manager_processes")
    assert len(END) * 2 == running.total("milter_manager_exporter_read_bytes_total")

    append(path, END)
    wait_until(lambda: running.total(ENDED) == 3)
    running.stop()
    path.rename(path.with_name("mail.log.1"))
    append(path, END)
    running = start(config).ready()

    assert 4 == running.total(ENDED)
    assert 1 == running.total("milter_manager_exporter_file_rotations_total")
    assert 0 == running.total("milter_manager_exporter_state_errors_total")
    assert 3 <= running.total("milter_manager_exporter_state_saves_total")
    assert 0 < running.total("milter_manager_exporter_state_last_save_timestamp_seconds")
    assert [
        "no saved state: counters start at 0",
        "going on from the saved state",
        "going on from the saved state",
    ] == [line["event"] for line in running.said if "saved state" in str(line["event"])]


def test_saved_at_once(config: Config, start: Start) -> None:
    """
    From the first look on there is a state: a log that is followed from its end has a position.
    """
    append(config.input_files[0], END)
    running = start(config).ready()
    assert config.state_file
    state, _ = StateFile(config.state_file).load()
    assert state

    assert [len(END)] == [file.mark.position for file in state.logs[0].files]
    assert 1 == running.total("milter_manager_exporter_state_saves_total")


def test_saved_at_the_end(config: Config, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What was counted since the last save is saved when the daemon is stopped.
    """
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", DEADLINE_SECONDS * 10)
    running = start(config).ready()
    append(config.input_files[0], END)
    wait_until(lambda: running.total(ENDED) == 1)

    assert 1 == running.total("milter_manager_exporter_state_saves_total")

    running.stop()
    config.input_files[0].unlink()

    assert 1 == start(config).ready().total(ENDED)


def test_backlog(config: Config, start: Start) -> None:
    """
    Nobody sees a number before all that was written while the daemon was down is in it.
    """
    (path,) = config.input_files
    append(path, END)
    start(config).ready().stop()
    append(path, END * 100_000)
    running = start(config)
    answers: list[Answer] = []
    while not answers or answers[-1].status != 200:
        answers.append(running.get("/metrics"))

    assert {503} == {answer.status for answer in answers[:-1]}
    assert 100_000 == total(read_samples(answers[-1].body), ENDED)


def test_unreadable_at_a_restart(config: Config, start: Start) -> None:
    """
    A log that cannot be read at a restart keeps the daemon from being ready until it can be.
    """
    (path,) = config.input_files
    start(config).ready().stop()
    path.mkdir()
    running = start(config)
    wait_until(lambda: running.lines("cannot read the log, trying again") != [])

    assert 503 == running.get("/metrics").status

    path.rmdir()
    append(path, END)
    running.ready()

    # It may have looked just between the two, when there was no log to be read first.
    wait_until(lambda: running.total(ENDED) == 1)


def test_stopped_in_a_backlog(
    config: Config, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Stopped in the middle of a backlog, it goes on from there.
    """
    (path,) = config.input_files
    start(config).ready().stop()
    append(path, END * 10_000)
    read = Input.read
    asked: list[bool] = []

    def read_one_chunk(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        def stop() -> bool:
            running.daemon.lifecycle.stop()
            asked.append(stopping())
            return asked[-1]

        started.wait(DEADLINE_SECONDS)
        read(self, now, stop)

    started = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr(Input, "read", read_one_chunk)
        running = start(config)
        started.set()
        running.thread.join(DEADLINE_SECONDS)

    assert [True] == asked
    assert 1 == len(running.lines("ready"))
    assert 10_000 == start(config).ready().total(ENDED)


def test_auto_found_log_that_is_away(
    candidates: tuple[Path, ...], config: Config, start: Start
) -> None:
    """
    Where the log is not there at a restart, its position waits for it, through further restarts.
    """
    config = replace(config, input_files=())
    append(candidates[1], END * 5)
    running = start(config).ready()
    append(candidates[1], END)
    wait_until(lambda: running.total(ENDED) == 1)
    running.stop()
    away = candidates[1].rename(candidates[1].with_name("away"))
    for _ in range(2):
        running = start(config).ready()

        assert 1 == running.total(ENDED)

        running.stop()
    running = start(config).ready()
    append(away, END)
    away.rename(candidates[1])
    wait_until(lambda: running.total(ENDED) == 2)

    assert [] == running.lines("no longer following a log, its position is dropped")


def test_journal_only_when_the_log_stays_away(
    candidates: tuple[Path, ...],
    config: Config,
    tmp_path: Path,
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A log that was followed is not given up for the journal while a rotation may bring it again.
    """
    machine = journal.MACHINE_ID.read_bytes()
    (tmp_path / "journal").mkdir()
    entry = write_entry(1, SAID % 1, _MACHINE_ID=machine)
    journals.append(tmp_path / "journal" / "a.journal", [entry])
    real = require("journalctl", "systemd")
    script = f'exec {real} --directory={tmp_path}/journal "$@"'
    monkeypatch.setenv("PATH", install(tmp_path, script)["PATH"])
    config = replace(config, input_files=(), from_beginning=True)
    append(candidates[1], END * 5)
    first = start(config).ready()

    assert first.has_ended(5)

    first.stop()
    append(candidates[1], END)
    candidates[1].rename(candidates[1].with_name("maillog.1"))
    second = start(config).ready()
    wait_until(lambda: bool(second.lines("no log found, waiting for one to appear")))
    append(candidates[1], END)
    wait_until(lambda: second.has_ended(7))

    assert [] == second.lines("following the systemd journal")

    second.stop()
    candidates[1].unlink()
    monkeypatch.setattr(daemon, "AWAY_SECONDS", 0.0)
    third = start(config).ready()
    wait_until(lambda: third.has_ended(8))

    assert ["no log file exists"] == third.lines("following the systemd journal", "reason")


def test_journalctl_is_ended_for_a_log(
    candidates: tuple[Path, ...], tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    When a log appears while the journal is asked nothing is left of the question.
    """
    script = f"echo $$ > {tmp_path}/asked.new; /bin/mv {tmp_path}/asked.new {tmp_path}/asked; "
    environ = install(tmp_path, script + "exec /bin/sleep 600")
    monkeypatch.setenv("PATH", environ["PATH"])
    asked = tmp_path / "asked"
    running = start(Config(keep_state=False, listen_addresses=LOCAL))
    wait_until(asked.exists)
    child = Path("/proc", asked.read_text().strip())

    assert child.exists()

    append(candidates[0], END)
    wait_until(lambda: bool(running.lines("following a log")))
    wait_until(lambda: not child.exists())


def test_errors_of_a_journal_that_may_be_followed(
    candidates: tuple[Path, ...], tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where there is no log, and the journal cannot be asked, an alert can see it.
    """
    del candidates  # there is none of them
    monkeypatch.setenv("PATH", str(tmp_path))
    running = start(Config(keep_state=False, listen_addresses=LOCAL)).ready()

    wait_until(lambda: running.total("milter_manager_exporter_read_errors_total") >= 1)

    assert b'read_errors_total{file="journal"}' in running.get("/metrics").body


def test_many_lines_of_a_pipe_at_a_time(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    After a line of a FIFO the reader rests without listening: the next line does not wake it.
    """
    listening: list[bool] = []
    wait = Waker.wait

    def record(waker: Waker, seconds: float, inputs: Iterable[int] = ()) -> None:
        inputs = list(inputs)
        listening.append(bool(inputs))
        wait(waker, seconds, inputs)

    monkeypatch.setattr(Waker, "wait", record)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = start(Config(input_files=(fifo,), keep_state=False, listen_addresses=LOCAL)).ready()
    writer = os.open(fifo, os.O_WRONLY)
    wait_until(lambda: listening[-1:] == [True])
    before = len(listening)
    os.write(writer, END)
    wait_until(lambda: running.has_ended(1))
    after = len(listening)
    wait_until(lambda: len(listening) > after + 3)
    os.close(writer)

    assert 1 == listening[before:].count(False)


def test_no_turn_in_vain(
    candidates: tuple[Path, ...], tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An answer of journalctl wakes the reader once, not all the time until the next look.
    """
    del candidates  # there is none of them
    turns = 0
    wait = Waker.wait

    def count(waker: Waker, seconds: float, inputs: Iterable[int] = ()) -> None:
        nonlocal turns
        turns += 1
        wait(waker, seconds, inputs)

    monkeypatch.setattr(Waker, "wait", count)
    monkeypatch.setattr(daemon, "POLL_SECONDS", 0.3)
    monkeypatch.setattr(journal, "LOOK_SECONDS", 0.0)
    environ = install(tmp_path, f"echo >> {tmp_path}/asked")
    monkeypatch.setenv("PATH", environ["PATH"])
    asked = tmp_path / "asked"
    start(Config(keep_state=False, listen_addresses=LOCAL))
    wait_until(lambda: asked.exists() and asked.stat().st_size >= 4)

    assert turns < 100  # 10,000 a second, if it were in vain


def test_other_inputs(config: Config, tmp_path: Path, start: Start) -> None:
    """
    With other inputs the common ones go on, new ones begin, and those left out are told.
    """
    one, two, three = (tmp_path / f"{name}.log" for name in ("one", "two", "three"))
    for path in (one, two, three):
        append(path, END)
    running = start(replace(config, input_files=(one, two))).ready()
    for path in (one, two):
        append(path, END)
    wait_until(lambda: running.total(ENDED) == 2)
    running.stop()
    for path in (one, two, three):
        append(path, END)
    running = start(replace(config, input_files=(two, three))).ready()

    assert 3 == running.total(ENDED)
    assert [str(one)] == running.lines("no longer following a log, its position is dropped", "file")
    assert 1 == running.total("milter_manager_processes")


def test_from_the_journal_to_a_file(config: Config, tmp_path: Path, start: Start) -> None:
    """
    Between journal and file counters go on, and the place in what is left is dropped and named.
    """
    require("journalctl", "systemd")
    directory, (path,) = tmp_path / "journal", config.input_files
    directory.mkdir()
    say(directory / "system.journal", range(3))
    journal = replace(config, input_files=(), journal=True, journal_directory=directory)
    running = start(replace(journal, from_beginning=True)).ready()
    wait_until(lambda: running.total(ENDED) == 3)
    running.stop()
    dropped = "no longer following a log, its position is dropped"
    for following, left, sessions in ((config, "journal", 3), (journal, str(path), 4)):
        running = start(following).ready()

        assert left == running.lines(dropped, "file")[-1]
        assert sessions == running.total(ENDED)

        append(path, END)
        say(directory / "system.journal", range(sessions, sessions + 1))
        wait_until(partial(running.has_ended, sessions + 1))
        running.stop()


def test_other_buckets(config: Config, start: Start) -> None:
    """
    With other buckets the histograms start at 0, the counters go on, and the log says so.
    """
    append(config.input_files[0], END)
    count = "milter_manager_session_duration_seconds_count"
    running = start(replace(config, from_beginning=True)).ready()

    assert (1, 1) == (running.total(ENDED), running.total(count))

    running.stop()
    running = start(replace(config, buckets=(1.0, 2.0))).ready()

    assert (1, 0) == (running.total(ENDED), running.total(count))
    assert 1 == len(running.lines("histogram buckets have changed: histograms start at 0"))


def test_clock_set_back(config: Config, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A clock that was set back an hour, while the daemon is down or runs, costs nothing.
    """
    (path,) = config.input_files
    running = start(config).ready()
    append(path, END)
    wait_until(lambda: running.total(ENDED) == 1)
    running.stop()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 3600)
    append(path, END)
    running = start(config).ready()

    assert 2 == running.total(ENDED)

    monkeypatch.setattr(time, "time", lambda: real() - 7200)
    saves = running.total("milter_manager_exporter_state_saves_total")
    append(path, END)
    wait_until(lambda: running.total(ENDED) == 3)
    wait_until(lambda: running.total("milter_manager_exporter_state_saves_total") > saves)

    assert real() - 3600 > running.total(
        "milter_manager_exporter_state_last_save_timestamp_seconds"
    )


def test_name_that_is_not_text(config: Config, tmp_path: Path, start: Start) -> None:
    """
    A log whose name is not UTF-8 has its state saved like any other.
    """
    path = tmp_path / os.fsdecode(b"caf\xe9.log")
    append(path, END)
    config = replace(config, input_files=(path,), from_beginning=True)
    start(config).ready().stop()
    append(path, END)

    assert 2 == start(config).ready().total(ENDED)


def test_state_that_cannot_be_saved(
    config: Config, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A state that cannot be saved is told and counted while the numbers go on, until it can be.
    """
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", 0.01)
    (path,) = config.input_files
    running = start(config).ready()
    assert config.state_file
    away = config.state_file.parent.rename(path.with_name("away"))
    append(path, END)
    wait_until(lambda: running.total("milter_manager_exporter_state_errors_total") > 1)

    assert 1 == running.total(ENDED)
    assert ["No such file or directory"] == running.lines(
        "cannot save the state, trying again", "reason"
    )

    away.rename(config.state_file.parent)
    wait_until(lambda: running.lines("the state is saved again") != [])
    running.stop()

    assert 1 == start(config).ready().total(ENDED)


def test_second_daemon(config: Config, start: Start) -> None:
    """
    A second daemon with the same state is an error before it serves anything.
    """
    running = start(config).ready()
    with pytest.raises(StartError, match="another exporter uses the state file"):
        Daemon(config).run()

    assert 200 == running.get("/metrics").status


def test_no_state(config: Config, tmp_path: Path, start: Start) -> None:
    """
    With --no-state nothing is written, and each run starts at 0.
    """
    config = replace(config, state_file=None, keep_state=False)
    (path,) = config.input_files
    for _ in range(2):
        running = start(config).ready()
        append(path, END)
        wait_until(partial(running.has_ended, 1))

        assert 0 == running.total("milter_manager_exporter_state_saves_total")

        running.stop()

    assert [path] == list(tmp_path.iterdir())


def test_page_of_a_backlog(
    config: Config, start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    In the midst of a backlog the page says how far it is, and what was counted so far.
    """
    read = Input.read
    go_on = threading.Event()

    def wait_after_a_chunk(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        def stop() -> bool:
            stopped = stopping()
            go_on.wait(DEADLINE_SECONDS)
            return stopped

        read(self, now, stop)

    monkeypatch.setattr(Input, "read", wait_after_a_chunk)
    append(tmp_path / "mail.log", END * 10_000)
    running = start(replace(config, from_beginning=True))
    wait_until(lambda: b'<h1 id="verdict">Reading the backlog</h1>' in running.get("/").body)
    page = running.get("/").body

    assert b'<progress max="%d" value=' % len(END * 10_000) in page
    assert b"syslog, traditional" in page
    assert 503 == running.get("/metrics").status

    go_on.set()
    running.ready()
    wait_until(lambda: b">10,000<" in running.get("/").body)


def test_page_without_a_log(candidates: tuple[Path, ...], start: Start) -> None:
    """
    Without a log the page says which ones are looked for, until there is one.
    """
    running = start(Config(keep_state=False, listen_addresses=LOCAL)).ready()
    wait_until(lambda: b"journalctl -t milter-manager" in running.get("/").body)

    assert str(candidates[2]).encode() in running.get("/").body

    append(candidates[2], END.replace(b"[session][end]", b"[no][such-tag]"))
    wait_until(lambda: b"[no][such-tag]" in running.get("/").body)

    assert b"Nothing is recognised" in running.get("/").body


def test_page_of_a_journal_that_cannot_be_read(
    candidates: tuple[Path, ...], start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without a log the page says why the journal is none either; who may mend it is asked for once.
    """
    monkeypatch.setenv("PATH", str(candidates[0].parent))
    running = start(Config(keep_state=False, listen_addresses=LOCAL)).ready()
    wait_until(lambda: b"cannot run journalctl" in running.get("/").body)
    show = running.daemon._show_journal  # noqa: SLF001 - what the page is given

    assert show() is show()

    append(candidates[0], END)
    wait_until(lambda: b"cannot run journalctl" not in running.get("/").body)


def test_another_kind(config: Config, start: Start) -> None:
    """
    A log that comes as a FIFO is followed, and the file that takes its place.
    """
    (path,) = config.input_files
    running = start(config).ready()
    os.mkfifo(path)
    append(path, END)
    wait_until(partial(running.has_ended, 1))
    path.unlink()
    append(path, END)
    wait_until(partial(running.has_ended, 2))


def test_page_of_a_state_that_cannot_be_saved(
    config: Config, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The page says that the state cannot be saved, and where that would be.
    """

    def fail(_: StateFile, __: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(StateFile, "save", fail)
    running = start(config).ready()
    wait_until(lambda: b"The state cannot be saved" in running.get("/").body)

    assert config.state_file
    assert b"No space left on device" in running.get("/").body
    assert f"ls -ld {config.state_file.parent}".encode() in running.get("/").body
