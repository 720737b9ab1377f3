"""
The exporter on a host whose journal a real systemd-journald writes, rotates, moves and vacuums.
"""

import os
import random
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from journald import MACHINE, OTHER_MACHINE, Host
from journals import append, write_entry
from running import Exporter, wait_until

ENDED = "milter_manager_sessions_ended_total"
SECONDS = "milter_manager_session_duration_seconds_sum"
HEADERS = "milter_manager_milter_headers_added_total"
LINES = "milter_manager_exporter_lines_total"
READ_ERRORS = "milter_manager_exporter_read_errors_total"
HEADER = b"<21>milter-manager[7]: [statistics] [milter][header][add](2): <X-Spam>=<%s>: %s"
KILLS = int(os.environ.get("JOURNALD_KILLS", "9"))
SEED = int(os.environ.get("KILLS_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)
LIFE_SECONDS = 1.5
"""The longest life after the start: saves are a second apart at least."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """
    A host with a journald.
    """
    host = Host(tmp_path)
    try:
        host.start()
        yield host
    finally:
        host.close()


@pytest.fixture
def state(tmp_path: Path) -> str:
    """
    The flag that keeps the state.
    """
    return f"--state.file={tmp_path / 'state'}"


def ended(n: int) -> bytes:
    """
    Write the end of a session that took so many seconds.
    """
    return b"[statistics] [session][end][quit][pass][%d.0](%d)" % (n, n)


def say(host: Host, *numbers: int) -> None:
    """
    Log the end of a session for each number.
    """
    for n in numbers:
        host.log(b"<21>milter-manager[7]: " + ended(n))


def wait_for(exporter: Exporter, *numbers: int) -> None:
    """
    Wait until as many sessions were counted; they must be these, each once.
    """
    wait_until(lambda: exporter.total(ENDED) >= len(numbers))

    assert counted(numbers) == (exporter.total(ENDED), exporter.total(SECONDS))


def counted(numbers: tuple[int, ...] | range) -> tuple[float, float]:
    """
    Give how many they are and what they add up to: one for another would show.
    """
    return float(len(numbers)), float(sum(numbers))


def said(exporter: Exporter, text: str) -> int:
    """
    Count the lines of the exporter's own log that hold a text.
    """
    return sum(text in line for line in exporter.lines)


def test_chosen(host: Host) -> None:
    """
    Without a log file the journal is followed by itself, live; other programs are left out.
    """
    host.log(b"<22>postfix/smtpd[8]: connect from unknown[192.0.2.1]")
    exporter = host.exporter().serve()

    assert 1 == said(exporter, "no log found")

    say(host, 1)
    exporter.hear("following the systemd journal")
    say(host, 2, 3)
    wait_for(exporter, 1, 2, 3)

    assert 3 == exporter.total(LINES)


@pytest.mark.parametrize("flag", ["--input.journal", "--input.journal-directory=/var/log/journal"])
def test_messages(host: Host, flag: str) -> None:
    """
    Lines, several lines, long ones and bytes that are no text are counted, old and live ones.
    """
    host.journalctl("--flush")
    texts = {
        b"lines": b"Yes,\n\tscore=7,\n\ttests=URIBL_X",
        b"bytes": b"\xff\xfe\x80",
        b"control": b"\x01\x7f\x1b[0m",
        b"wide": "ünï".encode(),
        b"long": b"y" * 5000,
        b"very-long": b"z" * 60_000,
        b"long-bytes": b"\xff" * 5000,
    }

    def say_all() -> None:
        for milter, text in texts.items():
            host.log(HEADER % (text, milter))

    say_all()
    exporter = host.exporter(flag, "--input.from=beginning").serve()
    for times in (1, 2):
        wait_until(lambda: exporter.total(LINES) == times * len(texts))  # noqa: B023 - at once

        assert times * len(texts) == exporter.total(LINES, outcome="recognised")
        for milter in texts:
            assert times == exporter.total(HEADERS, milter=milter.decode(), header="X-Spam")
        if times == 1:
            say_all()


def test_other_machine(host: Host) -> None:
    """
    Entries of another machine, collected on this one, are not this one's.
    """
    host.journalctl("--flush")
    directory = host.root / "var/log/journal" / OTHER_MACHINE
    directory.mkdir()
    other, own = (
        write_entry(n, ended(n), _MACHINE_ID=machine.encode())
        for n, machine in ((100, OTHER_MACHINE), (3, MACHINE))
    )
    append(directory / "system.journal", [other])
    append(directory / "own.journal", [own])
    exporter = host.exporter("--input.journal", "--input.from=beginning").serve()
    wait_for(exporter, 3)
    append(directory / "system.journal", [other])
    say(host, 1)
    wait_for(exporter, 3, 1)


@pytest.mark.parametrize("how", ["signal", "journalctl"])
def test_rotated(host: Host, state: str, how: str) -> None:
    """
    Rotation loses nothing, neither while the exporter runs nor while it does not.
    """

    def rotate() -> None:
        before = len(host.journals)
        if how == "signal":
            host.signal(signal.SIGUSR2)
        else:
            host.journalctl("--rotate")
        wait_until(lambda: len(host.journals) > before)

    host.journalctl("--flush")
    say(host, 1)
    flags = ("--input.journal", "--input.from=beginning", state)
    exporter = host.exporter(*flags).serve()
    for n in (2, 4):
        say(host, n)
        rotate()
        say(host, n + 1)
        wait_for(exporter, *range(1, n + 2))
    exporter.terminate()
    for n in (6, 8):
        rotate()
        say(host, n, n + 1)
    rotate()
    second = host.exporter(*flags).serve()
    wait_for(second, *range(1, 10))

    assert 0 == second.total(READ_ERRORS)
    assert 0 == said(exporter, "lost") + said(second, "lost")


def test_vacuumed_while_following(host: Host, state: str) -> None:
    """
    What was read may be vacuumed under a running exporter; the next one says its place is gone.
    """
    host.journalctl("--flush")
    say(host, 1, 2)
    flags = ("--input.journal", "--input.from=beginning", state)
    exporter = host.exporter(*flags).serve()
    wait_for(exporter, 1, 2)
    host.vacuum()
    say(host, 3)
    wait_for(exporter, 1, 2, 3)

    assert 0 == exporter.total(READ_ERRORS)

    host.vacuum()
    exporter.terminate()
    second = host.exporter(*flags).serve()
    say(host, 4)
    wait_for(second, 1, 2, 3, 4)

    assert 1 == second.total(READ_ERRORS)
    assert 0 == said(exporter, "lost")
    assert 1 == said(second, "the place in the journal is gone")


def test_vacuumed_while_stopped(host: Host, state: str) -> None:
    """
    What was vacuumed unread is lost: that is said and counted once, and all that is left is read.
    """
    host.journalctl("--flush")
    say(host, 1, 2)
    flags = ("--input.journal", "--input.from=beginning", state)
    exporter = host.exporter(*flags).serve()
    wait_for(exporter, 1, 2)
    exporter.terminate()
    say(host, 3, 4)
    host.vacuum()
    say(host, 5, 6)
    second = host.exporter(*flags).serve()
    wait_for(second, 1, 2, 5, 6)

    assert 1 == second.total(READ_ERRORS)

    second.terminate()
    third = host.exporter(*flags).serve()
    say(host, 7)
    wait_for(third, 1, 2, 5, 6, 7)

    assert 1 == third.total(READ_ERRORS)
    assert [0, 1, 0] == [said(one, "place in the journal") for one in (exporter, second, third)]


def test_read_part_vacuumed(host: Host, state: str) -> None:
    """
    Vacuuming what was read long ago goes by unnoticed.
    """
    host.journalctl("--flush")
    say(host, 1, 2)
    flags = ("--input.journal", "--input.from=beginning", state)
    exporter = host.exporter(*flags).serve()
    wait_for(exporter, 1, 2)
    host.journalctl("--rotate")
    say(host, 3)
    wait_for(exporter, 1, 2, 3)
    exporter.terminate()
    host.journalctl("--vacuum-files=1")
    say(host, 4)
    second = host.exporter(*flags).serve()
    wait_for(second, 1, 2, 3, 4)

    assert 0 == second.total(READ_ERRORS)
    assert 0 == said(second, "lost")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_journald_restarted(host: Host, number: signal.Signals) -> None:
    """
    A journald may be restarted or killed; what it leaves half done hinders nobody.
    """
    host.journalctl("--flush")
    say(host, 1)
    exporter = host.exporter("--input.journal", "--input.from=beginning").serve()
    for n in (2, 4, 6):
        say(host, n)
        host.stop(number)
        host.start()
        say(host, n + 1)
        wait_for(exporter, *range(1, n + 2))

    assert 0 == exporter.total(READ_ERRORS)


@pytest.mark.parametrize("is_running", [True, False])
def test_flushed(host: Host, state: str, *, is_running: bool) -> None:
    """
    What is moved from memory to the disk, as at every boot, is known again.
    """
    say(host, 1, 2)
    flags = ("--input.journal", "--input.from=beginning", state)
    exporter = host.exporter(*flags).serve()
    wait_for(exporter, 1, 2)

    assert not host.journals

    if not is_running:
        exporter.terminate()
        say(host, 3)
    host.journalctl("--flush")

    assert host.journals

    if not is_running:
        exporter = host.exporter(*flags).serve()
    else:
        say(host, 3)
    say(host, 4)
    wait_for(exporter, 1, 2, 3, 4)

    assert 0 == exporter.total(READ_ERRORS)
    assert 0 == said(exporter, "lost")


def test_made_persistent(host: Host) -> None:
    """
    A journal that was in memory only is followed to the disk, once it is to be kept there.
    """
    (host.root / "var/log/journal").rmdir()
    exporter = host.exporter("--input.journal", "--input.from=beginning").serve()
    say(host, 1)
    wait_for(exporter, 1)
    (host.root / "var/log/journal").mkdir()
    host.journalctl("--flush")
    say(host, 2)
    wait_for(exporter, 1, 2)

    assert host.journals


def test_wiped(host: Host) -> None:
    """
    A journal that is removed as a whole and begun anew is followed all the same.
    """
    host.journalctl("--flush")
    say(host, 1)
    exporter = host.exporter("--input.journal", "--input.from=beginning").serve()
    wait_for(exporter, 1)
    for n in (2, 3):
        host.stop()
        shutil.rmtree(host.root / "var/log/journal")
        (host.root / "var/log/journal").mkdir()
        host.start()
        say(host, n)
        wait_for(exporter, *range(1, n + 1))


def test_rebooted(host: Host, state: str) -> None:
    """
    Over reboots it goes on where it was, and who begins at the beginning reads all boots.
    """
    flags = ("--input.journal", "--input.from=beginning", state)
    for n in (1, 4, 7):
        say(host, n)
        exporter = host.exporter(*flags).serve()
        wait_for(exporter, *range(1, n + 1))
        host.journalctl("--flush")
        say(host, n + 1)
        wait_for(exporter, *range(1, n + 2))
        exporter.terminate()
        say(host, n + 2)

        assert 0 == said(exporter, "lost")

        host.reboot()

    assert 4 == len(host.journalctl("--list-boots", "--no-pager", "--quiet").splitlines())

    exporter = host.exporter("--input.journal", "--input.from=beginning").serve()
    wait_for(exporter, *range(1, 10))


@dataclass(slots=True)
class Writer:
    """
    What logs all the time, as long as it is asked to.
    """

    host: Host
    chance: random.Random
    ended: threading.Event = field(default_factory=threading.Event)
    written: int = 0

    def run(self) -> None:
        """
        Log some, wait a little, and so on.
        """
        while not self.ended.wait(0.01):
            for _ in range(self.chance.choice((1, 1, 5, 40))):
                say(self.host, self.written)
                self.written += 1


def test_kill(host: Host, state: str) -> None:
    """
    Whenever exporter and journalctl are killed while all goes on, each entry counts once.
    """
    chance = random.Random(SEED)  # noqa: S311 - the same for the same seed
    writer = Writer(host, random.Random(SEED + 1))  # noqa: S311 - see above
    thread = threading.Thread(target=writer.run)
    host.journalctl("--flush")
    flags = ("--input.journal", "--input.from=beginning", state)
    thread.start()
    try:
        for turn in range(KILLS):
            exporter = host.exporter(*flags)
            if turn % 3:
                exporter.serve()
            for _ in range(chance.randrange(3)):
                writer.ended.wait(chance.uniform(0, LIFE_SECONDS / 3))
                for number in exporter.children():
                    os.kill(number, signal.SIGKILL)
                if chance.random() < 0.3:
                    host.journalctl("--rotate")
            writer.ended.wait(chance.uniform(0, LIFE_SECONDS))
            exporter.kill()

            assert 0 == said(exporter, "lost"), SEED
    finally:
        writer.ended.set()
        thread.join()
    exporter = host.exporter(*flags).serve()
    wait_until(lambda: exporter.total(ENDED) >= writer.written)

    assert counted(range(writer.written)) == (exporter.total(ENDED), exporter.total(SECONDS)), SEED

    exporter.terminate()

    assert 0 == said(exporter, "lost"), SEED
    assert len(host.journals) > 2
