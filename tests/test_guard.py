"""
Who may ask, without a server, with real bcrypt and a clock moved by hand.
"""

import asyncio
import base64
import threading
from collections.abc import Iterator, Mapping

import bcrypt
import pytest
from running import DEADLINE_SECONDS
from structlog.testing import capture_logs

from exporter import guard as guard_module
from exporter.guard import PAUSE_SECONDS, TURNS_OF_ALL, TURNS_OF_ONE, Guard, Visitor
from exporter.ratelimit import NANOSECONDS
from exporter.site import Response
from exporter.webconfig import Pem, RateLimit, Tls, WebConfig
from exporter.websettings import Settings

USERS = {"a": bcrypt.hashpw(b"right", bcrypt.gensalt(4))}
WITH_USERS = Settings(WebConfig(users=USERS))
SANS = frozenset({"scraper.example.net"})
WITH_SANS = Settings(WebConfig(tls=Tls(Pem("cert", b""), Pem("key", b""), allowed_sans=SANS)))


def certificate() -> Mapping[str, object] | None:
    """
    Show none.
    """
    return None


def visitor(password: bytes | None = None, address: str = "192.0.2.1") -> Visitor:
    """
    Introduce somebody.
    """
    header = "" if password is None else f"Basic {base64.b64encode(b'a:' + password).decode()}"
    return Visitor(address, certificate, header)


def status(response: Response | None) -> int:
    """
    Give an answer's status, 0 for whom nothing is said against.
    """
    return response.status.value if response else 0


def header(response: Response | None, name: str) -> str:
    """
    Give one header of an answer.
    """
    assert response is not None
    return dict(response.headers)[name]


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """
    A bcrypt that finds everything wrong, when it is told to.
    """
    go_on = threading.Event()

    def wait(_password: bytes, _hashed: bytes) -> bool:
        go_on.wait(DEADLINE_SECONDS)
        return False

    monkeypatch.setattr(bcrypt, "checkpw", wait)
    yield go_on
    go_on.set()


def test_open() -> None:
    """
    Without settings everyone may.
    """
    guard = Guard()

    assert None is guard.refuse(Settings(), visitor())
    assert guard.knows(Settings(), visitor())


def test_problem() -> None:
    """
    While the settings are bad nobody may, with the right password neither, nor is the file shown.
    """
    answer = Guard().refuse(
        Settings(WITH_USERS.config, problem="/etc/secret: bad"), visitor(b"right")
    )

    assert answer is not None
    assert 500 == status(answer)
    assert b"secret" not in answer.body


