"""
The doorbell: watchdog's events wake the reader a little earlier than its timer would.

Never reads a file and is never believed: what it misses, the timer finds.  The handler sets an
event and does nothing else, since one that raises ends watchdog's dispatch thread without a word.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from watchdog.events import (
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

# Without a filter watchdog asks for opens and closes too, the reader's own among them.
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
]


class Sleeper(Protocol):
    """
    Who is woken: the daemon's `Waker`, or an event.
    """

    def set(self) -> None:
        """
        Wake up.
        """
        ...


class Bell(FileSystemEventHandler):
    """
    Rings when something happens to one of the files.
    """

    def __init__(self, wake: Sleeper, names: frozenset[str]) -> None:
        """
        Set `wake` for the files called `names`, whatever directory they are in.
        """
        self._wake = wake
        self._names = names

    def dispatch(self, event: FileSystemEvent) -> None:
        """
        Look at the names and set the event.
        """
        for path in (event.src_path, event.dest_path):
            if os.path.basename(os.fsdecode(path)) in self._names:  # noqa: PTH119 - each event
                self._wake.set()


@dataclass(slots=True)
class Watched:
    """
    One directory that watchdog watches.
    """

    identity: tuple[int, int]
    watch: ObservedWatch


class Watch:
    """
    Watches the directories of some files, links followed, and keeps doing so.
    """

    def __init__(self, wake: Sleeper) -> None:
        """
        Set `wake` whenever one of the files changes.
        """
        self._wake = wake
        self._names: frozenset[str] = frozenset()
        self._directories: frozenset[Path] = frozenset()
        self._observer: BaseObserver | None = None
        self._watched: dict[Path, Watched] = {}

    def ensure(self, paths: Iterable[Path]) -> bool:
        """
        See to it that events for `paths` arrive; say whether they do for every one of them.

        Takes up directories that have come back, and starts watchdog again when its thread died or
        a link was switched: what is no longer watched must not use up inotify's instances.
        """
        wanted = list(paths)
        names = frozenset(name for path in wanted for name in watched_names(path))
        directories = frozenset(found for path in wanted for found in watched_directories(path))
        if (names, directories) != (self._names, self._directories) or not self._alive():
            self.stop()
            self._names, self._directories = names, directories
        watched = [self._ensure_directory(directory) for directory in sorted(directories)]
        return all(watched)

    def stop(self) -> None:
        """
        Stop watching.
        """
        observer, self._observer = self._observer, None
        self._watched.clear()
        if observer:
            # Its other threads go on when the one that dispatches has died.
            observer.stop()
            observer.join()

    def _alive(self) -> bool:
        if self._observer is None:
            return True
        return self._observer.is_alive() and all(e.is_alive() for e in self._observer.emitters)

    def _ensure_directory(self, directory: Path) -> bool:
        try:
            status = directory.stat()
            identity = (status.st_dev, status.st_ino)
            watched = self._watched.get(directory)
            if watched and watched.identity == identity:
                return True
            self._watch(directory, identity, watched)
        except OSError:
            # No such directory, no right to read it, or inotify's instances (128 by default) and
            # watches are used up.  The timer goes on, and the next round tries again.
            return False
        return True

    def _watch(self, directory: Path, identity: tuple[int, int], stale: Watched | None) -> None:
        if self._observer is None:
            observer = Observer()
            observer.start()
            self._observer = observer
        if stale:
            del self._watched[directory]
            self._observer.unschedule(stale.watch)
        if not os.access(directory, os.R_OK, effective_ids=True):
            # watchdog takes inotify's refusal for success.
            raise PermissionError
        bell = Bell(self._wake, self._names)
        watch = self._observer.schedule(bell, str(directory), event_filter=EVENTS)
        self._watched[directory] = Watched(identity, watch)
        self._wake.set()


def watched_directories(path: Path) -> set[Path]:
    """
    Give the directories whose events tell of a file: its own and, behind links, the target's.

    Of a link to a directory watchdog would watch the link.
    """
    return {Path(os.path.realpath(path.parent)), Path(os.path.realpath(path)).parent}


def watched_names(path: Path) -> set[str]:
    """
    Give the names that its events bear.
    """
    return {path.name, os.path.basename(os.path.realpath(path))}  # noqa: PTH119
