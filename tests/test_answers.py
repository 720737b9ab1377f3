"""
The answers in the making, with a site that counts how often it is asked.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus

import pytest
from serving import new_registry, page, ready

from exporter.answers import NEGOTIATED, Answers
from exporter.site import Response, Site


class CountingSite(Site):
    """
    Answers with the number of the question.
    """

    def __init__(self) -> None:
        """
        Begin at 0.
        """
        super().__init__(telemetry_path="/metrics", registry=new_registry(), ready=ready, page=page)
        self.asked: list[str] = []

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """
        Take a note and answer.
        """
        del method, headers
        self.asked.append(target)
        return Response(HTTPStatus.OK, f"{len(self.asked)}".encode())


def test_together() -> None:
    """
    Who asks the same before the answer is begun gets the same one, who asks later a new one.
    """
    site = CountingSite()

    async def ask() -> list[bytes]:
        answers = Answers(site)
        first = await asyncio.gather(*(answers.ask("GET", "/metrics", {}) for _ in range(100)))
        later = await answers.ask("GET", "/metrics", {})
        return [*sorted({response.body for response in first}), later.body]

    assert [b"1", b"2"] == asyncio.run(ask())


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("HEAD", "/metrics", {}),
        ("GET", "/", {}),
        ("GET", "/metrics?name[]=a", {}),
        *(("GET", "/metrics", {name: "x"}) for name in NEGOTIATED),
    ],
)
def test_apart(method: str, target: str, headers: Mapping[str, str]) -> None:
    """
    Who asks for something else gets something else.
    """
    site = CountingSite()

    async def ask() -> tuple[Response, Response]:
        answers = Answers(site)
        return await asyncio.gather(
            answers.ask("GET", "/metrics", {}), answers.ask(method, target, headers)
        )

    assert [b"1", b"2"] == [response.body for response in asyncio.run(ask())]


def test_in_order() -> None:
    """
    They are answered in the order of the questions, and between two of them others get on.
    """
    site = CountingSite()
    seen: list[int] = []

    async def look() -> None:
        while len(site.asked) < 10:
            seen.append(len(site.asked))
            await asyncio.sleep(0)

    async def ask() -> None:
        answers = Answers(site)
        questions = (answers.ask("GET", f"/{number}", {}) for number in range(10))
        await asyncio.gather(look(), *questions)

    asyncio.run(ask())

    assert [f"/{number}" for number in range(10)] == site.asked
    assert set(range(10)) == set(seen)


def test_one_leaves() -> None:
    """
    Who does not wait for the answer takes it from nobody else.
    """
    site = CountingSite()

    async def ask() -> Response:
        answers = Answers(site)
        leaves = asyncio.create_task(answers.ask("GET", "/metrics", {}))
        stays = asyncio.create_task(answers.ask("GET", "/metrics", {}))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert b"1" == asyncio.run(ask()).body
