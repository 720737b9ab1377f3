"""
The answers in the making: one at a time, and each for everybody who asks the same by then.

So however many ask at once, what they cost together is little more than what one costs, and bytes
of others are read between two answers.  It never keeps an answer: who asks later gets a newer one.
"""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

from exporter.site import Response, Site

NEGOTIATED = ("Accept", "Accept-Encoding", "Accept-Language")
"""The headers that an answer depends on."""

_Question: TypeAlias = tuple[str, ...]


class Answers:
    """
    Asks the site on behalf of all clients; for one event loop.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._turn = asyncio.Lock()
        self._asked: dict[_Question, asyncio.Task[Response]] = {}
        """Those that nobody has begun to answer."""

    async def ask(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """
        Give the site's answer as it is now or later, never as it was before.
        """
        question = (method, target, *(headers.get(name, "") for name in NEGOTIATED))
        task = self._asked.get(question)
        if task is None:
            task = asyncio.create_task(self._answer(question, headers))
            self._asked[question] = task
        # Others may wait for it when this client has gone.
        return await asyncio.shield(task)

    async def _answer(self, question: _Question, headers: Mapping[str, str]) -> Response:
        """
        Answer when those who asked before have their answers.
        """
        async with self._turn:
            await asyncio.sleep(0)
            del self._asked[question]
            method, target, *_ = question
            return self._site.answer(method, target, headers)
