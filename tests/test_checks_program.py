"""
What milter-manager's configuration says of its log.
"""

from pathlib import Path

import pytest
from machine import Machine, keys

from exporter.logtool.checks.program import CONFIGURATION, check_program, read_configuration

LOG = Path("/var/log/mail.log")
OWN = "/var/log/milter-manager.log"
TO_FILE = f'log.path = "{OWN}"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine.
    """
    return Machine(tmp_path)


def test_assignments(machine: Machine) -> None:
    """
    Plain assignments are read, comments are not, and the last one counts.
    """
    machine.put(CONFIGURATION[0], b'log.path = "/a"  # why\n# log.use_syslog = false\nx = 1\n')
    machine.put(CONFIGURATION[1], b"  log.path = '/b'\nmanager.n_workers = 4 # as many\n")

    assert {"log.path": "/b", "manager.n_workers": "4"} == read_configuration(machine.system)


@pytest.mark.parametrize(
    ("text", "logs", "own", "expected"),
    [
        ("", (LOG,), (), []),
        ("log.path = nil\n", (LOG,), (), []),
        (TO_FILE, (Path(OWN),), (), []),
        (TO_FILE, (LOG,), (), ["log_path"]),
        (f"{TO_FILE}log.use_syslog = true\n", (LOG,), (), ["log_path"]),
        (f"{TO_FILE}log.use_syslog = false\n", (LOG,), (), ["log_path_only"]),
        ("manager.n_workers = 4\n", (LOG,), (), []),
        ("manager.n_workers = 4\n", (Path(OWN),), (OWN,), ["own_file_workers"]),
        ("manager.n_workers = 0\n", (Path(OWN),), (OWN,), []),
        ("manager.n_workers = cpus\n", (Path(OWN),), (OWN,), []),
    ],
)
def test_together(
    text: str, logs: tuple[Path, ...], own: tuple[str, ...], expected: list[str], machine: Machine
) -> None:
    """
    A file of its own that is not followed is told of, and one that workers write to.
    """
    machine.put(CONFIGURATION[0], text.encode())

    assert expected == keys(check_program(logs, own, machine.system))
