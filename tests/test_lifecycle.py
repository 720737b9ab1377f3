"""
Signals: what they ask for is done soon, whatever the exporter is doing, and harms nothing.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count, islice
from pathlib import Path

import pytest
from conftest import StartExporter
from running import DEADLINE_SECONDS, Exporter, total, wait_until

from exporter.lifecycle import PIPE_BYTES, RELOAD_SECONDS, Lifecycle, Waker

LINE = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] "
END = LINE + b"[session][end][end-of-message][pass][0.02899](1)\n"
ENDED = "milter_manager_sessions_ended_total"
STOP_SECONDS = 2.0


def append(path: Path, data: bytes) -> None:
    """
    Write at the end of a file, and make it if need be.
    """
    with path.open("ab") as file:
        file.write(data)


@pytest.fixture
def waker() -> Waker:
    """
    Give what wakes the sleeper.
    """
    return Waker()


@pytest.fixture
def lifecycle(waker: Waker) -> Iterator[Lifecycle]:
    """
    Give a lifecycle, and put the process's own handlers back at the end.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield Lifecycle(waker)
    for number, handler in before.items():
        signal.signal(number, handler)


# --- within the process -------------------------------------------------------------------------


def test_waker(waker: Waker) -> None:
    """
    A ring before the sleep or during it ends it at once, and is answered by that.
    """
    waker.set()
    waker.set()
    start = time.monotonic()
    waker.wait(DEADLINE_SECONDS)
    threading.Timer(0.01, waker.set).start()
    waker.wait(DEADLINE_SECONDS)

    assert DEADLINE_SECONDS / 2 > time.monotonic() - start

    asleep = time.monotonic()
    waker.wait(0.01)

    assert 0.01 <= time.monotonic() - asleep


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop(number: signal.Signals, waker: Waker, lifecycle: Lifecycle) -> None:
    """
    SIGTERM and SIGINT ask for the end, once and for all, and wake the sleeper at once.
    """
    with lifecycle.handled():
        start = time.monotonic()
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()
        waker.wait(DEADLINE_SECONDS)
        os.kill(os.getpid(), number)

    assert DEADLINE_SECONDS / 2 > time.monotonic() - start
    assert lifecycle.stopping
    assert lifecycle.is_asked(0.0)
    assert not lifecycle.take_reload(0.0)


def test_reload(lifecycle: Lifecycle) -> None:
    """
    SIGHUP asks for one reload, however often it comes before that, and not for the end.
    """
    with lifecycle.handled():
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)

        asked = [lifecycle.is_asked(0.0)]
        asked += [lifecycle.take_reload(0.0) for _ in range(2)]
        asked += [lifecycle.is_asked(0.0), lifecycle.stopping]

    assert [True, True, False, False, False] == asked


def test_reload_too_soon(lifecycle: Lifecycle) -> None:
    """
    A reload that is asked for right after another is put off, not forgotten; the end is not.
    """
    lifecycle.reload()
    taken = [lifecycle.take_reload(5.0)]
    lifecycle.reload()
    for seconds in (0.0, 0.9, 1.0, 1.1):
        now = 5.0 + seconds * RELOAD_SECONDS
        taken += [lifecycle.is_asked(now), lifecycle.take_reload(now)]

    assert [True, False, False, False, False, True, True, False, False] == taken

    lifecycle.stop()

    assert lifecycle.is_asked(5.0)


def test_ending(lifecycle: Lifecycle) -> None:
    """
    Once it is ending no signal gets in the way of the exit status.
    """
    with lifecycle.handled():
        pass
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)

        assert signal.SIG_IGN == signal.getsignal(number)

    assert not lifecycle.is_asked(0.0)


def test_full_bell(waker: Waker) -> None:
    """
    However often it is rung while nobody sleeps, nobody waits, and one sleep answers it all.
    """
    for _ in range(PIPE_BYTES + 2):
        waker.set()
    waker.wait(DEADLINE_SECONDS)
    asleep = time.monotonic()
    waker.wait(0.01)

    assert 0.01 <= time.monotonic() - asleep


