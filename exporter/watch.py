"""
The doorbell: the kernel's file events wake the reader a little earlier than its timer would.

Each log is watched itself, its directory only for names that come and go: what Postfix writes to
another file there wakes nobody.  After a ring it rests for a moment, and for longer while a log is
busy, so that many lines are read at a time.

Never reads a file and is never believed: what it misses, the timer finds.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from watchdog.observers.inotify_c import (
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

# watchdog's own observer watches the whole directory of a file, and hands each event from thread to
# thread: 19 % of a core with 5,000 lines/s in a neighbouring file, and 29 us for each line of a log
# with 20,000 lines/s, see docs/performance.md.

NAMES = Mask(InotifyConstants.IN_CREATE | InotifyConstants.IN_MOVE | InotifyConstants.IN_DELETE)
"""What a directory tells of."""
CONTENTS = Mask(InotifyConstants.IN_MODIFY | InotifyConstants.IN_ATTRIB)
"""What a log tells of."""
REST_SECONDS = 0.025
"""Between two rings; the events that come meanwhile the kernel makes one of, if they are alike."""
BUSY_REST_SECONDS = 0.1
"""The same for a busy log: at 20,000 lines/s a line then costs two thirds of what it does else."""
LEAST_PACE_SECONDS = 0.01
BUSY_BYTES_PER_SECOND = 500_000
"""About 4,000 lines."""


class Sleeper(Protocol):
    """
    Who is woken: the daemon's `Waker`, or an event.
    """

    def set(self) -> None:
        """
        Wake up.
        """
        ...


class Bell:
    """
    Rings when something happens to one of the files.
    """

    def __init__(self, wake: Sleeper, names: frozenset[bytes]) -> None:
        """
        Set `wake` for the files called `names`, whatever directory they are in.
        """
        self._wake = wake
        self._names = names
        self.moved = False
        """Whether a name may stand for another file than before."""
        self.lost = False
        """Whether events were lost: nobody knows what is still watched."""
        self.dead: set[WatchDescriptor] = set()
        """What is no longer watched, since it is gone."""

    def on_event(self, event: InotifyEvent) -> None:
        """
        Ring for a log, whose events have no name, and for its name in a directory.
        """
        if not event.name:
            self._wake.set()
        elif event.name in self._names:
            self.moved = True
            self._wake.set()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """
        Ring for a log or a directory that is gone.
        """
        self.dead.add(wd)
        self.moved = True
        self._wake.set()

    def on_queue_overflow(self) -> None:
        """
        Ring in place of the events that were lost.
        """
        self.lost = self.moved = True
        self._wake.set()


class Listener(InotifyFD):
    """
    watchdog's thread that reads the kernel's events, with a rest after each time.
    """

    rest_seconds = REST_SECONDS

    def run(self) -> None:
        """
        Be the thread.
        """
        while self.should_keep_running():
            # The kernel makes one event of equal ones in a row; two logs take turns.
            for event in dict.fromkeys(self.read_events()):
                self.handle_event(event)
            self.stopped_event.wait(self.rest_seconds)


@dataclass(frozen=True, slots=True)
class Watched:
    """
    One log or directory that is watched.
    """

    identity: tuple[int, int]
    descriptor: WatchDescriptor
    callback: CallbackId
    """Two names of one file have the descriptor in common."""


class Watch:
    """
    Watches some files and their directories, links followed, and keeps doing so.
    """

    def __init__(self, wake: Sleeper) -> None:
        """
        Set `wake` whenever one of the files changes.
        """
        self._wake = wake
        self._names: frozenset[bytes] = frozenset()
        self._directories: frozenset[Path] = frozenset()
        self._bell = Bell(wake, self._names)
        self._listener: Listener | None = None
        self._watched: dict[Path, Watched] = {}
        self._numbers = 0
        self._read_bytes = 0
        self._looked = 0.0

    @property
    def is_stale(self) -> bool:
        """
        Say whether another file may have taken a log's name, to be watched with `ensure`.
        """
        return self._bell.moved

    def ensure(self, paths: Iterable[Path]) -> bool:
        """
        See to it that events for `paths` arrive; say whether they do for every one of them.

        Takes up files and directories that have come back, and starts watchdog again when its
        thread died or a link was switched: what is no longer watched must not use up inotify's
        instances.
        """
        wanted = list(paths)
        names = frozenset(name for path in wanted for name in watched_names(path))
        directories = frozenset(found for path in wanted for found in watched_directories(path))
        changed = (names, directories) != (self._names, self._directories)
        if changed or self._bell.lost or not self._alive():
            self._names, self._directories = names, directories
            self.stop()
        self._bell.moved = False
        watched = [self._ensure_directory(directory) for directory in sorted(directories)]
        watched += [self._ensure_log(path) for path in wanted]
        return all(watched)

    def pace(self, read_bytes: int, now: float) -> None:
        """
        Rest for as long as suits how fast the files grow: what was read of them by now, in all.
        """
        passed = now - self._looked
        if passed < LEAST_PACE_SECONDS:
            return  # a single line would seem much
        grown, self._read_bytes, self._looked = read_bytes - self._read_bytes, read_bytes, now
        if self._listener:
            busy = grown >= BUSY_BYTES_PER_SECOND * passed
            self._listener.rest_seconds = BUSY_REST_SECONDS if busy else REST_SECONDS

    def stop(self) -> None:
        """
        Stop watching.
        """
        listener, self._listener = self._listener, None
        self._watched.clear()
        if listener:
            listener.stop()
            listener.join()
        # The next one's descriptors have the same numbers again.
        self._bell = Bell(self._wake, self._names)

    def _alive(self) -> bool:
        return self._listener is None or self._listener.is_alive()

    def _ensure_directory(self, directory: Path) -> bool:
        try:
            self._ensure(directory, NAMES)
        except OSError:
            # No such directory, no right to read it, or inotify's instances (128 by default) and
            # watches are used up.  The timer goes on, and the next round tries again.
            return False
        return True

    def _ensure_log(self, path: Path) -> bool:
        try:
            self._ensure(path, CONTENTS)
        except (FileNotFoundError, PermissionError):
            # Its directory tells when it comes, and the reader what is wrong.  Until another file
            # has the name the one that had it is watched: its writer may go on with it.
            return True
        except OSError:
            return False
        return True

    def _ensure(self, path: Path, mask: Mask) -> None:
        """
        Watch what a pathname stands for, and no longer what it stood for before.
        """
        status = path.stat()
        identity = (status.st_dev, status.st_ino)
        stale = self._watched.get(path)
        if stale and stale.identity == identity and stale.descriptor not in self._bell.dead:
            return
        if not os.access(path, os.R_OK, effective_ids=True):
            # watchdog takes inotify's refusal for success.
            raise PermissionError
        if self._listener is None:
            listener = Listener()
            listener.start()
            self._listener = listener
        if stale:
            del self._watched[path]
            self._listener.remove_callbacks([(stale.descriptor, stale.callback)])
        self._numbers += 1
        callback = CallbackId(self._numbers)
        descriptor = self._listener.add_callback(os.fsencode(path), mask, self._bell, callback)
        self._watched[path] = Watched(identity, descriptor, callback)
        self._wake.set()


def watched_directories(path: Path) -> set[Path]:
    """
    Give the directories whose events tell of a file: its own and, behind links, the target's.
    """
    return {Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent}


def watched_names(path: Path) -> set[bytes]:
    """
    Give the names that its events bear.
    """
    return {os.fsencode(path.name), os.path.basename(os.fsencode(os.path.realpath(path)))}  # noqa: PTH119
