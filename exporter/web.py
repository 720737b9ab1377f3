"""
The HTTP server: addresses in, conversations with clients out, on Tornado in a thread of its own.

A client can cost no more than `Limits` says, whatever it sends, or however slowly it reads.
It never decides what an answer says, that is `site`, nor how to get an address, that is `listen`.
"""

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from tornado.http1connection import HTTP1ConnectionParameters, HTTP1ServerConnection
from tornado.iostream import IOStream, SSLIOStream
from tornado.netutil import add_accept_handler

from exporter.answers import Answers
from exporter.config import Address
from exporter.exchange import Conversation
from exporter.guard import Guard
from exporter.listen import bind, bound_address, describe
from exporter.places import DEFAULT_LIMITS, Limits, Places, within_files
from exporter.site import Site
from exporter.websettings import WebSettings

STOP_SECONDS = 0.5
HASH_SECONDS = 0.5
"""How long a stop waits for a password that is being checked."""

_NO_TLS = b"""\
HTTP/1.0 400 Bad Request\r
Content-Type: text/plain; charset=utf-8\r
\r
Client sent an HTTP request to an HTTPS server.
"""

_Fault: TypeAlias = (
    bool
    | BaseException
    | tuple[type[BaseException] | None, BaseException | None, TracebackType | None]
    | None
)


class TlsStream(SSLIOStream):
    """
    A TLS connection that tells who forgot the s of https so, as Go does.
    """

    def close(self, exc_info: _Fault = False) -> None:  # noqa: FBT002  Tornado's signature
        """
        Close, with a word in plain HTTP if that is what came instead of a handshake.
        """
        if isinstance(exc_info, ssl.SSLError) and exc_info.reason == "HTTP_REQUEST":
            with suppress(OSError):
                # What is left unread would make the kernel throw the answer away.
                os.read(self.socket.fileno(), DEFAULT_LIMITS.header_bytes)
                os.write(self.socket.fileno(), _NO_TLS)
        super().close(exc_info)


class Listener:
    """
    Accepts on all addresses, each connection under the settings of that moment.
    """

    def __init__(self, site: Site, limits: Limits, web_settings: WebSettings) -> None:
        self.guard = Guard()
        self.places = Places(limits)
        self._answers = Answers(site)
        self._limits = limits
        self._parameters = HTTP1ConnectionParameters(
            header_timeout=limits.idle_seconds,
            body_timeout=limits.idle_seconds,
            max_header_size=limits.header_bytes,
            max_body_size=limits.body_bytes,
        )
        self._web_settings = web_settings
        self._sockets: list[tuple[socket.socket, Callable[[], None]]] = []

    def listen(self, sockets: Sequence[socket.socket]) -> None:
        """
        Accept from now on.
        """
        self._sockets += [(sock, add_accept_handler(sock, self._accept)) for sock in sockets]

    async def close(self) -> None:
        """
        Stop listening and disconnect everyone.
        """
        for sock, remove_handler in self._sockets:
            remove_handler()
            sock.close()
        await self.places.close()

    def _accept(self, sock: socket.socket, address: tuple[object, ...]) -> None:
        """
        Begin a conversation.
        """
        settings = self._web_settings.current()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.write_buffer_bytes)
        stream = self._open(sock, settings.context)
        if stream:
            Conversation(
                connection=HTTP1ServerConnection(stream, self._parameters),
                address=str(address[0]) if address else "a local socket",
                answers=self._answers,
                guard=self.guard,
                places=self.places,
                web_settings=self._web_settings,
                settings=settings,
            ).serve()

    def _open(self, sock: socket.socket, context: ssl.SSLContext | None) -> IOStream | None:
        """
        Make a stream of a socket; None if the client has gone already.
        """
        if context is None:
            return IOStream(sock, max_buffer_size=self._limits.read_buffer_bytes)
        try:
            tls = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:
            sock.close()
            return None
        return TlsStream(tls, max_buffer_size=self._limits.read_buffer_bytes)


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
        page: Callable[[str], bytes],
        limits: Limits = DEFAULT_LIMITS,
        settings: WebSettings | None = None,
    ) -> None:
        self.bound: tuple[Address, ...] = ()
        self.listening: tuple[str, ...] = ()
        """Where clients find it, as people read it."""
        self._addresses = tuple(addresses)
        site = Site(telemetry_path=telemetry_path, registry=registry, ready=ready, page=page)
        self._listener = Listener(site, within_files(limits), settings or WebSettings(None))
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    @property
    def connections(self) -> int:
        """
        How many clients are connected now.
        """
        return len(self._listener.places)

    def start(self, inherited: Sequence[socket.socket] = ()) -> None:
        """
        Bind every address, or take sockets that listen already, and serve in a thread.

        StartError if an address cannot be had.
        """
        sockets = inherited or bind(self._addresses)
        self.bound = tuple(bound_address(sock) for sock in sockets if sock.family != socket.AF_UNIX)
        self.listening = tuple(map(describe, sockets))
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
        self._thread.join(2 * STOP_SECONDS + HASH_SECONDS)
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
        self._listener.listen(sockets)
        await self._stopping.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._listener.close()
        self._listener.guard.turns.join(HASH_SECONDS)
