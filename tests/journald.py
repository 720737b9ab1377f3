"""
A real systemd-journald, on a host of its own: private /run and /var/log, machine id and boot id.

The host is a mount namespace, which root may make, and elsewhere everybody in a user namespace.
Nothing in it sees or touches this machine's own journal.
"""

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from running import DEADLINE_SECONDS, Exporter, Program, require, wait_until

MACHINE = "5a1db1e8f0bb4d1f9a1b6bd1ea3fb0a4"
OTHER_MACHINE = "6a1db1e8f0bb4d1f9a1b6bd1ea3fb0a4"
BOOT = "{number}1d5b8a3-93a8-4a1f-9d0e-0d3b9c3a2f10"
# Small files, so that journald rotates by itself as well; nothing is dropped or vacuumed by itself.
CONFIG = """\
[Journal]
Storage=persistent
SystemMaxFileSize=1M
SystemMaxFiles=10000
RateLimitIntervalSec=0
RateLimitBurst=0
ReadKMsg=no
Audit=no
ForwardToWall=no
"""
PREPARE = """\
set -e
mount -t tmpfs none /run
mount -t tmpfs none /var/log
mkdir -p /run/systemd/journald.conf.d /var/log/journal
cp "$0/journald.conf" /run/systemd/journald.conf.d/test.conf
mount --bind "$0/machine-id" /etc/machine-id
mount --bind "$0/boot-id" /proc/sys/kernel/random/boot_id
echo prepared >&2
exec "$@"
"""


class Host:
    """
    A host with a journald, which can be restarted, and the host with it.
    """

    def __init__(self, directory: Path) -> None:
        """
        Make it, journald not yet started; skip the test where that is not possible.
        """
        self._journald: Program | None = None
        self._directory, self._boot = directory, 0
        self._exporters: list[Exporter] = []
        is_root = os.geteuid() == 0
        (directory / "journald.conf").write_text(CONFIG)
        (directory / "machine-id").write_text(f"{MACHINE}\n")
        self._boot_anew()
        space = ("--mount",) if is_root else ("--user", "--map-root-user", "--mount")
        unshare = [require("unshare", "util-linux"), *space, "sh", "-c", PREPARE, str(directory)]
        enough = subprocess.run([*unshare, "true"], capture_output=True, check=False)
        if enough.returncode:
            pytest.skip(f"no host of its own for journald: {enough.stderr.decode()}")
        self._keeper = Program([*unshare, "sleep", "infinity"], directory)
        self._keeper.hear("prepared")
        enter = ("--mount",) if is_root else ("--user", "--preserve-credentials", "--mount")
        self.inside = (
            require("nsenter", "util-linux"),
            f"--target={self._keeper.pid}",
            *enter,
        )
        """What runs a command on the host."""
        self.root = Path(f"/proc/{self._keeper.pid}/root")

    @property
    def journals(self) -> list[Path]:
        """
        Give the files of the journal on the disk.
        """
        return sorted((self.root / "var/log/journal" / MACHINE).glob("*.journal*"))

    def start(self) -> None:
        """
        Start journald, and wait until it takes entries.
        """
        self._journald = Program(
            [*self.inside, require("systemd-journald", "systemd")],
            self._directory,
            {**os.environ, "SYSTEMD_LOG_TARGET": "console"},
        )
        wait_until(lambda: self._ask("--sync").returncode == 0)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """
        End journald, once it has written all that it was told.
        """
        assert self._journald is not None
        self.journalctl("--sync")
        self._journald.terminate(number)

    def signal(self, number: signal.Signals) -> None:
        """
        Send journald a signal.
        """
        assert self._journald is not None
        self._journald.send(number)

    def vacuum(self) -> None:
        """
        Leave nothing of the journal but an empty file.
        """
        self.journalctl("--rotate")
        self.journalctl("--vacuum-files=1")

        assert 1 == len(self.journals)

    def reboot(self) -> None:
        """
        Have the host with nothing left in /run, and another boot id; the disk is not flushed to.
        """
        self.stop()
        self._boot_anew()
        for path in ("run/log/journal", "run/systemd/journal"):
            subprocess.run(["rm", "-r", "-f", self.root / path], check=True)
        self.start()

    def log(self, data: bytes) -> None:
        """
        Send a datagram to what /dev/log leads to, as syslog(3) does.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect(str(self.root / "run/systemd/journal/dev-log"))
            sock.send(data)

    def journalctl(self, *arguments: str) -> bytes:
        """
        Run journalctl; give what it prints.
        """
        result = self._ask(*arguments)

        assert 0 == result.returncode, result.stderr

        return result.stdout

    def exporter(self, *arguments: str) -> Exporter:
        """
        Start the exporter on the host.
        """
        exporter = Exporter(self._directory, *arguments, before=self.inside)
        self._exporters.append(exporter)
        return exporter

    def close(self) -> None:
        """
        End all that runs on it.
        """
        for program in (*self._exporters, self._journald, self._keeper):
            if program:
                program.kill()

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command: Sequence[str] = [*self.inside, require("journalctl", "systemd"), *arguments]
        return subprocess.run(command, capture_output=True, timeout=DEADLINE_SECONDS, check=False)

    def _boot_anew(self) -> None:
        self._boot += 1
        # In place: the file itself is what the host sees.
        (self._directory / "boot-id").write_text(f"{BOOT.format(number=self._boot)}\n")
