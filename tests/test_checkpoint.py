"""
When the state is saved, and what is said and counted of it.
"""

import errno
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.checkpoint import SAVE_SECONDS, Checkpoints
from exporter.config import StartError
from exporter.state import State, StateFile
from exporter.tally import Tally

Said = list[MutableMapping[str, object]]


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    """
    Where the state is kept.
    """
    return StateFile(tmp_path / "state")


@pytest.fixture
def tally() -> Tally:
    """
    The numbers, none yet.
    """
    return Tally((1.0,))


@pytest.fixture
def said() -> Iterator[Said]:
    """
    The exporter's own log.
    """
    with capture_logs() as said:
        yield said


def export(tally: Tally) -> State:
    """
    Give a state that is of this tally only.
    """
    return State(tally.export(), [], [], [])


def count(tally: Tally, name: str) -> int:
    """
    Give a counter.
    """
    return tally.snapshot().counts[name,]


def saved(file: StateFile, name: str) -> int:
    """
    Give a counter as it was saved.
    """
    state, _ = file.load()
    assert state
    return dict(state.tally.counts)[name,]


def test_at_most_once_a_second(file: StateFile, tally: Tally) -> None:
    """
    However often there is something new, it is saved once a second; at the end at once.
    """
    checkpoints = Checkpoints(file, tally)
    for i in range(100):
        tally.count(("quarantines",))
        checkpoints.keep(i, i * SAVE_SECONDS / 10, lambda: export(tally))

    assert 10 == count(tally, "state_saves")
    assert 91 == saved(file, "quarantines")

    checkpoints.save(100, 99 * SAVE_SECONDS / 10, lambda: export(tally))

    assert 11 == count(tally, "state_saves")
    assert 100 == saved(file, "quarantines")


def test_only_what_changed(file: StateFile, tally: Tally) -> None:
    """
    As long as nothing changes nothing is written; the first change is saved at once.
    """
    checkpoints = Checkpoints(file, tally)
    for now in (0.0, 10.0, 20.0):
        checkpoints.keep(["same"], now, lambda: export(tally))
    checkpoints.save(["same"], 30.0, lambda: export(tally))

    assert 1 == count(tally, "state_saves")

    checkpoints.keep(["other"], 30.0, lambda: export(tally))

    assert 2 == count(tally, "state_saves")


def test_time_of_the_save(file: StateFile, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The time of the last save is shown from the first one on, also where the clock goes back.
    """
    checkpoints = Checkpoints(file, tally)

    assert {} == tally.snapshot().gauges

    for i, now in enumerate((1795390000.0, 1795386400.0)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        checkpoints.keep(i, i * SAVE_SECONDS, lambda: export(tally))

        assert {("state_last_save",): now} == tally.snapshot().gauges


def test_without_a_file(tally: Tally, said: Said) -> None:
    """
    Where nothing is to be kept nothing is, and nothing is said; the counters are there at 0.
    """
    checkpoints = Checkpoints(None, tally)

    assert checkpoints.load() is None

    checkpoints.keep(1, 0.0, lambda: pytest.fail("asked for the state"))
    checkpoints.save(1, 0.0, lambda: pytest.fail("asked for the state"))
    checkpoints.close()

    assert {("state_saves",): 0, ("state_errors",): 0} == tally.snapshot().counts
    assert [] == said


def test_that_cannot_be_saved(
    file: StateFile, tally: Tally, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each failure is counted, each reason told once, and once that it is over; it is tried again.
    """
    checkpoints = Checkpoints(file, tally)
    numbers = iter([errno.ENOSPC, errno.ENOSPC, errno.EIO, 0, 0, errno.ENOSPC])

    def save(_: StateFile, __: State) -> None:
        number = next(numbers)
        if number:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(StateFile, "save", save)
    for i in range(6):
        checkpoints.keep(i, i * SAVE_SECONDS, lambda: export(tally))

    assert [
        "No space left on device",
        "Input/output error",
        "the state is saved again",
        "No space left on device",
    ] == [line.get("reason", line["event"]) for line in said]
    assert 4 == count(tally, "state_errors")
    assert 2 == count(tally, "state_saves")


def test_failed_save_is_tried_again(
    file: StateFile, tally: Tally, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What could not be saved is not taken for saved, and the next try is a second away.
    """
    checkpoints = Checkpoints(file, tally)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "broken")))
        for tenths in range(15):
            checkpoints.keep("same", SAVE_SECONDS * tenths / 10, lambda: export(tally))

        assert 2 == count(tally, "state_errors")

    checkpoints.keep("same", SAVE_SECONDS * 3, lambda: export(tally))

    assert 1 == count(tally, "state_saves")
    assert 2 == saved(file, "state_errors")
    assert ["broken", None] == [line.get("reason") for line in said]


def test_load(file: StateFile, tally: Tally, said: Said) -> None:
    """
    Where there was no state it says so, and where it goes on; saves are counted through restarts.
    """
    checkpoints = Checkpoints(file, tally)

    assert checkpoints.load() is None

    for i in range(3):
        checkpoints.save(i, 0.0, lambda: export(tally))
    again = Tally((1.0,))
    state = Checkpoints(file, again).load()
    assert state
    again.restore(state.tally)

    assert 3 == count(tally, "state_saves") == count(again, "state_saves")
    assert [
        {"event": event, "log_level": "info", "file": str(file.path)}
        for event in ("no saved state: counters start at 0", "going on from the saved state")
    ] == said


def test_damaged(file: StateFile, tally: Tally, said: Said) -> None:
    """
    A damaged state is told, counted, and followed by what became of it.
    """
    checkpoints = Checkpoints(file, tally)
    for i in range(2):
        checkpoints.save(i, 0.0, lambda: export(tally))
    file.path.write_bytes(b"")

    assert checkpoints.load()
    assert [
        ("damaged state, set aside", "error", f"{file.path}: it is empty", None),
        ("going on from the saved state", "info", None, str(file.path)),
    ] == [(line["event"], line["log_level"], line.get("reason"), line.get("file")) for line in said]
    assert 1 == count(tally, "state_errors")


def test_lost(file: StateFile, tally: Tally, said: Said) -> None:
    """
    That everything is lost is an error in the log, with what it means.
    """
    file.path.write_bytes(b"")
    file.path.with_name("state.previous").write_bytes(b"")
    checkpoints = Checkpoints(file, tally)

    assert checkpoints.load() is None
    assert {
        "event": "state lost: counters start at 0, logs are read as on a first start",
        "log_level": "error",
        "file": str(file.path),
    } == said[-1]
    assert 2 == count(tally, "state_errors")


def test_close(file: StateFile, tally: Tally) -> None:
    """
    Closed, it lets another daemon have the file.
    """
    file.acquire()
    other = StateFile(file.path)
    with pytest.raises(StartError):
        other.acquire()
    Checkpoints(file, tally).close()
    other.acquire()
    other.release()
