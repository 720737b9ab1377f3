"""
The doorbell, with watchdog and the kernel's events as they are.
"""

import errno
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import NoReturn

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, Mask, WatchDescriptor

from exporter.watch import (
    BUSY_BYTES_PER_SECOND,
    BUSY_REST_SECONDS,
    REST_SECONDS,
    Bell,
    Listener,
    Watch,
    watched_directories,
    watched_names,
)

# Far more than an event takes on a slow machine; nothing waits this long unless a test fails.
DEADLINE_SECONDS = 20.0
NOBODY = 65534

Names = SimpleQueue[str]


class Bells(threading.Event):
    """
    An event to be waited for, again and again.
    """

    def rings(self) -> bool:
        """
        Wait until it is set, and clear it.
        """
        rung = self.wait(DEADLINE_SECONDS)
        self.clear()
        return rung


@pytest.fixture
def wake() -> Bells:
    """
    What the watch sets.
    """
    return Bells()


@pytest.fixture
def watch(wake: Bells) -> Iterator[Watch]:
    """
    A watch, stopped at the end, together with all of its threads.
    """
    before = set(threading.enumerate())
    watch = Watch(wake)
    yield watch
    watch.stop()

    assert before == set(threading.enumerate())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """
    A log in a directory of its own, not there yet.
    """
    directory = tmp_path / "log"
    directory.mkdir()
    return directory / "mail.log"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Names:
    """
    The names in all events that reached a bell, once it has dealt with them.
    """
    names = Names()
    on_event = Bell.on_event

    def record(self: Bell, event: InotifyEvent) -> None:
        on_event(self, event)
        names.put(os.fsdecode(event.name))

    monkeypatch.setattr(Bell, "on_event", record)
    return names


@pytest.fixture
def listeners(monkeypatch: pytest.MonkeyPatch) -> list[Listener]:
    """
    The threads of watchdog that were started.
    """
    made: list[Listener] = []

    def make() -> Listener:
        made.append(Listener())
        return made[-1]

    monkeypatch.setattr("exporter.watch.Listener", make)
    return made


def open_descriptors() -> int:
    """
    Count this process's open files.
    """
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not used as paths


def fail(*_: object, **__: object) -> NoReturn:
    """
    Be inotify with all its instances used up.
    """
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def no() -> bool:
    """
    Say no.
    """
    return False


def test_written(path: Path, wake: Bells, watch: Watch) -> None:
    """
    What happens to the file wakes the reader: made, written, renamed, made anew, deleted.
    """
    assert watch.ensure([path])
    assert wake.rings()  # something may have been written before the watch

    path.write_bytes(b"line\n")

    assert wake.rings()
    assert watch.ensure([path])

    wake.clear()
    with path.open("ab") as file:
        file.write(b"line\n")

    assert wake.rings()

    path.rename(path.with_suffix(".1"))

    assert wake.rings()

    path.write_bytes(b"line\n")

    assert wake.rings()

    path.unlink()

    assert wake.rings()


def test_neighbour(path: Path, wake: Bells, watch: Watch, heard: Names) -> None:
    """
    What happens to other files of the directory does not wake the reader.
    """
    watch.ensure([path])
    wake.clear()
    path.with_suffix(".err").write_bytes(b"line\n")

    assert "mail.err" == heard.get(timeout=DEADLINE_SECONDS)
    assert not wake.is_set()
    assert not watch.is_stale


def test_busy_neighbour(path: Path, wake: Bells, watch: Watch, heard: Names) -> None:
    """
    What is written to other files is not even heard of: Postfix's log may be a busy one.
    """
    neighbour = path.with_suffix(".err")
    neighbour.touch()
    path.touch()
    watch.ensure([path])
    wake.clear()
    for _ in range(100):
        with neighbour.open("ab") as file:
            file.write(b"line\n")
    path.write_bytes(b"line\n")

    assert "" == heard.get(timeout=DEADLINE_SECONDS)
    assert wake.rings()


@pytest.mark.parametrize(
    ("name", "rung", "stale"),
    [
        (b"", True, False),
        (b"mail.log", True, True),
        (b"mail.log.1", False, False),
        (b"\xff", False, False),
    ],
)
def test_bell(name: bytes, *, rung: bool, stale: bool) -> None:
    """
    A bell rings for a log and for its name in a directory, which may stand for another file by now.
    """
    wake = threading.Event()
    bell = Bell(wake, frozenset({b"mail.log"}))
    bell.on_event(InotifyEvent(WatchDescriptor(1), Mask(InotifyConstants.IN_MODIFY), 0, name))

    assert (rung, stale) == (wake.is_set(), bell.moved)


