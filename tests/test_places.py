"""
The places that clients hold, with clients that are none.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from running import DEADLINE_SECONDS
from structlog.testing import capture_logs

from exporter.places import DEFAULT_LIMITS, Places, within_files

LIMITS = replace(DEFAULT_LIMITS, connections=3, unread_responses=2, write_seconds=60.0)


class Client:
    """
    A client that notes what happens to it.
    """

    def __init__(self) -> None:
        """
        Be connected.
        """
        self.gone = asyncio.Event()

    def hang_up(self) -> None:
        """
        Be disconnected.
        """
        self.gone.set()

    async def close(self) -> None:
        """
        Be disconnected.
        """
        self.gone.set()


def in_loop(test: Callable[[Places], Awaitable[None]]) -> None:
    """
    Run a test in an event loop.
    """

    async def run() -> None:
        await test(Places(LIMITS))

    asyncio.run(run())


def connected(clients: list[Client]) -> list[bool]:
    """
    Tell who still is.
    """
    return [not client.gone.is_set() for client in clients]


def test_newcomer() -> None:
    """
    For a newcomer goes who has been silent for longest, and the log says so.
    """
    places = Places(LIMITS)
    clients = [Client() for _ in range(4)]
    with capture_logs() as lines:
        for client in clients[:3]:
            places.take(client)
        places.used(clients[0])
        assert [] == lines
        places.take(clients[3])

    assert [True, False, True, True] == connected(clients)
    assert 3 == len(places)
    assert ["too many connections, closing the oldest"] == [line["event"] for line in lines]


def test_gone_before() -> None:
    """
    Who has lost the place does not get it back by a request that was read just before.
    """
    places = Places(LIMITS)
    client = Client()
    places.used(client)
    places.leave(client)

    assert 0 == len(places)


def test_slow_readers() -> None:
    """
    With too many answers unread the slowest reader goes; who has read or left does not count.
    """

    async def run(places: Places) -> None:
        clients = [Client() for _ in range(5)]
        for client in clients[:2]:
            places.take(client)
            places.writing(client)
        places.done_writing(clients[0])
        places.writing(clients[2])
        places.leave(clients[1])
        places.writing(clients[3])
        with capture_logs() as lines:
            places.writing(clients[4])

        assert [True, True, False, True, True] == connected(clients)
        assert ["too many slow readers, closing the slowest"] == [line["event"] for line in lines]

    in_loop(run)


def test_time_to_read() -> None:
    """
    Who does not read in time goes.
    """

    async def run() -> None:
        places = Places(replace(LIMITS, write_seconds=0.0))
        client = Client()
        places.writing(client)
        await asyncio.wait_for(client.gone.wait(), DEADLINE_SECONDS)

    asyncio.run(run())


def test_close() -> None:
    """
    At the end everyone goes.
    """

    async def run(places: Places) -> None:
        clients = [Client() for _ in range(3)]
        for client in clients:
            places.take(client)
        await places.close()

        assert [False] * 3 == connected(clients)

    in_loop(run)


@pytest.mark.parametrize(
    ("files", "expected"), [(8, 4), (1024, 512), (65536, 512), (resource.RLIM_INFINITY, 512)]
)
def test_within_files(files: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Connections take no more than half of the files that may be open.
    """
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert expected == within_files(DEFAULT_LIMITS).connections
