"""
The places that clients may hold, as connections and as answers not yet read, and who loses one.

Who is over a limit is never the newcomer but who has been silent or slow for longest: an honest
scrape takes milliseconds, so it gets through even while others hold every place.
It never opens a connection, and closes one only through its guest.
"""

import asyncio
import resource
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What the clients may cost, all of them together and each of them.
    """

    connections: int = 512
    # Also for the TLS handshake with the whole of a request's header, and for its body.
    idle_seconds: float = 10.0
    header_bytes: int = 16 * 1024
    body_bytes: int = 1024
    read_buffer_bytes: int = 64 * 1024
    # The kernel would take megabytes of answers for a client that reads nothing.
    write_buffer_bytes: int = 128 * 1024
    # node_exporter serves 40 scrapes at a time, --web.max-requests.
    unread_responses: int = 40
    write_seconds: float = 20.0


DEFAULT_LIMITS = Limits()


class Guest(Protocol):
    """
    Who holds a place.
    """

    def hang_up(self) -> None:
        """
        Disconnect, whatever is not yet written.
        """

    def close(self) -> Awaitable[None]:
        """
        Disconnect, and wait until nothing is left of it.
        """


class Places:
    """
    The books of one event loop.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Both in the order in which they would have to go.
        self._guests: dict[Guest, None] = {}
        self._writing: dict[Guest, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """
        Count the open connections.
        """
        return len(self._guests)

    def take(self, guest: Guest) -> None:
        """
        Let a newcomer in, in place of the one silent for longest if there are too many.
        """
        if len(self._guests) >= self._limits.connections:
            log.warning("too many connections, closing the oldest", limit=len(self._guests))
            oldest = next(iter(self._guests))
            del self._guests[oldest]
            oldest.hang_up()
        self._guests[guest] = None

    def used(self, guest: Guest) -> None:
        """
        Put a guest at the end of those that may have to go.
        """
        if guest in self._guests:
            del self._guests[guest]
            self._guests[guest] = None

    def writing(self, guest: Guest) -> None:
        """
        Give a guest time to read; whole answers wait in memory, so only some may.
        """
        if len(self._writing) >= self._limits.unread_responses:
            log.warning("too many slow readers, closing the slowest", limit=len(self._writing))
            slowest = next(iter(self._writing))
            self.done_writing(slowest)
            slowest.hang_up()
        self._writing[guest] = asyncio.get_running_loop().call_later(
            self._limits.write_seconds, guest.hang_up
        )

    def done_writing(self, guest: Guest) -> None:
        """
        Stop the clock of `writing`.
        """
        timer = self._writing.pop(guest, None)
        if timer is not None:
            timer.cancel()

    def leave(self, guest: Guest) -> None:
        """
        Forget a guest.
        """
        self.done_writing(guest)
        self._guests.pop(guest, None)

    async def close(self) -> None:
        """
        Disconnect everyone.
        """
        for guest in list(self._guests):
            await guest.close()


def within_files(limits: Limits) -> Limits:
    """
    Leave half of the files the process may open to the rest of it.

    With none left accept fails for as long as a client waits, which is a loop at full speed.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=min(limits.connections, files // 2))
