"""
The exporter under a stand-in for systemd: the sockets that it passes, and what it is told.
"""

import errno
import gzip
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest
from running import DEADLINE_SECONDS, Program, get, read_samples, total, wait_until

from exporter import daemon
from exporter.config import Address, Config, StartError
from exporter.daemon import Daemon
from exporter.input import Input
from exporter.listen import describe
from exporter.siblings import Compressed
from exporter.systemd import Notifier, read_watchdog, take_sockets

LINE = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] "
END = LINE + b"[session][end][end-of-message][pass][0.02899](1)\n"
ENDED = "milter_manager_sessions_ended_total"

# What systemd does between fork and exec: descriptors from 3 on, and the pid that is theirs.
EXEC = """\
import os, sys
numbers = [int(number) for number in sys.argv[1].split(",") if number]
for i, number in enumerate([os.dup(number) for number in numbers]):
    os.dup2(os.dup(number), 1000 + i)
for i in range(len(numbers)):
    os.dup2(1000 + i, 3 + i)
os.environ.update(LISTEN_FDS=str(len(numbers)), LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES="a:b")
os.execv(sys.executable, [sys.executable, "-m", "exporter", *sys.argv[2:]])
"""


class Systemd:
    """
    The side of systemd that is notified.
    """

    def __init__(self, name: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(name)
        self.socket.settimeout(DEADLINE_SECONDS)
        self.told: list[str] = []

    def hear(self, *starts: str) -> str:
        """
        Wait for a notification that starts like one of these; give it.
        """
        while True:
            try:
                text = self.socket.recv(4096).decode()
            except TimeoutError:
                pytest.fail(f"was never told {starts}, but {self.told}")
            self.told.append(text)
            if text.startswith(starts):
                return text

    def hears_nothing(self, seconds: float) -> bool:
        """
        Forget what is waiting, then say whether nothing more comes within so long.
        """
        self.socket.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self.told.append(self.socket.recv(4096).decode())
        self.socket.settimeout(seconds)
        try:
            self.told.append(self.socket.recv(4096).decode())
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE_SECONDS)
        return False


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    """
    A systemd with a socket in the file system.
    """
    stand_in = Systemd(str(tmp_path / "notify"))
    with stand_in.socket:
        yield stand_in


# --- the sockets that are passed ----------------------------------------------------------------


def listen(family: int, address: object, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """
    Open a socket as a .socket unit would: blocking, and kept by whoever is started.
    """
    sock = socket.socket(family, kind)
    sock.bind(address)  # type: ignore[arg-type]  # of any family
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[dict[str, socket.socket]]:
    """
    Sockets that may and that may not be passed, by what they are.
    """
    with ExitStack() as stack:
        sockets = {
            "inet": listen(socket.AF_INET, ("127.0.0.1", 0)),
            "unix": listen(socket.AF_UNIX, str(tmp_path / "web.sock")),
            "abstract": listen(socket.AF_UNIX, f"\0{tmp_path.name}-{os.getpid()}"),
            "datagram": listen(socket.AF_INET, ("127.0.0.1", 0), socket.SOCK_DGRAM),
            "not listening": socket.socket(socket.AF_INET),
        }
        for sock in sockets.values():
            stack.enter_context(sock)
        yield sockets


def passed(*sockets: socket.socket | int) -> tuple[dict[str, str], int]:
    """
    Put copies of sockets into a row, and give the environment that speaks of them and the first.
    """
    first = 100
    for i, sock in enumerate(sockets):
        os.dup2(sock if isinstance(sock, int) else sock.fileno(), first + i)
    environ = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}
    return {**environ, "LISTEN_FDNAMES": "web", "HOME": "/"}, first


