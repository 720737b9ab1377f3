"""
The HTTP server: connections in, the site's answers out, on Tornado in a thread of its own.

A client can cost no more than `Limits` says, whatever it sends, or however slowly it reads.
It never decides what an answer says, that is `site`, nor how to get an address, that is `listen`.
"""

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from http import HTTPStatus

import structlog
from prometheus_client import CollectorRegistry
from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)
from tornado.iostream import IOStream
from tornado.tcpserver import TCPServer

from exporter.config import Address
from exporter.listen import bind, bound_address
from exporter.site import Response, Site

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

STOP_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What the clients may cost, all of them together and each of them.
    """

    connections: int = 512
    idle_seconds: float = 10.0  # also for the whole of a request's header, and of its body
    header_bytes: int = 16 * 1024
    body_bytes: int = 1024
    read_buffer_bytes: int = 64 * 1024
    # node_exporter serves 40 scrapes at a time, --web.max-requests.
    unread_responses: int = 40
    write_seconds: float = 30.0


DEFAULT_LIMITS = Limits()


class Exchange(HTTPMessageDelegate):
    """
    One request and its answer; a request's body is read, within the limits, and ignored.
    """

    def __init__(self, conversation: "Conversation", connection: HTTPConnection) -> None:
        self._conversation = conversation
        self._connection = connection
        self._request = RequestStartLine("", "", "")
        self._headers = HTTPHeaders()

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """
        Keep the request.
        """
        self._request = RequestStartLine(*start_line)
        self._headers = headers
        self._conversation.used()

    def finish(self) -> None:
        """
        Write the answer; who does not read it in time is disconnected.
        """
        response = self._answer()
        headers = HTTPHeaders(
            {
                "Date": format_timestamp(time.time()),
                "Content-Type": response.content_type,
                "Content-Length": str(len(response.body)),
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            }
        )
        for name, value in response.headers:
            headers.add(name, value)
        written = self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", response.status, response.status.phrase),
            headers,
            None if self._request.method == "HEAD" else response.body,
        )
        self._connection.finish()
        if not written.done():
            self._conversation.writing(written)

    def _answer(self) -> Response:
        """
        Ask the site, unless HTTP itself forbids the request.
        """
        hosts = len(self._headers.get_list("Host"))
        if hosts > 1 or (hosts == 0 and self._request.version != "HTTP/1.0"):  # RFC 9112, 3.2
            return Response(HTTPStatus.BAD_REQUEST, b"not exactly one Host header\n")
        return self._conversation.site.answer(
            self._request.method, self._request.path, self._headers
        )


class Conversation(HTTPServerConnectionDelegate):
    """
    One client's connection, from accept to close, with any number of exchanges one after the other.
    """

    def __init__(self, listener: "Listener", stream: IOStream) -> None:
        self.site = listener.site
        self._listener = listener
        self._stream = stream

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """
        Wait for the next request.
        """
        del server_conn
        return Exchange(self, request_conn)

    def used(self) -> None:
        """
        Note that this client has sent a whole request header.
        """
        self._listener.used(self)

    def writing(self, written: "asyncio.Future[None]") -> None:
        """
        Note that this client has not yet read its answer.
        """
        self._listener.writing(self)
        written.add_done_callback(lambda _: self._listener.done_writing(self))

    def hang_up(self) -> None:
        """
        Disconnect, whatever is not yet written.
        """
        self._stream.close()

    def on_close(self, server_conn: object) -> None:
        """
        Leave the listener's books.
        """
        del server_conn
        self._listener.closed(self)


class Listener(TCPServer):
    """
    All connections of all addresses, kept within the limits.

    Who is over a limit is never the newcomer but who has been silent or slow for longest: an honest
    scrape takes milliseconds, so it gets through even while others hold every place.
    """

    def __init__(self, site: Site, limits: Limits) -> None:
        super().__init__(max_buffer_size=limits.read_buffer_bytes)
        self.site = site
        self._limits = limits
        self._parameters = HTTP1ConnectionParameters(
            header_timeout=limits.idle_seconds,
            body_timeout=limits.idle_seconds,
            max_header_size=limits.header_bytes,
            max_body_size=limits.body_bytes,
        )
        # Both in the order in which they would have to go.
        self._connections: dict[Conversation, HTTP1ServerConnection] = {}
        self._writing: dict[Conversation, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """
        Count the open connections.
        """
        return len(self._connections)

    def handle_stream(self, stream: IOStream, address: tuple[object, ...]) -> None:
        """
        Take a new connection, in place of the one silent for longest if there are too many.
        """
        del address
        if len(self._connections) >= self._limits.connections:
            log.warning("too many connections, closing the oldest", limit=len(self._connections))
            oldest = next(iter(self._connections))
            del self._connections[oldest]
            oldest.hang_up()
        conversation = Conversation(self, stream)
        connection = HTTP1ServerConnection(stream, self._parameters)
        self._connections[conversation] = connection
        connection.start_serving(conversation)

    def used(self, conversation: Conversation) -> None:
        """
        Put a connection at the end of those that may have to go.
        """
        connection = self._connections.pop(conversation, None)
        if connection is not None:
            self._connections[conversation] = connection

    def writing(self, conversation: Conversation) -> None:
        """
        Give a client its time to read; whole answers wait in memory, so only some may.
        """
        if len(self._writing) >= self._limits.unread_responses:
            log.warning("too many slow readers, closing the slowest", limit=len(self._writing))
            slowest = next(iter(self._writing))
            self.done_writing(slowest)
            slowest.hang_up()
        self._writing[conversation] = asyncio.get_running_loop().call_later(
            self._limits.write_seconds, conversation.hang_up
        )

    def done_writing(self, conversation: Conversation) -> None:
        """
        Stop the clock of `writing`.
        """
        timer = self._writing.pop(conversation, None)
        if timer is not None:
            timer.cancel()

    def closed(self, conversation: Conversation) -> None:
        """
        Forget a connection.
        """
        self.done_writing(conversation)
        self._connections.pop(conversation, None)

    async def close(self) -> None:
        """
        Stop listening and disconnect everyone.
        """
        self.stop()
        for connection in list(self._connections.values()):
            await connection.close()


class WebServer:
    """
    The HTTP server as the daemon sees it: start it, ask where it listens, stop it.
    """

    def __init__(  # noqa: PLR0913  all of it by name, and wired in one place
        self,
        *,
        addresses: Sequence[Address],
        telemetry_path: str,
        registry: CollectorRegistry,
        ready: Callable[[], bool],
        page: Callable[[], bytes],
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.bound: tuple[Address, ...] = ()
        self._addresses = tuple(addresses)
        self._site = Site(telemetry_path=telemetry_path, registry=registry, ready=ready, page=page)
        self._listener = Listener(self._site, _within_files(limits))
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    @property
    def connections(self) -> int:
        """
        How many clients are connected now.
        """
        return len(self._listener)

    def start(self) -> None:
        """
        Bind every address, then serve in a thread; StartError if one cannot be had.
        """
        sockets = bind(self._addresses)
        self.bound = tuple(bound_address(sock) for sock in sockets)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(self._loop, sockets), name="web", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """
        Close everything and wait for the thread; a second time does nothing.
        """
        if self._thread is None or self._loop is None:
            return
        with suppress(RuntimeError):  # the loop is closed already
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(2 * STOP_SECONDS)
        self._thread = None

    def _run(self, loop: asyncio.AbstractEventLoop, sockets: Sequence[socket.socket]) -> None:
        """
        Be the thread.
        """
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve(sockets))

    async def _serve(self, sockets: Sequence[socket.socket]) -> None:
        """
        Serve until told to stop.
        """
        self._listener.add_sockets(sockets)
        await self._stopping.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._listener.close()


def _within_files(limits: Limits) -> Limits:
    """
    Leave half of the files the process may open to the rest of it.

    With none left accept fails for as long as a client waits, which is a loop at full speed.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits
    return replace(limits, connections=min(limits.connections, files // 2))
