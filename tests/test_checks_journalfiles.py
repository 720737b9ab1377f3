"""
Where the journal's files are, and who may get to them.
"""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from machine import NOBODYS, SERVICE, STRANGER, Machine, keys

from exporter.config import Config
from exporter.logtool.checks.access import Person, Refusal, find_person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.journal import check_journal
from exporter.logtool.checks.journalfiles import explain_obstacle, find_files, find_obstacle

CONFIG = Config()
GIVEN = replace(CONFIG, journal=True, journal_directory=Path("/mnt/journal"))
TOP, OWN, OTHER = "/var/log/journal", "0123", "4567"
ITSELF = find_person("", ())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine with the journals of two machines, and a mounted one, all open to everybody.
    """
    tmp_path.chmod(0o755)
    machine = Machine(tmp_path, {"PATH": str(tmp_path / "bin")})
    machine.put("/bin/journalctl", b"#!/bin/sh\n").chmod(0o755)
    for directory in (f"{TOP}/{OWN}", f"{TOP}/{OTHER}", f"/mnt/journal/{OWN}"):
        machine.put(f"{directory}/system.journal")
    return machine


def obstacle(machine: Machine, config: Config, person: Person = STRANGER) -> Refusal | None:
    """
    Give what is in somebody's way.
    """
    return find_obstacle(person, find_files(config, machine.system), config, machine.system)


@pytest.mark.parametrize("mode", [0o700, 0o744, 0o711])
@pytest.mark.parametrize(
    ("config", "closed"),
    [(CONFIG, TOP), (CONFIG, f"{TOP}/{OWN}"), (GIVEN, "/mnt/journal"), (GIVEN, "/mnt")],
)
def test_closed(mode: int, config: Config, closed: str, machine: Machine) -> None:
    """
    A directory that may not be entered or listed is named, whether or not files in it are seen.

    One on the way has to be entered only.
    """
    directory = machine.system.at(closed)

    assert None is obstacle(machine, config)

    directory.chmod(mode)
    found = find_obstacle(STRANGER, [], config, machine.system)

    assert (closed == "/mnt" and mode == 0o711) is (found is None)
    assert found is None or directory == found.path


@pytest.mark.parametrize(("known", "expected"), [(True, False), (False, True)])
def test_other_machine(machine: Machine, *, known: bool, expected: bool) -> None:
    """
    The journal of another machine may be closed, where it is known which machine this is.
    """
    if known:
        machine.put("/etc/machine-id", f"{OWN}\n".encode())
    directory = machine.system.at(f"{TOP}/{OTHER}")
    (directory / "system.journal").unlink()
    directory.chmod(0o700)

    assert expected is (obstacle(machine, CONFIG) is not None)


def test_file(machine: Machine) -> None:
    """
    Where all directories are open, a file may be in the way.
    """
    file = machine.system.at(f"/mnt/journal/{OWN}/system.journal")
    file.chmod(0o600)
    found = obstacle(machine, GIVEN)

    assert found is not None
    assert file == found.path


def test_empty(machine: Machine) -> None:
    """
    Where there is no directory nothing is in the way.
    """
    config = replace(GIVEN, journal_directory=Path("/no/such"))

    assert None is obstacle(machine, config)


def test_unlisted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What who asks may not list is passed over.
    """

    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)

    assert None is find_obstacle(STRANGER, [], CONFIG, machine.system)


@pytest.mark.parametrize(
    ("mode", "gid", "person", "expected"),
    [
        (0o700, NOBODYS - 1, STRANGER, ("journal_closed", str(NOBODYS - 1))),
        (0o740, NOBODYS - 1, STRANGER, ("journal_closed", str(NOBODYS - 1))),
        (0o750, 0, STRANGER, ("journal_closed", "systemd-journal")),
        (0o700, 0, STRANGER, ("journal_closed", "systemd-journal")),
        (0o750, NOBODYS, STRANGER, ("journal_closed", str(NOBODYS))),
        (0o750, NOBODYS - 1, STRANGER, ("journal_denied", str(NOBODYS - 1))),
        (0o750, NOBODYS - 1, SERVICE, ("journal_denied_unit", str(NOBODYS - 1))),
    ],
)
def test_group(  # noqa: PLR0913, PLR0917 - a table
    mode: int,
    gid: int,
    person: Person,
    expected: tuple[str, str],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A group is suggested where it lets its members in, and nobody is sent to root's.
    """
    directory = machine.system.at(TOP)
    status = os.stat_result((stat.S_IFDIR | mode, 1, 1, 1, 0, gid, 0, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _: status)
    (found,) = explain_obstacle(Refusal("path", directory), person, wanted=True)

    assert expected == (found.key, found.values["group"])
    assert found.values.get("directory", str(directory)) == str(directory)


def test_unseen(machine: Machine) -> None:
    """
    What who asks may not see is left open, if it matters, and no group is named.
    """
    refusal = Refusal("unseen", machine.root)

    assert [
        Finding("journal_unseen", {"user": "stranger", "directory": str(machine.root)})
    ] == list(explain_obstacle(refusal, STRANGER, wanted=True))
    assert [] == list(explain_obstacle(refusal, STRANGER, wanted=False))


@pytest.mark.parametrize(("config", "closed"), [(CONFIG, f"{TOP}/{OWN}"), (GIVEN, "/mnt/journal")])
def test_told(config: Config, closed: str, machine: Machine) -> None:
    """
    A journal that is hidden by a closed directory is not said to be missing.
    """
    directory = machine.system.at(closed)
    for file in directory.rglob("*.journal"):
        file.unlink()
    directory.chmod(0o700)
    found = check_journal(config, STRANGER, machine.system, alone=True)

    assert ["journal_closed"] == keys(found)
