"""
The exporter as rsyslog's program: what docs/operations.md says of omprog, with a real rsyslogd.
"""

import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from running import Program, free_port, get, read_samples, require, total, wait_until

OPERATIONS = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
ENDED = "milter_manager_sessions_ended_total"
PROGRAM = "/usr/local/bin/milter-manager-exporter"
SAID = "/var/log/milter-manager-exporter.log"

SERVER = """\
global(workDirectory="{directory}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" RateLimit.Interval="0")
"""


def documented() -> str:
    """
    Give the configuration that the documentation shows.
    """
    _, start, rest = OPERATIONS.read_text().partition('module(load="omprog")\n')
    assert start
    return start + rest.partition("```")[0]


@dataclass(slots=True)
class Server:
    """
    A machine whose rsyslogd runs the exporter.
    """

    directory: Path
    socket: Path
    port: int
    stack: ExitStack

    def start(self) -> Program:
        """
        Start rsyslogd, which starts the exporter with the first message.
        """
        flags = (
            f"--state.file={self.directory / 'state'} --web.listen-address=127.0.0.1:{self.port}"
        )
        text = SERVER.format(directory=self.directory, socket=self.socket) + documented()
        text = text.replace(PROGRAM, f"{sys.executable} -m exporter {flags}")
        config = self.directory / "rsyslog.conf"
        config.write_text(text.replace(SAID, str(self.said)))
        pid_file = self.directory / "pid"
        self.socket.unlink(missing_ok=True)
        pid_file.unlink(missing_ok=True)
        command = [require("rsyslogd", "rsyslog"), "-n", f"-f{config}", f"-i{pid_file}"]
        program = Program(command, self.directory)
        self.stack.callback(program.kill)
        wait_until(lambda: self.socket.exists() and pid_file.exists())
        return program

    @property
    def said(self) -> Path:
        """
        Give the exporter's own log.
        """
        return self.directory / "said"

    def exporter(self) -> int:
        """
        Give the exporter's process, 0 where there is none.
        """
        pid = int((self.directory / "pid").read_text())
        children = Path(f"/proc/{pid}/task/{pid}/children")
        threads = children.parent.parent.glob("*/children")
        found = [int(word) for one in threads for word in one.read_text().split()]
        return found[0] if found else 0

    def send(self, times: int) -> None:
        """
        Say something of milter-manager, and something else.
        """
        tags = b"[statistics] [session][end][quit][pass][0.01](1)"
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.connect(str(self.socket))
            for _ in range(times):
                sock.send(b"<21>Nov 22 22:07:33 milter-manager[509]: " + tags)
                sock.send(b"<21>Nov 22 22:07:33 postfix/smtpd[5]: " + tags)

    def counted(self) -> float:
        """
        Ask the exporter, -1 while it does not serve.
        """
        try:
            answer = get("127.0.0.1", self.port, "/metrics")
        except OSError:
            return -1
        return total(read_samples(answer.body), ENDED) if answer.status == 200 else -1

    def wait_for(self, sessions: int) -> None:
        """
        Wait until so many were counted.
        """
        wait_until(lambda: self.counted() == sessions)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """
    Make a machine whose programs do not outlive the test.
    """
    with ExitStack() as stack:
        # The name of a socket has at most 107 bytes.
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield Server(tmp_path, place / "log", free_port(), stack)


def test_omprog(server: Server) -> None:
    """
    Each message counts once, through HUPs and restarts of rsyslogd, which ends the exporter well.
    """
    rsyslogd = server.start()
    server.send(100)
    server.wait_for(100)
    rsyslogd.send(signal.SIGHUP)
    wait_until(lambda: "reloading" in server.said.read_text())
    server.send(100)
    server.wait_for(200)
    number = server.exporter()

    assert 0 == rsyslogd.terminate()
    assert not Path(f"/proc/{number}").exists()
    assert "end of input" in server.said.read_text()
    assert server.said.read_text().rstrip().endswith("msg=stopped")

    server.start()
    server.send(100)
    server.wait_for(300)


def test_killed(server: Server) -> None:
    """
    An exporter that is killed is started again, and goes on with the numbers that were saved.
    """
    server.start()
    server.send(100)
    server.wait_for(100)
    wait_until(lambda: b'"sessions_ended"' in (server.directory / "state").read_bytes())
    number = server.exporter()
    os.kill(number, signal.SIGKILL)

    def is_back() -> bool:
        server.send(1)
        return server.counted() > 100

    wait_until(is_back)

    assert number != server.exporter()
