"""
The HTTP server, over real sockets on this machine.
"""

import errno
import gzip
import http.client
import io
import logging
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from running import DEADLINE_SECONDS, wait_until
from serving import (
    ENDPOINTS,
    LOCAL,
    ask,
    build,
    dial,
    new_registry,
    page,
    read_to_end,
    ready,
    serving,
)
from structlog.testing import capture_logs

from exporter.config import StartError
from exporter.places import DEFAULT_LIMITS
from exporter.site import Site
from exporter.web import WebServer

# More than the kernel takes off the server's hands for a client that does not read.
HUGE = b"x" * (32 << 20)


def huge(_language: str) -> bytes:
    """
    Be a page of that size.
    """
    return HUGE


@pytest.fixture
def server() -> Iterator[WebServer]:
    """
    A server as it is by default.
    """
    with serving() as running:
        yield running


@pytest.mark.parametrize("path", [*ENDPOINTS, "/metrics?name[]=nosuch", "/nosuch", "//", "*"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE", "get"])
def test_answer(method: str, path: str) -> None:
    """
    What the site answers is what arrives: status, type, headers and body.
    """
    registry = new_registry()
    site = Site(telemetry_path="/metrics", registry=registry, ready=ready, page=page)
    expected = site.answer(method, path, {})
    with serving(registry=registry) as server:
        answer = ask(server, path, method=method)

    assert expected.status == answer.status
    assert expected.content_type == answer.headers["Content-Type"]
    assert expected.headers == tuple((name, answer.headers[name]) for name, _ in expected.headers)
    assert expected.body == answer.body


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text", "text/plain;q=0.5"])
def test_request_headers(accept: str, server: WebServer) -> None:
    """
    The request's headers reach the site, whatever their case, and a compressed answer is whole.
    """
    plain = ask(server, "/metrics", headers={"ACCEPT": accept})
    small = ask(server, "/metrics", headers={"accept": accept, "aCCEPT-encoding": "gzip"})

    assert accept.startswith("app") is plain.headers["Content-Type"].startswith("application/open")
    assert plain.headers["Content-Type"] == small.headers["Content-Type"]
    assert None is plain.headers["Content-Encoding"]
    assert "gzip" == small.headers["Content-Encoding"]
    assert plain.body == gzip.decompress(small.body)
    assert str(len(small.body)) == small.headers["Content-Length"]


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(b"", 400), (b"Host: a\r\n", 200), (b"Host: a\r\nHost: a\r\n", 400)],
    ids=["none", "one", "two"],
)
def test_host(hosts: bytes, expected: int, server: WebServer) -> None:
    """
    A request of HTTP/1.1 has exactly one Host.
    """
    request = b"GET /-/healthy HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n"
    with closing(dial(server, request)) as sock:
        answer = read_to_end(sock)

    assert answer.startswith(b"HTTP/1.1 %d " % expected)
    assert (400 == expected) is answer.endswith(b"\r\n\r\nnot exactly one Host header\n")


@pytest.mark.parametrize("path", ENDPOINTS)
def test_headers(path: str, server: WebServer) -> None:
    """
    Every answer is dated, never cached, never guessed at, and does not name the server.
    """
    headers = ask(server, path).headers

    assert "nosniff" == headers["X-Content-Type-Options"]
    assert "no-store" == headers["Cache-Control"]
    assert None is headers["Server"]
    assert headers["Date"].endswith(" GMT")


@pytest.mark.parametrize("path", [*ENDPOINTS, "/nosuch"])
def test_head(path: str, server: WebServer) -> None:
    """
    HEAD is GET without the body, lengths included, and the connection goes on in step.
    """
    (address,) = server.bound
    connection = http.client.HTTPConnection(address.host, address.port, timeout=DEADLINE_SECONDS)
    with closing(connection):
        connection.request("HEAD", path)
        head = connection.getresponse()
        assert b"" == head.read()
        connection.request("GET", path)
        whole = connection.getresponse()
        body = whole.read()

    assert whole.status == head.status
    assert whole.headers.keys() == head.headers.keys()
    assert str(len(body)) == head.headers["Content-Length"]


def test_body_ignored(server: WebServer) -> None:
    """
    A small body of a GET is read and ignored.
    """
    assert 200 == ask(server, "/metrics", body=b"x" * 1024).status


