"""
One log into the tally, looked at by hand.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from journals import install
from running import wait_until
from structlog.testing import capture_logs

from exporter.catalogue import load_catalogue
from exporter.config import STANDARD_INPUT
from exporter.counting import Counting
from exporter.generation import CHUNK_BYTES, LINE_BYTES
from exporter.input import Input
from exporter.journal import Journal
from exporter.logfile import GRACE_SECONDS, LogFile
from exporter.milters import MilterNames
from exporter.pipe import Pipe
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.state import LogState
from exporter.tally import Key, Tally

NOW = 1795390000.0
"""22 November 2026, 23:26:40 UTC."""
END = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] [session][end][quit][pass][0.1](1)\n"
ENDED: Key = ("sessions_ended", "quit", "pass")
OWN = b"[2026-11-22T22:04:44.5Z]: "


@dataclass(slots=True)
class Counted:
    """
    An input, its tally, and the time that passes when the test says so.
    """

    input: Input
    tally: Tally
    names: MilterNames
    now: float = 0.0
    looks: list[bool] = field(default_factory=list)
    """What `stopping` is to answer, chunk by chunk; then no."""

    def read(self) -> None:
        """
        Look once.
        """
        self.input.read(self.now, self.is_stopping)

    def is_stopping(self) -> bool:
        """
        Say whether the daemon has been asked to stop.
        """
        return self.looks.pop(0) if self.looks else False

    def count(self, *key: str) -> int:
        """
        Give one counter.
        """
        return self.tally.snapshot().counts.get(key, 0)

    def gauge(self, name: str) -> float:
        """
        Give one of the numbers of the file.
        """
        return self.tally.snapshot().gauges[name, self.input.name]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    Where the log will be.
    """
    return tmp_path / "mail.log"


def follow(path: Path) -> Counted:
    """
    Make an input that reads a log whole.
    """
    tally = Tally((1.0,))
    grammar = Grammar(("milter-manager",))
    names = MilterNames()
    recogniser = Recogniser(load_catalogue(), names)

    def new_counting() -> Counting:
        return Counting(str(path), grammar, recogniser, tally, lambda: NOW)

    return Counted(Input(LogFile(path, from_beginning=True), new_counting, tally), tally, names)


@pytest.fixture
def counted(path: Path) -> Iterator[Counted]:
    """
    An input of a log.
    """
    counted = follow(path)
    yield counted
    counted.input.logfile.close()


def append(path: Path, data: bytes) -> None:
    """
    Write at the end of a file, and make it if need be.
    """
    with path.open("ab") as file:
        file.write(data)


def test_counted(path: Path, counted: Counted) -> None:
    """
    Each line is counted once, when it is complete.
    """
    append(path, END + END[:-1])
    counted.read()

    assert 1 == counted.count(*ENDED)
    assert 2 * len(END) - 1 == counted.gauge("read_bytes")
    assert len(END) - 1 == counted.gauge("unread_bytes")

    append(path, b"\n")
    counted.read()
    counted.read()

    assert 2 == counted.count(*ENDED)
    assert 2 * len(END) == counted.gauge("read_bytes")
    assert 0 == counted.gauge("unread_bytes")


def test_unread_within_a_read(path: Path, counted: Counted) -> None:
    """
    While a backlog is being read, what is left of it is known at each save.
    """
    lines = 20_000
    append(path, END * lines)
    left: list[float] = []

    def note() -> bool:
        counted.input.export()
        left.append(counted.gauge("unread_bytes") + len(END) * counted.count(*ENDED))
        return False

    counted.input.read(0.0, note)

    assert {float(len(END) * lines)} == set(left)
    assert 1 < len(left)
    assert 0 == counted.gauge("unread_bytes")


