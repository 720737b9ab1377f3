"""
The state file: what is saved is loaded, and no fault leaves anything but the old or the new state.
"""

import errno
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import StartError
from exporter.counting import CountingState, OpenHeaderState
from exporter.generation import Statistics
from exporter.mark import Mark
from exporter.state import (
    FORMAT,
    DamagedStateError,
    FileState,
    LogState,
    State,
    StateFile,
    UnusableStateError,
    decode,
    digest,
    encode,
)
from exporter.tally import TallyState

TALLY = TallyState(
    bounds=[0.1, 1.0],
    counts=[(("quarantines",), 7), (("lines", "foreign"), 2**70)],
    histograms=[(("session_duration", "pass"), [1, 2, 3], 0.1 + 0.2)],
    gauges=[(("memory",), 25149440.0)],
    processes=[(("/var/log/mail.log", "7"), 1795385434.5, 3)],
    newest={"/var/log/mail.log": 1795385434.5},
)
OPEN = OpenHeaderState("statistics", "X-Spam-Status", 2, b"\xff>: name\0", b"Yes,\n\xff")
STATE = State(
    TALLY,
    [b"spam", b"\xe9\0", b""],
    [
        LogState(
            b"/var/log/caf\xe9.log",
            [
                FileState(Mark(1, 2, 3, "head", "tail", 4), CountingState()),
                FileState(
                    Mark(2**63, 2**63, 0, "", "", 2**63), CountingState(bare=True, open=OPEN)
                ),
            ],
            Statistics(read_bytes=10, rotations=1),
        )
    ],
    [Mark(5, 6, 7, "a", "b", 8)],
)
OLD = replace(STATE, names=[b"old"])
NEW = replace(STATE, names=[b"new"])
SAVE = ["open", "write", "fsync", "close", "replace", "replace", "open", "fsync", "close"]
"""The system calls of a save: the new file, its predecessor's name, its own, the directory."""
NAMES = sorted(set(SAVE))


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    """
    A state file with two generations.
    """
    file = StateFile(tmp_path / "state")
    file.save(replace(STATE, names=[b"older"]))
    file.save(OLD)
    return file


class Killed(BaseException):
    """
    Ends a save as a test wants it.
    """


