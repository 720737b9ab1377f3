"""
The kernel's limits for file events, and what of them is in use.
"""

import os
from pathlib import Path

import pytest
from machine import SERVICE, STRANGER, Machine

from exporter.logtool.checks.access import Person
from exporter.logtool.checks.inotify import LIMITS, check_inotify, process_owners
from exporter.logtool.checks.system import System

INOTIFY = "anon_inode:inotify"
OWNER = Person("owner", os.geteuid(), frozenset())


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine with three processes of who runs the tests, two of which use inotify.
    """
    machine = Machine(tmp_path)
    machine.open(7, "exporter", INOTIFY)
    machine.open(8, "exporter", INOTIFY)
    machine.open(9, "cat", "/dev/null")
    return machine


@pytest.mark.parametrize(
    ("limits", "person", "expected", "used"),
    [
        ((b"128", b"8192"), OWNER, "inotify", 2),
        ((b"3", b"8192"), OWNER, "inotify", 2),
        ((b"2", b"8192"), OWNER, "inotify_full", 2),
        ((b"1", b"8192"), STRANGER, "inotify", 0),
        ((b"1", b"8192"), SERVICE, "inotify", 0),
        ((b"128", b"3"), SERVICE, "inotify_full", 0),
    ],
)
def test_limits(
    limits: tuple[bytes, bytes], person: Person, expected: str, used: int, machine: Machine
) -> None:
    """
    What a user's processes have open counts against that user's limit.
    """
    machine.put(f"{LIMITS}/max_user_instances", limits[0])
    machine.put(f"{LIMITS}/max_user_watches", limits[1])
    (finding,) = check_inotify(person, list(machine.system.descriptors()), machine.system)

    assert (expected, used) == (finding.key, finding.values["used"])


def test_unseen(machine: Machine) -> None:
    """
    Without limits to be seen nothing is claimed.
    """
    (finding,) = check_inotify(OWNER, [], machine.system)

    assert "inotify_unseen" == finding.key


def test_vanished(tmp_path: Path) -> None:
    """
    A process that is gone by now has no owner.
    """
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "7").symlink_to("nowhere")

    assert {} == process_owners(System(tmp_path))