def test_not_there_yet(counted: Counted) -> None:
    """
    The file's numbers are there before the file, all of them 0.
    """
    counted.read()

    assert {
        (name, counted.input.name): 0.0
        for name in (
            "read_bytes", "unread_bytes", "file_rotations", "file_truncations", "read_errors",
        )
    } == counted.tally.snapshot().gauges  # fmt: skip


def test_what_files_go_through(path: Path, counted: Counted) -> None:
    """
    Rotations and truncations are counted, and so is what they leave of a line.
    """
    append(path, END + b"half")
    counted.read()
    path.rename(path.with_suffix(".1"))
    append(path, END)
    counted.read()
    os.truncate(path, 0)
    counted.read()
    append(path, END)
    counted.read()

    assert 3 == counted.count(*ENDED)
    assert 1 == counted.gauge("file_rotations")
    assert 1 == counted.gauge("file_truncations")
    assert 0 == counted.count("lines", "malformed")

    counted.now += GRACE_SECONDS
    counted.read()

    assert 1 == counted.count("lines", "malformed")


def test_exchange(path: Path, counted: Counted) -> None:
    """
    A FIFO in the place of a file is gone on with once the file is read, whoever is in between.
    """
    input_, kinds = counted.input, []
    path.write_bytes(END)
    counted.read()
    append(path, END * (2 * CHUNK_BYTES // len(END)))
    total = path.read_bytes().count(b"\n")
    path.rename(path.with_name("old"))
    kinds.append((input_.is_other, input_.kind))
    os.mkfifo(path)
    kinds.append((input_.is_other, input_.kind))
    counted.looks = [True]
    input_.exchange(lambda: Pipe(path), 0.0, counted.is_stopping)
    kinds.append((input_.is_other, input_.kind))

    assert total > counted.count(*ENDED)

    input_.exchange(lambda: Pipe(path), 0.0, counted.is_stopping)
    counted.read()
    kinds.append((input_.is_other, input_.kind))

    assert total == counted.count(*ENDED)

    writer = os.open(path, os.O_WRONLY)
    os.write(writer, END)
    path.unlink()
    path.write_bytes(b"")
    kinds.append((input_.is_other, input_.kind))  # not before it is empty
    counted.read()
    kinds.append((input_.is_other, input_.kind))
    os.close(writer)

    assert total + 1 == counted.count(*ENDED)
    assert [
        *((False, "file"), (True, "file"), (True, "file")),
        *((False, "fifo"), (False, "fifo"), (True, "fifo")),
    ] == kinds


def test_exchange_in_a_line(path: Path, counted: Counted) -> None:
    """
    A line that its writer left unfinished in a FIFO is counted as malformed when a file comes.
    """
    input_ = counted.input
    os.mkfifo(path)
    input_.exchange(lambda: Pipe(path), 0.0, counted.is_stopping)
    counted.read()
    writer = os.open(path, os.O_WRONLY)
    os.write(writer, END + b"half")
    counted.read()
    path.unlink()
    path.write_bytes(END)

    assert input_.is_other

    input_.exchange(lambda: LogFile(path, from_beginning=True), 0.0, counted.is_stopping)
    counted.read()
    os.close(writer)

    assert 2 == counted.count(*ENDED)
    assert 1 == counted.count("lines", "malformed")


def test_standard_input_has_no_name(
    tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A file called "-" has nothing to do with standard input.
    """
    monkeypatch.chdir(tmp_path)
    Path("-").write_bytes(END)
    counted.input.logfile = Pipe(STANDARD_INPUT)

    assert not counted.input.is_other


def test_format_that_is_no_log(path: Path, counted: Counted) -> None:
    """
    A format of journalctl that has no lines is named, once.
    """
    append(path, b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\n")
    with capture_logs() as said:
        counted.read()
        append(path, b"MESSAGE=a\n")
        counted.read()

    assert ["journalctl --output=export"] == [line["format"] for line in said if "format" in line]


def test_remedy_of_the_journal(tmp_path: Path, counted: Counted) -> None:
    """
    Where the journal may not be read it is a group that is missing.
    """
    script = "echo No files were opened due to insufficient permissions. >&2; exit 1"
    journal = Journal(["x"], from_beginning=True, environ=install(tmp_path, script))
    counted.input.logfile = journal

    def is_refused() -> bool:
        counted.read()
        return bool(counted.input.problem)

    wait_until(is_refused)

    assert "systemd-journal" == (counted.input.remedy and counted.input.remedy.group)


def test_overlong(path: Path, counted: Counted) -> None:
    """
    An overlong line is counted as such, once.
    """
    append(path, END + b"x" * (2 * LINE_BYTES) + b"\n" + END)
    counted.read()
    counted.read()

    assert 1 == counted.count("lines", "overlong")
    assert 2 == counted.count(*ENDED)


def test_stopping(path: Path, counted: Counted) -> None:
    """
    Asked to stop the reader ends with the chunk it has; the rest is there for the next look.
    """
    append(path, END * 10_000)
    counted.looks = [False, True]
    counted.read()
    seen = counted.count(*ENDED)

    assert 0 < seen < 10_000

    counted.read()

    assert 10_000 == counted.count(*ENDED)


def test_stopping_in_a_line(path: Path, counted: Counted) -> None:
    """
    It does so in a line that does not end for megabytes as well, or in a hole.
    """
    for data in (b"x" * (4 * LINE_BYTES), b"\n" + b"\0" * (4 * LINE_BYTES)):
        append(path, data)
        before = counted.input.logfile.statistics.read_bytes
        counted.looks = [True]
        counted.read()

        assert before < counted.gauge("read_bytes") <= before + CHUNK_BYTES

        counted.read()
    append(path, b"\n" + END)
    counted.read()

    assert 1 == counted.count(*ENDED)


def test_each_file_by_itself(path: Path, counted: Counted) -> None:
    """
    What a file's first lines tell of its form holds for that file and no other.
    """
    append(path, b"[session][end][quit][pass][0.1](1)\n")
    counted.read()
    path.rename(path.with_suffix(".1"))
    append(path, END + b"[session][end][quit][pass][0.1](1)\n")
    counted.read()

    assert 2 == counted.count(*ENDED)
    assert 1 == counted.count("lines", "malformed")


def test_form_of_what_is_followed_from_its_end(path: Path) -> None:
    """
    The file's head tells its form also when only its end is read.
    """
    append(path, END)
    counted = follow(path)
    logfile = counted.input.logfile
    assert isinstance(logfile, LogFile)
    logfile.from_beginning = False
    counted.read()
    append(path, b"[session][end][quit][pass][0.1](1)\n")
    counted.read()
    counted.input.logfile.close()

    assert 0 == counted.count(*ENDED)
    assert 1 == counted.count("lines", "malformed")


def test_header_at_the_end(path: Path, counted: Counted) -> None:
    """
    A header that goes on in lines that never came is counted when its file is left.
    """
    append(path, OWN + b"[milter][header][add](2): <X-Spam-Status>=<Yes,\n\tscore=7>: policy\n")
    counted.read()
    headers = ("milter_headers_added", "policy", "X-Spam-Status")

    assert 0 == counted.count(*headers)

    path.rename(path.with_suffix(".1"))
    append(path, OWN + b"[sessions][finished] 1(+1) 0\n")
    counted.read()
    counted.now += GRACE_SECONDS
    counted.read()

    assert 1 == counted.count(*headers)
    assert [2] == list(counted.input.countings)


def test_countings_do_not_pile_up(path: Path, counted: Counted) -> None:
    """
    Only files that may have lines to come keep what counts them.
    """
    for i in range(50):
        append(path, END)
        counted.read()
        path.rename(path.with_suffix(f".{i}"))
        counted.now += GRACE_SECONDS

    assert 50 == counted.count(*ENDED)
    assert 2 >= len(counted.input.countings)


def test_problem_is_told_once(path: Path, counted: Counted) -> None:
    """
    A log that cannot be read is told once, with the reason, and once that it can be again.
    """
    path.mkdir()
    with capture_logs() as said:
        for _ in range(3):
            counted.read()

    assert [
        {
            "event": "cannot read the log, trying again",
            "log_level": "error",
            "file": str(path),
            "reason": "is not a regular file",
        }
    ] == said
    assert 3 == counted.gauge("read_errors")

    path.rmdir()
    append(path, END)
    with capture_logs() as said:
        for _ in range(3):
            counted.read()

    assert [{"event": "the log can be read again", "log_level": "info", "file": str(path)}] == said
    assert 1 == counted.count(*ENDED)


def test_another_problem(path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Another reason is told as well; a log that is simply not there is no reason.
    """

    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with capture_logs() as said:
        counted.read()
        path.mkdir()
        counted.read()
        path.rmdir()
        append(path, END)
        monkeypatch.setattr(os, "open", refuse)
        counted.read()
        counted.read()

    assert ["is not a regular file", "Permission denied"] == [line["reason"] for line in said]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"mail.log", "mail.log"),
        ("メール.log".encode(), "メール.log"),
        (b"caf\xe9.log", "caf\ufffd.log"),
        (b'quo"te\n.log', 'quo"te\n.log'),
    ],
)
def test_name(name: bytes, expected: str, tmp_path: Path) -> None:
    """
    The label `file` is the path as text that can be served, whatever its bytes.
    """
    counted = follow(tmp_path / os.fsdecode(name))

    assert str(tmp_path / expected) == counted.input.name
    assert expected.encode() == Path(counted.input.name).name.encode()