class Fault:
    """
    Stands in for the system calls of a save, and lets one of them fail.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int, act: Callable[[], None]) -> None:
        """
        Call `act` at the call with the number `at`: an odd one is after, an even one before it.
        """
        self.calls: list[str] = []
        self._at = at
        self._act = act
        for name in NAMES:
            monkeypatch.setattr(os, name, self._stand_in(name))

    def _stand_in(self, name: str) -> Callable[..., object]:
        real: Callable[..., object] = getattr(os, name)

        def call(*arguments: object) -> object:
            moment = 2 * len(self.calls)
            self.calls.append(name)
            if moment == self._at and name != "close":
                self._act()
            result = real(*arguments)
            if moment <= self._at <= moment + 1 and (name == "close" or moment < self._at):
                if name == "open":
                    assert isinstance(result, int)
                    leaked.append(result)
                self._act()
            return result

        return call


leaked: list[int] = []
"""Descriptors that a test made the code lose."""


def fail() -> NoReturn:
    """
    Fail as a bad disk does.
    """
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def count_descriptors() -> int:
    """
    Count this process's open files.
    """
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  names will do


def test_round_trip() -> None:
    """
    What is written down is read back, down to the last bit of a float, bytes that are no text too.
    """
    assert STATE == decode(encode(STATE))


def test_of_before() -> None:
    """
    A state of a release that knew neither the journal nor JSON is read, and says nothing of them.
    """
    header, _, body = encode(STATE).partition(b"\n")
    before = body.replace(b',"cursor":""', b"").replace(b',"json":false', b"")

    assert len(body) - 3 * len(b',"cursor":""') - 2 * len(b',"json":false') == len(before)

    words = header.split()

    assert STATE == decode(b"%s %s %s\n%s" % (words[0], words[1], digest(before), before))


def test_of_later() -> None:
    """
    What a later release adds is passed over: the release before can be gone back to.
    """
    header, _, body = encode(STATE).partition(b"\n")
    later = body.replace(b',"cursor":""', b',"cursor":"","new":[1]')
    words = header.split()

    assert STATE == decode(b"%s %s %s\n%s" % (words[0], words[1], digest(later), later))


@given(st.lists(st.binary(max_size=300)), st.floats(0, 1e300), st.integers(0, 2**70))
def test_round_trip_of_anything(names: list[bytes], seconds: float, count: int) -> None:
    """
    It is so for whatever names, sums and counts a log can bring about.
    """
    tally = replace(
        TALLY, counts=[(("quarantines",), count)], histograms=[(("x",), [count, 0, 0], seconds)]
    )
    state = replace(STATE, tally=tally, names=names)

    assert state == decode(encode(state))


def test_save_and_load(file: StateFile) -> None:
    """
    The newest generation is loaded, the one before is kept, and nothing else is left behind.
    """
    assert (OLD, []) == file.load()

    file.save(NEW)

    assert (NEW, []) == file.load()
    assert OLD == decode(file.path.with_name("state.previous").read_bytes())
    assert {"state", "state.previous"} == {path.name for path in file.path.parent.iterdir()}
    assert 0o600 == file.path.stat().st_mode & 0o777


def test_nothing_yet(tmp_path: Path) -> None:
    """
    Where there is no file there is no state, and nothing to be said of it.
    """
    assert (None, []) == StateFile(tmp_path / "state").load()


def test_calls(file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A save flushes the new file before it is renamed, and the directory after.
    """
    with monkeypatch.context() as patch:
        fault = Fault(patch, -1, fail)
        file.save(NEW)
        calls = fault.calls.copy()

    assert SAVE == calls


