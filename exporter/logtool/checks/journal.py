"""
The systemd journal: whether it is there, may be read, and has lines of milter-manager.

Asks journalctl for one line, and gives up after some seconds.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from exporter.logtool.checks.access import Person, find_refusal
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import System

JOURNAL_SECONDS = 10.0
DIRECTORIES = ("/var/log/journal", "/run/log/journal")


def check_journal(
    programs: Sequence[str], person: Person, system: System, *, alone: bool
) -> Iterator[Finding]:
    """
    Say what the journal has; `alone` where no log file is there.
    """
    journalctl = shutil.which("journalctl", path=system.environ.get("PATH"))
    files = [file for name in DIRECTORIES for file in system.at(name).glob("*/system.journal")]
    if journalctl is None or not files:
        yield Finding("journal_none")
        return
    refused = any(find_refusal(person, file, system.at("/")) for file in files)
    if refused:
        yield Finding("journal_refused", {"user": person.name})
    found = ask_journal(journalctl, programs)
    if refused and not found:
        return
    if found is None:
        yield Finding("journal_silent")
    elif found:
        yield Finding("journal_only" if alone else "journal_too")
    else:
        yield Finding("journal_empty")


def ask_journal(journalctl: str, programs: Sequence[str]) -> bool | None:
    """
    Say whether the journal has a line of the programs; None where it does not answer.
    """
    identifiers = [argument for program in programs for argument in ("-t", program)]
    command = [str(Path(journalctl)), "--quiet", "--no-pager", "-n", "1", "-o", "json"]
    try:
        result = subprocess.run(  # noqa: S603 - no shell
            [*command, *identifiers],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=JOURNAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.startswith(b"{")