@dataclass(slots=True)
class Runs:
    """
    One run after another of an input, each with the state that the one before left.
    """

    path: Path
    counted: Counted

    def restart(self, log: LogState | None = None) -> Counted:
        """
        End the run without a word, and start another with what it last gave for a restart.
        """
        before = self.counted
        log = log or before.input.export()
        state, names = before.tally.export(), [*before.names]
        before.input.logfile.close()
        self.counted = follow(self.path)
        self.counted.tally.restore(state)
        for name in names:
            self.counted.names.label(name)
        self.counted.input.resume(log)
        return self.counted


@pytest.fixture
def runs(path: Path) -> Iterator[Runs]:
    """
    The runs of an input.
    """
    runs = Runs(path, follow(path))
    yield runs
    runs.counted.input.logfile.close()


def test_restart(path: Path, runs: Runs) -> None:
    """
    A restart goes on behind the last line that was counted, in the file and in the numbers of it.
    """
    append(path, END + b"x" * (2 * LINE_BYTES) + b"\n" + END + END[:20])
    runs.counted.read()
    counted = runs.restart()
    append(path, END[20:] + END)
    counted.read()

    assert 4 == counted.count(*ENDED)
    assert 1 == counted.count("lines", "overlong")
    assert 0 == counted.gauge("unread_bytes")