def test_take_sockets(
    opened: dict[str, socket.socket], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    All that are passed are taken in order, for this process alone, and the variables are removed.
    """
    environ, first = passed(opened["inet"], opened["unix"], opened["abstract"])
    monkeypatch.setattr("exporter.systemd.FIRST_DESCRIPTOR", first)
    taken = take_sockets(environ)
    with ExitStack() as stack:
        for sock in taken:
            stack.enter_context(sock)

            assert not sock.get_inheritable()
            assert not sock.getblocking()

        port = opened["inet"].getsockname()[1]

        assert [
            f"127.0.0.1:{port}",
            f"unix:{tmp_path / 'web.sock'}",
            f"unix:@{tmp_path.name}-{os.getpid()}",
        ] == [describe(sock) for sock in taken]
        assert {"HOME": "/"} == environ


@pytest.mark.parametrize("kind", ["datagram", "not listening"])
def test_wrong_sockets(
    kind: str, opened: dict[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A socket that nobody can connect to is an error that names its number.
    """
    environ, first = passed(opened[kind])
    monkeypatch.setattr("exporter.systemd.FIRST_DESCRIPTOR", first)
    with pytest.raises(StartError, match=r"^descriptor 100 .* is not a listening stream socket$"):
        take_sockets(environ)
    os.close(first)


def test_no_socket_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A file, or a number that is not open, is an error that names the number.
    """
    with (tmp_path / "file").open("wb") as file:
        environ, first = passed(file.fileno())
    monkeypatch.setattr("exporter.systemd.FIRST_DESCRIPTOR", first)
    with pytest.raises(StartError, match=r"^descriptor 100 from systemd: Socket operation on non"):
        take_sockets(environ)
    os.close(first)
    with pytest.raises(StartError, match=r"^descriptor 100 from systemd: Bad file descriptor$"):
        take_sockets({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "x", "LISTEN_PID": str(os.getpid())},
        {"LISTEN_PID": str(os.getpid())},
    ],
)
def test_no_sockets(environ: dict[str, str]) -> None:
    """
    None, or those of another process, is an error that says what to do.
    """
    with pytest.raises(StartError, match=r"^systemd passed no socket: start the \.socket unit"):
        take_sockets(environ)

    assert {} == environ


# --- what systemd is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, float("inf")),
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, float("inf")),
        ({"WATCHDOG_USEC": "0"}, float("inf")),
        ({"WATCHDOG_USEC": "-1"}, float("inf")),
        ({"WATCHDOG_USEC": "soon"}, float("inf")),
    ],
)
def test_watchdog_variables(environ: dict[str, str], expected: float) -> None:
    """
    The time is that of this process's watchdog, and the variables do not outlive the look at them.
    """
    assert expected == read_watchdog(environ)
    assert {} == environ


def test_notifications(systemd: Systemd) -> None:
    """
    Each state is told in the protocol's words.
    """
    environ = {"NOTIFY_SOCKET": systemd.socket.getsockname(), "HOME": "/"}
    notifier = Notifier(environ)
    before = time.monotonic_ns() // 1000
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    told = systemd.hear("STOPPING=1")
    reloading, _, moment = systemd.told[1].partition("\nMONOTONIC_USEC=")

    assert {"HOME": "/"} == environ
    assert ["READY=1", "RELOADING=1", "STOPPING=1"] == [systemd.told[0], reloading, told]
    assert before <= int(moment) <= time.monotonic_ns() // 1000


def test_status(systemd: Systemd) -> None:
    """
    A status is one line, told when it has changed and at most once a second.
    """
    notifier = Notifier({"NOTIFY_SOCKET": systemd.socket.getsockname()})
    for now, text in [(0.0, "a"), (0.9, "b"), (1.0, "b\nREADY=1"), (5.0, "b\nREADY=1"), (9.0, "c")]:
        notifier.status(text, now)
    systemd.hear("STATUS=c")

    assert ["STATUS=a", "STATUS=b READY=1", "STATUS=c"] == systemd.told


def test_pings(systemd: Systemd) -> None:
    """
    However unevenly it is called, two pings are never half of systemd's time apart.
    """
    notifier = Notifier({"NOTIFY_SOCKET": systemd.socket.getsockname(), "WATCHDOG_USEC": "4000000"})
    for now in (0.0, 0.5, 0.99, 1.98, 1.99, 2.0, 2.98):
        notifier.alive(now)
    notifier.stopping()
    systemd.hear("STOPPING")

    assert ["WATCHDOG=1"] * 3 == systemd.told[:-1]
    assert 1.0 == notifier.ping_seconds


def test_abstract_name() -> None:
    """
    A name that starts with @ is one without a file.
    """
    name = f"exporter-test-{os.getpid()}"
    systemd = Systemd(f"\0{name}")
    with systemd.socket:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready()

        assert "READY=1" == systemd.hear("READY")


@pytest.mark.parametrize("name", ["", "/nowhere", "@nobody", "relative", "/" + "x" * 200])
def test_nobody_is_told(name: str) -> None:
    """
    Without systemd, or with one that has gone, nothing is told and nothing fails.
    """
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "1"})
    notifier.ready()
    notifier.alive(0.0)
    notifier.status("x", 0.0)

    assert not (notifier.is_due(0.5))


def test_systemd_is_busy(systemd: Systemd) -> None:
    """
    A systemd that does not listen holds nobody up.
    """
    notifier = Notifier({"NOTIFY_SOCKET": systemd.socket.getsockname()})
    for _ in range(2000):
        notifier.ready()


def test_no_descriptor_for_it(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With no descriptor left to tell systemd, the daemon goes on.
    """
    notifier = Notifier({"NOTIFY_SOCKET": systemd.socket.getsockname()})

    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", fail)
        notifier.ready()
    notifier.stopping()

    assert "STOPPING=1" == systemd.hear("")


# --- the daemon, its reader stuck ---------------------------------------------------------------


def test_stuck_reader(systemd: Systemd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A reader that is stuck stops the pings, however well HTTP answers, and they come back with it.
    """
    go_on, stuck, stick = threading.Event(), threading.Event(), threading.Event()
    read = Input.read

    def may_stick(self: Input, now: float, stopping: Callable[[], bool]) -> None:
        if stick.is_set():
            stuck.set()
            go_on.wait(DEADLINE_SECONDS)
        read(self, now, stopping)

    monkeypatch.setattr(Input, "read", may_stick)
    monkeypatch.setattr(daemon, "POLL_SECONDS", 0.01)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.socket.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    (tmp_path / "mail.log").write_bytes(b"")
    config = Config(
        keep_state=False,
        input_files=(tmp_path / "mail.log",),
        listen_addresses=(Address("127.0.0.1", 0),),
    )
    exporter = Daemon(config)
    thread = threading.Thread(target=exporter.run)
    thread.start()
    try:
        systemd.hear("READY=1")
        for _ in range(10):
            systemd.hear("WATCHDOG=1")
        (address,) = exporter._web.bound  # noqa: SLF001 - any free port
        stick.set()
        stuck.wait(DEADLINE_SECONDS)

        assert systemd.hears_nothing(0.5)
        assert 200 == get(address.host, address.port, "/-/healthy").status
        assert 200 == get(address.host, address.port, "/metrics").status
        assert systemd.hears_nothing(0.2)

        stick.clear()
        go_on.set()
        systemd.hear("WATCHDOG=1")
        systemd.hear("WATCHDOG=1")
    finally:
        go_on.set()
        exporter.lifecycle.stop()
        thread.join(DEADLINE_SECONDS)
    systemd.hear("STOPPING=1")


def test_search(systemd: Systemd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    A search for the place in a compressed log, however long, pings and is left at the end.
    """

    def search_for_ever(self: Compressed, _position: int) -> None:
        while True:
            self._between()

    path = tmp_path / "mail.log"
    path.write_bytes(END * 100)
    config = Config(
        state_file=tmp_path / "state" / "state",
        input_files=(path,),
        from_beginning=True,
        listen_addresses=(Address("127.0.0.1", 0),),
    )
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.socket.getsockname())
    run_until(Daemon(config), lambda: systemd.hear("STATUS=following"))
    path.with_name("mail.log.1.gz").write_bytes(gzip.compress(END * 110))
    path.write_bytes(b"")
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.socket.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    with monkeypatch.context() as patched:
        patched.setattr(Compressed, "_skip_to", search_for_ever)
        run_until(Daemon(config), lambda: [systemd.hear("WATCHDOG=1") for _ in range(5)])
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.socket.getsockname())
    run_until(Daemon(config), lambda: systemd.hear(f"STATUS=following {path}: 110 lines"))

    assert not [told for told in systemd.told if "cannot" in told]


