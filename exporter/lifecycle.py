"""
What the outside asks of the daemon, by signals, and the sleep from which each of them wakes it.

A handler notes the wish, and the main loop asks for it between two chunks.  It never ends
or reloads anything itself: a signal may interrupt the loop wherever it is.
"""

import os
import select
import signal
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = (signal.SIGTERM, signal.SIGINT)
PIPE_BYTES = 64 * 1024
"""As many as Linux lets wait in a pipe."""
RELOAD_SECONDS = 1.0
"""Between two reloads: who sends SIGHUP without end must not keep the daemon from its work."""


class Waker:
    """
    A bell that wakes one sleeper: what `threading.Event` is, for signals too.

    `Event.set` takes a lock, which the very thread that a signal interrupts may hold; and a signal
    that comes just before `Event.wait` falls asleep is looked at when the time is over.
    """

    def __init__(self) -> None:
        self._bell, self.rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        """The rope is a descriptor: any byte written to it rings."""
        # At the end and not before: who rings too late must not write to another's descriptor.
        weakref.finalize(self, close, self._bell, self.rope)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)

    def set(self) -> None:
        """
        Wake the sleeper, or let it not fall asleep.
        """
        with suppress(BlockingIOError):  # it has been rung often enough
            os.write(self.rope, b"\0")

    def wait(self, seconds: float, inputs: Iterable[int] = ()) -> None:
        """
        Sleep until somebody rings, one of the descriptors has something to read, or for so long.

        Whatever rang before is then answered.
        """
        inputs = set(inputs)
        for descriptor in inputs:
            self._poll.register(descriptor, select.POLLIN)
        try:
            woken = self._poll.poll(seconds * 1000)
        finally:
            for descriptor in inputs:
                self._poll.unregister(descriptor)
        if any(descriptor == self._bell for descriptor, _ in woken):
            os.read(self._bell, PIPE_BYTES)


def close(*descriptors: int) -> None:
    """
    Close all of them.
    """
    for descriptor in descriptors:
        os.close(descriptor)


class Lifecycle:
    """
    Whether to end, and whether to reload.
    """

    def __init__(self, wake: Waker) -> None:
        self._wake = wake
        self.stopping = False
        self._reload = False
        self._reloaded = float("-inf")

    def stop(self, *_: int | FrameType | None) -> None:
        """
        Ask for the end; a signal handler, and a second signal changes nothing.
        """
        self.stopping = True
        self._wake.set()

    def reload(self, *_: int | FrameType | None) -> None:
        """
        Ask for a reload; a signal handler, and what comes too soon after a reload is put off.
        """
        self._reload = True
        self._wake.set()

    def is_asked(self, now: float) -> bool:
        """
        Say whether the loop is wanted for the one or the other.
        """
        return self.stopping or self._is_reload_due(now)

    def take_reload(self, now: float) -> bool:
        """
        Say once whether a reload is due; `now` is a clock that never goes back.
        """
        due = self._is_reload_due(now)
        if due:  # a signal that comes after a look at False must not be wiped out
            self._reload, self._reloaded = False, now
        return due

    def _is_reload_due(self, now: float) -> bool:
        return self._reload and now - self._reloaded >= RELOAD_SECONDS

    @contextmanager
    def handled(self) -> Iterator[None]:
        """
        Obey signals for as long as the block; after it the process is ending, and ignores them.
        """
        signal.set_wakeup_fd(self._wake.rope, warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, self.stop)
        signal.signal(signal.SIGHUP, self.reload)
        try:
            yield
        finally:
            # Python puts its handlers back to the default on its way out, which would end the
            # process with another status than the one it has earned.
            for number in (*ENDING, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
