"""
The systemd journal: whether it is there, may be read, and has lines of milter-manager.

Asks journalctl for one line, and gives up after some seconds.
"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from exporter.config import Config
from exporter.logtool.checks.access import Person, find_refusal
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import System

JOURNAL_SECONDS = 10.0
DIRECTORIES = ("/var/log/journal", "/run/log/journal")


def check_journal(
    config: Config, person: Person, system: System, *, alone: bool
) -> Iterator[Finding]:
    """
    Say what the journal has, and whether it is followed; `alone` where no log file is there.
    """
    given = config.journal
    directory = config.journal_directory
    journalctl = shutil.which("journalctl", path=system.environ.get("PATH"))
    if directory:
        files = list(system.at(directory).rglob("*.journal"))
    else:
        files = [file for name in DIRECTORIES for file in system.at(name).glob("*/system.journal")]
    if journalctl is None or not files:
        yield Finding("journal_nowhere" if given else "journal_none")
        return
    refused = any(find_refusal(person, file, system.at("/")) for file in files)
    if refused:
        name = "journal_denied" if given or alone else "journal_refused"
        yield Finding(name, {"user": person.name})
    found = ask_journal(journalctl, config)
    if refused and not found:
        return
    if found is None:
        yield Finding("journal_silent")
    elif found:
        yield Finding("journal_followed" if given or alone else "journal_too")
    else:
        yield Finding("journal_waiting" if given else "journal_empty")


def ask_journal(journalctl: str, config: Config) -> bool | None:
    """
    Say whether the journal has a line of the programs; None where it does not answer.
    """
    identifiers = [word for program in config.input_programs for word in ("-t", program)]
    where = [f"--directory={config.journal_directory}"] if config.journal_directory else []
    command = [str(Path(journalctl)), "--quiet", "--no-pager", "-n", "1", "-o", "json"]
    try:
        result = subprocess.run(  # noqa: S603 - no shell
            [*command, *where, *identifiers],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=JOURNAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.startswith(b"{")
