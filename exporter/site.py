"""
The endpoints, metrics, landing page, health and readiness: a request in, a Response out.

A request changes nothing and writes nothing to the log, faults of the exporter aside.
It never touches a socket, the tally or the inputs: it is given a registry and two questions to ask.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter.exposition import write_exposition
from exporter.negotiate import LANGUAGES, accepts_gzip, choose_accept, choose_language
from exporter.style import page_policy

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

# Level 1 takes a third of the time of level 6 here, for a tenth more bytes.
GZIP_LEVEL = 1

_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Response:
    """
    One whole answer.
    """

    status: HTTPStatus
    body: bytes
    content_type: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()


class Site:
    """
    The endpoints: a request in, a Response out.
    """

    def __init__(
        self,
        *,
        telemetry_path: str,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        page: Callable[[str], bytes],
    ) -> None:
        self._registry = registry
        self._ready = ready
        self._page = page
        self._endpoints = {
            "/": self._landing,
            "/-/healthy": self._healthy,
            "/-/ready": self._readiness,
            telemetry_path: self._telemetry,
        }

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> Response:
        """
        Answer any request; a fault of the exporter is a 500 and a line in the log.
        """
        path, _, query = target.partition("?")
        endpoint = self._endpoints.get(path)
        if endpoint is None:
            return Response(HTTPStatus.NOT_FOUND, b"not found\n")
        if method not in {"GET", "HEAD"}:
            allow = (("Allow", "GET, HEAD"),)
            return Response(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET and HEAD\n", headers=allow)
        try:
            return endpoint(query, headers)
        except Exception as error:
            # Whatever a collector raises, the next scrape may go well.
            log.exception("cannot answer a request", path=path, error=type(error).__name__)
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR, b"error, see the exporter's log\n")

    def _landing(self, query: str, headers: Mapping[str, str]) -> Response:
        """
        Show the page for people, in the language of `?lang=` or the one that the client wants.
        """
        language = parse_qs(query).get("lang", [""])[0]
        if language not in LANGUAGES:
            language = choose_language(headers.get("Accept-Language", ""))
        answered = (
            ("Content-Security-Policy", page_policy()),
            ("Content-Language", language),
            ("Vary", "Accept-Language"),
            ("Referrer-Policy", "no-referrer"),
        )
        return Response(HTTPStatus.OK, self._page(language), "text/html; charset=utf-8", answered)

    def _healthy(self, _query: str, _headers: Mapping[str, str]) -> Response:
        """
        Say that the process runs.
        """
        return Response(HTTPStatus.OK, b"healthy\n")

    def _readiness(self, _query: str, _headers: Mapping[str, str]) -> Response:
        """
        Say whether the backlog has been read.
        """
        if self._ready():
            return Response(HTTPStatus.OK, b"ready\n")
        return Response(HTTPStatus.SERVICE_UNAVAILABLE, b"not ready: reading the backlog\n")

    def _telemetry(self, query: str, headers: Mapping[str, str]) -> Response:
        """
        Render the metrics; only some if `?name[]=` asks so, as with prometheus_client's own server.

        Before the backlog is read a restored counter would be seen going backwards: 503.
        """
        readiness = self._readiness(query, headers)
        if readiness.status is not HTTPStatus.OK:
            return readiness
        encode, content_type = choose_encoder(choose_accept(headers.get("Accept", "")))
        names = parse_qs(query).get("name[]")
        registry = self._registry.restricted_registry(names) if names else self._registry
        body = write_exposition(registry, encode, content_type)
        vary = ("Vary", "Accept, Accept-Encoding")
        if not accepts_gzip(headers.get("Accept-Encoding", "")):
            return Response(HTTPStatus.OK, body, content_type, (vary,))
        body = gzip.compress(body, GZIP_LEVEL, mtime=0)
        return Response(HTTPStatus.OK, body, content_type, (vary, ("Content-Encoding", "gzip")))
