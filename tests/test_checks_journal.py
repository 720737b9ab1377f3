"""
The journal, with a journalctl made up for each case.
"""

from pathlib import Path

import pytest
from machine import STRANGER, Machine, keys

from exporter.config import Config
from exporter.logtool.checks import journal
from exporter.logtool.checks.access import Person, find_person
from exporter.logtool.checks.journal import check_journal

FILE = "/var/log/journal/0123456789abcdef/system.journal"
CONFIG = Config(input_programs=("milter-manager", "mymilter"))
ENTRY = 'echo \'{"MESSAGE": "x"}\''
ITSELF = find_person("", ())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine that everybody may look at, with programs of its own.
    """
    tmp_path.chmod(0o755)
    return Machine(tmp_path, {"PATH": str(tmp_path / "bin")})


def install(machine: Machine, script: str) -> None:
    """
    Put a journalctl on the machine.
    """
    machine.put("/bin/journalctl", f"#!/bin/sh\n{script}\n".encode()).chmod(0o755)


@pytest.mark.parametrize(
    ("script", "mode", "person", "alone", "expected"),
    [
        (ENTRY, 0o644, ITSELF, True, ["journal_followed"]),
        (ENTRY, 0o644, ITSELF, False, ["journal_too"]),
        ("", 0o644, ITSELF, True, ["journal_empty"]),
        ("exit 1", 0o644, ITSELF, True, ["journal_empty"]),
        ("exec /bin/sleep 60", 0o644, ITSELF, False, ["journal_silent"]),
        ("", 0o600, STRANGER, True, ["journal_denied"]),
        (ENTRY, 0o600, STRANGER, False, ["journal_refused", "journal_too"]),
        ("", 0o600, STRANGER, False, ["journal_refused"]),
    ],
)
def test_journal(  # noqa: PLR0913, PLR0917 - a table
    script: str,
    mode: int,
    person: Person,
    alone: bool,  # noqa: FBT001 - see above
    expected: list[str],
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The journal alone is followed; beside a log file it does no harm, whatever it has or says.
    """
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 1.0 if "sleep" in script else 30.0)
    install(machine, script)
    machine.put(FILE).chmod(mode)

    assert expected == keys(check_journal(CONFIG, person, machine.system, alone=alone))


@pytest.mark.parametrize(("installed", "kept"), [(False, True), (True, False)])
def test_none(machine: Machine, *, installed: bool, kept: bool) -> None:
    """
    Without journalctl or without files there is no journal.
    """
    if installed:
        install(machine, ENTRY)
    if kept:
        machine.put(FILE)

    assert ["journal_none"] == keys(check_journal(CONFIG, ITSELF, machine.system, alone=False))


def test_question(machine: Machine, tmp_path: Path) -> None:
    """
    The newest line of any of the programs is asked for, without a pager and without a question.
    """
    install(machine, f'echo "$@" > {tmp_path}/asked')
    machine.put(FILE)
    list(check_journal(CONFIG, ITSELF, machine.system, alone=False))

    assert (
        "--quiet --no-pager -n 1 -o json -t milter-manager -t mymilter\n"
        == (tmp_path / "asked").read_text()
    )


def test_broken(machine: Machine) -> None:
    """
    A journalctl that cannot be run has no answer.
    """
    machine.put("/bin/journalctl", b"#!/no/such/shell\n").chmod(0o755)
    machine.put(FILE)

    assert ["journal_silent"] == keys(check_journal(CONFIG, ITSELF, machine.system, alone=False))


@pytest.mark.parametrize(
    ("script", "expected"),
    [(ENTRY, ["journal_followed"]), ("", ["journal_waiting"]), (None, ["journal_nowhere"])],
)
def test_given(machine: Machine, tmp_path: Path, script: str | None, expected: list[str]) -> None:
    """
    A journal that is to be followed has to be there, and is asked for where it is.
    """
    config = Config(journal=True, journal_directory=Path("/mnt/journal"))
    if script is not None:
        install(machine, f'echo "$@" > {tmp_path}/asked\n{script}')
        machine.put("/mnt/journal/system.journal")

    assert expected == keys(check_journal(config, ITSELF, machine.system, alone=True))

    if script is not None:
        assert "--directory=/mnt/journal" in (tmp_path / "asked").read_text()