def run_until(exporter: Daemon, wait: Callable[[], object]) -> None:
    """
    Run the daemon until something has been waited for, then see it end.
    """
    thread = threading.Thread(target=exporter.run)
    thread.start()
    try:
        wait()
    finally:
        exporter.lifecycle.stop()
        thread.join(DEADLINE_SECONDS)

    assert not thread.is_alive()


# --- the program --------------------------------------------------------------------------------

Start = Callable[..., Program]


@pytest.fixture
def start(programs: list[Program], systemd: Systemd, tmp_path: Path) -> Start:
    """
    Start the exporter as systemd would, with the sockets given.
    """

    def start(*flags: str, sockets: tuple[socket.socket, ...] = ()) -> Program:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MILTER_MANAGER_EXPORTER_")
        }
        environ["NOTIFY_SOCKET"] = systemd.socket.getsockname()
        environ["WATCHDOG_USEC"] = "400000"
        numbers = [sock.fileno() for sock in sockets]
        program = Program(
            [sys.executable, "-c", EXEC, ",".join(map(str, numbers)), *flags],
            tmp_path,
            environ,
            numbers,
        )
        programs.append(program)
        return program

    return start


def ask(path: str, question: str) -> bytes:
    """
    Ask over a Unix socket.
    """
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.settimeout(DEADLINE_SECONDS)
        sock.connect(path)
        sock.sendall(f"GET {question} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_life(
    start: Start, systemd: Systemd, opened: dict[str, socket.socket], tmp_path: Path
) -> None:
    """
    It serves on the sockets that are passed, and tells of its start, its progress and its end.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(b"")
    flags = ["--web.systemd-socket", f"--input.file={path}", "--no-state"]
    exporter = start(*flags, sockets=(opened["inet"], opened["unix"]))
    serving = exporter.hear("serving metrics")
    systemd.hear("READY=1")

    assert not [told for told in systemd.told[:-1] if told != "WATCHDOG=1"]

    exporter.hear("msg=ready")
    port = opened["inet"].getsockname()[1]

    assert f"127.0.0.1:{port} unix:{tmp_path / 'web.sock'}" in serving
    assert 200 == get("127.0.0.1", port, "/metrics").status
    assert ask(str(tmp_path / "web.sock"), "/metrics").startswith(b"HTTP/1.1 200 OK\r\n")
    assert ENDED.encode() in ask(str(tmp_path / "web.sock"), "/metrics")

    with path.open("ab") as file:
        file.write(END * 1234)
    status = ""
    while "1,234 lines recognised" not in status:
        status = systemd.hear("STATUS=")
    for _ in range(5):
        systemd.hear("WATCHDOG=1")

    assert f"STATUS=following {path}: 1,234 lines recognised, 0 bytes unread" == status
    assert 1234 == total(read_samples(get("127.0.0.1", port, "/metrics").body), ENDED)

    exporter.send(signal.SIGHUP)
    systemd.hear("RELOADING=1\nMONOTONIC_USEC=")

    assert "READY=1" == systemd.hear("READY", "STATUS", "STOPPING")
    assert 0 == exporter.terminate()

    systemd.hear("STOPPING=1")


def test_ready_before_the_backlog(start: Start, systemd: Systemd, tmp_path: Path) -> None:
    """
    It tells that the start is done, and how far it is, while a backlog is being read.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(END)
    os.truncate(path, 1 << 40)  # a hole: more NUL bytes than anyone reads
    exporter = start("--no-state", f"--input.file={path}", "--input.from=beginning",
                     "--web.listen-address=127.0.0.1:0")  # fmt: skip
    systemd.hear("READY=1")
    status = systemd.hear("STATUS=")
    for _ in range(5):
        systemd.hear("WATCHDOG=1")

    assert status.startswith(f"STATUS=reading the backlog of {path}: ")
    assert 0 == exporter.terminate()
    assert not any("msg=ready" in line for line in exporter.lines)


def test_systemd_goes_away(start: Start, systemd: Systemd, tmp_path: Path) -> None:
    """
    When systemd can no longer be told, everything else goes on.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(b"")
    exporter = start("--no-state", f"--input.file={path}", "--web.listen-address=127.0.0.1:0")
    systemd.hear("WATCHDOG=1")
    port = int(exporter.hear("serving").partition("127.0.0.1:")[2].split()[0].strip('"'))
    exporter.hear("msg=ready")
    systemd.socket.close()
    (tmp_path / "notify").unlink()
    with path.open("ab") as file:
        file.write(END)
    wait_until(lambda: total(read_samples(get("127.0.0.1", port, "/metrics").body), ENDED) == 1)

    assert 0 == exporter.terminate()


def test_passed_nothing(start: Start, tmp_path: Path) -> None:
    """
    Asked for systemd's sockets without any, it ends with status 1 and one line that says so.
    """
    exporter = start("--web.systemd-socket", "--no-state", f"--input.file={tmp_path / 'mail.log'}")

    assert 1 == exporter.wait()
    assert 1 == len(exporter.lines)
    assert exporter.lines[0].startswith(
        "milter-manager-exporter: error: systemd passed no socket: start the .socket unit"
    )