def test_rate_limit() -> None:
    """
    The rate limit is one for all clients, and says when to come back.
    """
    now = [5 * NANOSECONDS]
    guard = Guard(lambda: now[0])
    limited = Settings(WebConfig(rate_limit=RateLimit(1.5, 2)))
    clients = [visitor(address=address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3")]
    answers = [guard.refuse(limited, client) for client in clients]

    assert [0, 0, 429] == [status(answer) for answer in answers]
    assert "2" == header(answers[2], "Retry-After")

    now[0] += 3 * NANOSECONDS // 2
    answers = [guard.refuse(limited, client) for client in clients]

    assert [0, 429, 429] == [status(answer) for answer in answers]


def test_changed_rate_limit() -> None:
    """
    New settings with the same limit do not fill the bucket, another limit begins with a full one.
    """
    guard = Guard(lambda: NANOSECONDS)
    limits = [RateLimit(1.0, 1), RateLimit(1.0, 1), RateLimit(1.0, 2), None, RateLimit(1.0, 2)]
    settings = [Settings(WebConfig(rate_limit=limit)) for limit in limits]

    assert [0, 429, 0, 0, 0] == [status(guard.refuse(some, visitor())) for some in settings]


def test_rate_limit_before_password() -> None:
    """
    The rate limit holds for who has no password too: each try takes a token.
    """
    guard = Guard(lambda: NANOSECONDS)
    limited = Settings(WebConfig(users=USERS, rate_limit=RateLimit(1.0, 1)))

    assert 0 == status(guard.refuse(limited, visitor(b"wrong")))
    assert 429 == status(guard.refuse(limited, visitor(b"right")))


@pytest.mark.parametrize(("allowed", "expected"), [(True, 0), (False, 403)])
def test_names(allowed: bool, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001  a table
    """
    A client whose certificate has none of the allowed names is refused, and the log says who.
    """
    asked: list[object] = []

    def is_allowed(*arguments: object) -> bool:
        asked.append(arguments)
        return allowed

    monkeypatch.setattr(guard_module, "is_allowed", is_allowed)
    with capture_logs() as lines:
        answer = Guard().refuse(WITH_SANS, visitor())

    assert expected == status(answer)
    assert [(None, SANS)] == asked
    assert ([] if allowed else ["192.0.2.1"]) == [line["client"] for line in lines]


def test_no_names() -> None:
    """
    Without allowed names no certificate is looked at.
    """

    def never() -> None:
        raise AssertionError

    settings = Settings(WebConfig(tls=Tls(Pem("cert", b""), Pem("key", b""))))

    assert None is Guard().refuse(settings, Visitor("192.0.2.1", never, ""))


def test_password() -> None:
    """
    The right password lets in, at once from the second time on; a wrong one never does.
    """
    guard = Guard()

    async def run() -> None:
        assert not guard.knows(WITH_USERS, visitor(b"right"))
        assert None is await guard.verify(WITH_USERS, visitor(b"right"))
        assert guard.knows(WITH_USERS, visitor(b"right"))
        for _ in range(2):
            answer = await guard.verify(WITH_USERS, visitor(b"wrong"))
            assert 401 == status(answer)
            assert not guard.knows(WITH_USERS, visitor(b"wrong"))

        assert 'Basic realm="milter-manager-exporter", charset="UTF-8"' == header(
            answer, "WWW-Authenticate"
        )

    asyncio.run(run())


def test_no_password(stuck: threading.Event) -> None:
    """
    Who sends no password is told to, without costing anything.
    """
    assert not stuck.is_set()

    guard = Guard()

    assert not guard.knows(WITH_USERS, visitor())
    assert 401 == status(asyncio.run(guard.verify(WITH_USERS, visitor())))


def test_flood(stuck: threading.Event) -> None:
    """
    One client may have few passwords waiting, all of them together not many; the rest is sent away.
    """
    guard = Guard()

    async def run() -> None:
        clients = TURNS_OF_ALL // TURNS_OF_ONE
        waiting = [
            asyncio.create_task(guard.verify(WITH_USERS, visitor(b"wrong", f"192.0.2.{client}")))
            for client in range(clients)
            for _ in range(TURNS_OF_ONE)
        ]
        await asyncio.sleep(0)
        again = await guard.verify(WITH_USERS, visitor(b"wrong", "192.0.2.0"))
        another = await guard.verify(WITH_USERS, visitor(b"wrong", "192.0.2.200"))

        assert [429, 503] == [status(again), status(another)]
        assert ["1", "1"] == [header(answer, "Retry-After") for answer in (again, another)]

        stuck.set()
        answers = await asyncio.gather(*waiting)

        assert [401] * TURNS_OF_ALL == [status(answer) for answer in answers]
        assert 401 == status(await guard.verify(WITH_USERS, visitor(b"wrong", "192.0.2.0")))

    asyncio.run(run())


def test_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A refusal comes after a pause, in which others are served; who is let in does not wait.
    """
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    guard = Guard()

    assert 0 == status(asyncio.run(guard.verify(WITH_USERS, visitor(b"right"))))
    assert [] == pauses
    assert 401 == status(asyncio.run(guard.verify(WITH_USERS, visitor(b"wrong"))))
    assert [PAUSE_SECONDS] == pauses
