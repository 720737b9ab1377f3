"""
The line that `systemctl status` shows.
"""

from pathlib import Path

import pytest

from exporter.counting import Counting
from exporter.input import Input
from exporter.logfile import LogFile
from exporter.statusline import write_status
from exporter.tally import Tally


def no_counting() -> Counting:
    """
    Stand for what counts lines: there are none.
    """
    pytest.fail("nothing is to be counted")


def follow(path: Path, problem: str = "") -> Input:
    """
    Follow a log from its beginning, and have not read it yet.
    """
    return Input(
        LogFile(path, from_beginning=True), no_counting, Tally([], [], []), problem=problem
    )


@pytest.mark.parametrize(
    ("problem", "state_problem", "ready", "expected"),
    [
        ("", "", True, "following {path}: 1,234 lines recognised, 0 bytes unread"),
        ("", "", False, "reading the backlog of {path}: 1,234 lines recognised, 0 bytes unread"),
        (
            "Permission denied",
            "Read-only file system",
            True,
            (
                "cannot read {path}: Permission denied, trying again; "
                "cannot save the state: Read-only file system, trying again; "
                "following {path}: 1,234 lines recognised, 0 bytes unread"
            ),
        ),
    ],
)
def test_status(
    problem: str, state_problem: str, expected: str, tmp_path: Path, *, ready: bool
) -> None:
    """
    What hinders the daemon comes first, then what it follows and how far it has come.
    """
    path = tmp_path / "mail.log"
    status = write_status([follow(path, problem)], 1234, ready=ready, state_problem=state_problem)

    assert expected.format(path=path) == status


def test_several(tmp_path: Path) -> None:
    """
    Several logs are named one after the other.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    status = write_status([follow(one), follow(two)], 0, ready=True, state_problem="")

    assert f"following {one}, {two}: 0 lines recognised, 0 bytes unread" == status


def test_unread_within_a_read(tmp_path: Path) -> None:
    """
    What is left of a backlog is known while it is being read.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(b"x\n" * 500_000)
    input_ = follow(path)
    chunk = next(iter(input_.logfile.read(0.0)))
    left = 1_000_000 - len(chunk.lines)
    status = write_status([input_], 0, ready=False, state_problem="")
    input_.logfile.close()

    assert status.endswith(f"{left:,} bytes unread")
    assert 0 < left < 1_000_000


def test_no_log() -> None:
    """
    Without a log it says that it waits for one.
    """
    status = write_status([], 0, ready=True, state_problem="")

    assert "no log found, waiting for one to appear" == status
