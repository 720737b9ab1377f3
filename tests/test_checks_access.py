"""
Who may read what, held together with what the kernel says of it.
"""

import errno
import grp
import os
import pwd
import stat
import struct
import subprocess
from pathlib import Path

import pytest
from machine import NOBODYS, STRANGER
from running import require

from exporter.logtool.checks import access
from exporter.logtool.checks.access import Person, Refusal, find_person, find_refusal, may
from exporter.logtool.terminal import UsageError

NO_ID = 2**32 - 1


def entries(*rows: tuple[int, int, int]) -> bytes:
    """
    Write an access control list as Linux keeps it.
    """
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *row) for row in rows)


def named(rights: int, mask: int) -> bytes:
    """
    Write a list that names a user, and one that names a group of hers.
    """
    return entries(
        (0x01, 6, NO_ID),
        (0x02, rights, NOBODYS),
        (0x04, 0, NO_ID),
        (0x10, mask, NO_ID),
        (0x20, 0, NO_ID),
    )


def grouped(rights: int, mask: int) -> bytes:
    """
    Write a list that names a group.
    """
    return entries(
        (0x01, 6, NO_ID),
        (0x04, 0, NO_ID),
        (0x08, rights, NOBODYS),
        (0x10, mask, NO_ID),
        (0x20, 4, NO_ID),
    )


LISTS = {
    "none": b"",
    "user": named(4, 7),
    "user denied": named(0, 7),
    "user masked": named(4, 0),
    "group": grouped(4, 7),
    "group denied": grouped(0, 7),
    "group masked": grouped(4, 0),
}
MODES = (0o600, 0o640, 0o604, 0o644, 0o040, 0o400)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A file that is there.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize("gid", [0, 4, NOBODYS])
@pytest.mark.parametrize("uid", [0, NOBODYS])
@pytest.mark.parametrize("mode", MODES)
def test_like_the_kernel(mode: int, uid: int, gid: int, tmp_path: Path) -> None:
    """
    For another user, modes and lists give the answer that the kernel gives to that user.
    """
    setpriv = require("setpriv", "util-linux")
    if os.geteuid():
        pytest.skip("needs root, who may be anybody")
    expected: dict[str, bool] = {}
    found: dict[str, bool] = {}
    # Not below pytest's directory, which is closed to others.
    directory = Path("/dev/shm", f"{tmp_path.name}-{os.getpid()}")  # noqa: S108 - made by root
    directory.mkdir(mode=0o755)
    path = directory / "mail.log"
    try:
        for name, data in LISTS.items():
            path.write_bytes(b"")
            os.chown(path, uid, gid)
            path.chmod(mode)
            if data:
                os.setxattr(path, access.ACCESS_LIST, data)
            identity = [f"--reuid={NOBODYS}", f"--regid={NOBODYS}", "--groups=4"]
            asked = subprocess.run([setpriv, *identity, "test", "-r", path], check=False)
            expected[name] = asked.returncode == 0
            person = Person("stranger", NOBODYS, frozenset((NOBODYS, 4)))
            found[name] = may(person, path, os.R_OK)
            path.unlink()
    finally:
        path.unlink(missing_ok=True)
        directory.rmdir()

    assert expected == found


@pytest.mark.parametrize(
    ("uid", "gids", "mode", "expected"),
    [
        ("owner", (), 0o400, True),
        ("owner", (), 0o044, False),
        ("other", ("group",), 0o040, True),
        ("other", ("group",), 0o404, False),
        ("other", (), 0o004, True),
        ("other", (), 0o640, False),
    ],
)
def test_modes(uid: str, gids: tuple[str, ...], mode: int, *, expected: bool, path: Path) -> None:
    """
    The owner's bits are the owner's alone, the group's are its members', the rest are the others'.
    """
    path.chmod(mode)
    if os.geteuid() == 0:
        # Root may read everything.
        os.chown(path, NOBODYS - 1, NOBODYS - 1)
    status = path.stat()
    number = status.st_uid if uid == "owner" else NOBODYS
    person = Person("somebody", number, frozenset(status.st_gid for _ in gids))

    assert expected is may(person, path, os.R_OK)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user", True),
        ("user denied", False),
        ("user masked", False),
        ("group", True),
        ("group denied", False),
        ("group masked", False),
    ],
)
def test_lists(name: str, *, expected: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An access control list decides over the modes, within its mask.
    """
    monkeypatch.setattr(os, "getxattr", lambda *_: LISTS[name])
    path.chmod(0o640)

    assert expected is may(STRANGER, path, os.R_OK)


def test_root(path: Path) -> None:
    """
    Root may read everything.
    """
    path.chmod(0)

    assert may(Person("root", 0, frozenset((0,))), path, os.R_OK)


def test_itself(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    For who asks the kernel answers.
    """
    monkeypatch.setattr(os, "access", lambda *_, **__: False)

    assert not may(find_person("", ()), path, os.R_OK)


def test_person() -> None:
    """
    Who is meant is who asks, or a user, or nobody in particular in some groups.
    """
    root, group = pwd.getpwuid(0), grp.getgrgid(0)
    itself = find_person("", ())

    assert (os.geteuid(), True) == (itself.uid, itself.itself)
    assert Person("root", 0, frozenset(os.getgrouplist("root", root.pw_gid))) == find_person(
        "root", [group.gr_name]
    )
    assert Person("", None, frozenset((0,))) == find_person("", [group.gr_name])


@pytest.mark.parametrize(
    ("user", "groups", "flag"), [("no such", (), "--user"), ("", ("no such",), "--group")]
)
def test_nobody(user: str, groups: tuple[str, ...], flag: str) -> None:
    """
    A user or a group that is not there is a wrong command line.
    """
    with pytest.raises(UsageError, match=f"{flag}: .*no such"):
        find_person(user, groups)


@pytest.mark.parametrize(
    ("mode", "gid", "kind"),
    [(0o640, 4, "group"), (0o600, 4, "mode"), (0o640, NOBODYS, "other"), (0o640, 0, "root")],
)
def test_kind(mode: int, gid: int, kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is missing is a group, or a mode, or nothing that modes could tell.
    """
    found = list(path.stat())
    found[stat.ST_GID], found[stat.ST_MODE] = gid, stat.S_IFREG | mode
    status = os.stat_result(found)
    monkeypatch.setattr(access, "may", lambda _, one, __: one != path)
    monkeypatch.setattr(Path, "stat", lambda _: status)

    assert Refusal(kind, path, gid) == find_refusal(STRANGER, path, path.parent)


def test_readable(path: Path, tmp_path: Path) -> None:
    """
    Where nothing stands in the way there is nothing to say.
    """
    tmp_path.chmod(0o755)
    path.chmod(0o644)

    assert None is find_refusal(STRANGER, path, tmp_path)


@pytest.mark.parametrize("link", [False, True])
def test_directory(tmp_path: Path, *, link: bool) -> None:
    """
    The directory that may not be entered is named, the one that a link leads to as well.
    """
    tmp_path.chmod(0o755)
    (tmp_path / "closed" / "in").mkdir(parents=True)
    target = tmp_path / "closed" / "in" / "mail.log"
    target.write_bytes(b"")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "closed").chmod(0o700)
    asked = tmp_path / "link" if link else target

    assert Refusal("path", tmp_path / "closed") == find_refusal(STRANGER, asked, tmp_path)


def test_unseen(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where who asks may not look nothing is claimed.
    """

    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(access, "may", refuse)

    assert Refusal("unseen", tmp_path) == find_refusal(STRANGER, path, tmp_path)
