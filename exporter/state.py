"""
The state file: counters and positions, written together, so that neither is ahead of the other.

One line of header (format, version, checksum), then JSON.  A new generation is written beside the
old one, flushed to the disk and renamed over it; the old one is kept, and taken when the new one
turns out to be damaged: its counters fit its positions just as well, only earlier.

Knows files and bytes, not what the numbers mean.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from exporter.config import StartError
from exporter.counting import CountingState
from exporter.generation import Statistics
from exporter.mark import Mark
from exporter.tally import TallyState

FORMAT = b"milter-manager-exporter-state"
VERSION = 1
MODE = 0o600


@dataclass(frozen=True, slots=True)
class FileState:
    """
    One file of a log: how far it was read, and what its last lines left open.
    """

    mark: Mark
    counting: CountingState


@dataclass(frozen=True, slots=True)
class LogState:
    """
    One log: its files, the oldest first, and what happened to it.
    """

    path: bytes
    files: list[FileState]
    statistics: Statistics


@dataclass(frozen=True, slots=True)
class State:
    """
    All that a restart needs.
    """

    tally: TallyState
    names: list[bytes]
    logs: list[LogState]
    left: list[Mark]


class UnusableStateError(StartError):
    """
    A place where no state can be kept; the text says why.
    """


class DamagedStateError(Exception):
    """
    A state file that cannot be used; the text says why.
    """


def encode(state: State) -> bytes:
    """
    Write a state down.
    """
    body = msgspec.json.encode(state)
    return b"%s %d %s\n%s" % (FORMAT, VERSION, digest(body), body)


def decode(data: bytes) -> State:
    """
    Read a state; DamagedStateError if it is damaged or of another version.
    """
    header, newline, body = data.partition(b"\n")
    words = header.split(b" ")
    if not data:
        raise DamagedStateError("it is empty")
    if not newline or len(words) != 3 or words[0] != FORMAT:  # noqa: PLR2004
        raise DamagedStateError("it is no state file")
    if words[1] != b"%d" % VERSION:
        raise DamagedStateError(f"it is of version {words[1].decode('ascii', 'replace')}")
    if words[2] != digest(body):
        raise DamagedStateError("its checksum is wrong")
    try:
        return msgspec.json.decode(body, type=State)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DamagedStateError(str(error)) from error


def digest(body: bytes) -> bytes:
    """
    Give the checksum of a state's body.
    """
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode()


class StateFile:
    """
    The state file of one daemon, which is the only one to use it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous = path.with_name(f"{path.name}.previous")
        self._next = path.with_name(f"{path.name}.next")
        self._lock: int | None = None

    def acquire(self) -> None:
        """
        Make the directory and lock the file; UnusableStateError if that cannot be done.

        StartError when another daemon holds it.
        """
        lock = self.path.with_name(f"{self.path.name}.lock")
        try:
            refuse_what_is_no_file(self.path)
            if not self.path.parent.exists():
                self.path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
            if not os.access(self.path.parent, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.release()
            raise StartError(f"another exporter uses the state file {self.path}") from error
        except OSError as error:
            self.release()
            reason = f"cannot keep the state in {self.path}: {error.strerror}"
            raise UnusableStateError(reason) from error

    def release(self) -> None:
        """
        Let another daemon have it.
        """
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def load(self) -> tuple[State | None, list[str]]:
        """
        Give the newest good generation, if any, and what is to be said of the bad ones.

        A damaged file is set aside, not deleted: somebody may want to look at it.
        """
        notes: list[str] = []
        for path in (self.path, self._previous):
            try:
                return decode(path.read_bytes()), notes
            except FileNotFoundError:
                continue
            except (DamagedStateError, OSError) as error:
                reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
                notes.append(f"{path}: {reason}")
                with contextlib.suppress(OSError):
                    path.replace(path.with_name(f"{path.name}.damaged"))
        return None, notes

    def save(self, state: State) -> None:
        """
        Put a new generation in the place of the present one; OSError if it cannot be written.
        """
        data = encode(state)
        try:
            descriptor = os.open(
                self._next, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE
            )
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                self._next.unlink()
            raise
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self._previous)
        self._next.replace(self.path)
        flush_directory(self.path.parent)


def refuse_what_is_no_file(path: Path) -> None:
    """
    Raise OSError for what is neither a regular file nor absent: a rename would take it away.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file")


def flush_directory(path: Path) -> None:
    """
    Make renames in a directory last; OSError if that fails.
    """
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    except OSError as error:
        # What a file system says that cannot do it, and need not (9p, some of FUSE).
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(directory)


def write_all(descriptor: int, data: bytes) -> None:
    """
    Write all of it: write(2) may take less.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