def test_large_body(server: WebServer) -> None:
    """
    A larger body is refused before it is read.
    """
    request = b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n"
    with closing(dial(server, request)) as sock:
        assert read_to_end(sock).startswith(b"HTTP/1.1 400 ")


def test_pipeline(server: WebServer) -> None:
    """
    Requests sent at once are answered in order, and HTTP/1.0 needs no Host.
    """
    requests = (
        b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n"
        b"GET /nosuch HTTP/1.0\r\n\r\n"
    )
    with closing(dial(server, requests)) as sock:
        answers = read_to_end(sock)

    assert 3 == answers.count(b"HTTP/1.1 ")
    assert answers.index(b"healthy\n") < answers.index(b"ready\n") < answers.index(b"not found\n")


def test_fault() -> None:
    """
    A fault of the site is a 500, and the server goes on.
    """

    def fail(_language: str) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    with serving(render=fail) as server, capture_logs():
        assert 500 == ask(server, "/").status
        assert 200 == ask(server, "/metrics").status


MALFORMED = [
    b"\r\n\r\n\r\n\r\n",
    b"garbage\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET / HTTP/2.0\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\x00: b\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
    b"\x00" * 20_000,
]


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: repr(data[:60]))
def test_malformed(data: bytes, server: WebServer, caplog: pytest.LogCaptureFixture) -> None:
    """
    A malformed or overlong request is refused or cut off, without a warning in the log.
    """
    caplog.set_level(logging.WARNING)
    with closing(dial(server, data)) as sock:
        sock.shutdown(socket.SHUT_WR)
        answer = read_to_end(sock)

    assert {b"", b"HTTP/1.1 400 Bad Request"} >= {answer.split(b"\r\n")[0]}
    assert [] == caplog.records
    assert 200 == ask(server, "/metrics").status


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"GET ", b"GET / HTTP/1.1\r\nHost: a\r\n", b"GET /metrics?"]),
    st.sampled_from([b"", b"\r\n\r\n", b" HTTP/1.1\r\nHost: a\r\n\r\n"]),
)
def test_any_bytes(data: bytes, before: bytes, after: bytes) -> None:
    """
    Whatever is sent, nothing is logged as a fault and the next scrape goes well.
    """
    faults = io.StringIO()
    handler = logging.StreamHandler(faults)
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        with serving() as server, closing(dial(server, before + data + after)) as sock:
            sock.shutdown(socket.SHUT_WR)
            read_to_end(sock)
            assert 200 == ask(server, "/metrics").status
    finally:
        logging.getLogger().removeHandler(handler)

    assert "" == faults.getvalue()


def test_idle_and_slow_clients(server: WebServer) -> None:
    """
    A scrape is quick while a hundred clients say nothing and another hundred say it slowly.
    """
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(closing(dial(server)))
            stack.enter_context(closing(dial(server, b"GET /metrics HTTP/1.1\r\nHost: a\r\nX-")))
        start = time.monotonic()
        answer = ask(server, "/metrics")
        seconds = time.monotonic() - start

    assert 200 == answer.status
    assert 1.0 > seconds


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost:",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
    ids=["nothing", "half a header", "half a body", "a request and no more"],
)
def test_idle_limit(data: bytes) -> None:
    """
    Who does not go on is disconnected.
    """
    limits = replace(DEFAULT_LIMITS, idle_seconds=0.05)
    with serving(limits=limits) as server, closing(dial(server, data)) as sock:
        read_to_end(sock)
        wait_until(lambda: server.connections == 0)


def test_unread_answer() -> None:
    """
    Who does not read the answer in time is disconnected, and the rest of it forgotten.
    """
    limits = replace(DEFAULT_LIMITS, write_seconds=0.05)
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        serving(limits=limits, render=huge) as server,
        closing(dial(server, request)) as sock,
    ):
        assert b"H" == sock.recv(1)
        wait_until(lambda: server.connections == 0)
        assert len(HUGE) > len(read_to_end(sock))


def test_slow_reader_in_time() -> None:
    """
    A large answer is whole for who reads it, and its clock is stopped with it.
    """
    with serving(render=huge) as server:
        answer = ask(server, "/")

        assert HUGE == answer.body


def test_slow_reader_leaves() -> None:
    """
    A client that hangs up in the middle of its answer is forgotten at once.
    """
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    limits = replace(DEFAULT_LIMITS, unread_responses=1)
    with serving(limits=limits, render=huge) as server, capture_logs() as lines:
        for _ in range(2):
            with closing(dial(server, request)) as sock:
                assert b"H" == sock.recv(1)
            wait_until(lambda: server.connections == 0)

    assert [] == lines


