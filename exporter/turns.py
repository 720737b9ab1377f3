"""
Costly work for strangers: one piece after the other in a thread, the rest in a short queue.

The event loop never does such work, and who hangs up leaves the queue.  It never says who may
queue: that is `guard`, which asks how many are there.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress


class Turns:
    """
    The queue, first come, first served; for one event loop.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._clients: Counter[str] = Counter()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        """
        Count the pieces of work that wait or run.
        """
        return self._clients.total()

    def of(self, client: str) -> int:
        """
        Count those of one client.
        """
        return self._clients[client]

    async def take(self, client: str, work: Callable[[], bool]) -> bool:
        """
        Have some work done when its turn comes.
        """
        self._clients[client] += 1
        try:
            async with self._turn:
                return await self._run(work)
        finally:
            self._clients[client] -= 1
            self._clients += Counter()  # forgets who has nothing there

    def join(self, seconds: float) -> None:
        """
        Wait, so long at most, for the work that runs: a thread in foreign code ends badly at exit.
        """
        if self._thread is not None:
            self._thread.join(seconds)

    async def _run(self, work: Callable[[], bool]) -> bool:
        """
        Do it in a thread of its own, which nobody waits for at exit as for an executor's.

        Who gives up keeps his turn until the thread has ended: it cannot be interrupted, and there
        must not be a second one.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def report(result: bool) -> None:  # noqa: FBT001  a callback's argument
            if not done.done():
                done.set_result(result)

        def run() -> None:
            result = False  # also when the work fails: the next one must have its turn
            try:
                result = work()
            finally:
                with suppress(RuntimeError):  # the loop is closed already
                    loop.call_soon_threadsafe(report, result)

        self._thread = threading.Thread(target=run, name="turn", daemon=True)
        self._thread.start()
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            await done
            raise
