"""
kill -9 at any moment, while the log is written and rotated: nothing lost, nothing counted twice.

The daemon runs in a forked process that saves its state as often as it can; this process writes the
log, rotates it, scrapes, and kills.  KILLS=1000 for a longer run, KILLS_SEED for the same choices.
"""

import gzip
import os
import random
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running import free_port, get, total

from exporter import checkpoint, daemon
from exporter.catalogue import load_catalogue
from exporter.config import Address, Config
from exporter.ownlog import configure_log

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
LIFE_SECONDS = 0.25
"""The longest life: about as long as a daemon takes to start and to catch up, four times."""
DEADLINE_SECONDS = 30.0
LOOK_EVERY = 40
"""Kills between two lives that last until there is something to see, however slow the machine."""
MOST_GENERATIONS = 40

Sample = tuple[str, tuple[tuple[str, str], ...]]

SYSLOG = "Nov 22 22:10:{second:02} vm milter-manager[{pid}]: "
OWN = "[2026-11-22T22:10:{second:02}.591879Z]: "
PREFIX = "milter_manager_"
LINES = "exporter_lines_total"
# Each as the program or its neighbours write it, and what it raises; {n} makes it unlike any other.
KINDS: tuple[tuple[str, dict[tuple[str, ...], int]], ...] = (
    (
        SYSLOG + "[statistics] [session][end][end-of-message][pass][0.{n:06}]({n})\n",
        {
            ("sessions_ended_total", "last_state=end-of-message", "status=pass"): 1,
            ("session_duration_seconds_count", "status=pass"): 1,
            (LINES, "outcome=recognised"): 1,
        },
    ),
    (
        SYSLOG + "[statistics] [session][end][envelope-recipient][reject][1.5]({n})\n",
        {
            ("sessions_ended_total", "last_state=envelope-recipient", "status=reject"): 1,
            ("session_duration_seconds_count", "status=reject"): 1,
            (LINES, "outcome=recognised"): 1,
        },
    ),
    (
        SYSLOG + "[statistics] [sessions][finished] {n}(+3) 1\n",
        {("sessions_finished_total",): 3, (LINES, "outcome=recognised"): 1},
    ),
    (
        "Nov 22 22:10:{second:02} vm postfix/smtpd[{n}]: connect from unknown[192.0.2.1]\n",
        {(LINES, "outcome=foreign"): 1},
    ),
    (
        OWN + "[milter][header][add]({n}): <X-Spam-Status>=<Yes,\n\tscore=7,\n"
        + "\ttests=URIBL_X>: policy\n"
        + SYSLOG + "[moon] {n}\n",
        {
            ("milter_headers_added_total", "milter=policy", "header=X-Spam-Status"): 1,
            ("mail_checks_total", "milter=policy", "check=spam-status", "result=yes"): 1,
            ("mail_checks_total", "milter=policy", "check=uribl", "result=listed"): 1,
            (LINES, "outcome=recognised"): 1,
            (LINES, "outcome=malformed"): 2,
            (LINES, "outcome=unknown"): 1,
        },
    ),
)  # fmt: skip


