"""
The journal, with a journalctl made up for each case.
"""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from journals import say
from machine import SERVICE, STATISTIC, STRANGER, Machine, keys
from running import require

from exporter.config import Config
from exporter.logtool.checks import journal
from exporter.logtool.checks.access import Person, find_person
from exporter.logtool.checks.journal import check_journal
from exporter.logtool.checks.system import System

FILE = "/var/log/journal/0123456789abcdef/system.journal"
CONFIG = Config(input_programs=("milter-manager", "mymilter"))
SAID = STATISTIC.decode().partition(": ")[2].rstrip()
STRAY = '{"SYSLOG_IDENTIFIER":"%s","PRIORITY":"5","__REALTIME_TIMESTAMP":"1795391970000000",'
STRAY += '"MESSAGE":"%s"}'
ENTRY = f"echo '{STRAY % ('milter-manager', SAID)}'"
UNKNOWN = f"echo '{STRAY % ('milter-manager', '[no][such]')}'"
LINES = ["recognised", "statistics"]
IN_DIRECTORY = replace(CONFIG, journal=True, journal_directory=Path("/mnt/journal"))
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
        (ENTRY, 0o644, ITSELF, True, ["journal_followed", *LINES]),
        (UNKNOWN, 0o644, ITSELF, True, ["journal_followed", "journal_unrecognised"]),
        (ENTRY, 0o644, ITSELF, False, ["journal_too"]),
        ("", 0o644, ITSELF, True, ["journal_empty"]),
        ("exit 1", 0o644, ITSELF, True, ["journal_empty"]),
        ("exec /bin/sleep 60", 0o644, ITSELF, False, ["journal_silent"]),
        ("", 0o600, STRANGER, True, ["journal_denied"]),
        ("", 0o600, SERVICE, True, ["journal_denied_unit"]),
        (ENTRY, 0o600, STRANGER, True, ["journal_denied", "journal_followed", *LINES]),
        ("exec /bin/sleep 60", 0o600, STRANGER, True, ["journal_denied"]),
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
        "--quiet --no-pager --all -o json -n 5000 -t milter-manager -t mymilter\n"
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
    [
        (ENTRY, ["journal_followed", *LINES]),
        ("", ["journal_waiting"]),
        ("exec /bin/sleep 60", ["journal_unanswered"]),
        (None, ["journal_no_program"]),
    ],
)
def test_given(
    machine: Machine,
    tmp_path: Path,
    script: str | None,
    expected: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    A journal that is to be followed has to be there, and is asked for where it is.
    """
    monkeypatch.setattr(journal, "JOURNAL_SECONDS", 1.0 if "sleep" in str(script) else 30.0)
    machine.put("/mnt/journal/system.journal")
    if script is not None:
        install(machine, f'echo "$@" > {tmp_path}/asked\n{script}')

    assert expected == keys(check_journal(IN_DIRECTORY, ITSELF, machine.system, alone=False))

    if script is not None:
        assert "--directory=/mnt/journal" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize(
    ("config", "expected"),
    [(IN_DIRECTORY, "journal_no_files"), (replace(CONFIG, journal=True), "journal_nowhere")],
)
def test_no_files(config: Config, expected: str, machine: Machine) -> None:
    """
    A journal without files is named by what was to be followed.
    """
    install(machine, ENTRY)

    assert [expected] == keys(check_journal(config, ITSELF, machine.system, alone=False))


def test_other_program(machine: Machine) -> None:
    """
    Where milter-manager bears another name in the journal, that is found.
    """
    other = STRAY % ("milter-mgr", SAID)
    install(machine, f"case \"$*\" in *' -t '*) ;; *) echo '{other}' ;; esac")
    machine.put(FILE)
    found = list(check_journal(replace(CONFIG, journal=True), ITSELF, machine.system, alone=False))

    assert ["journal_waiting", "other_program"] == keys(found)
    assert "milter-mgr" == found[1].values["names"]


@pytest.mark.parametrize(("gid", "group"), [(0, "systemd-journal"), (4, "adm")])
def test_group(gid: int, group: str, machine: Machine) -> None:
    """
    Who may not read the journal is sent to the group of its files, but nobody to root's.
    """
    if os.geteuid():
        pytest.skip("needs root, who may give files away")
    install(machine, "")
    file = machine.put(FILE)
    file.chmod(0o640)
    os.chown(file, -1, gid)
    (found,) = check_journal(CONFIG, STRANGER, machine.system, alone=True)

    assert group == found.values["group"]


def test_real_journal(tmp_path: Path) -> None:
    """
    Of a journal that systemd itself wrote, the newest lines are told as those of a log are.
    """
    require("journalctl", "systemd")
    say(tmp_path / "system.journal", range(9))
    config = replace(CONFIG, journal=True, journal_directory=tmp_path)
    found = {one.key: one for one in check_journal(config, ITSELF, System(), alone=False)}

    assert {"journal_followed", *LINES} <= set(found)
    assert (9, 1.0, "journal") == tuple(
        found["recognised"].values[name] for name in ("lines", "share", "dialects")
    )
