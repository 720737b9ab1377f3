"""
The log files: which the daemon would follow, whether they can be read, and what they lie on.

Never looks at a line.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.config import STANDARD_INPUT, Config
from exporter.daemon import CANDIDATES
from exporter.logtool.checks.access import Person, Refusal, find_refusal, may
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.system import Descriptor, System
from exporter.pipe import is_pipe
from exporter.remedy import LOG_GROUP, name_group

LEAST_SPACE_BYTES = 16 * 2**20
OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Logs:
    """
    What the daemon would follow.
    """

    given: bool
    """By flag or variable, not found by itself."""
    present: tuple[Path, ...]
    missing: tuple[Path, ...]
    ignored: tuple[Path, ...]
    """Found too, but not followed."""
    pipes: tuple[Path, ...] = ()
    """Standard input and FIFOs: nothing of them can be looked at without being lost."""


def find_logs(config: Config, system: System) -> Logs:
    """
    Look for the logs as the daemon does.
    """
    if config.journal:
        return Logs(given=True, present=(), missing=(), ignored=())
    paths = config.input_files or CANDIDATES
    present = tuple(path for path in paths if there(path, system))
    if config.input_files:
        pipes = tuple(path for path in paths if is_pipe(where(path, system)))
        missing = tuple(path for path in paths if path not in present and path not in pipes)
        present = tuple(path for path in present if path not in pipes)
        return Logs(given=True, present=present, missing=missing, ignored=(), pipes=pipes)
    return Logs(given=False, present=present[:1], missing=(), ignored=present[1:])


def where(path: Path, system: System) -> Path:
    """
    Give where a log is on the machine; standard input is nowhere.
    """
    return path if path == STANDARD_INPUT else system.at(path)


def there(path: Path, system: System) -> bool:
    """
    Say whether a log is there, in a directory too that may not be searched: that is told later.
    """
    try:
        system.at(path).stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def check_logs(
    logs: Logs, person: Person, system: System, *, journal: bool = False, query: str = "journalctl"
) -> Iterator[Finding]:
    """
    Say what would be followed and whether it can be; `journal` where that is, instead of files.

    `query` is the command that shows what the journal has.
    """
    if not logs.given and not logs.present and not journal:
        yield Finding("no_log", {"files": " ".join(map(str, CANDIDATES)), "query": query})
    for path in logs.missing:
        yield Finding("log_missing", {"file": str(path)})
    for path in logs.ignored:
        yield Finding("log_ignored", {"file": str(path), "followed": str(logs.present[0])})
    for path in logs.present:
        yield from check_log(path, person, system, given=logs.given)


def check_log(path: Path, person: Person, system: System, *, given: bool) -> Iterator[Finding]:
    """
    Say how one log is.
    """
    file = str(path)
    if is_other_kind(system.at(path)):
        yield Finding("log_no_file", {"file": file})
        return
    yield Finding("log_given" if given else "log_found", {"file": file})
    refusal = find_refusal(person, system.at(path), system.at("/"))
    if refusal:
        yield from explain_refusal(refusal, file, person)
        return
    yield Finding("log_readable", {"file": file, "user": person.name})
    directory = Path(os.path.realpath(system.at(path))).parent
    if not may(person, directory, os.R_OK):
        yield Finding("directory_unlisted", {"directory": str(path.parent), "user": person.name})
    if names_of(path, system) & mount_points(system):
        yield Finding("bind_mount", {"file": file, "directory": str(path.parent)})
    space = free_bytes(system.at(path))
    if space < LEAST_SPACE_BYTES:
        yield Finding("disk_full", {"file": file, "free_bytes": space})


def is_other_kind(path: Path) -> bool:
    """
    Say whether it is something else than a regular file; not where that cannot be seen.
    """
    with suppress(OSError):
        return not stat.S_ISREG(path.stat().st_mode)
    return False


def check_pipe(
    path: Path, person: Person, descriptors: Iterable[Descriptor], system: System
) -> Iterator[Finding]:
    """
    Say how standard input or a FIFO is, of which nothing is read: nobody else would get it then.
    """
    file = str(path)
    if path == STANDARD_INPUT:
        yield Finding("standard_input")
        return
    refusal = find_refusal(person, system.at(path), system.at("/"))
    if refusal:
        yield from explain_refusal(refusal, file, person, fifo=True)
        return
    yield Finding("fifo", {"file": file, "user": person.name})
    names = names_of(path, system)
    writers = {one.name for one in descriptors if one.writable and one.target in names}
    if writers:
        yield Finding("fifo_writers", {"file": file, "writers": ", ".join(sorted(writers))})
    else:
        yield Finding("fifo_alone", {"file": file})


def explain_refusal(
    refusal: Refusal, file: str, person: Person, *, fifo: bool = False
) -> Iterator[Finding]:
    """
    Say what has to be changed; a FIFO is nothing that logrotate makes.
    """
    group = LOG_GROUP if refusal.kind == "root" else name_group(refusal.gid)
    values: dict[str, Value] = {
        "file": file,
        "directory": str(refusal.path),
        "user": person.name,
        "group": group,
        "gid": refusal.gid,
    }
    if refusal.kind in {"root", "mode"} and fifo:
        yield Finding("unreadable_fifo", values)
    elif refusal.kind in {"root", "mode"}:
        yield Finding(f"unreadable_{refusal.kind}", values)
    elif refusal.kind == "group":
        yield Finding("unreadable_group" if person.name else "unreadable_group_unit", values)
    else:
        yield Finding(f"unreadable_{refusal.kind}", values)


def mount_points(system: System) -> frozenset[str]:
    """
    List where something is mounted (proc_pid_mountinfo(5): the fifth field, octal escapes).
    """
    lines = system.text("/proc/self/mountinfo").splitlines()
    points = (fields[4] for fields in map(str.split, lines) if len(fields) > 4)  # noqa: PLR2004
    return frozenset(OCTAL.sub(lambda match: chr(int(match[1], 8)), point) for point in points)


def free_bytes(path: Path) -> int:
    """
    Give how much may be written to the file system of a file by who is not root.
    """
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def names_of(path: Path, system: System) -> frozenset[str]:
    """
    Give the names that others may know a log by: as it is called, and behind links.
    """
    return frozenset((str(path.absolute()), os.path.realpath(system.at(path))))
