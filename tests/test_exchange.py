"""
What a client may ask and how it is answered, over real sockets, under settings that a test gives.
"""

import base64
import http.client
import logging
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import bcrypt
import pytest
from certificates import client_context, write_certificates
from running import DEADLINE_SECONDS, wait_until
from serving import (
    ENDPOINTS,
    Given,
    ask,
    ask_on,
    dial,
    new_registry,
    read_answer,
    read_to_end,
    serving,
)
from structlog.testing import capture_logs

from exporter.exchange import Conversation, origin_form
from exporter.guard import TURNS_OF_ONE, Visitor
from exporter.webconfig import Pem, RateLimit, Tls, WebConfig
from exporter.websettings import Settings

USERS = {"a": bcrypt.hashpw(b"right", bcrypt.gensalt(4))}
WITH_USERS = Settings(WebConfig(users=USERS))
REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def basic(password: str) -> dict[str, str]:
    """
    Make the header of the one user.
    """
    return {"Authorization": "Basic " + base64.b64encode(f"a:{password}".encode()).decode()}


def request_with(password: str) -> bytes:
    """
    Make a whole request of the one user.
    """
    return REQUEST[:-2] + b"Authorization: %s\r\n\r\n" % basic(password)["Authorization"].encode()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory of certificates.
    """
    directory = tmp_path_factory.mktemp("certificates")
    write_certificates(directory)
    return directory


def server_context(directory: Path) -> ssl.SSLContext:
    """
    Make the context of a server that looks at a client's certificate if there is one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    context.load_verify_locations(directory / "ca.pem")
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class StuckBcrypt:
    """
    A bcrypt that finds everything right, when it is told to.
    """

    def __init__(self) -> None:
        """
        Wait to be called.
        """
        self.begun = threading.Event()
        self.end = threading.Event()
        self.calls = 0

    def __call__(self, _password: bytes, _hashed: bytes) -> bool:
        """
        Begin, and do not end yet.
        """
        self.calls += 1
        self.begun.set()
        self.end.wait(DEADLINE_SECONDS)
        return True


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckBcrypt]:
    """
    Such a bcrypt, for all.
    """
    bcrypt_stuck = StuckBcrypt()
    monkeypatch.setattr(bcrypt, "checkpw", bcrypt_stuck)
    yield bcrypt_stuck
    bcrypt_stuck.end.set()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/metrics", "/metrics"),
        ("/metrics?a=http://b/c", "/metrics?a=http://b/c"),
        ("http://a/metrics", "/metrics"),
        ("HTTPS://a.example:443/metrics?b=c/d", "/metrics?b=c/d"),
        ("http://[::1]:80/", "/"),
        ("http://a", "/"),
        ("http://a?b", "/?b"),
        ("http:///metrics", "/metrics"),
        ("http://", "/"),
        ("//a/metrics", "//a/metrics"),
        ("http:/metrics", "http:/metrics"),
        ("ftp://a/metrics", "ftp://a/metrics"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_origin_form(target: str, expected: str) -> None:
    """
    The absolute form means what its path means, and nothing else is touched.
    """
    assert expected == origin_form(target)


@pytest.mark.parametrize(
    ("target", "expected"),
    [("http://a/-/healthy", 200), ("http://b.example/nosuch", 404), ("ftp://a/-/healthy", 404)],
)
def test_absolute_form(target: str, expected: int) -> None:
    """
    A request for a proxy is answered as the same one for a server.
    """
    with serving() as server:
        assert expected == ask(server, target).status


@pytest.mark.parametrize("path", [*ENDPOINTS, "/nosuch", "http://a/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_password(path: str, method: str) -> None:
    """
    With users nothing is told to anybody else, and everything to them, the second time too.
    """
    registry = new_registry()
    with serving(settings=Given(WITH_USERS), registry=registry) as server:
        nobody = [
            ask(server, path, method=method, headers=headers) for headers in ({}, basic("wrong"))
        ]
        user = [ask(server, path, method=method, headers=basic("right")) for _ in range(2)]
        again = ask(server, path, method=method, headers=basic("wrong"))
    with serving(registry=registry) as server:
        expected = ask(server, path, method=method)

    assert [401] * 3 == [answer.status for answer in (*nobody, again)]
    assert all(answer.headers["WWW-Authenticate"].startswith("Basic ") for answer in nobody)
    assert [expected.status] * 2 == [answer.status for answer in user]
    assert [expected.body] * 2 == [answer.body for answer in user]


def test_passwords_in_a_row() -> None:
    """
    Requests sent at once are answered in order, each for itself, whatever each has to wait for.
    """
    passwords = ["wrong", "right", "wrong"]
    with (
        serving(settings=Given(WITH_USERS)) as server,
        closing(dial(server, b"".join(map(request_with, passwords)) + LAST)) as sock,
    ):
        answers = read_to_end(sock)

    assert [b"401", b"200", b"401", b"401"] == re.findall(rb"HTTP/1.1 (\d+)", answers)


def test_one_check_at_a_time(stuck: StuckBcrypt) -> None:
    """
    While a password is checked everybody else is answered, also who may not come in.
    """
    settings = Given(WITH_USERS)
    with (
        serving(settings=settings) as server,
        closing(dial(server, request_with("slow"))) as slow,
    ):
        assert stuck.begun.wait(DEADLINE_SECONDS)
        assert 401 == ask(server, "/metrics").status
        stuck.end.set()
        with closing(http.client.HTTPResponse(slow)) as response:
            response.begin()

            assert 200 == response.status
            assert b"healthy\n" == response.read()


def test_leaving_while_waiting(stuck: StuckBcrypt) -> None:
    """
    Who hangs up before the password is checked frees the place.
    """
    with serving(settings=Given(WITH_USERS)) as server:
        socks = [dial(server, request_with(f"{number}")) for number in range(TURNS_OF_ONE)]
        wait_until(lambda: server.connections == TURNS_OF_ONE)
        assert stuck.begun.wait(DEADLINE_SECONDS)
        wait_until(lambda: ask(server, "/", headers=basic("more")).status == 429)
        for sock in socks:
            sock.close()
        wait_until(lambda: server.connections == 0)
        stuck.end.set()

        assert 200 == ask(server, "/", headers=basic("last")).status

    assert 2 == stuck.calls


def test_disconnected_while_answering(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Who loses the place before the answer is ready gets none, and nothing is said of it.
    """
    introduce = Conversation.visitor

    def lose_place(conversation: Conversation, authorization: str) -> Visitor:
        if authorization:
            return introduce(conversation, authorization)
        conversation.hang_up()
        return introduce(conversation, authorization)

    monkeypatch.setattr(Conversation, "visitor", lose_place)
    with (
        serving(settings=Given(WITH_USERS)) as server,
        closing(dial(server, REQUEST)) as sock,
    ):
        assert b"" == read_to_end(sock)
        assert 200 == ask(server, "/-/healthy", headers=basic("right")).status

    assert not caplog.records


def test_stop_while_checking(stuck: StuckBcrypt) -> None:
    """
    A stop waits a second for a password that is being checked, and no longer.
    """
    with (
        serving(settings=Given(WITH_USERS)) as server,
        closing(dial(server, request_with("slow"))) as sock,
    ):
        assert stuck.begun.wait(DEADLINE_SECONDS)
        server.stop()

        assert b"" == read_to_end(sock)
        assert "web" not in [thread.name for thread in threading.enumerate()]


CHANGED = [
    Settings(WebConfig()),
    Settings(WebConfig(users={"a": bcrypt.hashpw(b"new", bcrypt.gensalt(4))})),
    Settings(WITH_USERS.config, problem="bad"),
]


@pytest.mark.parametrize("changed", CHANGED, ids=["opened", "new password", "bad"])
def test_changed_settings(changed: Settings) -> None:
    """
    A connection made under other settings is closed at its next request, and a new one is served.
    """
    expected = {"": 200, "new": 200, "bad": 500}
    settings = Given(WITH_USERS)
    with (
        serving(settings=settings) as server,
        closing(dial(server)) as before,
    ):
        assert b"200 healthy\n" == read_answer(before, request_with("right"))
        assert b"200 healthy\n" == read_answer(before, request_with("right"))
        settings.settings = changed
        assert b"" == read_answer(before, request_with("right"))
        password = "new" if changed.config.users and not changed.problem else changed.problem

        assert expected[password] == ask(server, "/", headers=basic(password)).status


def test_changed_while_checking(stuck: StuckBcrypt) -> None:
    """
    A password that was right by the settings of before does not let in any more.
    """
    settings = Given(WITH_USERS)
    with (
        serving(settings=settings) as server,
        closing(dial(server, request_with("old"))) as sock,
    ):
        assert stuck.begun.wait(DEADLINE_SECONDS)
        settings.settings = CHANGED[1]
        stuck.end.set()

        assert b"" == read_to_end(sock)


HEADERS = (("X-Frame-Options", "DENY"), ("x-content-type-options", "changed"))


@pytest.mark.parametrize(
    ("settings", "path", "expected"),
    [
        (Settings(WebConfig(headers=HEADERS)), "/", 200),
        (Settings(WebConfig(headers=HEADERS)), "/nosuch", 404),
        (Settings(WebConfig(headers=HEADERS, users=USERS)), "/", 401),
        (Settings(WebConfig(headers=HEADERS, rate_limit=RateLimit(60.0, 0))), "/", 429),
        (Settings(WebConfig(headers=HEADERS), problem="bad"), "/", 500),
    ],
)
def test_headers(settings: Settings, path: str, expected: int) -> None:
    """
    Headers of the configuration are on every answer, in place of the exporter's own.
    """
    with serving(settings=Given(settings)) as server:
        answer = ask(server, path)

    assert expected == answer.status
    assert "DENY" == answer.headers["X-Frame-Options"]
    assert ["changed"] == answer.headers.get_all("X-Content-Type-Options")


def test_rate_limit() -> None:
    """
    Who asks too often is told when to come back.
    """
    settings = Settings(WebConfig(rate_limit=RateLimit(60.0, 2)))
    with serving(settings=Given(settings)) as server:
        answers = [ask(server, "/-/healthy") for _ in range(3)]

    assert [200, 200, 429] == [answer.status for answer in answers]
    assert "60" == answers[2].headers["Retry-After"]


def test_tls(directory: Path) -> None:
    """
    With a certificate the same is served over TLS.
    """
    settings = Settings(context=server_context(directory))
    with serving(settings=Given(settings)) as server:
        answer = ask(server, "/metrics", tls=client_context(directory))

    assert 200 == answer.status
    assert b"lines_total" in answer.body


def test_tls_begins(directory: Path) -> None:
    """
    TLS that is turned on holds from the next connection on, and for no older one.
    """
    settings = Given(Settings())
    with serving(settings=settings) as server, closing(dial(server)) as plain:
        assert b"200 healthy\n" == read_answer(plain, REQUEST)
        settings.settings = Settings(context=server_context(directory))
        assert b"" == read_answer(plain, REQUEST)

        assert 200 == ask(server, "/metrics", tls=client_context(directory)).status


@pytest.mark.parametrize(
    ("allowed", "with_certificate", "expected"),
    [
        ("scraper.example.net", True, 200),
        ("scraper.example.net", False, 403),
        ("other.example.net", True, 403),
    ],
)
def test_names(
    directory: Path,
    allowed: str,
    with_certificate: bool,  # noqa: FBT001  a table
    expected: int,
) -> None:
    """
    With allowed names a client's certificate needs one of them.
    """
    tls = Tls(Pem("cert", b""), Pem("key", b""), allowed_sans=frozenset({allowed}))
    settings = Settings(WebConfig(tls=tls), server_context(directory))
    context = client_context(directory, with_certificate=with_certificate)
    with serving(settings=Given(settings)) as server, capture_logs():
        assert expected == ask(server, "/metrics", tls=context).status


def test_names_without_tls() -> None:
    """
    Where names are asked for, a connection without TLS has none.
    """
    tls = Tls(Pem("cert", b""), Pem("key", b""), allowed_sans=frozenset({"a"}))
    with serving(settings=Given(Settings(WebConfig(tls=tls)))) as server, capture_logs():
        assert 403 == ask(server, "/metrics").status


def test_plain_to_tls(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    Who forgets the s of https is told so.
    """
    caplog.set_level(logging.ERROR)
    settings = Settings(context=server_context(directory))
    with serving(settings=Given(settings)) as server:
        answer = ask(server, "/metrics", headers={"X": "a" * 2000})

        assert 200 == ask(server, "/metrics", tls=client_context(directory)).status
    assert 400 == answer.status
    assert b"Client sent an HTTP request to an HTTPS server.\n" == answer.body
    assert [] == caplog.records


class GoneContext(ssl.SSLContext):
    """
    A context whose clients have all gone before it looks at them.
    """

    def wrap_socket(self, *_arguments: object, **_more: object) -> ssl.SSLSocket:
        """
        Fail as the standard library does then.
        """
        raise ConnectionResetError


def test_gone_before_the_handshake(directory: Path) -> None:
    """
    A client that has gone before its handshake harms nobody.
    """
    settings = Given(Settings(context=GoneContext(ssl.PROTOCOL_TLS_SERVER)))
    with serving(settings=settings) as server:
        with closing(dial(server)) as sock:
            assert b"" == read_to_end(sock)
        assert 0 == server.connections
        settings.settings = Settings(context=server_context(directory))

        assert 200 == ask(server, "/metrics", tls=client_context(directory)).status


def test_keepalive_over_tls(directory: Path) -> None:
    """
    A TLS connection serves one request after the other.
    """
    settings = Settings(context=server_context(directory))
    with (
        serving(settings=Given(settings)) as server,
        closing(dial(server, tls=client_context(directory))) as sock,
    ):
        assert [b"200 healthy\n"] * 3 == [read_answer(sock, REQUEST) for _ in range(3)]
        assert 200 == ask_on(sock, "/metrics").status
