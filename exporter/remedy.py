"""
What lets this process read a file that it may not read: the one permission that is missing.

Looks at the file's mode and group only.  Changes nothing, and never reads the file.
"""

import grp
import os
import pwd
import stat
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOG_GROUP = "adm"
"""Debian's group of those who may read logs (base-passwd's users-and-groups)."""


@dataclass(frozen=True, slots=True)
class Remedy:
    """
    What is missing.
    """

    kind: str
    """
    group: the file's group may read it, and this process is not in it; mode: not even the group
    may; root: the file is of root's group, which nobody should join; path: a directory on the way
    may not be searched.
    """
    path: str
    user: str = ""
    group: str = ""
    gid: int = 0


def find_remedy(path: Path) -> Remedy | None:
    """
    Say what is missing; None when it is no permission.
    """
    try:
        status = path.stat()
    except PermissionError:
        return Remedy("path", str(path))
    except OSError:
        return None
    if os.access(path, os.R_OK, effective_ids=True):
        return None
    kind, gid = choose_kind(status, {os.getegid(), *os.getgroups()}), status.st_gid
    if kind == "other":
        return None
    group = LOG_GROUP if kind == "root" else name_group(gid)
    return Remedy(kind, str(path), name_user(os.geteuid()), group, gid)


def suggest_group(name: str, path: str) -> Remedy:
    """
    Say that it is the membership in a group.
    """
    gid = 0
    with suppress(KeyError):
        gid = grp.getgrnam(name).gr_gid
    return Remedy("group", path, name_user(os.geteuid()), name, gid)


def choose_kind(status: os.stat_result, gids: AbstractSet[int]) -> str:
    """
    Say what somebody in these groups lacks to read a file; other for one whose group may read it.

    Then it is an access control list or a security module, of which a mode says nothing.
    """
    if status.st_gid == 0:
        return "root"
    if not status.st_mode & stat.S_IRGRP:
        return "mode"
    return "other" if status.st_gid in gids else "group"


def name_user(uid: int) -> str:
    """
    Give a user's name, or the number of one that has none.
    """
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def name_group(gid: int) -> str:
    """
    Give a group's name, or the number of one that has none.
    """
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
