"""
The machine that `check` looks at: its files below a root, the environment and the clock.

Only reads, never more than asked for, and nothing that could block: a FIFO has no bytes here.
"""

import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Descriptor:
    """
    Something that a process has open.
    """

    pid: int
    name: str
    """The program's, as the kernel knows it."""
    target: str
    """A pathname, or what the kernel calls it: socket:[1], anon_inode:inotify."""
    writable: bool


@dataclass(frozen=True, slots=True)
class System:
    """
    Where everything is looked for.
    """

    root: Path = Path("/")
    """The directory that stands for `/`; another one in tests."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    now: Callable[[], float] = time.time

    def at(self, path: str | Path) -> Path:
        """
        Give where a pathname of the machine is.
        """
        return self.root / Path(path).absolute().relative_to("/")

    def exists(self, path: str | Path) -> bool:
        """
        Say whether there is such a file; not where a directory on the way may not be searched.
        """
        return os.path.exists(self.at(path))  # noqa: PTH110 - Path.exists would raise

    def text(self, path: str | Path) -> str:
        """
        Give what a small file says, empty where it cannot be read.
        """
        with suppress(OSError):
            return self.tail(path, MOST_BYTES).decode("utf-8", "replace")
        return ""

    def tail(self, path: str | Path, length: int) -> bytes:
        """
        Give the last bytes of a file; OSError where it cannot be read.
        """
        descriptor = os.open(self.at(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return b""
            with open(descriptor, "rb", closefd=False) as file:
                # Files of /proc say that they are empty.
                file.seek(max(status.st_size - length, 0))
                return file.read(length)
        finally:
            os.close(descriptor)

    def number(self, path: str) -> int | None:
        """
        Give the number that a file of /proc/sys holds.
        """
        text = self.text(path).strip()
        return int(text) if text.isascii() and text.isdigit() else None

    def processes(self) -> Iterator[Path]:
        """
        List the directories of the processes.
        """
        with suppress(OSError):
            yield from (one for one in self.at("/proc").iterdir() if one.name.isdigit())

    def descriptors(self) -> Iterator[Descriptor]:
        """
        List what processes have open: root's view is whole, others see their own processes.
        """
        for process in self.processes():
            # A process may end meanwhile, or be another user's.
            with suppress(OSError):
                name = (process / "comm").read_text(errors="replace").strip()
                for link in (process / "fd").iterdir():
                    with suppress(OSError):
                        target = str(link.readlink())
                        flags = (process / "fdinfo" / link.name).read_text().split()
                        mode = int(flags[flags.index("flags:") + 1], 8) & os.O_ACCMODE
                        yield Descriptor(int(process.name), name, target, mode != os.O_RDONLY)