@dataclass(slots=True)
class Writer:
    """
    What writes a log, and what rotates it.
    """

    path: Path
    choose: random.Random
    descriptor: int = field(init=False)
    rest: bytes = b""
    """What is yet to be written of a line."""
    number: int = 0
    written: Counter[tuple[str, ...]] = field(default_factory=Counter)
    rotated: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._open()

    def write(self) -> None:
        """
        Write some lines; the last of them may be left unfinished for now.
        """
        said = []
        for _ in range(self.choose.choice((1, 1, 2, 20))):
            self.number += 1
            text, raised = self.choose.choice(KINDS)
            said.append(text.format(n=self.number, second=self.number % 60, pid=self.number % 3))
            self.written.update(raised)
        data = self.rest + "".join(said).encode()
        cut = self.choose.choice((0, 0, self.choose.randrange(1, 60)))
        self.rest = data[len(data) - cut :]
        self._put(data[: len(data) - cut])

    def finish(self) -> None:
        """
        Write what is missing of the last line.
        """
        rest, self.rest = self.rest, b""
        self._put(rest)

    def reopen(self) -> None:
        """
        Go on in the file that has the name now, as after a HUP.
        """
        self.finish()
        os.close(self.descriptor)
        self._open()

    def rotate(self) -> None:
        """
        Rotate in one of logrotate's ways; the one before is over, and compressed.
        """
        self.reopen()
        self._shift()
        way = self.choose.choice((self._create, self._nocreate, self._create_late, self._copy))
        self.rotated[way.__name__] += 1
        way()

    def _open(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _put(self, data: bytes) -> None:
        assert len(data) == os.write(self.descriptor, data)

    def _name(self, number: int, suffix: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{suffix}")

    def _shift(self) -> None:
        """
        Compress the newest of the older generations, then move them all, as delaycompress has it.
        """
        if self._name(1).exists():
            status = self._name(1).stat()
            with self._name(1).open("rb") as plain, gzip.open(self._name(1, ".gz"), "wb", 1) as to:
                shutil.copyfileobj(plain, to)
            os.utime(self._name(1, ".gz"), ns=(status.st_atime_ns, status.st_mtime_ns))
            self._name(1).unlink()
        for number in range(MOST_GENERATIONS, 0, -1):
            if self._name(number, ".gz").exists():
                self._name(number, ".gz").rename(self._name(number + 1, ".gz"))

    def _create(self) -> None:
        self.path.rename(self._name(1))
        self.reopen()

    def _nocreate(self) -> None:
        self.path.rename(self._name(1))
        self.write()
        self.reopen()

    def _create_late(self) -> None:
        """
        Make the new file, and let a worker write to it, while another goes on with the old one.
        """
        self.path.rename(self._name(1))
        self.write()
        worker = Writer(self.path, self.choose, number=self.number + 1_000_000)
        worker.write()
        worker.finish()
        os.close(worker.descriptor)
        self.written.update(worker.written)
        # It writes to the old file until it is told, at the latest by the next rotation.

    def _copy(self) -> None:
        shutil.copy2(self.path, self._name(1))
        os.truncate(self.path, 0)


@contextmanager
def living(config: Config, said: Path) -> Iterator[int]:
    """
    Run the daemon in a process of its own, and kill it at the end.
    """
    child = os.fork()
    if child == 0:  # pragma: no cover  it does not live to tell
        status = 70
        try:
            sys.stdout = sys.stderr = said.open("a")
            configure_log("info", "logfmt")
            status = daemon.run(config)
        finally:
            sys.stderr.flush()
            os._exit(status)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)

    assert -signal.SIGKILL == os.waitstatus_to_exitcode(status), said.read_text()[-3000:]


SAMPLE = re.compile(
    rb"^(milter_manager_\w+_(?:total|count|bucket))(?:\{(.*)\})? (\S+)$", re.MULTILINE
)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scrape(port: int) -> dict[Sample, float] | None:
    """
    Read all counters; None while there is nobody or nothing to show.
    """
    try:
        answer = get("127.0.0.1", port, "/metrics")
    except OSError:
        return None
    if answer.status == 503:
        return None

    assert 200 == answer.status

    return {
        (name.decode(), tuple(LABEL.findall(labels.decode()))): float(value)
        for name, labels, value in SAMPLE.findall(answer.body)
    }


@dataclass(slots=True)
class Witness:
    """
    Who looks at the numbers, and sees none go backwards.
    """

    port: int
    seen: dict[Sample, float] = field(default_factory=dict)
    looks: int = 0

    def look(self) -> bool:
        """
        Scrape once; say whether there was something to see.
        """
        samples = scrape(self.port)
        if samples is None:
            return False
        fallen = {
            key: (before, samples.get(key))
            for key, before in self.seen.items()
            if samples.get(key, -1.0) < before
        }

        assert {} == fallen

        self.seen = samples
        self.looks += 1
        return True


def wait_until(condition: Callable[[], bool], said: Path) -> None:
    """
    Look until something is so.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert deadline > time.monotonic(), said.read_text()[-3000:]
        time.sleep(0.01)


@pytest.mark.parametrize("seed", [SEED], ids=["seed"])  # pytest shows it when it fails
def test_kill(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After any number of kills the totals are those of the log, and no scrape saw one fall.
    """
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", 0.005)
    monkeypatch.setattr(daemon, "POLL_SECONDS", 0.005)
    catalogue = load_catalogue()
    monkeypatch.setattr(daemon, "load_catalogue", lambda: catalogue)
    choose = random.Random(seed)  # noqa: S311  it is no secret
    said, port = tmp_path / "said", free_port()
    config = Config(
        input_files=(tmp_path / "mail.log",),
        from_beginning=True,
        listen_addresses=(Address("127.0.0.1", port),),
        state_file=tmp_path / "state" / "state",
    )
    writer, witness = Writer(config.input_files[0], choose), Witness(port)

    def act() -> None:
        """
        Do what happens to a log and its exporter.
        """
        for _ in range(choose.randrange(3)):
            writer.write()
        if choose.random() < 0.01:
            writer.rotate()
        if choose.random() < 0.03:
            writer.reopen()
        if choose.random() < 0.1:
            witness.look()

    writer.write()
    with living(config, said):
        # Who was never there cannot know of a log that is rotated away before.
        wait_until(lambda: config.state_file is not None and config.state_file.exists(), said)
    for number in range(KILLS):
        act()  # while it is down
        with living(config, said):
            if number % LOOK_EVERY == 0:
                wait_until(witness.look, said)
            end = time.monotonic() + choose.uniform(0, LIFE_SECONDS)
            while time.monotonic() < end:
                act()
                time.sleep(0.003)  # the pace of a busy server
    writer.finish()
    with living(config, said):
        wait_until(witness.look, said)
    os.close(writer.descriptor)

    assert dict(writer.written) == {
        key: total(witness.seen, PREFIX + key[0], **dict(label.split("=") for label in key[1:]))
        for key in writer.written
    }
    assert sum(writer.written[key] for key in writer.written if key[0] == LINES) == total(
        witness.seen, PREFIX + LINES
    )
    assert "Traceback" not in said.read_text()
    assert KILLS / LOOK_EVERY < witness.looks
    assert 4 == len(writer.rotated)
