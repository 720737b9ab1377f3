"""
The queue for costly work, with work that ends when the test says so.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest
from running import DEADLINE_SECONDS

from exporter.turns import Turns


class Work:
    """
    Some work that says when it begins, and ends when it is told to.
    """

    def __init__(self, *, result: bool = True) -> None:
        """
        Wait to be called.
        """
        self.begun = threading.Event()
        self.end = threading.Event()
        self._result = result

    def __call__(self) -> bool:
        """
        Begin, and do not end yet.
        """
        self.begun.set()
        self.end.wait(DEADLINE_SECONDS)
        return self._result


async def until(event: threading.Event) -> None:
    """
    Wait for a thread without holding up the loop.
    """
    assert await asyncio.to_thread(event.wait, DEADLINE_SECONDS)


def in_loop(test: Callable[[Turns], Awaitable[None]]) -> None:
    """
    Run a test in an event loop.
    """

    async def run() -> None:
        await test(Turns())

    asyncio.run(run())


def test_result() -> None:
    """
    What the work finds is what comes out, and nothing is left of it.
    """

    async def run(turns: Turns) -> None:
        for result in (True, False):
            work = Work(result=result)
            work.end.set()

            assert result is await turns.take("a", work)
        assert 0 == len(turns) == turns.of("a")

    in_loop(run)


def test_one_at_a_time() -> None:
    """
    The second piece begins when the first has ended, in the order in which they came.
    """

    async def run(turns: Turns) -> None:
        first, second = Work(), Work()
        tasks = [asyncio.create_task(turns.take(*piece)) for piece in (("a", first), ("b", second))]
        await until(first.begun)

        assert (2, 1, 1, 0) == (len(turns), turns.of("a"), turns.of("b"), turns.of("c"))
        assert not second.begun.is_set()

        first.end.set()
        assert await tasks[0]
        await until(second.begun)

        assert (1, 0, 1) == (len(turns), turns.of("a"), turns.of("b"))

        second.end.set()
        assert await tasks[1]

    in_loop(run)


def test_leaving_the_queue() -> None:
    """
    Who gives up while waiting frees the place at once, and the work is never begun.
    """

    async def run(turns: Turns) -> None:
        running, waiting = Work(), Work()
        first = asyncio.create_task(turns.take("a", running))
        second = asyncio.create_task(turns.take("a", waiting))
        await until(running.begun)
        second.cancel()
        await asyncio.wait([second])

        assert 1 == turns.of("a")

        running.end.set()
        await first

        assert not waiting.begun.is_set()
        assert 0 == len(turns)

    in_loop(run)


def test_leaving_what_runs() -> None:
    """
    Work that runs is not interrupted: there is no second thread before the first has ended.
    """

    async def run(turns: Turns) -> None:
        abandoned, following = Work(), Work()
        first = asyncio.create_task(turns.take("a", abandoned))
        second = asyncio.create_task(turns.take("a", following))
        await until(abandoned.begun)
        first.cancel()
        await asyncio.sleep(0)

        assert 2 == len(turns)
        assert not following.begun.is_set()

        abandoned.end.set()
        await until(following.begun)
        following.end.set()

        assert await second
        assert first.cancelled()

    in_loop(run)


def test_loop_ends_first() -> None:
    """
    A loop that ends leaves the work alone, and `join` waits for it, but not for ever.
    """
    work = Work()
    turns = Turns()

    async def run() -> None:
        taking = asyncio.create_task(turns.take("a", work))
        await until(work.begun)
        taking.cancel()
        await asyncio.sleep(0)

    asyncio.run(run())
    turns.join(0.001)
    names = [thread.name for thread in threading.enumerate()]
    work.end.set()
    turns.join(DEADLINE_SECONDS)

    assert "turn" in names
    assert "turn" not in [thread.name for thread in threading.enumerate()]


def test_join_without_work() -> None:
    """
    Where there was no work there is nothing to wait for.
    """
    Turns().join(DEADLINE_SECONDS)


def test_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Work that fails admits nobody, is not hushed up, and the next piece has its turn.
    """
    faults: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda fault: faults.append(fault.exc_type))

    def fail() -> bool:
        raise OSError

    async def run(turns: Turns) -> None:
        assert not await turns.take("a", fail)
        work = Work()
        work.end.set()

        assert await turns.take("a", work)

    in_loop(run)

    assert [OSError] == faults


def test_a_report_nobody_waits_for() -> None:
    """
    A loop that was torn down in the middle of the work takes no harm from its end.
    """

    async def run(turns: Turns) -> None:
        work = Work()
        taking = asyncio.create_task(turns.take("a", work))
        await until(work.begun)
        for _ in range(2):  # the second time it does not wait for the thread either
            taking.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([taking])
        work.end.set()
        await asyncio.to_thread(turns.join, DEADLINE_SECONDS)
        await asyncio.sleep(0)

        assert 0 == len(turns)

    in_loop(run)
