"""
The state file: where it is, whether it is sound, in use, and can be written.

Never creates, locks or changes it: who holds the lock is what the kernel says of it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from exporter.config import Config
from exporter.logtool.checks.access import Person, may, ways
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.logs import LEAST_SPACE_BYTES, free_bytes
from exporter.logtool.checks.system import System
from exporter.place import SYSTEM_DIRECTORY, default_state_files
from exporter.state import DamagedStateError, decode

LOCKS = "/proc/locks"
MOST_STATE_BYTES = 64 * 2**20


def check_state(config: Config, person: Person, system: System) -> Iterator[Finding]:
    """
    Say where the state would be kept, and how it is.
    """
    if not config.keep_state:
        yield Finding("state_off")
        return
    file = config.state_file
    if file and person.uid is None and SYSTEM_DIRECTORY not in file.absolute().parents:
        values = {"file": str(file), "directory": str(SYSTEM_DIRECTORY)}
        yield Finding("state_outside", values)
        return
    if file:
        yield from check_place(file, person, system)
        return
    for path in places(person, system):
        refused = cannot_write(path, person, system)
        if refused is None:
            yield from check_place(path, person, system)
            return
        yield Finding("state_next_place", {"file": str(path), "directory": str(refused)})
    yield Finding("state_nowhere")


def places(person: Person, system: System) -> list[Path]:
    """
    List where the state may be kept when nobody says; systemd makes the first for its own user.
    """
    if person.uid is None:
        return [SYSTEM_DIRECTORY / "state"]
    environ = dict(system.environ)
    if not person.itself:
        environ = {"HOME": os.path.expanduser(f"~{person.name}")}  # noqa: PTH111 - may be unknown
    return default_state_files(environ)


def cannot_write(path: Path, person: Person, system: System) -> Path | None:
    """
    Give the directory that somebody may not write to; None where the state can be kept there.
    """
    if person.uid is None:
        return None
    directory = nearest_directory(path, system)
    here = system.at(directory)
    try:
        searched = all(may(person, way, os.X_OK) for way in (*ways(here, system.at("/")), here))
        written = searched and may(person, here, os.W_OK)
    except OSError:
        written = False
    return None if written and here.is_dir() else directory


def nearest_directory(path: Path, system: System) -> Path:
    """
    Give the first directory above a file that is there: what is missing would be made in it.
    """
    return next(one for one in path.absolute().parents if system.exists(one))


def check_place(path: Path, person: Person, system: System) -> Iterator[Finding]:
    """
    Say how one state file is.
    """
    refused = cannot_write(path, person, system)
    if refused is not None:
        values = {"file": str(path), "directory": str(refused), "user": person.name}
        yield Finding("state_unwritable", values)
        return
    holder = find_holder(path, system)
    if holder:
        yield Finding("state_in_use", {"file": str(path), "pid": holder})
    yield from check_contents(path, system)
    space = free_bytes(system.at(nearest_directory(path, system)))
    if space < LEAST_SPACE_BYTES:
        yield Finding("state_no_space", {"file": str(path), "free_bytes": space})


def check_contents(path: Path, system: System) -> Iterator[Finding]:
    """
    Say what a restart would find.
    """
    values = {"file": str(path)}
    reason = read_state(path, system)
    if reason == "absent":
        yield Finding("state_new", values)
    elif reason == "unseen":
        yield Finding("state_unseen", values)
    elif reason:
        previous = read_state(path.with_name(f"{path.name}.previous"), system)
        key = "state_lost" if previous else "state_damaged"
        yield Finding(key, {**values, "reason": reason})
    else:
        status = system.at(path).stat()
        age = max(system.now() - status.st_mtime, 0.0)
        yield Finding("state", {**values, "size_bytes": status.st_size, "age_seconds": age})
    if system.exists(path.with_name(f"{path.name}.damaged")):
        yield Finding("state_was_damaged", values)


def read_state(path: Path, system: System) -> str:
    """
    Read a state: empty where it is sound, else absent, unseen, or what is wrong with it.
    """
    try:
        decode(system.tail(path, MOST_STATE_BYTES))
    except FileNotFoundError:
        return "absent"
    except OSError:
        return "unseen"
    except DamagedStateError as error:
        return str(error)
    return ""


def find_holder(path: Path, system: System) -> int:
    """
    Give the process that holds the lock (proc_locks(5)); 0 where there is none, or none to be seen.
    """
    try:
        status = system.at(path.with_name(f"{path.name}.lock")).stat()
    except OSError:
        return 0
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    place = f"{major:02x}:{minor:02x}:{status.st_ino}"
    for line in system.text(LOCKS).splitlines():
        fields = line.split()
        if place in fields and "FLOCK" in fields:
            return int(fields[fields.index(place) - 1])
    return 0
