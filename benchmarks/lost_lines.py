"""
Lines counted of lines written, through rotations and a crash: the exporter and mtail, side by side.

    python benchmarks/lost_lines.py [--only WORD]

Each follower is the real program with its default settings, started before the first line, and
follows a log of its own.  A scenario writes its lines, waits until the count stands still, and
compares.  mtail and, for the last scenario, rsyslogd and logrotate are taken where they are
installed (Debian's packages mtail, rsyslog and logrotate).
"""

import argparse
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

DEADLINE_SECONDS = 30.0
STILL_SECONDS = 3.0
"""For so long a count has to stand still; both programs look at a log at least once a second."""
NOTICE_SECONDS = 1.5
"""What a rotation gives a program to notice it, where the scenario is not about its speed."""

LINE = "Nov 22 22:07:33 vm milter-manager[509]: [statistics] [session][end][quit][pass][0.01]({})\n"
MESSAGE = (
    "<21>Nov 22 22:07:33 milter-manager[509]: [statistics] [session][end][quit][pass][0.01]({})"
)

MTAIL = r"""counter ended
/milter-manager\[\d+\]: \[statistics\] \[session\]\[end\]/ {
  ended++
}
"""

RSYSLOG = """\
global(workDirectory="{directory}" net.enableDNS="off")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="{directory}/socket" RateLimit.Interval="0")
action(type="omfile" file="{log}" template="RSYSLOG_TraditionalFileFormat")
"""

LOGROTATE = """\
{log} {{
    rotate 9
    create
    postrotate
        sleep 1
        kill -HUP "$(cat {directory}/rsyslogd.pid)"
    endscript
}}
"""


class Follower:
    """
    A program that follows a log, as a process that can be killed and started again.
    """

    def __init__(self, command: Sequence[str], counter: str) -> None:
        self._counter = re.compile(rf"^{counter}(?:\{{[^}}]*\}})? (\S+)$", re.MULTILINE)
        self._port = free_port()
        self._command = [word.replace("PORT", str(self._port)) for word in command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """
        Start it, and wait until it serves metrics.
        """
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self.count() is not None)

    def kill(self) -> None:
        """
        End it as a crash would.
        """
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def count(self) -> int | None:
        """
        Ask it how many lines it has counted; None while it does not answer.
        """
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self._port, 10)) as connection:
                connection.request("GET", "/metrics")
                response = connection.getresponse()
                text = response.read().decode()
        except OSError:
            return None
        if response.status != http.client.OK:
            return None
        return int(sum(map(float, self._counter.findall(text))))

    def count_at_last(self) -> int:
        """
        Wait until the count stands still, and give it.
        """
        count, since = self.count(), time.monotonic()
        while time.monotonic() - since < STILL_SECONDS:
            time.sleep(0.1)
            now = self.count()
            if now != count:
                count, since = now, time.monotonic()
        return count or 0


@dataclass(slots=True)
class Run:
    """
    One scenario with one follower.
    """

    follower: Follower
    log: Path
    written: int = 0

    @property
    def directory(self) -> Path:
        """
        Give the place for everything that belongs to the scenario.
        """
        return self.log.parent

    def write(self, lines: int, log: Path | None = None) -> None:
        """
        Write lines at the end of the log, or of another file.
        """
        with (log or self.log).open("a") as file:
            for _ in range(lines):
                self.written += 1
                file.write(LINE.format(self.written))

    def write_and_wait(self, lines: int) -> None:
        """
        Write lines and wait until they are counted.
        """
        self.write(lines)
        wait_until(lambda: self.follower.count() == self.written)


def late_writes(run: Run) -> None:
    """
    Late writes to the renamed file.

    The new file has lines at once, and the writer goes on with the old one for three seconds.
    """
    run.write_and_wait(100)
    old = run.log.rename(run.log.with_name("mail.log.1"))
    run.write(100)
    for _ in range(10):
        run.write(10, old)
        time.sleep(0.3)


def late_hup(run: Run) -> None:
    """
    Rename with a late HUP.

    The new file is there, empty, while the writer goes on with the old one; then it reopens.
    """
    run.write_and_wait(100)
    old = run.log.rename(run.log.with_name("mail.log.1"))
    run.log.touch()
    time.sleep(NOTICE_SECONDS)
    run.write(100, old)
    time.sleep(NOTICE_SECONDS)
    run.write(100)


def regrown(run: Run) -> None:
    """
    Copied, truncated and regrown past the old offset (copytruncate).

    The file is copied, truncated and written to again before anyone looks.
    """
    run.write_and_wait(100)
    shutil.copyfile(run.log, run.log.with_name("mail.log.1"))
    with run.log.open("r+") as file:
        file.truncate(0)
    run.write(150)


