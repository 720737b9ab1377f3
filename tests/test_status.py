"""
What an input says of itself, while a real file goes through what files go through.
"""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
from counted import FAST, NOW

from exporter.catalogue import load_catalogue
from exporter.counting import Counting
from exporter.input import Input
from exporter.logfile import LogFile
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.status import InputStatus, Status
from exporter.tally import Tally

LINE = b"Nov 22 22:07:33 vm milter-manager[7]: [session][start](1)\n"
ISO = b"2026-11-22T22:07:33+00:00 vm milter-manager[8]: [session][start](2)\n"


def never() -> bool:
    """
    Go on.
    """
    return False


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    Where the log will be.
    """
    return tmp_path / "mail.log"


@pytest.fixture
def followed(path: Path) -> Iterator[Input]:
    """
    An input of a log, read from its beginning.
    """
    tally = Tally((1.0,))
    recogniser = Recogniser(load_catalogue(), MilterNames())
    followed = Input(
        LogFile(path, from_beginning=True),
        lambda: Counting(str(path), FAST, recogniser, tally, lambda: NOW),
        tally,
    )
    yield followed
    followed.logfile.close()


def test_absent(path: Path, followed: Input) -> None:
    """
    A log that is not there is not present, and that is no problem.
    """
    followed.read(0.0, never)

    assert InputStatus(str(path), present=False) == followed.status()


def test_read(path: Path, followed: Input) -> None:
    """
    A log that was read has its position, what is left of it, and the dialects of its lines.
    """
    path.write_bytes(LINE + ISO + b"half")
    followed.read(0.0, never)

    assert (
        InputStatus(
            str(path),
            dialects=("iso", "traditional"),
            position=len(LINE + ISO),
            unread_bytes=len(b"half"),
        )
        == followed.status()
    )


def test_in_between(path: Path, followed: Input) -> None:
    """
    In the midst of reading the position moves on, and what is left becomes less.
    """
    path.write_bytes(LINE * 20_000)
    seen: list[InputStatus] = []

    def look() -> bool:
        seen.append(followed.status())
        return False

    followed.read(0.0, look)
    positions = [one.position for one in seen]

    assert 2 < len(seen)
    assert positions == sorted(set(positions))
    assert {len(LINE) * 20_000} == {one.position + one.unread_bytes for one in seen}
    assert 0 == seen[-1].unread_bytes


def test_rotated(path: Path, followed: Input) -> None:
    """
    After rotations and truncations the newest file's position counts, and dialects stay.
    """
    path.write_bytes(LINE)
    followed.read(0.0, never)
    path.rename(path.with_suffix(".log.1"))
    path.write_bytes(ISO)
    followed.read(1.0, never)
    path.write_bytes(b"")
    followed.read(2.0, never)
    followed.read(200.0, never)
    expected = InputStatus(str(path), dialects=("iso", "traditional"), rotations=1, truncations=1)

    assert expected == followed.status()


def test_problem(path: Path, followed: Input) -> None:
    """
    A log that cannot be read says why, until it can.
    """
    path.mkdir()
    followed.read(0.0, never)
    broken = followed.status()
    path.rmdir()
    path.write_bytes(LINE)
    followed.read(1.0, never)

    assert (False, "is not a regular file", 1) == (
        broken.present,
        broken.problem,
        broken.read_errors,
    )
    assert None is broken.remedy
    assert (True, "", 1) == (
        followed.status().present,
        followed.status().problem,
        followed.status().read_errors,
    )


def test_frozen() -> None:
    """
    What was published does not change any more, so that another thread may look at it.
    """
    status = Status(NOW, (InputStatus("/log"),))
    with pytest.raises(FrozenInstanceError):
        status.taken = 0.0  # type: ignore[misc]

    assert hash(status) == hash(replace(status))
