"""
The state file, as `check` finds it.
"""

import errno
import fcntl
import os
from pathlib import Path

import pytest
from machine import NOW, SERVICE, STRANGER, Machine, keys

from exporter.config import Config
from exporter.logtool.checks import statefile
from exporter.logtool.checks.access import Person, find_person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.statefile import (
    cannot_write,
    check_contents,
    check_state,
    find_holder,
    places,
    read_state,
)
from exporter.logtool.checks.system import System
from exporter.state import State, encode
from exporter.tally import Tally

STATE = Path("/var/lib/milter-manager-exporter/state")
SOUND = encode(State(Tally(()).export(), [], [], []))
ITSELF = find_person("", ())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine that everybody may look at.
    """
    tmp_path.chmod(0o755)
    return Machine(tmp_path, {"HOME": "/root"})


@pytest.mark.parametrize(
    ("config", "person", "expected"),
    [
        (Config(keep_state=False), ITSELF, ["state_off"]),
        (Config(), ITSELF, ["state_new"]),
        (Config(), SERVICE, ["state_new"]),
        (Config(), STRANGER, ["state_next_place", "state_next_place", "state_nowhere"]),
        (Config(state_file=STATE), ITSELF, ["state_new"]),
        (Config(state_file=STATE), SERVICE, ["state_new"]),
        (Config(state_file=STATE), STRANGER, ["state_unwritable"]),
        (Config(state_file=Path("/srv/state")), SERVICE, ["state_outside"]),
    ],
)
def test_place(config: Config, person: Person, expected: list[str], machine: Machine) -> None:
    """
    The place given is the only one, else the usual ones are tried; the service has but its own.
    """
    assert expected == keys(check_state(config, person, machine.system))


def test_places(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The usual places are the daemon's, in the home of the user that is meant.
    """
    monkeypatch.setattr(os.path, "expanduser", lambda _: "/home/stranger")
    at_home = ".local/state/milter-manager-exporter/state"

    assert [STATE, Path("/root", at_home)] == places(ITSELF, machine.system)
    assert [STATE, Path("/home/stranger", at_home)] == places(STRANGER, machine.system)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ["state_new"]),
        ({"": SOUND}, ["state"]),
        ({"": SOUND, ".damaged": b""}, ["state", "state_was_damaged"]),
        ({"": b"", ".previous": SOUND}, ["state_damaged"]),
        ({"": SOUND[:-1], ".previous": b"x"}, ["state_lost"]),
        ({"": b"x"}, ["state_lost"]),
    ],
)
def test_contents(files: dict[str, bytes], expected: list[str], machine: Machine) -> None:
    """
    What a start would make of the files is told before it does.
    """
    for suffix, data in files.items():
        machine.put(f"{STATE}{suffix}", data)

    assert expected == keys(check_contents(STATE, machine.system))


def test_age(machine: Machine) -> None:
    """
    Of a sound state it is told how old it is.
    """
    os.utime(machine.put(str(STATE), SOUND), (NOW - 90, NOW - 90))

    assert [
        Finding("state", {"file": str(STATE), "size_bytes": len(SOUND), "age_seconds": 90.0})
    ] == list(check_contents(STATE, machine.system))


def test_unseen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A state that may not be read is neither good nor bad.
    """

    def refuse(*_: object) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(System, "tail", refuse)

    assert "unseen" == read_state(STATE, machine.system)
    assert ["state_unseen"] == keys(check_contents(STATE, machine.system))


def test_refused(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the directories cannot be looked at nothing can be kept.
    """

    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(statefile, "may", refuse)

    assert Path("/") == cannot_write(STATE, STRANGER, machine.system)


def test_no_directory(machine: Machine) -> None:
    """
    A file in the place of a directory is named.
    """
    machine.put(str(STATE.parent))

    assert STATE.parent == cannot_write(STATE, ITSELF, machine.system)


def test_full_disk(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk without space is told of.
    """
    monkeypatch.setattr(statefile, "free_bytes", lambda _: 0)

    assert ["state_new", "state_no_space"] == keys(
        check_state(Config(state_file=STATE), ITSELF, machine.system)
    )


def test_real_lock(tmp_path: Path) -> None:
    """
    Who holds the lock is named, and nobody is kept from it by the question.
    """
    system, state = System(), tmp_path / "state"

    assert 0 == find_holder(state, system)

    with (tmp_path / "state.lock").open("wb") as lock:
        assert 0 == find_holder(state, system)

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

        assert os.getpid() == find_holder(state, system)
        assert "state_in_use" in keys(check_state(Config(state_file=state), ITSELF, system))


def test_locks(machine: Machine) -> None:
    """
    Of the kernel's list the line counts that is of this file and of the right kind.
    """
    status = machine.put(f"{STATE}.lock").stat()
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = (
        "1: FLOCK  ADVISORY  WRITE 11 00:00:1 0 EOF",
        f"2: POSIX  ADVISORY  WRITE 12 {place} 0 EOF",
        f"3: FLOCK  ADVISORY  WRITE 13 {place} 0 EOF",
    )
    machine.put("/proc/locks", "\n".join(lines[:2]).encode())

    assert 0 == find_holder(STATE, machine.system)

    machine.put("/proc/locks", "\n".join(lines).encode())

    assert 13 == find_holder(STATE, machine.system)