def test_too_many_slow_readers() -> None:
    """
    With too many answers unread the slowest reader goes, not the newest.
    """
    limits = replace(DEFAULT_LIMITS, unread_responses=1)
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with (
        serving(limits=limits, render=huge) as server,
        capture_logs() as lines,
        closing(dial(server, request)) as slow,
    ):
        assert b"H" == slow.recv(1)
        with closing(dial(server, request)) as quick:
            whole = read_to_end(quick)
        part = read_to_end(slow)

    assert len(HUGE) < len(whole)
    assert len(HUGE) > len(part)
    assert ["too many slow readers, closing the slowest"] == [line["event"] for line in lines]


def test_too_many_connections() -> None:
    """
    With too many connections the one silent for longest goes, not the newest nor a busy one.
    """
    request = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        serving(limits=replace(DEFAULT_LIMITS, connections=2)) as server,
        capture_logs() as lines,
        closing(dial(server, request)) as busy,
        closing(http.client.HTTPResponse(busy)) as first,
    ):
        first.begin()
        first.read()
        with closing(dial(server)) as silent:
            wait_until(lambda: server.connections == 2)
            busy.sendall(request)
            with closing(http.client.HTTPResponse(busy)) as second:
                second.begin()
                second.read()
            newest = ask(server, "/-/healthy")
            assert b"" == read_to_end(silent)
        busy.sendall(request)
        with closing(http.client.HTTPResponse(busy)) as third:
            third.begin()

    assert [200, 200, 200, 200] == [first.status, second.status, newest.status, third.status]
    assert ["too many connections, closing the oldest"] == [line["event"] for line in lines]


def test_flood_of_connections() -> None:
    """
    However many connect, no more than the limit stay, and a scrape gets through.
    """
    with (
        serving(limits=replace(DEFAULT_LIMITS, connections=5)) as server,
        capture_logs(),
        ExitStack() as stack,
    ):
        for _ in range(100):
            stack.enter_context(closing(dial(server)))
        assert 200 == ask(server, "/metrics").status
        assert 5 >= server.connections


def test_few_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where few files may be open, connections take no more than half of them.
    """
    monkeypatch.setattr(resource, "getrlimit", lambda _: (8, 1024))
    with serving() as server, capture_logs(), ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(closing(dial(server)))
        assert 200 == ask(server, "/metrics").status
        assert 4 >= server.connections


def test_unlimited_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where any number of files may be open, the limit is the usual one.
    """
    infinity = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (infinity, infinity))
    with serving() as server:
        assert 200 == ask(server, "/metrics").status


def test_several_addresses() -> None:
    """
    Every address given is served, and the server tells where.
    """
    server = build(LOCAL, LOCAL)
    server.start()
    try:
        ports = {address.port for address in server.bound}
        for port in ports:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                connection.request("GET", "/-/healthy")
                assert HTTPStatus.OK == connection.getresponse().status
    finally:
        server.stop()

    assert 2 == len(ports)


def test_port_in_use(server: WebServer) -> None:
    """
    A server that cannot have its address starts no thread, and can be stopped.
    """
    before = threading.active_count()
    (taken,) = server.bound
    second = build(taken)
    with pytest.raises(StartError, match=f"cannot listen on {taken}: address already in use"):
        second.start()

    assert () == second.bound
    assert before == threading.active_count()
    second.stop()


def test_stop() -> None:
    """
    Stopping disconnects everyone quickly, frees the port and ends the thread; twice is once.
    """
    before = threading.active_count()
    with serving(render=huge) as server, ExitStack() as stack:
        idle = [stack.enter_context(closing(dial(server))) for _ in range(50)]
        reader = stack.enter_context(closing(dial(server, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")))
        assert b"H" == reader.recv(1)
        start = time.monotonic()
        server.stop()
        seconds = time.monotonic() - start
        server.stop()

        assert 1.0 > seconds
        assert before == threading.active_count()
        assert {b""} == {read_to_end(sock) for sock in idle}
    again = build(*server.bound)
    again.start()
    again.stop()


def test_stop_without_start() -> None:
    """
    A server that was never started can be stopped.
    """
    build(LOCAL).stop()