def recreated(run: Run) -> None:
    """
    Deleted and recreated.

    The new file comes a while after the old one is gone, with all of its lines at once.
    """
    run.write_and_wait(100)
    run.log.unlink()
    time.sleep(NOTICE_SECONDS)
    run.write(100)


def crashed(run: Run) -> None:
    """
    Lines written while down after kill -9.

    What is counted before it, while it is down and after its return is asked for at the end.
    """
    run.write_and_wait(100)
    time.sleep(NOTICE_SECONDS)
    run.follower.kill()
    run.write(100)
    run.follower.start()
    time.sleep(NOTICE_SECONDS)
    run.write(100)


def real_rotation(run: Run) -> None:
    """
    Real rsyslog and logrotate, the HUP one second late.

    12,000 messages in six seconds, with two rotations in between.
    """
    rotation: subprocess.Popen[bytes] | None = None
    with start_rsyslogd(run) as sock:
        for burst in range(240):
            if burst in {60, 150}:
                rotation = start_logrotate(run)
            for _ in range(50):
                run.written += 1
                sock.send(MESSAGE.format(run.written).encode())
            time.sleep(0.025)
        if rotation:
            rotation.wait(DEADLINE_SECONDS)
        wait_until(lambda: count_on_disk(run) == run.written)


@contextmanager
def start_rsyslogd(run: Run) -> Iterator[socket.socket]:
    """
    Run rsyslogd, and give a socket on which it takes messages.
    """
    config = run.directory / "rsyslog.conf"
    config.write_text(RSYSLOG.format(directory=run.directory, log=run.log))
    pid_file = run.directory / "rsyslogd.pid"
    process = subprocess.Popen([find("rsyslogd"), "-n", f"-f{config}", f"-i{pid_file}"])
    try:
        address = run.directory / "socket"
        wait_until(lambda: address.exists() and pid_file.exists())
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as sock:
            sock.connect(str(address))
            yield sock
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def start_logrotate(run: Run) -> subprocess.Popen[bytes]:
    """
    Start a rotation.
    """
    config = run.directory / "logrotate.conf"
    config.write_text(LOGROTATE.format(directory=run.directory, log=run.log))
    config.chmod(0o600)
    status = run.directory / "logrotate.status"
    return subprocess.Popen([find("logrotate"), "--force", f"--state={status}", str(config)])


def count_on_disk(run: Run) -> int:
    """
    Count the lines in all generations of the log.
    """
    logs = run.directory.glob("mail.log*")
    return sum(log.read_bytes().count(b"\n") for log in logs)


SCENARIOS: tuple[Callable[[Run], None], ...] = (
    late_writes,
    late_hup,
    regrown,
    recreated,
    crashed,
    real_rotation,
)


def new_exporter(log: Path) -> Follower:
    """
    Make the exporter.
    """
    command = [
        *(sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:PORT"),
        *(f"--input.file={log}", f"--state.file={log.with_name('state')}"),
    ]
    counter = "milter_manager_sessions_ended_total"
    return Follower(command, counter)


def new_mtail(log: Path) -> Follower:
    """
    Make mtail, with a program that counts the same lines.
    """
    program = log.with_name("ended.mtail")
    program.write_text(MTAIL)
    command = [
        *("mtail", "-address", "127.0.0.1", "-port", "PORT"),
        *("-log_dir", str(log.parent), "-progs", str(program), "-logs", str(log)),
    ]
    return Follower(command, "ended")


def find(program: str) -> str:
    """
    Find a program for administrators; empty where it is not installed.
    """
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def free_port() -> int:
    """
    Find a port that nobody listens on: mtail does not say which one it got.
    """
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool]) -> None:
    """
    Look until something is so.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.02)


def measure(scenario: Callable[[Run], None], new: Callable[[Path], Follower]) -> tuple[int, int]:
    """
    Play a scenario; give the lines counted and the lines written.
    """
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory, "mail.log")
        log.touch()
        run = Run(new(log), log)
        try:
            run.follower.start()
            scenario(run)
            return run.follower.count_at_last(), run.written
        finally:
            run.follower.kill()


def main(argv: Sequence[str] | None = None) -> int:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(description="lines counted of lines written")
    parser.add_argument("--only", default="", help="play the scenarios with this in their name")
    arguments = parser.parse_args(argv)

    followers = {"milter-manager-exporter": new_exporter}
    if find("mtail"):
        followers["mtail"] = new_mtail
    print(f"| lines counted of lines written | {' | '.join(followers)} |")
    print(f"|---|{'---:|' * len(followers)}")
    for scenario in SCENARIOS:
        if arguments.only not in scenario.__name__:
            continue
        if scenario is real_rotation and not (find("rsyslogd") and find("logrotate")):
            continue
        name = (scenario.__doc__ or "").split("\n")[1].strip(" .")
        cells = []
        for new in followers.values():
            counted, written = measure(scenario, new)
            cells.append(f"{counted:,} of {written:,}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
