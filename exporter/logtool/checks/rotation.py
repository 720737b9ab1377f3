"""
How the log is rotated: what logrotate is told, what it left, and who writes on in a renamed file.
"""

import os
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from exporter.logtool.checks.access import Person, find_refusal
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import Descriptor, System
from exporter.siblings import GENERATION, list_siblings

LOGROTATE = "/etc/logrotate.conf"
LOGROTATE_DIRECTORY = "/etc/logrotate.d"
SCRIPT = re.compile(
    r"^[ \t]*(?:pre|post|first|last)(?:rotate|action)\b.*?^[ \t]*endscript\b",
    re.DOTALL | re.MULTILINE,
)
DELETED = " (deleted)"
MOST_WRITERS = 5
MOST_FILES = 5


def check_rotation(path: Path, system: System) -> Iterator[Finding]:
    """
    Say what about a log's rotation loses lines.
    """
    for file in (LOGROTATE, *rotation_files(system)):
        words = directives(system.text(file), str(path.absolute()))
        if "copytruncate" in words:
            yield Finding("copytruncate", {"file": str(path), "configuration": file})
        if "olddir" in words:
            yield Finding("olddir", {"file": str(path), "configuration": file})


def rotation_files(system: System) -> list[str]:
    """
    List the files that logrotate includes.
    """
    try:
        names = sorted(one.name for one in system.at(LOGROTATE_DIRECTORY).iterdir())
    except OSError:
        return []
    return [f"{LOGROTATE_DIRECTORY}/{name}" for name in names]


def directives(text: str, log: str) -> frozenset[str]:
    """
    Give the first words of what a configuration of logrotate says of one log (logrotate(8)).
    """
    # A comment may hold an apostrophe or a brace, a script anything.
    plain = SCRIPT.sub("", re.sub(r"^[ \t]*#.*$", "", text, flags=re.MULTILINE))
    words: set[str] = set()
    for block in plain.split("}"):
        head, _, body = block.partition("{")
        patterns = (pattern.strip("\"'") for pattern in head.split())
        if any(fnmatchcase(log, pattern) for pattern in patterns):
            words |= {line.split()[0] for line in body.splitlines() if line.strip()}
    return frozenset(words)


def check_generations(path: Path, person: Person, system: System) -> Iterator[Finding]:
    """
    Say which rotated files of a log that somebody may read are closed to him.
    """
    root = system.at("/")
    log = Path(os.path.realpath(system.at(path)))
    if find_refusal(person, log, root):
        return
    try:
        paths = [one.path for one in list_siblings(log)]
    except OSError:
        return  # which is told of the directory
    refused = [one.name for one in paths if find_refusal(person, one, root)]
    if refused:
        files = ", ".join(refused[-MOST_FILES:])
        values = {"file": str(path), "files": files, "user": person.name}
        yield Finding("rotated_unreadable", values)


def check_writers(
    path: Path, descriptors: Sequence[Descriptor], system: System
) -> Iterator[Finding]:
    """
    Say which processes still write to a file that a rotation has taken away.
    """
    log = os.path.realpath(system.at(path))
    late = [one for one in descriptors if one.writable and was_rotated(one.target, log)]
    if late:
        writers = sorted({f"{one.name}[{one.pid}]" for one in late})
        files = sorted({one.target for one in late})
        values = {
            "file": str(path),
            "files": ", ".join(files[:MOST_WRITERS]),
            "writers": ", ".join(writers[:MOST_WRITERS]),
        }
        yield Finding("late_writers", values)


def was_rotated(target: str, log: str) -> bool:
    """
    Say whether what a process has open was the log once.
    """
    plain = target.removesuffix(DELETED)
    if plain == log:
        return target != plain
    return plain.startswith(log) and bool(GENERATION.fullmatch(plain[len(log) :]))
