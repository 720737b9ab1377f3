"""
The journal, with a journalctl made up for each case.
"""

import errno
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
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.journal import check_journal
from exporter.logtool.checks.report import Words
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
NAMED = {"journalctl": "journalctl", "query": "journalctl -t milter-manager -t mymilter"}


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
        ("exit 1", 0o644, ITSELF, True, ["journal_failed"]),
        ("exit 1", 0o644, ITSELF, False, ["journal_failed_too"]),
        (f"{ENTRY}; exit 1", 0o644, ITSELF, True, ["journal_failed", "journal_followed", *LINES]),
        ("exec /bin/sleep 60", 0o644, ITSELF, True, ["journal_unanswered"]),
        ("", 0o644, ITSELF, False, ["journal_empty"]),
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


@pytest.mark.parametrize(
    ("installed", "kept", "alone", "expected"),
    [
        (False, False, False, "journal_none"),
        (False, False, True, "journal_none"),
        (True, False, True, "journal_none"),
        (False, True, False, "journal_unread"),
        (False, True, True, "journal_no_program"),
    ],
)
def test_none(machine: Machine, *, installed: bool, kept: bool, alone: bool, expected: str) -> None:
    """
    Without files there is no journal; without journalctl it cannot be read, if it is wanted.
    """
    if installed:
        install(machine, ENTRY)
    if kept:
        machine.put(FILE)

    assert [expected] == keys(check_journal(CONFIG, ITSELF, machine.system, alone=alone))


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
    A journalctl that cannot be run is said to fail.
    """
    machine.put("/bin/journalctl", b"#!/no/such/shell\n").chmod(0o755)
    machine.put(FILE)

    assert [Finding("journal_failed_too", {**NAMED, "said": os.strerror(errno.ENOENT)})] == list(
        check_journal(CONFIG, ITSELF, machine.system, alone=False)
    )


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo first >&2; echo boom >&2; echo >&2; exit 3", "boom"),
        ("exit 3", "status 3"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_failed(script: str, said: str, machine: Machine) -> None:
    """
    Of a journalctl that ends badly the last words are shown, else its status.
    """
    install(machine, script)
    machine.put(FILE)

    assert [Finding("journal_failed", {**NAMED, "said": said})] == list(
        check_journal(replace(CONFIG, journal=True), ITSELF, machine.system, alone=False)
    )


@pytest.mark.parametrize(
    "said",
    [
        "Journal file /a b.journal is truncated, ignoring file.",
        "Journal file /a b.journal uses an unsupported feature, ignoring file.",
        "Journal file /a b.journal corrupted, ignoring file.",
        "Too many journal files (limit is at 7168) in scope, ignoring file '/a b.journal'.",
        "An error was encountered opening journal file or directory /a b.journal, ignoring file: ?",
    ],
)
def test_ignored(said: str, machine: Machine) -> None:
    """
    A file that journalctl leaves out is named: a problem if nothing else is there, and wanted.
    """
    machine.put(FILE)
    values: dict[str, Value] = {"file": "/a b.journal", "said": said, "number": 2}
    complain = f'echo "{said}" >&2; echo "Use SYSTEMD_LOG_LEVEL=debug" >&2; echo "{said}" >&2'
    install(machine, complain)

    assert [Finding("journal_ignored", values), Finding("journal_empty")] == list(
        check_journal(CONFIG, ITSELF, machine.system, alone=True)
    )
    assert ["journal_empty"] == keys(check_journal(CONFIG, ITSELF, machine.system, alone=False))

    install(machine, f"{complain}; {ENTRY}")

    assert Finding("journal_ignored_some", values) == next(
        check_journal(CONFIG, ITSELF, machine.system, alone=True)
    )


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_other_log(language: str) -> None:
    """
    That there is no journal says nothing of log files, which may not be there either.
    """
    told = Words(language, 0.0).tell(Finding("journal_none")).what

    assert "log" not in told
    assert "ログ" not in told


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
    Where milter-manager bears another name in the journal, that is found, and the flags are kept.
    """
    other = STRAY % ("milter-mgr", SAID)
    install(machine, f"case \"$*\" in *' -t '*) ;; *) echo '{other}' ;; esac")
    machine.put(FILE)
    machine.put("/mnt/journal/system.journal")
    for config, flags in (
        (CONFIG, ""),
        (replace(CONFIG, journal=True), "--input.journal "),
        (IN_DIRECTORY, "--input.journal --input.journal-directory=/mnt/journal "),
    ):
        first, second = check_journal(config, ITSELF, machine.system, alone=True)
        programs = [*CONFIG.input_programs, "milter-mgr"]

        assert ("journal_waiting" if flags else "journal_empty") == first.key
        assert ("other_program", "milter-mgr") == (second.key, second.values["names"])
        assert (
            flags + " ".join(f"--input.program={name}" for name in programs)
            == (second.values["flags"])
        )


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


def test_real_damage(tmp_path: Path) -> None:
    """
    A file that systemd's own journalctl leaves out is named, as the rest is told.
    """
    require("journalctl", "systemd")
    say(tmp_path / "system.journal", range(9))
    (tmp_path / "damaged.journal").write_bytes(b"no journal" * 1000)
    config = replace(CONFIG, journal=True, journal_directory=tmp_path)
    found = {one.key: one for one in check_journal(config, ITSELF, System(), alone=False)}

    assert {"journal_ignored_some", "journal_followed", *LINES} <= set(found)
    assert (str(tmp_path / "damaged.journal"), 1) == tuple(
        found["journal_ignored_some"].values[name] for name in ("file", "number")
    )
