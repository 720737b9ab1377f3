"""
Which logs would be followed, on machines made up for it.
"""

import errno
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from machine import SERVICE, STRANGER, Machine, keys

from exporter.config import STANDARD_INPUT, Config
from exporter.logtool.checks import logs as module
from exporter.logtool.checks.access import Person, Refusal, find_person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.logs import (
    Logs,
    check_log,
    check_logs,
    check_pipe,
    explain_refusal,
    find_logs,
    is_other_kind,
    mount_points,
    names_of,
)

MAIL_LOG, MAILLOG = Path("/var/log/mail.log"), Path("/var/log/maillog")
ITSELF = find_person("", ())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    An empty machine, open to everybody.
    """
    tmp_path.chmod(0o755)
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("given", "files", "expected"),
    [
        ((), (), Logs(given=False, present=(), missing=(), ignored=())),
        ((), (MAILLOG,), Logs(given=False, present=(MAILLOG,), missing=(), ignored=())),
        (
            (),
            (MAIL_LOG, MAILLOG),
            Logs(given=False, present=(MAIL_LOG,), missing=(), ignored=(MAILLOG,)),
        ),
        (
            (MAILLOG, MAIL_LOG),
            (MAIL_LOG,),
            Logs(given=True, present=(MAIL_LOG,), missing=(MAILLOG,), ignored=()),
        ),
    ],
)
def test_found(
    given: Sequence[Path], files: Sequence[Path], expected: Logs, machine: Machine
) -> None:
    """
    Those given are followed, else the first usual one that exists.
    """
    for file in files:
        machine.put(str(file))

    assert expected == find_logs(Config(input_files=tuple(given)), machine.system)


def test_journal(machine: Machine) -> None:
    """
    Where the journal is given, no log file is looked for.
    """
    machine.put(str(MAIL_LOG))

    assert Logs(given=True, present=(), missing=(), ignored=()) == find_logs(
        Config(journal=True), machine.system
    )


def test_hidden(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A log in a directory that may not be searched is there: what is wrong is told by name.
    """

    def refuse(_: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)

    assert (MAIL_LOG,) == find_logs(Config(), machine.system).present


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        (Logs(given=False, present=(), missing=(), ignored=()), ["no_log"]),
        (Logs(given=True, present=(), missing=(MAIL_LOG,), ignored=()), ["log_missing"]),
        (
            Logs(given=False, present=(MAIL_LOG,), missing=(), ignored=(MAILLOG,)),
            ["log_ignored", "log_found", "log_readable"],
        ),
        (
            Logs(given=True, present=(MAIL_LOG,), missing=(), ignored=()),
            ["log_given", "log_readable"],
        ),
    ],
)
def test_told(logs: Logs, expected: list[str], machine: Machine) -> None:
    """
    Each log is accounted for: why it would be followed, or not.
    """
    machine.put(str(MAIL_LOG))

    assert expected == keys(check_logs(logs, STRANGER, machine.system))


def test_no_file(machine: Machine, tmp_path: Path) -> None:
    """
    A directory is no log, and nobody is told that it would be followed.
    """
    (tmp_path / "var/log/mail.log").mkdir(parents=True)

    assert ["log_no_file"] == keys(check_log(MAIL_LOG, ITSELF, machine.system, given=True))


def test_unknown_kind(machine: Machine) -> None:
    """
    What cannot be looked at is not said to be no file.
    """
    assert not is_other_kind(machine.system.at("/no/such"))


def test_pipes(machine: Machine, tmp_path: Path) -> None:
    """
    Standard input and FIFOs are told apart from files and from what is missing.
    """
    machine.put(str(MAIL_LOG))
    os.mkfifo(tmp_path / "fifo")
    fifo, missing = Path("/fifo"), Path("/missing")
    given = Config(input_files=(STANDARD_INPUT, fifo, MAIL_LOG, missing))

    assert Logs(
        given=True,
        present=(MAIL_LOG,),
        missing=(missing,),
        ignored=(),
        pipes=(STANDARD_INPUT, fifo),
    ) == find_logs(given, machine.system)


