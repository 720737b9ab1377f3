"""
Each step of a rotation at any step of the reader: every line counted once, kills included.

`test_rotation.py` has whole rotations between whole looks, `test_kill.py` real time.  Here a writer
and a rotator go one step further before any system call of the reader, so that what happens once
in thousands of kills there happens in every few worlds.  All is chosen by a seed: a world
that fails fails again.  INTERLEAVINGS=5000 for more worlds, INTERLEAVING=<seed> for one, with all
that happened in it.

What it has to find, tried by hand on a copy of the reader:

- the bytes before a saved place not looked at once more when they are taken up (`Generation.go_on`)
- no search for what was copied away before the first bytes were taken (`_open_missed`)
- a copy that is being made taken for a generation of its own (`_repeats`)
- a copy dropped because it is one, and read on (`_read_anew`)
- an empty file taken to be the same because of its inode (`_find_marks`; in 5,000 worlds)
"""

import builtins
import gzip
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ParamSpec, TypeVar
from unittest import mock

import pytest

from exporter.logfile import LogFile, Register
from exporter.mark import Mark

WORLDS = int(os.environ.get("INTERLEAVINGS", "200"))
WORLD = os.environ.get("INTERLEAVING")
GROUP = 20
"""Worlds in one test."""
LOOKS = 120
TICK_NANOSECONDS = 4_000_000
"""How exact the times of files are."""
MOST_GENERATIONS = 40
CALLS = (
    *((os, name) for name in ("open", "stat", "listdir", "pread", "fstat")),
    (builtins, "open"),
)
"""What the reader asks the system; before each of them the others may go on."""

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
Saved = tuple[list[Mark], list[Mark], list[bytes]]