def test_handlers_wait_for_nobody(waker: Waker) -> None:
    """
    A handler may interrupt a ring, a sleep or another handler, at any place, and never hangs.
    """
    lifecycle = Lifecycle(waker)
    handled = 0

    def ring(*_: object) -> None:
        nonlocal handled
        handled += 1
        lifecycle.reload()

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while handled < 1000:
            waker.set()
            waker.wait(0.001)
            lifecycle.take_reload(time.monotonic())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# --- the program: the end -----------------------------------------------------------------------


def stop(exporter: Exporter) -> None:
    """
    Have it end, which takes no longer than is promised.
    """
    asked = time.monotonic()

    assert 0 == exporter.terminate()
    assert STOP_SECONDS > time.monotonic() - asked
    assert "msg=stopped" in exporter.lines[-1]


@pytest.mark.usefixtures("_unmeasured")
def test_stop_in_a_backlog(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    Stopped in the midst of a backlog it saves how far it came, and goes on from there.
    """
    path, state = tmp_path / "mail.log", tmp_path / "state" / "state"
    lines = 1_000_000
    append(path, END * lines)
    flags = [f"--input.file={path}", f"--state.file={state}", "--input.from=beginning"]
    exporter = start_exporter(*flags)
    exporter.hear("following a log")
    before = exporter.read_bytes()
    wait_until(lambda: exporter.read_bytes() > before + (1 << 22))
    stop(exporter)

    assert not any("msg=ready" in line for line in exporter.lines)
    assert lines == start_exporter(*flags).serve().total(ENDED)


def test_stop_while_clients_are_slow(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    Neither idle connections nor scrapes that nobody reads keep it from ending.
    """
    exporter = start_exporter(f"--input.file={tmp_path / 'mail.log'}").serve()
    with ExitStack() as stack:
        for i in range(300):
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(DEADLINE_SECONDS)
            sock.connect((exporter.host, exporter.port))
            if i % 10 == 0:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: exporter.get("/-/healthy").status == 200)
        stop(exporter)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_while_it_ends(
    number: signal.Signals, tmp_path: Path, start_exporter: StartExporter
) -> None:
    """
    A second signal, or any number of them, changes neither the end nor the exit status.
    """
    path = tmp_path / "mail.log"
    flags = [f"--input.file={path}", f"--state.file={tmp_path / 'state'}", "--input.from=beginning"]
    append(path, END)
    exporter = start_exporter(*flags).serve()
    ended: list[int] = []
    waiting = threading.Thread(target=lambda: ended.append(exporter.terminate()))
    waiting.start()
    while not ended:
        exporter.send(number)
        waiting.join(0.001)

    assert [0] == ended
    assert 1 == start_exporter(*flags).serve().total(ENDED)


