"""
What hostile clients cost: the exporter as it is run, and what the kernel says of it meanwhile.

Each attack is made over plain TCP and over TLS.
"""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import bcrypt
import pytest
from certificates import client_context, write_certificates
from conftest import StartExporter
from running import DEADLINE_SECONDS, Exporter, wait_until
from serving import Given, ask_on, read_to_end, serving

from exporter.places import DEFAULT_LIMITS
from exporter.websettings import Settings

SCRAPE_SECONDS = 1.0
GONE_SECONDS = 30.0
# What hundreds of connections may add, those of TLS with their keys and buffers: 50 KiB each.
MEMORY_KIB = 64 * 1024
# The main thread, watchdog's two, the HTTP thread; one that checks a password.
THREADS = 6
# Whoever connects can write no more than a line a second of each kind.
LOG_LINES = 2 * int(GONE_SECONDS)

GET = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Target:
    """
    A server to attack, and how it is spoken to.
    """

    port: int
    tls: ssl.SSLContext | None
    user: str = ""

    def dial(self, source: str = "127.0.0.1", receive_bytes: int = 0) -> socket.socket:
        """
        Connect, and say nothing.
        """
        sock = socket.socket()
        sock.settimeout(DEADLINE_SECONDS)
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.bind((source, 0))
        sock.connect(("127.0.0.1", self.port))
        return sock

    def enter(self, source: str = "127.0.0.1", receive_bytes: int = 0) -> socket.socket:
        """
        Connect, up to where HTTP begins.
        """
        sock = self.dial(source, receive_bytes)
        return self.tls.wrap_socket(sock, server_hostname="127.0.0.1") if self.tls else sock

    def scrape(self) -> float:
        """
        Connect, scrape, and tell how long it took.
        """
        token = base64.b64encode(self.user.encode()).decode()
        headers = {"Authorization": f"Basic {token}"} if self.user else {}
        start = time.monotonic()
        answer = ask_on(self.enter(), "/metrics", headers=headers)
        seconds = time.monotonic() - start

        assert 200 == answer.status
        assert b"milter_manager_exporter_build_info" in answer.body

        return seconds

    def hello(self) -> bytes:
        """
        Make the first message of a client.
        """
        if self.tls is None:
            return GET[:-4]
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            self.tls.wrap_bio(incoming, outgoing).do_handshake()
        return outgoing.read()