@pytest.mark.parametrize("at", range(2 * len(SAVE)))
def test_failed_call(at: int, file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whichever call of a save fails, done or not, the old or the new state is there, and whole.
    """
    before = count_descriptors()
    with monkeypatch.context() as patch:
        Fault(patch, at, fail)
        with pytest.raises(OSError, match="Input/output error"):
            file.save(NEW)
    while leaked:
        os.close(leaked.pop())

    assert file.load() in [(OLD, []), (NEW, [])]
    assert before == count_descriptors()

    file.save(NEW)
    file.save(NEW)

    assert (NEW, []) == file.load()
    assert {"state", "state.previous"} == {path.name for path in file.path.parent.iterdir()}


@pytest.mark.parametrize("at", range(2 * len(SAVE)))
def test_killed(at: int, file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Killed before or after any call of a save, it leaves the old or the new state, and whole.
    """
    child = os.fork()
    if child == 0:  # pragma: no cover  it does not live to tell
        Fault(monkeypatch, at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        file.save(NEW)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert -signal.SIGKILL == os.waitstatus_to_exitcode(status)
    # From the second rename on the new one counts.
    assert ((NEW if at > 2 * 5 else OLD), []) == file.load()

    file.save(NEW)
    file.save(OLD)

    assert (OLD, []) == file.load()
    assert NEW == decode(file.path.with_name("state.previous").read_bytes())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_full_disk(number: int, file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A disk that fills up in the middle of a save costs that save, and is not kept full.
    """
    real = os.write

    def write(descriptor: int, data: memoryview) -> int:
        if len(data) < 100:
            raise OSError(number, os.strerror(number))
        return real(descriptor, data[:100])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError, match=os.strerror(number)):
            file.save(NEW)

    assert (OLD, []) == file.load()
    assert {"state", "state.previous"} == {path.name for path in file.path.parent.iterdir()}


def test_real_limit(file: StateFile) -> None:
    """
    So does a limit that the kernel sets, with a short write first.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = replace(NEW, names=[b"x" * 10_000])
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.save(big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (OLD, []) == file.load()

    file.save(big)

    assert (big, []) == file.load()


def test_short_writes(file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A write that takes only some bytes is gone on with.
    """
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
        file.save(NEW)

    assert (NEW, []) == file.load()


def test_directory_that_cannot_be_flushed(file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file system that knows no fsync of a directory is no reason not to save.
    """
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        file.save(NEW)

    assert (NEW, []) == file.load()


def with_header(body: bytes, version: int = 1) -> bytes:
    """
    Make a state file of a body.
    """
    return b"%s %d %s\n%s" % (FORMAT, version, digest(body), body)


BODY = encode(STATE).partition(b"\n")[2]
DAMAGED = {
    "empty": (b"", "it is empty"),
    "NULs": (bytes(len(encode(STATE))), "it is no state file"),
    "NULs at the end": (encode(STATE)[:500].ljust(4096, b"\0"), "its checksum is wrong"),
    "cut in the header": (encode(STATE)[:40], "it is no state file"),
    "without its body": (encode(STATE).partition(b"\n")[0] + b"\n", "its checksum is wrong"),
    "another file": (b"# some\nconfiguration\n", "it is no state file"),
    "another version": (with_header(BODY, 2), "it is of version 2"),
    "no version": (encode(STATE).replace(b" 1 ", b" \xff ", 1), "it is of version \ufffd"),
    "another checksum": (encode(STATE).replace(b'"rotations":1', b'"rotations":2'), "checksum"),
    "no object": (with_header(b"[]"), "Expected `object`, got `array`"),
    "nothing in it": (with_header(b"{}"), "missing required field `tally`"),
    "no JSON": (with_header(BODY[:-1]), "truncated"),
    "no text": (with_header(BODY.replace(b"memory", b"m\xffmory")), "can't decode byte 0xff"),
    "too deep": (with_header(b'{"tally":{"bounds":' + b"[" * 100_000), "Expected `float`"),
    "deep where nobody looks": (with_header(b'{"x":' + b"[" * 100_000), "recursion"),
    "no number": (
        with_header(BODY.replace(b"[0.1,", b"[null,", 1)),
        "Expected `float`, got `null`",
    ),
    "no finite number": (with_header(BODY.replace(b"[0.1,", b"[1e999,", 1)), "out of range"),
    "other buckets": (with_header(BODY.replace(b"[1,2,3]", b"[1,2]")), "too many or too few"),
    "a stray process": (with_header(BODY.replace(b'"newest":{"', b'"newest":{"x')), "of no file"),
}


@pytest.mark.parametrize(("data", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_damaged(data: bytes, reason: str, file: StateFile) -> None:
    """
    A damaged file is set aside with the reason, and the previous generation is taken instead.
    """
    file.save(NEW)
    file.path.write_bytes(data)
    state, notes = file.load()

    assert OLD == state
    assert 1 == len(notes)
    assert notes[0].startswith(f"{file.path}: ")
    assert reason in notes[0]
    assert "\n" not in notes[0]
    assert data == file.path.with_name("state.damaged").read_bytes()
    assert (OLD, []) == file.load()

    file.save(NEW)

    assert (NEW, []) == file.load()
    assert OLD == decode(file.path.with_name("state.previous").read_bytes())


def test_both_damaged(file: StateFile) -> None:
    """
    With both generations damaged there is no state, both are set aside, and that is said.
    """
    file.path.write_bytes(b"x")
    file.path.with_name("state.previous").write_bytes(b"")
    expected = [
        f"{file.path}: it is no state file",
        f"{file.path}.previous: it is empty",
    ]

    assert (None, expected) == file.load()
    assert (None, []) == file.load()
    assert {"state.damaged", "state.previous.damaged"} == {
        path.name for path in file.path.parent.iterdir()
    }


def test_cut_at_every_length() -> None:
    """
    Cut anywhere, a state is damaged; so it is with any byte changed.
    """
    data = encode(STATE)
    for i in range(len(data)):
        with pytest.raises(DamagedStateError):
            decode(data[:i])
        with pytest.raises(DamagedStateError):
            decode(data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :])
    with pytest.raises(DamagedStateError):
        decode(data + b"\n")


def test_unreadable(file: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A file that cannot be read, another user's for one, is set aside like a damaged one.
    """
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == file.path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    state, notes = file.load()

    assert [f"{file.path}: Permission denied"] == notes
    assert ["older"] == [name.decode() for name in state.names] if state else False
    assert file.path.with_name("state.damaged").exists()


def test_that_cannot_be_set_aside(file: StateFile) -> None:
    """
    What cannot even be set aside is replaced by the next save.
    """
    file.path.write_bytes(b"x")
    file.path.with_name("state.damaged").mkdir()
    state, notes = file.load()

    assert [b"older"] == (state.names if state else [])
    assert [f"{file.path}: it is no state file"] == notes

    file.save(NEW)

    assert (NEW, []) == file.load()


def test_lock(tmp_path: Path) -> None:
    """
    A state file is of one daemon, by whatever name the other knows its directory.
    """
    (tmp_path / "link").symlink_to(tmp_path / "real")
    first, second = StateFile(tmp_path / "real" / "state"), StateFile(tmp_path / "link" / "state")
    first.acquire()
    before = count_descriptors()
    with pytest.raises(StartError, match=r"another exporter uses the state file .*/link/state$"):
        second.acquire()

    assert before == count_descriptors()

    second.release()
    first.release()
    first.release()
    second.acquire()
    second.release()


def test_lock_of_the_killed(tmp_path: Path) -> None:
    """
    A daemon that was killed holds nothing.
    """
    path = tmp_path / "state"
    child = os.fork()
    if child == 0:  # pragma: no cover  it does not live to tell
        StateFile(path).acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    file = StateFile(path)
    file.acquire()
    file.release()

    assert path.with_name("state.lock").exists()


def test_new_directory(tmp_path: Path) -> None:
    """
    The directory is made if need be.
    """
    file = StateFile(tmp_path / "a" / "b" / "state")
    file.acquire()
    file.save(NEW)
    file.release()

    assert (NEW, []) == file.load()


def make_directory(path: Path) -> None:
    """
    Put a directory in the state's place.
    """
    path.mkdir(parents=True)


def make_fifo(path: Path) -> None:
    """
    Put a FIFO there, which would hold the daemon for ever.
    """
    path.parent.mkdir()
    os.mkfifo(path)


def make_parent_a_file(path: Path) -> None:
    """
    Put a file where the directory should be.
    """
    path.parent.write_bytes(b"")


def make_lock_a_directory(path: Path) -> None:
    """
    Put a directory in the lock's place.
    """
    path.with_name("state.lock").mkdir(parents=True)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (make_directory, "it is not a regular file"),
        (make_fifo, "it is not a regular file"),
        (make_parent_a_file, "Not a directory"),
        (make_lock_a_directory, "Is a directory"),
    ],
)
def test_unusable(prepare: Callable[[Path], None], reason: str, tmp_path: Path) -> None:
    """
    A place where no file can be kept is refused with the reason, before anything is lost.
    """
    path = tmp_path / "place" / "state"
    prepare(path)
    before = count_descriptors()
    with pytest.raises(UnusableStateError) as caught:
        StateFile(path).acquire()

    assert f"cannot keep the state in {path}: {reason}" == str(caught.value)
    assert before == count_descriptors()


@pytest.mark.parametrize("directory", ["/proc", "/sys/kernel"])
def test_read_only(directory: str) -> None:
    """
    A directory that nobody may write to is refused, even for root.
    """
    with pytest.raises(UnusableStateError, match=f"^cannot keep the state in {directory}/state: "):
        StateFile(Path(directory, "state")).acquire()


def test_directory_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A lock that may be opened is not enough: the directory has to take a new file at each save.
    """
    monkeypatch.setattr(os, "access", lambda *_: False)
    before = count_descriptors()
    with pytest.raises(UnusableStateError, match="Permission denied"):
        StateFile(tmp_path / "state").acquire()

    assert before == count_descriptors()
