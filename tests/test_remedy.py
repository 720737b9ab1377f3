"""
What is missing to read a file, with a file and with permissions made up: root may read everything.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.remedy import LOG_GROUP, Remedy, find_remedy, name_group, name_user

NOBODYS = 2**31 - 7
"""A number that no user and no group has."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A file that is there.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(b"")
    return path


def refuse(*_: object, **__: object) -> bool:
    """
    Be access(2) to who may not.
    """
    return False


def own(path: Path, gid: int, monkeypatch: pytest.MonkeyPatch, groups: tuple[int, ...]) -> None:
    """
    Make a file another group's, and this process a member of some groups that may not read it.
    """
    found = list(path.stat())
    found[stat.ST_GID] = gid
    status = os.stat_result(found)
    monkeypatch.setattr(os, "access", refuse)
    monkeypatch.setattr(Path, "stat", lambda _: status)
    monkeypatch.setattr(os, "getegid", lambda: NOBODYS)
    monkeypatch.setattr(os, "getgroups", lambda: list(groups))


def test_readable(path: Path) -> None:
    """
    Where the file can be read no permission is missing.
    """
    assert None is find_remedy(path)


def test_absent(tmp_path: Path) -> None:
    """
    No permission makes a file appear.
    """
    assert None is find_remedy(tmp_path / "nosuch")


@pytest.mark.parametrize(("mode", "kind"), [(0o640, "group"), (0o600, "mode"), (0o604, "mode")])
def test_kind(mode: int, kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Either the group may read the file, and this user is to join it, or it is the mode.
    """
    path.chmod(mode)
    own(path, 4, monkeypatch, (5,))
    user = name_user(os.geteuid())

    assert Remedy(kind, str(path), user, name_group(4), 4) == find_remedy(path)


@pytest.mark.parametrize("mode", [0o640, 0o600])
def test_group_of_root(mode: int, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody is told to join root's group: the file is to change its own.
    """
    path.chmod(mode)
    own(path, 0, monkeypatch, ())

    assert Remedy("root", str(path), name_user(os.geteuid()), LOG_GROUP) == find_remedy(path)


def test_member(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who is in the group already is not told to join it.
    """
    path.chmod(0o640)
    own(path, 4, monkeypatch, (4,))

    assert None is find_remedy(path)


def test_directory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A directory on the way that may not be searched hides the rest.
    """

    def search(self: Path) -> Callable[[], None]:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", search)

    assert Remedy("path", str(path)) == find_remedy(path)


def test_names() -> None:
    """
    Users and groups are named, those without a name numbered.
    """
    assert ["root", "root"] == [name_user(0), name_group(0)]
    assert [str(NOBODYS)] * 2 == [name_user(NOBODYS), name_group(NOBODYS)]