@pytest.mark.parametrize(
    ("mode", "writer", "expected"),
    [
        (0o644, True, ["fifo", "fifo_writers"]),
        (0o644, False, ["fifo", "fifo_alone"]),
        (0o600, True, ["unreadable_fifo"]),
    ],
)
def test_fifo(
    mode: int,
    writer: bool,  # noqa: FBT001 - a table
    expected: list[str],
    machine: Machine,
    tmp_path: Path,
) -> None:
    """
    Of a FIFO is told who may read it and who writes to it, and nothing of logrotate.
    """
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").chmod(mode)
    if writer:
        machine.open(7, "rsyslogd", "/fifo")
    descriptors = machine.system.descriptors()
    found = keys(check_pipe(Path("/fifo"), STRANGER, descriptors, machine.system))

    assert expected == found


def test_standard_input(machine: Machine) -> None:
    """
    Of standard input nothing can be told.
    """
    assert ["standard_input"] == keys(check_pipe(STANDARD_INPUT, ITSELF, (), machine.system))


def test_refused(machine: Machine) -> None:
    """
    Of a log that may not be read only that is told.
    """
    machine.put(str(MAIL_LOG)).parent.chmod(0o700)

    assert ["log_found", "unreadable_path"] == keys(
        check_log(MAIL_LOG, STRANGER, machine.system, given=False)
    )


def test_unlisted(machine: Machine) -> None:
    """
    A directory that may be entered but not listed hides rotated files.
    """
    machine.put(str(MAIL_LOG)).parent.chmod(0o711)

    assert "directory_unlisted" in keys(check_log(MAIL_LOG, STRANGER, machine.system, given=True))


def test_bind_mount(machine: Machine) -> None:
    """
    A log that is itself a mount point is told of.
    """
    machine.put(str(MAIL_LOG))
    machine.put(
        "/proc/self/mountinfo",
        b"22 27 0:21 / /proc rw - proc proc rw\n"
        b"63 43 254:0 /log /var/log/mail.log rw - ext4 /dev/vda rw\n\n",
    )

    assert Finding("bind_mount", {"file": str(MAIL_LOG), "directory": "/var/log"}) in list(
        check_log(MAIL_LOG, STRANGER, machine.system, given=True)
    )


def test_mount_escapes(machine: Machine) -> None:
    """
    Blanks in the name of a mount point are escaped there.
    """
    machine.put("/proc/self/mountinfo", b"1 2 3:4 / /my\\040logs rw - ext4 /dev/vda rw\n")

    assert {"/my logs"} == mount_points(machine.system)


def test_full_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk without space is told of.
    """
    machine.put(str(MAIL_LOG))
    monkeypatch.setattr(module, "free_bytes", lambda _: 4096)

    assert Finding("disk_full", {"file": str(MAIL_LOG), "free_bytes": 4096}) in list(
        check_log(MAIL_LOG, STRANGER, machine.system, given=True)
    )


@pytest.mark.parametrize(
    ("kind", "person", "expected"),
    [
        ("root", STRANGER, "unreadable_root"),
        ("mode", STRANGER, "unreadable_mode"),
        ("group", STRANGER, "unreadable_group"),
        ("group", SERVICE, "unreadable_group_unit"),
        ("other", STRANGER, "unreadable_other"),
        ("path", STRANGER, "unreadable_path"),
        ("unseen", STRANGER, "unreadable_unseen"),
    ],
)
def test_explained(kind: str, person: Person, expected: str) -> None:
    """
    Each thing that may stand in the way has a text of its own; nobody is sent to root's group.
    """
    (finding,) = explain_refusal(Refusal(kind, MAIL_LOG, 0), str(MAIL_LOG), person)

    assert expected == finding.key
    assert ("adm" if kind == "root" else "root") == finding.values["group"]


def test_names(machine: Machine, tmp_path: Path) -> None:
    """
    A log is known by its name and by what a link leads to.
    """
    target = machine.put("/srv/real.log")
    machine.put("/var/log/x")
    (tmp_path / "var/log/mail.log").symlink_to(target)

    assert {str(MAIL_LOG), str(target)} == names_of(MAIL_LOG, machine.system)