def test_overflow() -> None:
    """
    When the kernel had too many events to keep them, any of them may have been lost.
    """
    wake = threading.Event()
    bell = Bell(wake, frozenset())
    bell.on_queue_overflow()

    assert wake.is_set()
    assert bell.moved


def test_rotated(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A rotation wakes the reader, and the new log is watched once the names are looked at again.
    """
    path.touch()
    watch.ensure([path])
    wake.clear()
    path.rename(path.with_suffix(".1"))

    assert wake.rings()
    assert [True, True, False] == [watch.is_stale, watch.ensure([path]), watch.is_stale]

    path.touch()

    assert wake.rings()
    assert watch.ensure([path])

    wake.clear()
    with path.open("ab") as file:
        file.write(b"line\n")

    assert wake.rings()


def test_late_writer(path: Path, wake: Bells, watch: Watch) -> None:
    """
    As long as nothing has the log's name, who still writes to the renamed log wakes the reader.
    """
    path.touch()
    watch.ensure([path])
    with path.open("ab", buffering=0) as file:
        path.rename(path.with_suffix(".1"))

        assert wake.rings()
        assert watch.ensure([path])

        wake.clear()
        file.write(b"line\n")

        assert wake.rings()


def test_log_made_anew(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A log that is deleted and made again is watched, even where it has the same inode.
    """
    path.touch()
    for _ in range(3):
        watch.ensure([path])
        wake.clear()
        path.unlink()

        assert wake.rings()

        path.touch()

        assert watch.ensure([path])

        wake.clear()
        with path.open("ab") as file:
            file.write(b"line\n")

        assert wake.rings()


def test_two_names(path: Path, wake: Bells, watch: Watch) -> None:
    """
    One file under two names is watched for both, and goes on being so for one.
    """
    other = path.with_name("other.log")
    path.touch()
    other.hardlink_to(path)

    assert watch.ensure([path, other])

    other.unlink()
    other.touch()

    assert watch.ensure([path, other])

    for each in (path, other):
        wake.clear()
        with each.open("ab") as file:
            file.write(b"line\n")

        assert wake.rings()


def test_reopened_after_stop(path: Path, wake: Bells, watch: Watch) -> None:
    """
    What was watched before a stop says nothing of what is watched after it.
    """
    path.touch()
    watch.ensure([path])
    watch.stop()

    assert watch.ensure([path])

    wake.clear()

    assert watch.ensure([path])
    assert not wake.is_set()


def test_unreadable_log(path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A log that may not be read is no fault of the watch: the reader says so.
    """
    path.touch()
    access = os.access

    def forbid(asked: Path, mode: int, *, effective_ids: bool) -> bool:
        return asked != path and access(asked, mode, effective_ids=effective_ids)

    monkeypatch.setattr(os, "access", forbid)

    assert watch.ensure([path])


def test_no_watch_left_for_log(path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A log that inotify has no watch left for is told.
    """
    assert watch.ensure([path])

    path.touch()
    monkeypatch.setattr("watchdog.observers.inotify_c.inotify_add_watch", fail)

    assert not watch.ensure([path])


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, REST_SECONDS), (0.9, REST_SECONDS), (1.0, BUSY_REST_SECONDS)]
)
def test_pace(
    share: float, expected: float, path: Path, watch: Watch, listeners: list[Listener]
) -> None:
    """
    While a log grows fast the bell rests for longer, so that many lines are read at a time.
    """
    watch.pace(10**9, 0.5)  # nothing is watched yet
    watch.ensure([path])
    watch.pace(2 * 10**9, 1.0)
    watch.pace(2 * 10**9 + int(share * 2 * BUSY_BYTES_PER_SECOND), 3.0)

    assert expected == listeners[0].rest_seconds

    watch.pace(2 * 10**9 + int(share * 2 * BUSY_BYTES_PER_SECOND), 3.5)

    assert REST_SECONDS == listeners[0].rest_seconds

    watch.pace(2 * 10**9 + int(share * 2 * BUSY_BYTES_PER_SECOND) + 10_000, 3.501)

    assert REST_SECONDS == listeners[0].rest_seconds  # a line or two just after a look