@dataclass(frozen=True, slots=True)
class Attacked:
    """
    An exporter under attack, and what it was like before.
    """

    exporter: Exporter
    target: Target
    descriptors: int
    memory: int
    lines: int

    def check(self) -> None:
        """
        See that scrapes are quick, and that the exporter has grown little.
        """
        assert SCRAPE_SECONDS > max(self.target.scrape() for _ in range(5))
        assert THREADS >= self.exporter.status("Threads")
        assert MEMORY_KIB > self.exporter.status("VmRSS") - self.memory

    def check_gone(self) -> None:
        """
        See that everybody goes, and how much was written about them.
        """
        wait_until(lambda: self.exporter.descriptors() <= self.descriptors)
        self.check()

        assert LOG_LINES > len(self.exporter.lines) - self.lines


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory of certificates.
    """
    directory = tmp_path_factory.mktemp("certificates")
    write_certificates(directory)
    return directory


TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"


@pytest.fixture
def attack(start_exporter: StartExporter, certificates: Path) -> Callable[..., Attacked]:
    """
    Start an exporter to attack.
    """

    def start(config: str = "", *, user: str = "", tls: bool) -> Attacked:
        web = certificates / f"web-{tls}.yml"
        web.write_text(config + (TLS if tls else ""))
        log = certificates / "mail.log"
        log.touch()
        exporter = start_exporter(f"--input.file={log}", f"--web.config.file={web}")
        exporter.serve()
        target = Target(exporter.port, client_context(certificates) if tls else None, user)
        target.scrape()
        # The scrape's connection is closed a moment after its answer.
        wait_until(lambda: _sockets_stay(exporter))
        return Attacked(
            exporter,
            target,
            exporter.descriptors(),
            exporter.status("VmRSS"),
            len(exporter.lines),
        )

    return start


def _sockets_stay(exporter: Exporter) -> bool:
    """
    Tell whether no connection is being closed at the moment.
    """
    return len({exporter.descriptors() for _ in range(20)}) == 1


PLAIN_AND_TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])


def trickle(socks: list[socket.socket], data: bytes, stop: threading.Event) -> None:
    """
    Send a byte a second on each connection, for as long as anybody listens.
    """
    for i in range(len(data)):
        for sock in socks:
            with suppress(OSError):
                sock.send(data[i : i + 1])
        if stop.wait(1.0):
            return


def test_silent_and_slow(attack: Callable[..., Attacked]) -> None:
    """
    400 idle clients, 100 that send a byte a second and slow readers are gone within 30 s.

    In the limits that the exporter really has; plain and TLS at the same time, two exporters.
    """
    stop = threading.Event()
    with ExitStack() as stack:
        attacked = [attack(tls=tls) for tls in (False, True)]
        slow: list[tuple[list[socket.socket], bytes]] = []
        for one in attacked:
            target = one.target
            hello = target.hello()
            # Nothing at all; half a first message; the whole of it; everything but the request.
            for data in (b"", hello[: len(hello) // 2], hello):
                for _ in range(100):
                    sock = stack.enter_context(closing(target.dial()))
                    sock.sendall(data)
            for _ in range(100):
                stack.enter_context(closing(target.enter()))
            slow += [
                ([stack.enter_context(closing(target.dial())) for _ in range(50)], hello),
                ([stack.enter_context(closing(target.enter())) for _ in range(50)], GET[:-2]),
            ]
            for _ in range(10):
                reader = stack.enter_context(closing(target.enter(receive_bytes=2048)))
                reader.sendall(GET * 400)
        threads = [
            threading.Thread(target=trickle, args=(socks, data + bytes(100), stop))
            for socks, data in slow
        ]
        for thread in threads:
            stack.callback(thread.join)
        stack.callback(stop.set)
        for thread in threads:
            thread.start()
        start = time.monotonic()
        for one in attacked:
            assert 500 < one.exporter.descriptors()
            one.check()
        for one in attacked:
            one.check_gone()

        assert GONE_SECONDS > time.monotonic() - start


NOISE = {
    "a megabyte of headers": GET[:-2] + b"X: " + b"a" * (1 << 20) + b"\r\n\r\n",
    "a megabyte of many headers": GET[:-2] + b"X: a\r\n" * (1 << 18) + b"\r\n",
    "a megabyte of a request line": b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "garbage": bytes(range(256)) * (1 << 12),
    "zeros": bytes(1 << 20),
    "newlines": b"\r\n" * (1 << 19),
    "a huge body": b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n"
    + bytes(1 << 20),
    "an endless body": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"fff\r\n%b\r\n" % bytes(0xFFF) * 256,
    "a thousand requests": GET * 1000,
}


def shout(sock: socket.socket, data: bytes) -> None:
    """
    Send all of it, unless the server hangs up first, and read nothing.
    """
    sock.setblocking(False)  # noqa: FBT003  the standard library's signature
    with suppress(OSError):
        sock.sendall(data)


@PLAIN_AND_TLS
def test_noise(attack: Callable[..., Attacked], tls: bool) -> None:  # noqa: FBT001  a table
    """
    A megabyte of whatever, from twenty clients at once, is refused or cut off, and soon forgotten.
    """
    one = attack(tls=tls)
    for data in NOISE.values():
        with ExitStack() as stack:
            for number in range(20):
                # In place of a handshake too.
                sock = one.target.enter() if number % 2 else one.target.dial()
                shout(stack.enter_context(closing(sock)), data)
            one.check()
    one.check_gone()


@PLAIN_AND_TLS
def test_too_many(attack: Callable[..., Attacked], tls: bool) -> None:  # noqa: FBT001  a table
    """
    However many connect, the number stays within its limit, and a newcomer is served.
    """
    one = attack(tls=tls)
    with ExitStack() as stack:
        for _ in range(DEFAULT_LIMITS.connections + 100):
            stack.enter_context(closing(one.target.dial()))
        one.check()

        assert DEFAULT_LIMITS.connections + one.descriptors >= one.exporter.descriptors()
    one.check_gone()


@PLAIN_AND_TLS
def test_wrong_passwords(attack: Callable[..., Attacked], tls: bool) -> None:  # noqa: FBT001  a table
    """
    A flood of wrong passwords neither delays who has shown the right one nor grows memory.
    """
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(8)).decode()
    one = attack(f"basic_auth_users: {{a: {hashed}}}\n", user="a:right", tls=tls)
    wrong = GET[:-2] + b"Authorization: Basic %b\r\n\r\n" % base64.b64encode(b"a:wrong")
    with ExitStack() as stack:
        socks = [
            stack.enter_context(closing(one.target.enter(f"127.0.0.{2 + number % 20}")))
            for number in range(100)
        ]
        for sock in socks:
            sock.sendall(wrong * 20)
        one.check()
        statuses = {sock.recv(12) for sock in socks[-20:]}
    one.check_gone()

    assert {b"HTTP/1.1 401", b"HTTP/1.1 429", b"HTTP/1.1 503"} >= statuses
    assert {b"HTTP/1.1 429", b"HTTP/1.1 503"} & statuses


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def impatient(request: pytest.FixtureRequest, certificates: Path) -> Iterator[Target]:
    """
    A server in this process that waits for nobody.
    """
    context = None
    if request.param:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    limits = replace(DEFAULT_LIMITS, idle_seconds=0.2)
    with serving(limits=limits, settings=Given(Settings(context=context))) as server:
        (address,) = server.bound
        yield Target(address.port, client_context(certificates) if context else None)
        wait_until(lambda: server.connections == 0)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 1.0])
def test_stalled_beginning(impatient: Target, part: float) -> None:
    """
    Who stops in the middle of a handshake or a header is disconnected, wherever it was.
    """
    hello = impatient.hello()
    with closing(impatient.dial()) as sock:
        sock.sendall(hello[: int(len(hello) * part)])
        read_to_end(sock)


def test_slow_beginning(impatient: Target) -> None:
    """
    The time for a handshake and a header is one for all of it: a byte now and then gains nothing.
    """
    start = time.monotonic()
    with closing(impatient.dial()) as sock, suppress(OSError):
        for byte in impatient.hello() * 1000:
            sock.send(bytes([byte]))
            sock.settimeout(0.02)
            with suppress(TimeoutError):
                if sock.recv(1) == b"":
                    break

    assert 5.0 > time.monotonic() - start
