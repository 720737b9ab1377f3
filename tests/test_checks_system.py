"""
The machine that `check` looks at: it reads what is there, and hangs on nothing.
"""

import os
from pathlib import Path

import pytest
from machine import Machine

from exporter.logtool.checks.system import Descriptor, System


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    An empty machine.
    """
    return Machine(tmp_path)


def test_root(machine: Machine, tmp_path: Path) -> None:
    """
    Pathnames are looked up below the root; without one they are what they are.
    """
    machine.put("/var/log/mail.log")

    assert tmp_path / "var/log/mail.log" == machine.system.at("/var/log/mail.log")
    assert machine.system.exists("/var/log/mail.log")
    assert not machine.system.exists("/var/log/maillog")
    assert tmp_path == System().at(tmp_path)


@pytest.mark.parametrize(("length", "expected"), [(3, b"tail"[-3:]), (100, b"head tail")])
def test_tail(length: int, expected: bytes, machine: Machine) -> None:
    """
    Of a file the last bytes are read, all of a short one.
    """
    machine.put("/log", b"head tail")

    assert expected == machine.system.tail("/log", length)


def test_no_file(machine: Machine, tmp_path: Path) -> None:
    """
    A pipe that nobody writes to, and a directory, are empty at once; what is absent is no text.
    """
    os.mkfifo(tmp_path / "pipe")

    assert b"" == machine.system.tail("/pipe", 10)
    assert b"" == machine.system.tail("/", 10)
    assert "" == machine.system.text("/absent")


def test_proc() -> None:
    """
    A file of /proc is read though it says that it has no bytes.
    """
    assert System().text("/proc/self/status").startswith("Name:")


@pytest.mark.parametrize(
    ("text", "expected"), [(b"128\n", 128), (b"max\n", None), ("\u0661\n".encode(), None)]
)
def test_number(text: bytes, expected: int | None, machine: Machine) -> None:
    """
    A number is a number, anything else is none.
    """
    machine.put("/proc/sys/limit", text)

    assert expected == machine.system.number("/proc/sys/limit")


def test_own_descriptors(tmp_path: Path) -> None:
    """
    What a process has open is seen, with who may write to it.
    """
    with (tmp_path / "w").open("wb"), (tmp_path / "r").open("xb"), (tmp_path / "r").open("rb"):
        mine = {
            (Path(one.target).name, one.writable)
            for one in System().descriptors()
            if one.pid == os.getpid() and one.target.startswith(str(tmp_path))
        }

    assert {("w", True), ("r", True), ("r", False)} == mine


def test_vanishing(machine: Machine) -> None:
    """
    A process or a descriptor that goes away meanwhile is passed over.
    """
    machine.open(7, "rsyslogd", "/var/log/mail.log")
    machine.put("/proc/8/comm", b"gone\n")
    machine.put("/proc/9/fd/3")
    machine.put("/proc/9/comm", b"no link\n")
    machine.put("/proc/uptime")

    assert [Descriptor(7, "rsyslogd", "/var/log/mail.log", writable=True)] == list(
        machine.system.descriptors()
    )


def test_no_proc(machine: Machine) -> None:
    """
    Without /proc there are no processes.
    """
    assert [] == list(machine.system.descriptors())