@dataclass(slots=True)
class World:
    """
    A log, who writes and rotates it step by step, and who reads it.
    """

    path: Path
    choose: random.Random
    story: list[str] = field(default_factory=list)
    written: list[bytes] = field(default_factory=list)
    counted: list[bytes] = field(default_factory=list)
    now: float = 0.0
    clock: int = 1_795_385_437_000_000_000
    """Nanoseconds since the epoch."""
    asleep: bool = True
    """Whether only the reader is at work."""
    step_share: float = field(init=False)
    """How often something happens before a call."""
    rotation_share: float = field(init=False)
    descriptor: int = field(init=False)
    steps: Iterator[None] = field(init=False)
    log: LogFile = field(init=False)
    saved: Saved = field(init=False)

    def __post_init__(self) -> None:
        self.step_share = self.choose.choice((0.005, 0.02, 0.05))
        self.rotation_share = self.choose.choice((0.05, 0.2))
        self.descriptor = self._open()
        self.steps = self._live()
        self._write()
        self._begin([], [])
        self.look()
        self.save()

    # --- who writes and rotates

    def step(self, call: str = "") -> None:
        """
        Let the others go one step further.
        """
        self.asleep = True
        self.story.append(f"  before {call}" if call else "  meanwhile")
        next(self.steps)
        self.asleep = False

    def interfere(self, call: str) -> None:
        """
        Let the others do something before a call of the reader, or not.
        """
        while not self.asleep and self.choose.random() < self.step_share:
            self.step(call)

    def _live(self) -> Iterator[None]:
        while True:
            for _ in range(self.choose.choice((0, 1, 3, 20))):
                self._write()
                yield
            if self.choose.random() < 0.1:
                self._reopen()
            yield
            if self.choose.random() < self.rotation_share:
                yield from self._rotate()

    def _rotate(self) -> Iterator[None]:
        self._reopen()
        yield
        self._pass_time(TICK_NANOSECONDS)
        yield from self._shift()
        ways = (self._create, self._nocreate, self._create_late, self._copytruncate)
        yield from self.choose.choice(ways)()

    def _shift(self) -> Iterator[None]:
        """
        Compress the newest of the older generations, then move them all, as delaycompress has it.
        """
        plain, packed = self._name(1), self._name(1, ".gz")
        if plain.exists():
            status, data = plain.stat(), gzip.compress(plain.read_bytes(), 1)
            yield from self._fill(packed, data)
            os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
            yield
            plain.unlink()
            self.story.append("compressed")
            yield
        for number in range(MOST_GENERATIONS, 0, -1):
            if self._name(number, ".gz").exists():
                self._name(number, ".gz").rename(self._name(number + 1, ".gz"))
                self.story.append(f"{number}.gz moved on")
                yield

    def _create(self) -> Iterator[None]:
        self._rename()
        yield
        self._reopen()
        yield

    def _nocreate(self) -> Iterator[None]:
        self._rename()
        yield
        self._write()
        yield
        self._reopen()
        yield

    def _create_late(self) -> Iterator[None]:
        """
        Make the new file, and let a worker write to it, while another goes on with the old one.
        """
        self._rename()
        yield
        self._write()
        yield
        worker = self._open()
        yield
        self._write(worker)
        os.close(worker)
        for _ in range(self.choose.choice((0, 2, 5))):
            yield
            self._write()
        yield
        self._reopen()
        yield

    def _copytruncate(self) -> Iterator[None]:
        """
        Copy and cut; nobody writes meanwhile, since that would be lost to anyone.
        """
        status, data = self.path.stat(), self.path.read_bytes()
        yield from self._fill(self._name(1), data)
        os.utime(self._name(1), ns=(status.st_atime_ns, status.st_mtime_ns))
        self.story.append("copied")
        yield
        self._pass_time(self.choose.choice((0, TICK_NANOSECONDS)))
        os.truncate(self.path, 0)
        self._stamp(self.path)
        self.story.append("cut")
        yield

    def _fill(self, path: Path, data: bytes) -> Iterator[None]:
        """
        Write a file in parts, as whoever copies or compresses a large one does.
        """
        for part in (b"", data[: len(data) // 2], data[len(data) // 2 :]):
            with path.open("ab") as file:
                file.write(part)
            self._stamp(path)
            self.story.append(f"{path.name} has {path.stat().st_size} of {len(data)} bytes")
            yield

    def _rename(self) -> None:
        self.path.rename(self._name(1))
        self.story.append("renamed")

    def _reopen(self) -> None:
        os.close(self.descriptor)
        self.descriptor = self._open()

    def _open(self) -> int:
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        if new:
            self._stamp(descriptor)
        self.story.append(f"opened {os.fstat(descriptor).st_ino}")
        return descriptor

    def _write(self, descriptor: int | None = None) -> None:
        """
        Write some lines that are like no other.
        """
        to = self.descriptor if descriptor is None else descriptor
        first = len(self.written) + 1
        count = self.choose.choice((1, 1, 3, 40))
        lines = [b"line %d %s" % (first + i, b"x" * (first % 60)) for i in range(count)]
        os.write(to, b"\n".join([*lines, b""]))
        self._stamp(to)
        self.written += lines
        self.story.append(f"wrote {first} to {len(self.written)}")
        self._pass_time(self.choose.choice((0, 0, 1, 1, 250)) * TICK_NANOSECONDS)

    def _name(self, number: int, suffix: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{suffix}")

    def _pass_time(self, nanoseconds: int) -> None:
        self.clock += nanoseconds

    def _stamp(self, file: int | Path) -> None:
        os.utime(file, ns=(self.clock, self.clock))

    # --- who reads

    def _begin(self, marks: list[Mark], left: list[Mark]) -> None:
        register = Register(left=left.copy())
        self.log = LogFile(self.path, from_beginning=True, register=register, marks=marks.copy())

    def save(self) -> None:
        """
        Save the state.
        """
        marks = [mark for _, mark in self.log.places()]
        self.saved = (marks, self.log.register.left.copy(), self.counted.copy())
        self.story.append(f"saved {[(mark.inode, mark.position) for mark in marks]}")

    def kill(self) -> None:
        """
        Kill the reader and start another, from what was saved last.
        """
        self.log.close()
        marks, left, counted = self.saved
        self.counted = counted.copy()
        self.story.append("killed")
        self._begin(marks, left)

    def look(self) -> bool:
        """
        Have the log read; say whether that came to its end.
        """
        self.now += 0.1
        for chunk in self.log.read(self.now):
            if chunk.lines:
                lines = chunk.lines[1:].split(b"\n")
                twice = set(lines) & set(self.counted)
                self.counted += lines
                self.story.append(f"counted {lines[0]!r} to {lines[-1]!r} of file {chunk.file}")

                assert set() == twice, self.tell()

            if self.choose.random() < 0.2:
                self.save()
            if self.choose.random() < 0.03:
                return False
        self.story.append(f"looked {self.log.problem}")
        return True

    def run(self) -> None:
        """
        Have everything happen for a while; in the end all that was written is counted.
        """
        for _ in range(LOOKS):
            self.asleep = False
            looked = self.look()
            self.asleep = True
            if self.choose.random() < 0.3:
                self.save()
            if not looked or self.choose.random() < 0.15:
                self.kill()
            for _ in range(self.choose.choice((0, 0, 1, 3, 10))):
                self.step()
        self.asleep = True
        for _ in range(4):
            self.look()

        assert sorted(self.written) == sorted(self.counted), self.tell()

    def tell(self) -> str:
        """
        Give the story, its end or all of it.
        """
        return "\n".join([self.story[0], *self.story[1 if WORLD else -60 :]])

    def close(self) -> None:
        """
        Close all files.
        """
        self.log.close()
        os.close(self.descriptor)


def build(seed: int, directory: Path) -> World:
    """
    Make a world by its seed.
    """
    choose = random.Random(seed)  # noqa: S311  it is no secret
    return World(directory / "mail.log", choose, [f"INTERLEAVING={seed}"])


def interrupted(
    world: World, name: str, call: Callable[Arguments, Answer]
) -> Callable[Arguments, Answer]:
    """
    Make a call of the system before which something may happen.
    """

    def ask(*arguments: Arguments.args, **named: Arguments.kwargs) -> Answer:
        world.interfere(f"{name}({arguments[0]})")
        return call(*arguments, **named)

    return ask


def live(world: World) -> None:
    """
    Have a world run with the reader interrupted at any of its calls.
    """
    with ExitStack() as stack:
        stack.callback(world.close)
        for module, name in CALLS:
            call = interrupted(world, name, getattr(module, name))
            stack.enter_context(mock.patch.object(module, name, call))
        stack.enter_context(mock.patch("time.time_ns", partial(getattr, world, "clock")))
        world.run()


@pytest.mark.parametrize("first", [int(WORLD)] if WORLD else range(0, WORLDS, GROUP))
def test_interleaving(first: int, tmp_path: Path) -> None:
    """
    Wherever in its work the reader is overtaken by a rotation or killed, each line counts once.
    """
    for seed in range(first, first + (1 if WORLD else GROUP)):
        with TemporaryDirectory(dir=tmp_path) as directory:
            live(build(seed, Path(directory)))
