"""
The systemd journal: whether it is there, may be read, and what its newest lines are.

Asks journalctl for some entries, and gives up after some seconds.
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from exporter.config import Config
from exporter.entry import read_entry, write_line
from exporter.logtool.checks.access import Person, find_refusal
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.lines import Sample, check_lines, other_program, read_sample
from exporter.logtool.checks.system import System
from exporter.remedy import name_group

JOURNAL_SECONDS = 10.0
DIRECTORIES = ("/var/log/journal", "/run/log/journal")
NAME = Path("journal")
"""What stands for it where a log file has its pathname."""
GROUP = "systemd-journal"
ENTRIES = 5000
"""The newest that are looked at."""


def check_journal(
    config: Config, person: Person, system: System, *, alone: bool
) -> Iterator[Finding]:
    """
    Say what the journal has, and whether it is followed; `alone` where no log file is there.
    """
    given = config.journal
    wanted = given or alone
    directory = config.journal_directory
    journalctl = shutil.which("journalctl", path=system.environ.get("PATH"))
    files = find_files(config, system)
    if journalctl is None or not files:
        yield from explain_absence(given=given, journalctl=journalctl, directory=directory)
        return
    refusals = [find_refusal(person, file, system.at("/")) for file in files]
    refused = next(filter(None, refusals), None)
    if refused:
        group = GROUP if refused.kind in {"root", "path"} else name_group(refused.gid)
        key = "journal_denied" if wanted else "journal_refused"
        if wanted and not person.name:
            key = "journal_denied_unit"
        yield Finding(key, {"user": person.name, "group": group})
    sample = ask_journal(journalctl, config, system, config.input_programs)
    if refused and (sample is None or not sample.size):
        return
    if sample is None:
        yield Finding("journal_silent" if not given else "journal_unanswered")
    elif not wanted:
        yield Finding("journal_too" if sample.size else "journal_empty")
    elif sample.size:
        yield Finding("journal_followed")
        for finding in check_lines(NAME, sample, config, system.now()):
            # What shows more of a file does not of the journal.
            own = finding.key == "unrecognised"
            yield replace(finding, key="journal_unrecognised") if own else finding
    else:
        yield Finding("journal_waiting" if given else "journal_empty")
        everybody = ask_journal(journalctl, config, system, ())
        if everybody and everybody.strangers:
            yield other_program(str(NAME), everybody, config)


def find_files(config: Config, system: System) -> list[Path]:
    """
    List the journal's files of this machine, or those of the directory that is to be followed.
    """
    if config.journal_directory:
        return list(system.at(config.journal_directory).rglob("*.journal"))
    return [file for name in DIRECTORIES for file in system.at(name).glob("*/system.journal")]


def explain_absence(
    *, given: bool, journalctl: str | None, directory: Path | None
) -> Iterator[Finding]:
    """
    Say what of the journal is not there.
    """
    if not given:
        yield Finding("journal_none")
    elif journalctl is None:
        yield Finding("journal_no_program")
    elif directory:
        yield Finding("journal_no_files", {"directory": str(directory)})
    else:
        yield Finding("journal_nowhere")


def ask_journal(
    journalctl: str, config: Config, system: System, programs: Sequence[str]
) -> Sample | None:
    """
    Give a sample of the newest entries, of some programs or of all; None if there is no answer.
    """
    identifiers = [word for program in programs for word in ("-t", program)]
    where = [f"--directory={config.journal_directory}"] if config.journal_directory else []
    command = [str(Path(journalctl)), "--quiet", "--no-pager", "--all", "-o", "json"]
    try:
        result = subprocess.run(  # noqa: S603 - no shell
            [*command, "-n", str(ENTRIES), *where, *identifiers],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=JOURNAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    entries = filter(None, map(read_entry, result.stdout.splitlines()))
    data = b"".join(write_line(entry) + b"\n" for entry in entries)
    # No syslog daemon has cut them.
    sample = replace(read_sample(data, data, config, system), cut=0)
    return replace(sample, dialects=frozenset(("journal",))) if sample.dialects else sample
