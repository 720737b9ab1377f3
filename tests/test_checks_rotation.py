"""
How logs are rotated, and who writes on in a rotated one.
"""

from pathlib import Path
from typing import NoReturn

import pytest
from machine import STRANGER, Machine, keys

from exporter.logtool.checks import rotation
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.rotation import (
    check_generations,
    check_rotation,
    check_writers,
    directives,
    was_rotated,
)
from exporter.logtool.checks.system import Descriptor

LOG = "/var/log/mail.log"
DEBIAN = """
# system-specific logs: don't {copytruncate}
/var/log/syslog
/var/log/mail.log
{
    rotate 4
    # copytruncate
    missingok
    postrotate
        if true; then { copytruncate; } fi
    endscript
}
"""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine.
    """
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        (DEBIAN, {"rotate", "missingok"}),
        ('"/var/log/mail.log" { daily\n }', {"daily"}),
        ("/var/log/*.log {\n copytruncate\n}", {"copytruncate"}),
        ("/var/log/other.log {\n copytruncate\n}", set()),
        ("/var/log/a {\nweekly\n}\n/var/log/mail.log {\n olddir old\n}", {"olddir"}),
    ],
)
def test_directives(text: str, expected: set[str]) -> None:
    """
    Of logrotate's configuration the blocks that match the log are read, without scripts.
    """
    assert expected == directives(text, LOG)


def test_configuration(machine: Machine) -> None:
    """
    The configuration's own file and those that it includes are looked through.
    """
    machine.put("/etc/logrotate.conf", b"weekly\n/var/log/mail.log { olddir x\n}")
    machine.put("/etc/logrotate.d/rsyslog", b"/var/log/mail.log { copytruncate\n}")

    assert [
        Finding("olddir", {"file": LOG, "configuration": "/etc/logrotate.conf"}),
        Finding("copytruncate", {"file": LOG, "configuration": "/etc/logrotate.d/rsyslog"}),
    ] == list(check_rotation(Path(LOG), machine.system))


def test_no_logrotate(machine: Machine) -> None:
    """
    Without logrotate there is nothing to say.
    """
    assert [] == list(check_rotation(Path(LOG), machine.system))


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (LOG, False),
        (f"{LOG} (deleted)", True),
        (f"{LOG}.1", True),
        (f"{LOG}.1 (deleted)", True),
        (f"{LOG}-20261122", True),
        (f"{LOG}.old", False),
        ("/var/log/syslog.1", False),
    ],
)
def test_was_rotated(target: str, expected: bool) -> None:  # noqa: FBT001 - pytest gives it
    """
    A rotated file bears a rotated name, or none any more.
    """
    assert expected is was_rotated(target, LOG)


def test_writers(machine: Machine) -> None:
    """
    Who writes to a rotated file is named, who reads it is not.
    """
    log = str(machine.put(LOG))
    found = [
        Descriptor(7, "milter-manager", f"{log}.1", writable=True),
        Descriptor(7, "milter-manager", f"{log}.1", writable=True),
        Descriptor(8, "milter-manager", f"{log} (deleted)", writable=True),
        Descriptor(9, "tail", f"{log}.1", writable=False),
    ]
    values = {
        "file": LOG,
        "files": f"{log} (deleted), {log}.1",
        "writers": "milter-manager[7], milter-manager[8]",
    }

    assert [Finding("late_writers", values)] == list(
        check_writers(Path(LOG), found, machine.system)
    )
    assert [] == keys(check_writers(Path(LOG), found[3:], machine.system))


def test_real_writer(tmp_path: Path) -> None:
    """
    A process that has a renamed file open is seen where the kernel shows it.
    """
    machine = Machine(Path("/"))
    log = tmp_path / "mail.log"
    with log.open("wb"):
        log.rename(tmp_path / "mail.log.1")
        log.write_bytes(b"")

        assert ["late_writers"] == keys(
            check_writers(log, list(machine.system.descriptors()), machine.system)
        )


def test_generations(machine: Machine) -> None:
    """
    Rotated files that may not be read are named, where the log itself may be.
    """
    machine.root.chmod(0o755)
    log = machine.put(LOG)
    for name in (f"{LOG}.1", f"{LOG}.2.zst", f"{LOG}.3.gz", f"{LOG}.old"):
        machine.put(name).chmod(0o600)
    machine.put(f"{LOG}.1").chmod(0o644)
    values = {"file": LOG, "files": "mail.log.3.gz, mail.log.2.zst", "user": STRANGER.name}

    assert [Finding("rotated_unreadable", values)] == list(
        check_generations(Path(LOG), STRANGER, machine.system)
    )

    log.chmod(0o600)

    assert [] == keys(check_generations(Path(LOG), STRANGER, machine.system))


def test_generations_unlisted(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of a directory that may not be listed nothing is said here.
    """

    def refuse(_: Path) -> NoReturn:
        raise PermissionError(13, "Permission denied")

    machine.root.chmod(0o755)
    machine.put(LOG)
    monkeypatch.setattr(rotation, "list_siblings", refuse)

    assert [] == keys(check_generations(Path(LOG), STRANGER, machine.system))