def test_restarts_through_rotations(path: Path, runs: Runs) -> None:
    """
    So it does where the file was rotated, and truncated, before the restart or after it.
    """
    append(path, END)
    runs.counted.read()
    path.rename(path.with_suffix(".log.1"))
    append(path, END)
    runs.counted.read()
    append(path.with_suffix(".log.1"), END)
    counted = runs.restart()
    append(path, END)
    counted.read()

    assert 4 == counted.count(*ENDED)
    assert 1 == counted.gauge("file_rotations")

    counted = runs.restart()
    os.truncate(path, 0)
    counted.read()
    append(path, END)
    counted.read()

    assert 5 == counted.count(*ENDED)


def test_restart_before_the_log(path: Path, runs: Runs) -> None:
    """
    A log that was not there yet is read whole when it comes, how often soever one restarts.
    """
    for _ in range(3):
        runs.counted.read()
        runs.restart()
        logfile = runs.counted.input.logfile
        assert isinstance(logfile, LogFile)
        logfile.from_beginning = False
    append(path, END)
    runs.counted.read()

    assert 1 == runs.counted.count(*ENDED)


def test_restart_before_the_first_look(path: Path, runs: Runs) -> None:
    """
    A run that ended before it looked leaves what it was given.
    """
    append(path, OWN + b"[milter][header][add](2): <X-Spam-Status>=<Yes,\n")
    runs.counted.read()
    log = runs.counted.input.export()
    counted = runs.restart()

    assert log == counted.input.export()
    assert log == runs.restart().input.export()


