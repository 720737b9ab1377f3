"""
File events: whether the kernel's limits leave some for the exporter.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from exporter.logtool.checks.access import Person
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.system import Descriptor, System

LIMITS = "/proc/sys/fs/inotify"
NEEDED_WATCHES = 4
"""A log and its directory, and where it is a link what it points to.  Of instances one will do."""


def check_inotify(
    person: Person, descriptors: Sequence[Descriptor], system: System
) -> Iterator[Finding]:
    """
    Say how many of a user's inotify instances are in use.
    """
    limit = system.number(f"{LIMITS}/max_user_instances")
    watches = system.number(f"{LIMITS}/max_user_watches")
    if limit is None or watches is None:
        yield Finding("inotify_unseen")
        return
    owners = process_owners(system)
    used = Counter(owners.get(one.pid) for one in descriptors if one.target == "anon_inode:inotify")
    # A user of its own has none yet.
    mine = 0 if person.uid is None else used[person.uid]
    values: dict[str, Value] = {
        "used": mine,
        "limit": limit,
        "watches": watches,
        "user": person.name,
    }
    full = mine >= limit or watches < NEEDED_WATCHES
    yield Finding("inotify_full" if full else "inotify", values)


def process_owners(system: System) -> dict[int, int]:
    """
    Give the user of each process.
    """
    owners: dict[int, int] = {}
    for process in system.processes():
        try:
            owners[int(process.name)] = process.stat().st_uid
        except OSError:
            continue
    return owners
