"""
The HTTP server in this process, and clients of it that a library would not be.
"""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter
from running import DEADLINE_SECONDS

from exporter.config import Address
from exporter.places import DEFAULT_LIMITS, Limits
from exporter.web import WebServer
from exporter.websettings import Settings, WebSettings

LOCAL = Address("127.0.0.1", 0)
# What Prometheus 3 sends.
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
ENDPOINTS = ["/", "/metrics", "/-/healthy", "/-/ready"]


class Given(WebSettings):
    """
    Settings that a test gives, and may replace.
    """

    def __init__(self, settings: Settings) -> None:
        """
        Begin with these.
        """
        super().__init__(None)
        self.settings = settings

    def current(self) -> Settings:
        """
        Return them.
        """
        return self.settings


def ready() -> bool:
    """
    Say yes.
    """
    return True


def page(_language: str) -> bytes:
    """
    Be the page.
    """
    return b"<!DOCTYPE html>"


def new_registry() -> CollectorRegistry:
    """
    Make a registry with one counter.
    """
    registry = CollectorRegistry()
    counter = Counter("lines", "Lines.", ["outcome"], registry=registry)
    counter.labels("recognised").inc(3)
    return registry


def build(
    *addresses: Address,
    registry: CollectorRegistry | None = None,
    is_ready: Callable[[], bool] = ready,
    render: Callable[[str], bytes] = page,
    limits: Limits = DEFAULT_LIMITS,
    settings: WebSettings | None = None,
) -> WebServer:
    """
    Make a server that is not started.
    """
    return WebServer(
        addresses=addresses or [LOCAL],
        telemetry_path="/metrics",
        registry=registry or new_registry(),
        ready=is_ready,
        page=render,
        limits=limits,
        settings=settings,
    )


@contextmanager
def serving(
    *,
    registry: CollectorRegistry | None = None,
    is_ready: Callable[[], bool] = ready,
    render: Callable[[str], bytes] = page,
    limits: Limits = DEFAULT_LIMITS,
    settings: WebSettings | None = None,
) -> Iterator[WebServer]:
    """
    Run a server for as long as the block.
    """
    server = build(
        registry=registry, is_ready=is_ready, render=render, limits=limits, settings=settings
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came back.
    """

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def dial(server: WebServer, data: bytes = b"", tls: ssl.SSLContext | None = None) -> socket.socket:
    """
    Connect, and send some bytes.
    """
    (address,) = server.bound
    sock = socket.create_connection((address.host, address.port), timeout=DEADLINE_SECONDS)
    if tls:
        sock = tls.wrap_socket(sock, server_hostname=address.host)
    sock.sendall(data)
    return sock


def ask(  # noqa: PLR0913  all of it by name
    server: WebServer,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """
    Ask once, on a connection of its own.
    """
    return ask_on(dial(server, tls=tls), path, method=method, headers=headers, body=body)


def ask_on(
    sock: socket.socket,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Answer:
    """
    Ask once, on a connection that is closed afterwards.
    """
    with closing(http.client.HTTPConnection("127.0.0.1")) as connection:
        connection.sock = sock
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())


def read_answer(sock: socket.socket, request: bytes) -> bytes:
    """
    Ask on a connection that stays; nothing if the server hangs up instead.
    """
    try:
        sock.sendall(request)
        with closing(http.client.HTTPResponse(sock)) as response:
            response.begin()
            return b"%d %s" % (response.status, response.read())
    except (http.client.RemoteDisconnected, ConnectionError):
        return b""


def read_to_end(sock: socket.socket) -> bytes:
    """
    Read until the server hangs up, by whatever means.
    """
    read = bytearray()
    try:
        while data := sock.recv(1 << 16):
            read += data
    except (ConnectionResetError, ssl.SSLError):
        pass
    return bytes(read)


def headers_of(answer: Answer, names: Sequence[str]) -> list[str | None]:
    """
    Pick some headers.
    """
    return [answer.headers[name] for name in names]