def test_open_header_through_restarts(path: Path, runs: Runs) -> None:
    """
    A header that goes on in lines to come is counted once, for the milter named at its end.
    """
    append(path, OWN + b"[milter][header][add](2): <X-Spam-Status>=<Yes,\n")
    runs.counted.read()
    for part in (b"\tscore=7\n", b"", b"\ttests=URIBL_X>: policy\n"):
        counted = runs.restart()
        append(path, part)
        counted.read()
        log = counted.input.export()
        counted = runs.restart(log)
        counted.read()
    append(path, OWN + b"[sessions][finished] 1(+1) 0\n")
    counted.read()

    assert 1 == counted.count("milter_headers_added", "policy", "X-Spam-Status")
    assert 1 == counted.count("mail_checks", "policy", "spam-status", "yes")
    assert 1 == counted.count("mail_checks", "policy", "uribl", "listed")
    assert 2 == counted.count("lines", "recognised")
    assert 2 == counted.count("lines", "malformed")


def test_form_through_restarts(path: Path, runs: Runs) -> None:
    """
    What was known of the file's form is known again, where its head would not tell.
    """
    bare = b"[session][end][quit][pass][0.1](1)\n"
    append(path, bare)
    runs.counted.read()
    counted = runs.restart()
    append(path, b"continued\n" + bare)
    counted.read()

    assert 2 == counted.count(*ENDED)
    assert 0 == counted.count("lines", "malformed")


def test_format_of_the_newest_file(path: Path, runs: Runs) -> None:
    """
    Which format has no lines is said after a restart too, until a file that has some comes.
    """
    export = b"__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\n"
    forms = []
    with capture_logs():
        append(path, export)
        runs.counted.read()
        forms.append(runs.counted.input.status().form)
        counted = runs.restart()
        append(path, b"MESSAGE=a\n")
        counted.read()
        forms.append(counted.input.status().form)
        path.rename(path.with_suffix(".log.1"))
        append(path, END)
        counted.read()
        forms.append(counted.input.status().form)

    assert ["export", "export", ""] == forms


def test_behind(path: Path, runs: Runs) -> None:
    """
    An input is behind until it has read what an earlier run may have counted; without one never.
    """
    path.mkdir()
    with capture_logs():
        runs.counted.read()

    assert not runs.counted.input.is_behind

    path.rmdir()
    append(path, END)
    runs.counted.read()
    counted = runs.restart()

    assert counted.input.is_behind

    path.rename(path.with_suffix(".log.1"))
    path.mkdir()
    with capture_logs():
        counted.read()

    assert counted.input.is_behind

    path.rmdir()
    with capture_logs():
        counted.read()

    assert not counted.input.is_behind


def test_version(path: Path, counted: Counted) -> None:
    """
    The version tells whether there is something new to save.
    """
    versions = []
    counted.read()
    versions.append(counted.input.version)
    counted.read()

    assert versions[-1] == counted.input.version

    append(path, b"")
    counted.read()

    assert counted.input.version not in versions

    versions.append(counted.input.version)
    append(path, END)
    counted.read()

    assert counted.input.version not in versions

    versions.append(counted.input.version)
    path.rename(path.with_suffix(".log.1"))
    append(path, b"")
    counted.read()

    assert counted.input.version not in versions
