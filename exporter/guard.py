"""
Who may ask: the settings, the rate limit, the client's certificate and the users, in this order.

It says why somebody may not, as the Response to give.  It never sees the request's target and
never reads a file; what its checks cost is bounded, for one client and for all of them.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus

import structlog

from exporter.ratelimit import TokenBucket
from exporter.site import Response
from exporter.tls import is_allowed
from exporter.turns import Turns
from exporter.users import Users, parse_basic
from exporter.webconfig import RateLimit
from exporter.websettings import Settings

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

TURNS_OF_ONE = 4
TURNS_OF_ALL = 32
"""How many passwords may wait for bcrypt: at its usual cost 10 the last one waits 2 s."""

PAUSE_SECONDS = 0.1
"""
Before a refusal of a password: a hundred connections that send twenty wrong ones at once each took
the event loop so much time that honest scrapes waited for a second.
"""

_CHALLENGE = ("WWW-Authenticate", 'Basic realm="milter-manager-exporter", charset="UTF-8"')


@dataclass(frozen=True, slots=True)
class Visitor:
    """
    Who asks: the address, the certificate shown in the TLS handshake, the Authorization header.
    """

    address: str
    certificate: Callable[[], Mapping[str, object] | None]
    authorization: str


class Guard:
    """
    Stands before the site; remembers what the limits need and nothing of a request.
    """

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.turns = Turns()
        self._clock = clock
        self._users = Users()
        self._limit: RateLimit | None = None
        self._bucket: TokenBucket | None = None

    def refuse(self, settings: Settings, visitor: Visitor) -> Response | None:
        """
        Say what can be said without a password; None lets the visitor pass so far.
        """
        if settings.problem:
            text = b"the web configuration is bad, see the exporter's log\n"
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR, text)
        seconds = self._seconds_to_wait(settings.config.rate_limit)
        if seconds > 0:
            return _busy(HTTPStatus.TOO_MANY_REQUESTS, "too many requests", seconds)
        tls = settings.config.tls
        if tls and tls.allowed_sans and not is_allowed(visitor.certificate(), tls.allowed_sans):
            log.warning(
                "a client's certificate has none of the allowed names",
                client=visitor.address,
                same_as="allowed names",
            )
            return Response(HTTPStatus.FORBIDDEN, b"certificate without an allowed name\n")
        return None

    def knows(self, settings: Settings, visitor: Visitor) -> bool:
        """
        Tell whether no password is needed, or this one was right before.
        """
        users = settings.config.users
        if not users:
            return True
        credentials = parse_basic(visitor.authorization)
        return credentials is not None and self._users.knows(users, credentials)

    async def verify(self, settings: Settings, visitor: Visitor) -> Response | None:
        """
        Have the password checked; None lets the visitor pass, a refusal takes its time.
        """
        refusal = await self._verify(settings, visitor)
        if refusal:
            await asyncio.sleep(PAUSE_SECONDS)
        return refusal

    async def _verify(self, settings: Settings, visitor: Visitor) -> Response | None:
        """
        Have the password checked, unless too many wait for that already.
        """
        credentials = parse_basic(visitor.authorization)
        if credentials is None:
            return _unauthorized()
        if self.turns.of(visitor.address) >= TURNS_OF_ONE:
            return _busy(HTTPStatus.TOO_MANY_REQUESTS, "too many passwords to check", 1.0)
        if len(self.turns) >= TURNS_OF_ALL:
            return _busy(HTTPStatus.SERVICE_UNAVAILABLE, "too many passwords to check", 1.0)
        check = partial(self._users.verify, settings.config.users, credentials)
        return None if await self.turns.take(visitor.address, check) else _unauthorized()

    def _seconds_to_wait(self, limit: RateLimit | None) -> float:
        """
        Take a token of the one bucket for all; a new limit begins with a full one.
        """
        if limit != self._limit:
            self._limit = limit
            self._bucket = TokenBucket(limit) if limit else None
        return self._bucket.take(self._clock()) if self._bucket else 0.0


def _busy(status: HTTPStatus, text: str, seconds: float) -> Response:
    """
    Ask to come back later.
    """
    retry = ("Retry-After", str(math.ceil(seconds)))
    return Response(status, f"{text}\n".encode(), headers=(retry,))


def _unauthorized() -> Response:
    """
    Ask for a user and a password.
    """
    return Response(HTTPStatus.UNAUTHORIZED, b"unauthorized\n", headers=(_CHALLENGE,))
