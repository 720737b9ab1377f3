"""
Write tests/data/journalctl/*.log: real entries as real `journalctl` prints them in each format.

    python tests/render_journalctl.py

The messages are those of tests/data/golden/traditional.log, put into a journal file by
systemd-journal-remote.  Knows nothing of the exporter.  No two runs write the same bytes: journal
files have random ids.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from render_golden import ERROR, GOLDEN, INFO, NOTICE, Line, read_syslog

DIRECTORY = GOLDEN.parent / "journalctl"
REMOTE = "/lib/systemd/systemd-journal-remote"
ENTRIES = 300
FORMATS = (
    *("short", "short-iso", "short-iso-precise", "short-precise", "short-full"),
    "short-unix",
    *("with-unit", "cat", "json"),
)


def entries() -> list[Line]:
    """
    Take the first lines of the log.
    """
    return list(islice(read_syslog((GOLDEN / "traditional.log").read_bytes()), ENTRIES))


def export(lines: Iterable[Line]) -> bytes:
    """
    Write lines in the journal's export format.
    """
    written = []
    for n, line in enumerate(lines, 1):
        ours = line.program.startswith(b"milter-manager")
        priority = INFO
        if ours:
            priority = NOTICE if line.said.startswith(b"[statistics] ") else ERROR
        fields = {
            b"__REALTIME_TIMESTAMP": b"%d" % (int(line.time.timestamp()) * 1_000_000 + n),
            b"__MONOTONIC_TIMESTAMP": b"%d" % (1_000_000 + n),
            b"_BOOT_ID": b"62bacccb5162495cbe35e188fabe664e",
            b"_HOSTNAME": line.host,
            b"_PID": line.pid,
            b"_SYSTEMD_UNIT": b"milter-manager.service" if ours else b"postfix@-.service",
            b"PRIORITY": b"%d" % priority,
            b"SYSLOG_FACILITY": b"2",
            b"SYSLOG_IDENTIFIER": line.program,
            b"MESSAGE": line.said,
        }
        written.append(b"".join(b"%s=%s\n" % pair for pair in fields.items() if pair[1]))
    return b"\n".join([*written, b""])


def make_journal(exported: bytes, directory: Path) -> None:
    """
    Make a journal file of export data.
    """
    command = [REMOTE, f"--output={directory / 'test.journal'}", "-"]
    subprocess.run(command, input=exported, check=True, capture_output=True)


def print_journal(directory: Path, form: str) -> bytes:
    """
    Have journalctl print a journal.
    """
    command = ["journalctl", f"--directory={directory}", f"--output={form}", "--no-pager"]
    environ = {**os.environ, "TZ": "UTC", "LC_ALL": "C"}
    return subprocess.run(command, env=environ, check=True, capture_output=True).stdout


def main() -> None:
    """
    Write the files.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_journal(export(entries()), directory)
        DIRECTORY.mkdir(exist_ok=True)
        for form in FORMATS:
            (DIRECTORY / f"{form}.log").write_bytes(print_journal(directory, form))


if __name__ == "__main__":
    main()
