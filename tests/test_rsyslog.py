"""
A real rsyslogd and a real logrotate: what they leave on the disk is what is counted.

The clock plays a part here as it does on a server: rsyslogd is told to reopen its file some seconds
after the rotation, while messages keep coming.
"""

import signal
import socket
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running import DEADLINE_SECONDS, Exporter, Program, require, wait_until

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

MESSAGES = 12_000
BURST = 50
CASES_AT_A_TIME = 7

BLOCK = 500
"""So many messages in a row have the same labels: where lines are lost or repeated is seen."""
STATES = ("connect", "helo", "envelope-from", "envelope-recipient", "data", "end-of-message")
STATUSES = ("pass", "reject", "temporary-failure", "discard")

LAST_READ = "milter_manager_exporter_last_read_timestamp_seconds"

TRADITIONAL = "RSYSLOG_TraditionalFileFormat"
ISO = "RSYSLOG_FileFormat"

RSYSLOG = """\
global(workDirectory="{directory}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{socket}" RateLimit.Interval="0")
action(type="omfile" file="{directory}/mail.log" template="{template}")
action(type="omfile" file="{directory}/everything" template="{template}")
"""

LOGROTATE = """\
{directory}/mail.log {{
    rotate 9
    {directives}
    postrotate
        sleep {hup_seconds}
        kill -HUP "$(cat {directory}/rsyslogd.pid)"
        sleep {reopen_seconds}
    endscript
}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """
    One way to rotate.
    """

    directives: str
    """For logrotate, separated by commas."""
    hup_seconds: int
    """How long after the rotation rsyslogd is told to reopen its file."""
    template: str = TRADITIONAL
    rotations: int = 2
    away: signal.Signals | None = None
    """SIGKILL or SIGSTOP for the exporter before the first rotation; it is back after the last."""

    def __str__(self) -> str:
        """
        Name the test.
        """
        away = f", {self.away.name} for the exporter" if self.away else ""
        return f"{self.directives}, HUP after {self.hup_seconds} s{away}"

    @property
    def loses(self) -> bool:
        """
        Say whether logrotate itself may destroy lines: between the copy and the truncation.
        """
        return "copytruncate" in self.directives

    @property
    def reopen_seconds(self) -> int:
        """
        Give the time between the HUP and the compression: rsyslogd writes on until it reopens.
        """
        return 1 if "compress" in self.directives.split(", ") and not self.loses else 0

    @property
    def seconds(self) -> int:
        """
        Give the time in which the messages are sent: a second before, between and after.
        """
        return 1 + self.rotations * (1 + self.hup_seconds + self.reopen_seconds)

    @property
    def rotated_at(self) -> set[int]:
        """
        Give the messages before which the log is rotated, each the first of its burst.
        """
        bursts = MESSAGES // BURST
        moments = range(1, self.seconds, (self.seconds - 1) // self.rotations)
        return {BURST * (bursts * moment // self.seconds) for moment in moments}


CASES = (
    Case("create", 0),
    Case("create", 1, ISO),
    Case("create", 5, rotations=1),
    Case("create, dateext, dateformat -%Y%m%d-%s", 1),
    Case("create, compress, delaycompress", 1, ISO),
    Case("create, compress", 0, rotations=1),
    Case("create, compress", 0, ISO, away=signal.SIGKILL),
    Case("create, compress, delaycompress", 0, away=signal.SIGSTOP),
    Case("nocreate", 0, ISO),
    Case("nocreate", 1),
    Case("nocreate", 5, rotations=1),
    Case("copytruncate", 0),
    Case("copytruncate", 1, ISO),
    Case("copytruncate", 5, rotations=1),
    Case("copytruncate, compress", 0),
    Case("copytruncate", 0, ISO, away=signal.SIGSTOP),
    Case("copytruncate, compress", 0, ISO, away=signal.SIGKILL),
    Case("copytruncate, compress", 0, away=signal.SIGSTOP),
)


@dataclass(slots=True)
class Outcome:
    """
    What became of the messages.
    """

    sent: Counter[tuple[str, str]] = field(default_factory=Counter)
    on_disk: list[int] = field(default_factory=list)
    """The ids in all generations of the log together."""
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    rotations: float = 0.0
    truncations: float = 0.0


def labels(number: int) -> tuple[str, str]:
    """
    Give the labels of a message: its last state and its status.
    """
    block = number // BLOCK
    return STATES[block // len(STATUSES)], STATUSES[block % len(STATUSES)]


def read_ids(*paths: Path) -> list[int]:
    """
    List the ids in logs, compressed or not, in order.
    """
    found = subprocess.run(
        ["zgrep", "-h", "-o", r"milter-manager\[509\]: \[statistics\] \[session\].*$", *paths],
        stdout=subprocess.PIPE,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return sorted(int(line.rpartition(b"(")[2].rstrip(b")")) for line in found.stdout.splitlines())


class Signalled(Exporter):
    """
    An exporter that can be stopped for a while.
    """

    def send(self, number: signal.Signals) -> None:
        """
        Send it a signal.
        """
        self._process.send_signal(number)


@dataclass(slots=True)
class Server:
    """
    A machine that logs: its rsyslogd, logrotate and exporter, all of them in one directory.
    """

    case: Case
    directory: Path
    rsyslogd: str
    logrotate: str
    stack: ExitStack
    address: Path = field(init=False)
    exporter: Signalled = field(init=False)
    rotations: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self) -> Outcome:
        """
        Send all messages through the rotations, and count what came of them.
        """
        self.start_exporter()
        self.start_rsyslogd()
        outcome = Outcome()
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.connect(str(self.address))
            for first in range(0, MESSAGES, BURST):
                if first in self.case.rotated_at:
                    self.rotate()
                for number in range(first, first + BURST):
                    sock.send(message(number))
                    outcome.sent[labels(number)] += 1
                time.sleep(self.case.seconds / MESSAGES * BURST)
        self.finish_rotation()
        if self.case.away == signal.SIGKILL:
            self.start_exporter()
        if self.case.away == signal.SIGSTOP:
            self.exporter.send(signal.SIGCONT)
        everything = self.directory / "everything"
        wait_until(lambda: everything.read_bytes().count(b"\n") == MESSAGES)
        self.wait_for_a_look()
        self.count(outcome)
        return outcome

    def start_exporter(self) -> None:
        """
        Start the exporter, or start it again.
        """
        flags = [
            f"--input.file={self.directory / 'mail.log'}",
            f"--state.file={self.directory / 'state'}",
        ]
        self.exporter = Signalled(self.directory, *flags)
        self.stack.callback(self.exporter.kill)
        self.exporter.serve()

    def start_rsyslogd(self) -> None:
        """
        Start rsyslogd in the foreground.
        """
        # The name of a socket has at most 107 bytes, which a test's own directory may have by now.
        place = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.address = place / "log"
        config = self.directory / "rsyslog.conf"
        config.write_text(
            RSYSLOG.format(
                directory=self.directory, socket=self.address, template=self.case.template
            )
        )
        pid_file = self.directory / "rsyslogd.pid"
        program = Program([self.rsyslogd, "-n", f"-f{config}", f"-i{pid_file}"], self.directory)
        self.stack.callback(program.kill)
        wait_until(lambda: self.address.exists() and pid_file.exists())

    def rotate(self) -> None:
        """
        Start logrotate, which goes on until rsyslogd has been told.
        """
        self.finish_rotation()
        if self.case.away:
            self.exporter.send(self.case.away)
        config = self.directory / "logrotate.conf"
        config.write_text(
            LOGROTATE.format(
                directory=self.directory,
                directives="\n    ".join(self.case.directives.split(", ")),
                hup_seconds=self.case.hup_seconds,
                reopen_seconds=self.case.reopen_seconds,
            )
        )
        config.chmod(0o600)
        status = self.directory / "logrotate.status"
        command = [self.logrotate, "--force", f"--state={status}", str(config)]
        self.rotations.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))

    def finish_rotation(self) -> None:
        """
        Wait until logrotate is done, if it is at work.
        """
        if self.rotations:
            assert 0 == self.rotations[-1].wait(DEADLINE_SECONDS)

    def wait_for_a_look(self) -> None:
        """
        Wait until the exporter has looked at the log from beginning to end.
        """
        for _ in range(3):
            before = self.exporter.total(LAST_READ)
            wait_until(lambda before=before: self.exporter.total(LAST_READ) > before)  # type: ignore[misc]

    def count(self, outcome: Outcome) -> None:
        """
        Compare the exporter's numbers with the disk.
        """
        outcome.on_disk = read_ids(*self.directory.glob("mail.log*"))
        samples = self.exporter.samples()
        for (name, pairs), value in samples.items():
            if name == "milter_manager_sessions_ended_total" and value:
                found = dict(pairs)
                outcome.counted[found["last_state"], found["status"]] = int(value)
        outcome.rotations = self.exporter.total("milter_manager_exporter_file_rotations_total")
        outcome.truncations = self.exporter.total("milter_manager_exporter_file_truncations_total")


def message(number: int) -> bytes:
    """
    Make a message as milter-manager would send it to syslog.
    """
    last_state, status = labels(number)
    tags = f"[session][end][{last_state}][{status}][0.01]({number})"
    return f"<21>Nov 22 22:07:33 milter-manager[509]: [statistics] {tags}".encode()


Outcomes = dict[Case, Future[Outcome]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """
    All cases, several at a time: most of what they do is wait.
    """
    programs = require("rsyslogd", "rsyslog"), require("logrotate", "logrotate")

    def run(case: Case, directory: Path) -> Outcome:
        with ExitStack() as stack:
            server = Server(case, directory, *programs, stack)
            try:
                return server.run()
            except BaseException as error:
                error.add_note(f"The exporter said:\n{''.join(server.exporter.lines)}")
                raise

    with ThreadPoolExecutor(CASES_AT_A_TIME) as executor:
        longest_first = sorted(CASES, key=lambda case: -case.seconds)
        yield {
            case: executor.submit(run, case, tmp_path_factory.mktemp("server"))
            for case in longest_first
        }


@pytest.mark.parametrize("case", [case for case in CASES if not case.loses], ids=str)
def test_rename(case: Case, outcomes: Outcomes) -> None:
    """
    Where logrotate renames, each message sent is on the disk once and is counted once.
    """
    outcome = outcomes[case].result()

    assert list(range(MESSAGES)) == outcome.on_disk
    assert outcome.sent == outcome.counted
    assert 0 == outcome.truncations
    assert case.away or case.rotations == outcome.rotations


@pytest.mark.parametrize("case", [case for case in CASES if case.loses], ids=str)
def test_copytruncate(case: Case, outcomes: Outcomes) -> None:
    """
    Where logrotate copies and truncates, each message that survives it is counted once.

    Between the copy and the truncation it destroys lines, which the exporter may have read or not.
    """
    outcome = outcomes[case].result()
    survived = Counter(map(labels, outcome.on_disk))

    assert len(set(outcome.on_disk)) == len(outcome.on_disk)
    assert survived <= outcome.counted
    assert outcome.counted <= outcome.sent
    assert case.away or case.rotations == outcome.truncations
