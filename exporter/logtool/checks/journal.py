"""
The systemd journal: whether it is there, may be read, and what its newest lines are.

Asks journalctl for some entries, and gives up after some seconds.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.config import Config
from exporter.entry import read_entry, write_line
from exporter.logtool.checks.access import Person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.journalfiles import explain_obstacle, find_files, find_obstacle
from exporter.logtool.checks.lines import (
    Sample,
    check_lines,
    name_journal,
    name_query,
    other_program,
    read_sample,
)
from exporter.logtool.checks.system import System

JOURNAL_SECONDS = 10.0
NAME = Path("journal")
"""What stands for it where a log file has its pathname."""
ENTRIES = 5000
"""The newest that are looked at."""
IGNORED = re.compile(
    r"(?:Journal file |directory |file ')"
    r"(?P<file>.+?)(?: is truncated| uses an unsupported feature| corrupted)?(?:, ignoring file|')"
)
"""How journalctl names a file that it leaves out (sd-journal.c)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What journalctl has said.
    """

    sample: Sample | None = None
    """None if it has not answered in time, or could not be run."""
    failure: str = ""
    """Why it has ended badly: its last words, else its status."""
    ignored: tuple[re.Match[str], ...] = ()
    """Where it names files that it leaves out."""

    @property
    def has_lines(self) -> bool:
        """
        Say whether there are entries.
        """
        return self.sample is not None and bool(self.sample.size)


def check_journal(
    config: Config, person: Person, system: System, *, alone: bool
) -> Iterator[Finding]:
    """
    Say what the journal has, and whether it is followed; `alone` where no log file is there.
    """
    wanted = config.journal or alone
    journalctl = shutil.which("journalctl", path=system.environ.get("PATH"))
    files = find_files(config, system)
    obstacle = find_obstacle(person, files, config, system)
    there = bool(files or obstacle)
    if journalctl is None or not there:
        yield explain_absence(config, journalctl, wanted=wanted, there=there)
        return
    if obstacle:
        yield from explain_obstacle(obstacle, person, wanted=wanted)
    answer = ask_journal(journalctl, config, system, config.input_programs)
    if wanted:
        yield from explain_ignored(answer)
    if obstacle and not answer.has_lines:
        return
    yield from explain_answer(answer, config, system, wanted=wanted)
    if wanted and answer.sample and not (answer.has_lines or answer.failure):
        everybody = ask_journal(journalctl, config, system, ()).sample
        if everybody and everybody.strangers:
            yield other_program(str(NAME), everybody, config)


def explain_answer(
    answer: Answer, config: Config, system: System, *, wanted: bool
) -> Iterator[Finding]:
    """
    Say what the newest entries are, or why there is no answer.
    """
    values = {"journalctl": name_journal(config), "query": name_query(config)}
    if answer.failure:
        said = values | {"said": answer.failure}
        yield Finding("journal_failed" if wanted else "journal_failed_too", said)
    elif answer.sample is None:
        yield Finding("journal_unanswered" if wanted else "journal_silent", values)
    elif not answer.has_lines:
        yield Finding("journal_waiting", values) if config.journal else Finding("journal_empty")
    if answer.sample is None or not answer.has_lines:
        return
    yield Finding("journal_followed" if wanted else "journal_too")
    if wanted:
        for finding in check_lines(NAME, answer.sample, config, system.now()):
            yield in_journal(finding, values)


def in_journal(finding: Finding, values: dict[str, str]) -> Finding:
    """
    Give a finding of lines as one of the journal: what shows more of a file does not of that.
    """
    if finding.key != "unrecognised":
        return finding
    return Finding("journal_unrecognised", {**finding.values, **values})


def explain_absence(
    config: Config, journalctl: str | None, *, wanted: bool, there: bool
) -> Finding:
    """
    Say what of the journal is not there; `there` where its files are.
    """
    if journalctl is None and (there or config.journal):
        return Finding("journal_no_program" if wanted else "journal_unread")
    if not config.journal:
        return Finding("journal_none")
    if config.journal_directory:
        return Finding("journal_no_files", {"directory": str(config.journal_directory)})
    return Finding("journal_nowhere")


def explain_ignored(answer: Answer) -> Iterator[Finding]:
    """
    Name a file that journalctl leaves out: a problem where it has no entries without it.
    """
    if answer.ignored:
        first, number = answer.ignored[0], len(answer.ignored)
        values = {"said": first.string, "file": first["file"], "number": number}
        yield Finding("journal_ignored_some" if answer.has_lines else "journal_ignored", values)


def ask_journal(journalctl: str, config: Config, system: System, programs: Sequence[str]) -> Answer:
    """
    Ask for the newest entries, of some programs or of all.
    """
    identifiers = [word for program in programs for word in ("-t", program)]
    where = [f"--directory={config.journal_directory}"] if config.journal_directory else []
    command = [str(Path(journalctl)), "--quiet", "--no-pager", "--all", "-o", "json"]
    try:
        result = subprocess.run(  # noqa: S603 - no shell
            [*command, "-n", str(ENTRIES), *where, *identifiers],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=JOURNAL_SECONDS,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        return Answer()
    except OSError as error:
        return Answer(failure=f"{error.strerror}")
    entries = filter(None, map(read_entry, result.stdout.splitlines()))
    data = b"".join(write_line(entry) + b"\n" for entry in entries)
    # No syslog daemon has cut them.
    sample = replace(read_sample(data, data, config, system), cut=0)
    sample = replace(sample, dialects=frozenset(("journal",))) if sample.dialects else sample
    said = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines()]
    said = [line for line in said if line]
    failure = (said or [f"status {result.returncode}"])[-1] if result.returncode else ""
    complaints = (line for line in said if "ignoring file" in line)
    return Answer(sample, failure, tuple(filter(None, map(IGNORED.search, complaints))))
