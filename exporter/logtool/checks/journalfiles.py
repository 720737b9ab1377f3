"""
The files of the systemd journal: where they are, and what keeps somebody from them.

Looks at names and modes only, and never reads an entry.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from exporter.config import Config
from exporter.logtool.checks.access import Person, Refusal, find_refusal, may
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.logs import there
from exporter.logtool.checks.system import System
from exporter.remedy import name_group

DIRECTORIES = ("/var/log/journal", "/run/log/journal")
MACHINE_ID = "/etc/machine-id"
GROUP = "systemd-journal"
GROUP_LISTS = stat.S_IRGRP | stat.S_IXGRP


def find_files(config: Config, system: System) -> list[Path]:
    """
    List the journal's files of this machine, or those of the directory that is to be followed.
    """
    if config.journal_directory:
        return list(system.at(config.journal_directory).rglob("*.journal"))
    return [file for name in DIRECTORIES for file in system.at(name).glob("*/system.journal")]


def find_obstacle(
    person: Person, files: Sequence[Path], config: Config, system: System
) -> Refusal | None:
    """
    Say what keeps somebody from the journal: a directory before its files, which that would hide.
    """
    root = system.at("/")
    for directory in find_directories(config, system):
        refusal = find_refusal(person, directory, root)
        if refusal is None and not may(person, directory, os.X_OK):
            refusal = Refusal("path", directory)
        if refusal:
            return refusal
    return next(filter(None, (find_refusal(person, file, root) for file in files)), None)


def find_directories(config: Config, system: System) -> Iterator[Path]:
    """
    List the directories that have to be listed; another machine's journal beside is no matter.
    """
    given = config.journal_directory
    machine = "" if given else system.text(MACHINE_ID).strip()
    for name in [given] if given else map(Path, DIRECTORIES):
        if not there(name, system):
            continue
        top = system.at(name)
        yield top
        # Who asks may see less than who is asked about.
        with suppress(OSError):
            yield from sorted(one for one in top.glob(machine or "*") if one.is_dir())


def explain_obstacle(refusal: Refusal, person: Person, *, wanted: bool) -> Iterator[Finding]:
    """
    Say what has to be changed; where the journal is not wanted, that this does no harm.
    """
    path = refusal.path
    if refusal.kind == "unseen":
        if wanted:
            yield Finding("journal_unseen", {"user": person.name, "directory": str(path)})
        return
    if not wanted:
        yield Finding("journal_refused", {"user": person.name})
        return
    status = path.stat()
    group = name_group(status.st_gid) if status.st_gid else GROUP
    lists = status.st_mode & GROUP_LISTS == GROUP_LISTS and status.st_gid
    if stat.S_ISDIR(status.st_mode) and (not lists or status.st_gid in person.gids):
        values = {"user": person.name, "group": group, "directory": str(path)}
        yield Finding("journal_closed", values)
        return
    key = "journal_denied" if person.name else "journal_denied_unit"
    yield Finding(key, {"user": person.name, "group": group})
