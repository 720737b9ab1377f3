"""
Whether a user may read a file, and if not what stands in the way.

For the user that asks the kernel answers; for another one the modes and access control lists of the
file and of every directory on the way do (POSIX.1e, 23.1.5).  Never opens a file.
"""

import grp
import os
import pwd
import stat
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.logtool.terminal import UsageError
from exporter.remedy import choose_kind, name_user

ACCESS_LIST = "system.posix_acl_access"
USER, GROUP_OWNER, GROUP, MASK = 0x02, 0x04, 0x08, 0x10
"""Tags of the entries of an access control list, as Linux keeps it (linux/posix_acl_xattr.h)."""


@dataclass(frozen=True, slots=True)
class Person:
    """
    Who is to read the log.
    """

    name: str
    """Empty for the service's own user, which has no name before it runs."""
    uid: int | None
    gids: frozenset[int]
    itself: bool = False
    """Whether it is the user that asks."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    What stands in the way.
    """

    kind: str
    """
    path: a directory may not be searched; group: the file's group may read it; mode: not even that
    may; root: it is of root's group, which nobody should join; other: modes have nothing against
    it; unseen: who asks may not look.
    """
    path: Path
    gid: int = 0


def find_person(user: str, groups: Sequence[str]) -> Person:
    """
    Give who is meant: a user, the service's own user in these groups, or who asks; UsageError.
    """
    try:
        gids = {grp.getgrnam(group).gr_gid for group in groups}
    except KeyError as error:
        raise UsageError(f"--group: {error.args[0]}") from error
    if user:
        try:
            entry = pwd.getpwnam(user)
        except KeyError as error:
            raise UsageError(f"--user: {error.args[0]}") from error
        gids |= set(os.getgrouplist(user, entry.pw_gid))
        return Person(user, entry.pw_uid, frozenset(gids))
    if groups:
        return Person("", None, frozenset(gids))
    gids = {os.getegid(), *os.getgroups()}
    return Person(name_user(os.geteuid()), os.geteuid(), frozenset(gids), itself=True)


def may(person: Person, path: Path, right: int) -> bool:
    """
    Say whether somebody has one right to a file; OSError where that cannot be seen.
    """
    if person.itself:
        return os.access(path, right, effective_ids=True)
    status = path.stat()
    if person.uid == 0:
        return True
    if status.st_uid == person.uid:
        return bool(status.st_mode >> 6 & right)
    # A list whose mask, which the group's bits are, has nothing in it the kernel does not look at.
    listed = read_entries(path) if status.st_mode & stat.S_IRWXG else []
    entries = listed or [(GROUP_OWNER, status.st_mode >> 3, 0)]
    mask = next((rights for tag, rights, _ in entries if tag == MASK), 7)
    named = [rights for tag, rights, one in entries if tag == USER and one == person.uid]
    granted = named or [
        rights
        for tag, rights, one in entries
        if (tag == GROUP and one in person.gids)
        or (tag == GROUP_OWNER and status.st_gid in person.gids)
    ]
    if granted:
        return any(rights & mask & right for rights in granted)
    return bool(status.st_mode & right)


def read_entries(path: Path) -> list[tuple[int, int, int]]:
    """
    Give tag, rights and id of each entry of a file's access control list; none where it has none.
    """
    try:
        data = os.getxattr(path, ACCESS_LIST)
    except OSError:
        return []
    return list(struct.iter_unpack("<HHI", data[4:]))


def find_refusal(person: Person, path: Path, root: Path) -> Refusal | None:
    """
    Say what keeps somebody from reading a file that is there; None if nothing does.
    """
    directory = path.parent
    try:
        for directory in ways(path, root):
            if not may(person, directory, os.X_OK):
                return Refusal("path", directory)
        if may(person, path, os.R_OK):
            return None
        status = path.stat()
    except OSError:
        return Refusal("unseen", directory)
    return Refusal(choose_kind(status, person.gids), path, status.st_gid)


def ways(path: Path, root: Path) -> Iterator[Path]:
    """
    Give the directories that have to be searched, from the root on: by name, then behind links.
    """
    resolved = Path(os.path.realpath(path))
    for way in dict.fromkeys((path, resolved)):
        for directory in reversed(way.parents):
            if directory.is_relative_to(root):
                yield directory