def test_closed_log(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    Whoever read its log may go (SIGPIPE): the exporter loses lines of it, nothing else.
    """
    path = tmp_path / "mail.log"
    port = start_exporter(f"--input.file={path}").serve()
    stop(port)
    command = [sys.executable, "-m", "exporter", "--no-state", f"--input.file={path}"]
    address = f"--web.listen-address=127.0.0.1:{port.port}"
    with subprocess.Popen([*command, address], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None

        while "msg=ready" not in process.stderr.readline():
            pass
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        append(path, END)
        wait_until(lambda: port.total(ENDED) == 1)
        process.terminate()

        assert 0 == process.wait(DEADLINE_SECONDS)


# --- the program: SIGHUP ------------------------------------------------------------------------


def test_hangup(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    SIGHUP opens the logs anew, and finds what was written without waiting for the timer.
    """
    path = tmp_path / "mail.log"
    append(path, END)
    exporter = start_exporter(f"--input.file={path}").serve()
    exporter.send(signal.SIGHUP)
    exporter.hear("reloading")
    append(path, END)
    wait_until(lambda: exporter.total(ENDED) == 1)

    assert 1 == exporter.total("milter_manager_exporter_watcher_up")
    assert 0 == exporter.total("milter_manager_exporter_file_rotations_total")

    stop(exporter)


@pytest.mark.usefixtures("_unmeasured")
def test_hangup_in_a_backlog(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    SIGHUP is obeyed between two chunks of a backlog, and makes nobody ready before the time.
    """
    path = tmp_path / "mail.log"
    lines = 600_000
    flags = [f"--input.file={path}", f"--state.file={tmp_path / 'state' / 'state'}"]
    append(path, END)
    stop(start_exporter(*flags).serve())
    append(path, END * lines)
    exporter = start_exporter(*flags)
    exporter.hear("following a log")
    exporter.send(signal.SIGHUP)
    exporter.hear("reloading")
    exporter.send(signal.SIGHUP)
    exporter.hear("msg=ready")

    assert lines == exporter_of(exporter).total(ENDED)


@pytest.mark.usefixtures("_unmeasured")
def test_hangup_storm(tmp_path: Path, start_exporter: StartExporter) -> None:
    """
    A thousand SIGHUPs a second keep it neither from a backlog nor from new lines, nor fill its log.
    """
    path = tmp_path / "mail.log"
    lines = 300_000
    append(path, END * lines)
    exporter = start_exporter(f"--input.file={path}", "--input.from=beginning")
    exporter.hear("following a log")
    over = threading.Event()

    def storm() -> None:
        while not over.wait(0.001):
            exporter.send(signal.SIGHUP)

    start = time.monotonic()
    sender = threading.Thread(target=storm)
    sender.start()
    try:
        exporter.hear("msg=ready")
        exporter_of(exporter)
        append(path, END)
        wait_until(lambda: exporter.total(ENDED) == lines + 1)
    finally:
        over.set()
        sender.join()
    stop(exporter)
    most = (time.monotonic() - start) / RELOAD_SECONDS + 1

    told = [line for line in exporter.lines if "msg=reloading" in line]
    reloads = len(told) + sum(int(n) for line in told for n in re.findall(r"repeated=(\d+)", line))

    assert 0 < reloads <= most


def exporter_of(exporter: Exporter) -> Exporter:
    """
    Find out from what it has said where an exporter listens.
    """
    line = next(line for line in exporter.lines if "serving metrics" in line)
    exporter.host = "127.0.0.1"
    exporter.port = int(line.partition("127.0.0.1:")[2].split()[0].strip('"'))
    return exporter


@pytest.mark.usefixtures("_unmeasured")
def test_hangup_through_rotations(
    tmp_path: Path, start_exporter: StartExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Written, rotated and sent SIGHUP in any rhythm, each line is counted once; no total falls.
    """
    path = tmp_path / "mail.log"
    # Each SIGHUP is to be obeyed, however soon after another.
    hasty = "import exporter.lifecycle; exporter.lifecycle.RELOAD_SECONDS = 0\n"
    (tmp_path / "sitecustomize.py").write_text(hasty)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    append(path, b"")
    exporter = start_exporter(f"--input.file={path}").serve()
    # No two alike, as in a real log: files of the same bytes are taken for copies of one another.
    lines = (END.replace(b"(1)", b"(%d)" % i) for i in count())
    seen = [0.0]
    for i in range(60):
        append(path, b"".join(islice(lines, 7)))
        exporter.send(signal.SIGHUP)
        line = next(lines)
        append(path, line[:20])
        exporter.send(signal.SIGHUP)
        append(path, line[20:])
        rotated = path.rename(tmp_path / f"mail.log.{60 - i}")
        exporter.send(signal.SIGHUP)
        append(rotated, next(lines))
        append(path, next(lines))
        seen.append(total(exporter.samples(), ENDED))  # which fails unless it is ready
    wait_until(lambda: exporter.total(ENDED) == 60 * 10)

    assert sorted(seen) == seen
    assert 60 == exporter.total("milter_manager_exporter_file_rotations_total")
    assert 0 == exporter.total("milter_manager_exporter_lines_total", outcome="malformed")
    assert 60 * 10 == exporter.total("milter_manager_exporter_lines_total")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGHUP, 7)])
def test_signals_before_it_begins(number: signal.Signals, expected: int) -> None:
    """
    While it is being loaded SIGINT ends it with status 130, and no traceback; SIGHUP does nothing.
    """
    code = (
        # Who runs the tests in the background of a shell has SIGINT ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import os, sys, types; from exporter import cli\n"
        "class Loading(types.ModuleType):\n"
        f"    def run(self, config): os.kill(os.getpid(), {number:d}); return 7\n"
        "sys.modules['exporter.daemon'] = Loading('exporter.daemon')\n"
        "raise SystemExit(cli.main([]))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=DEADLINE_SECONDS
    )

    assert (expected, b"") == (result.returncode, result.stderr)