def test_two_logs_take_turns(
    path: Path, wake: Bells, watch: Watch, heard: Names, listeners: list[Listener]
) -> None:
    """
    What two logs tell by turns is heard once for each of them, not for each line.
    """
    paths = (path, path.with_name("other.log"))
    for each in paths:
        each.touch()
    watch.ensure(paths)
    listeners[0].rest_seconds = 0.5
    wake.clear()
    with paths[0].open("ab", 0) as one, paths[1].open("ab", 0) as other:
        one.write(b"line\n")

        assert wake.rings()

        for _ in range(1000):
            one.write(b"line\n")
            other.write(b"line\n")

    assert wake.rings()
    assert heard.qsize() < 100


def test_overflow_watches_anew(path: Path, watch: Watch, listeners: list[Listener]) -> None:
    """
    When events were lost nobody knows what is still watched: all is watched anew.
    """
    path.touch()
    watch.ensure([path])
    watch._bell.on_queue_overflow()  # noqa: SLF001 - the kernel would need 16,384 events
    watch.ensure([path])
    watch.ensure([path])

    assert 2 == len(listeners)


def test_name_that_is_not_text(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A file's name may be any bytes.
    """
    strange = path.parent / os.fsdecode(b"\xff.log")
    watch.ensure([strange])
    wake.clear()
    strange.write_bytes(b"line\n")

    assert wake.rings()


def test_two_files(path: Path, wake: Bells, watch: Watch) -> None:
    """
    Several files are watched, in one directory or in several.
    """
    same, other = path.with_name("other.log"), path.parent.parent / "third.log"

    assert watch.ensure([path, same, other])

    wake.clear()
    for each in (path, same, other):
        each.write_bytes(b"line\n")

        assert wake.rings()


def test_other_files(path: Path, wake: Bells, watch: Watch, heard: Names) -> None:
    """
    The files may change: the new ones wake the reader, the old ones no longer do.
    """
    watch.ensure([path])
    other = path.with_name("other.log")

    assert watch.ensure([other])

    wake.clear()
    path.write_bytes(b"line\n")

    assert "mail.log" == heard.get(timeout=DEADLINE_SECONDS)
    assert not wake.is_set()

    other.write_bytes(b"line\n")

    assert wake.rings()


def test_nothing_to_do(path: Path, wake: Bells, watch: Watch, listeners: list[Listener]) -> None:
    """
    While all is well nothing is started anew, nor the reader woken.
    """
    watch.ensure([path])
    wake.clear()
    before = set(threading.enumerate())
    for _ in range(100):
        assert watch.ensure([path])

    assert before == set(threading.enumerate())
    assert 1 == len(listeners)
    assert not wake.is_set()


def test_no_directory(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A directory that is missing gives no events, and does once it is there.
    """
    path.parent.rmdir()

    assert not watch.ensure([path])
    assert not wake.is_set()

    path.parent.mkdir()

    assert watch.ensure([path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_one_directory_of_two(path: Path, wake: Bells, watch: Watch) -> None:
    """
    One directory that is missing is told, and does not keep the other from being watched.
    """
    missing = path.parent / "missing" / "mail.log"

    assert not watch.ensure([missing, path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_directory_replaced(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A directory that takes the place of another is taken up.
    """
    watch.ensure([path])
    path.parent.rename(path.parent.with_name("old"))
    path.parent.mkdir()

    assert watch.ensure([path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_directory_made_anew(path: Path, wake: Bells, watch: Watch) -> None:
    """
    So is one that was deleted and made again, even where it has the same inode.
    """
    watch.ensure([path])
    wake.clear()
    path.parent.rmdir()

    assert wake.rings()

    path.parent.mkdir()

    assert watch.ensure([path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_directory_gone_and_back(path: Path, wake: Bells, watch: Watch) -> None:
    """
    A directory that comes back under its name is watched.
    """
    watch.ensure([path])
    away = path.parent.rename(path.parent.with_name("away"))

    assert not watch.ensure([path])

    away.rename(path.parent)

    assert watch.ensure([path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_unreadable_directory(wake: Bells, watch: Watch) -> None:
    """
    A directory that may not be read gives no events, and that is not taken for success.
    """
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o711)
        path = Path(parent, "log", "mail.log")
        path.parent.mkdir(mode=0o300)
        if user == 0:  # who may read everything
            os.chown(path.parent, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            assert not watch.ensure([path])

            path.parent.chmod(0o700)

            assert watch.ensure([path])

            wake.clear()
            path.write_bytes(b"line\n")

            assert wake.rings()
        finally:
            os.seteuid(user)


def test_dead_thread(
    path: Path,
    wake: Bells,
    watch: Watch,
    listeners: list[Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    When watchdog's thread has died, watchdog is started again, and nothing of the old one is left.
    """
    watch.ensure([path])
    before = (threading.active_count(), open_descriptors())
    monkeypatch.setattr(listeners[0], "should_keep_running", no)
    path.write_bytes(b"line\n")
    listeners[0].join(DEADLINE_SECONDS)

    assert not listeners[0].is_alive()
    assert watch.ensure([path])
    assert 2 == len(listeners)
    assert before == (threading.active_count(), open_descriptors())

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_symlink(tmp_path: Path, path: Path, wake: Bells, watch: Watch) -> None:
    """
    Behind a link the target is watched, in its own directory; and the link, in case it is switched.
    """
    target = tmp_path / "elsewhere" / "target.log"
    target.parent.mkdir()
    path.symlink_to(target)

    assert watch.ensure([path])

    wake.clear()
    target.write_bytes(b"line\n")

    assert wake.rings()

    path.unlink()

    assert wake.rings()


@pytest.mark.parametrize("directory", ["log", "elsewhere"])
def test_symlink_switched(
    directory: str, tmp_path: Path, path: Path, wake: Bells, watch: Watch
) -> None:
    """
    A link's new target is watched, in the same directory or in another; the old one no longer is.
    """
    first, second = path.with_name("first.log"), tmp_path / directory / "second.log"
    second.parent.mkdir(exist_ok=True)
    path.symlink_to(first)
    watch.ensure([path])
    path.unlink()
    path.symlink_to(second)

    assert watch.ensure([path])

    wake.clear()
    second.write_bytes(b"line\n")

    assert wake.rings()


def test_no_leak_behind_symlinks(tmp_path: Path, path: Path, watch: Watch) -> None:
    """
    A link that is switched to another directory every day does not use up threads and files.
    """
    path.symlink_to(tmp_path / "first.log")
    watch.ensure([path])
    before = (threading.active_count(), open_descriptors())
    for i in range(20):
        target = tmp_path / str(i) / "mail.log"
        target.parent.mkdir()
        path.unlink()
        path.symlink_to(target)

        assert watch.ensure([path])

    assert before == (threading.active_count(), open_descriptors())


def test_symlinked_directory(tmp_path: Path, path: Path, wake: Bells, watch: Watch) -> None:
    """
    Behind a link to a directory the directory is watched, also for a link in it.
    """
    link = tmp_path / "link"
    link.symlink_to(path.parent)
    target = tmp_path / "target.log"
    (link / "mail.log").symlink_to(target)

    assert watch.ensure([link / "mail.log"])

    wake.clear()
    path.unlink()

    assert wake.rings()


def test_places(tmp_path: Path) -> None:
    """
    The directories and names to look for are the link's own and its target's.
    """
    target = tmp_path / "elsewhere" / "target.log"
    link = tmp_path / "mail.log"
    link.symlink_to(target)

    assert {tmp_path, target.parent} == watched_directories(link)
    assert {b"mail.log", b"target.log"} == watched_names(link)
    assert {Path.cwd()} == watched_directories(Path("mail.log"))


def test_no_inotify(path: Path, wake: Bells, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    With inotify's instances or watches used up there are no events, and there are when it works.
    """
    with monkeypatch.context() as patched:
        patched.setattr("exporter.watch.Listener", fail)
        for _ in range(3):
            assert not watch.ensure([path])
    with monkeypatch.context() as patched:
        patched.setattr("watchdog.observers.inotify_c.inotify_add_watch", fail)

        assert not watch.ensure([path])

        before = (threading.active_count(), open_descriptors())
        for _ in range(20):
            assert not watch.ensure([path])
        assert before == (threading.active_count(), open_descriptors())

    assert watch.ensure([path])

    wake.clear()
    path.write_bytes(b"line\n")

    assert wake.rings()


def test_stop(path: Path, watch: Watch) -> None:
    """
    Stopping leaves no thread and no open file, a second time does nothing, and it can start again.
    """
    before = (set(threading.enumerate()), open_descriptors())
    for _ in range(2):
        watch.ensure([path])
        watch.stop()
        watch.stop()

        assert before == (set(threading.enumerate()), open_descriptors())
