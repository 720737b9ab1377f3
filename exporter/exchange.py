"""
One client's connection and its requests, one after the other: each has its answer or is cut off.

It asks `guard` whether the client may and `answers` what to say, and decides neither.
It never accepts a connection, nor counts them, that is `web` and `places`.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Mapping
from http import HTTPStatus

from tornado.http1connection import HTTP1ServerConnection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from exporter.answers import Answers
from exporter.guard import Guard, Visitor
from exporter.places import Places
from exporter.site import Response
from exporter.websettings import Settings, WebSettings

# What stands before the path when a request was meant for a proxy, RFC 9112, 3.2.2.
_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)


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
        Answer, while others are listened to.
        """
        self._conversation.answering = asyncio.create_task(self._finish())

    async def _finish(self) -> None:
        """
        Answer, unless meanwhile the client leaves or the settings change.
        """
        conversation = self._conversation
        if not conversation.goes_on():
            return
        response = await self._refusal() or await self._answer()
        if conversation.goes_on():
            self._write(response)

    async def _refusal(self) -> Response | None:
        """
        Ask the guard, who may have to check a password first.
        """
        guard, settings = self._conversation.guard, self._conversation.settings
        visitor = self._conversation.visitor(self._headers.get("Authorization", ""))
        refusal = guard.refuse(settings, visitor)
        if refusal or guard.knows(settings, visitor):
            return refusal
        return await guard.verify(settings, visitor)

    async def _answer(self) -> Response:
        """
        Ask the site, unless HTTP itself forbids the request.
        """
        hosts = len(self._headers.get_list("Host"))
        if hosts > 1 or (hosts == 0 and self._request.version != "HTTP/1.0"):  # RFC 9112, 3.2
            return Response(HTTPStatus.BAD_REQUEST, b"not exactly one Host header\n")
        return await self._conversation.answers.ask(
            self._request.method, origin_form(self._request.path), self._headers
        )

    def _write(self, response: Response) -> None:
        """
        Write the answer; who does not read it in time is disconnected.
        """
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
        for name, value in self._conversation.settings.config.headers:
            headers[name] = value
        written = self._connection.write_headers(
            ResponseStartLine("HTTP/1.1", response.status, response.status.phrase),
            headers,
            None if self._request.method == "HEAD" else response.body,
        )
        self._connection.finish()
        if not written.done():
            self._conversation.writing(written)


class Conversation(HTTPServerConnectionDelegate):
    """
    One client's connection, from accept to close, under the settings it was made with.
    """

    def __init__(  # noqa: PLR0913  all of it by name
        self,
        *,
        connection: HTTP1ServerConnection,
        address: str,
        answers: Answers,
        guard: Guard,
        places: Places,
        web_settings: WebSettings,
        settings: Settings,
    ) -> None:
        self.answers = answers
        self.guard = guard
        self.settings = settings
        self.answering: asyncio.Task[None] | None = None
        self._connection = connection
        self._address = address
        self._places = places
        self._web_settings = web_settings

    def serve(self) -> None:
        """
        Read requests from now on; the first one's time includes the TLS handshake.
        """
        self._places.take(self)
        self._connection.start_serving(self)

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """
        Wait for the next request.
        """
        del server_conn
        return Exchange(self, request_conn)

    def visitor(self, authorization: str) -> Visitor:
        """
        Introduce the client to the guard.
        """
        return Visitor(self._address, self._certificate, authorization)

    def used(self) -> None:
        """
        Note that this client has sent a whole request header.
        """
        self._places.used(self)

    def goes_on(self) -> bool:
        """
        Tell whether the settings are still those that the connection was made under.

        If they are not it hangs up: else a client whose certificate is no longer accepted could
        stay for ever.  Where a connection that was used before ends so, clients try again on a new
        one: Prometheus loses no scrape by this.
        """
        if self._web_settings.current() is self.settings:
            return True
        self.hang_up()
        return False

    def writing(self, written: "asyncio.Future[None]") -> None:
        """
        Note that this client has not yet read its answer.
        """
        self._places.writing(self)
        written.add_done_callback(lambda _: self._places.done_writing(self))

    def hang_up(self) -> None:
        """
        Disconnect, whatever is not yet written.
        """
        self._connection.stream.close()

    async def close(self) -> None:
        """
        Disconnect, and wait until nothing is left of it.
        """
        await self._connection.close()

    def on_close(self, server_conn: object) -> None:
        """
        Give the place back, and the turn of a password that nobody waits for any more.
        """
        del server_conn
        if self.answering:
            self.answering.cancel()
        self._places.leave(self)

    def _certificate(self) -> Mapping[str, object] | None:
        """
        Ask what certificate the client has shown.
        """
        sock = self._connection.stream.socket
        return sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None


def origin_form(target: str) -> str:
    """
    Turn `http://host/path?query` into `/path?query`, RFC 9112, 3.2.2; leave the rest as it is.
    """
    origin = _ORIGIN.match(target)
    if origin is None:
        return target
    path = target[origin.end() :]
    return path if path.startswith("/") else f"/{path}"
