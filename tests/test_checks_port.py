"""
The addresses, with real sockets on loopback.
"""

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from machine import STRANGER, Machine, keys
from running import free_port

from exporter.config import Address, Config
from exporter.logtool.checks import port
from exporter.logtool.checks.access import find_person
from exporter.logtool.checks.port import PRIVILEGED, check_port, check_ports, is_exporter
from exporter.logtool.checks.system import System

ITSELF = find_person("", ())
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhealthy\n"


@contextmanager
def answering(*pieces: bytes, close: bool = True) -> Iterator[int]:
    """
    Listen, and say something to the first who comes; give the port.
    """
    done = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            for piece in pieces:
                connection.sendall(piece)
            if close:
                connection.shutdown(socket.SHUT_WR)
            done.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            # Whoever was not asked is let go.
            with socket.socket() as last:
                last.connect_ex(server.getsockname())
                done.set()
                thread.join()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_free(host: str) -> None:
    """
    A free port is free, by whatever name of this machine.
    """
    address = Address(host, free_port())

    assert "port_free" == check_port(address, ITSELF, [], System()).key


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((HEALTHY,), "port_exporter"),
        ((HEALTHY[:20], HEALTHY[20:]), "port_exporter"),
        ((b"HTTP/1.1 401 Unauthorized\r\n\r\n",), "port_in_use"),
        ((b"220 mail ESMTP\r\n",), "port_in_use"),
        ((b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_000,), "port_in_use"),
        ((), "port_in_use"),
    ],
)
def test_in_use(pieces: tuple[bytes, ...], expected: str) -> None:
    """
    Who has the port is asked whether it is an exporter, and named.
    """
    with answering(*pieces) as number:
        address = Address("127.0.0.1", number)
        finding = check_port(address, ITSELF, list(System().descriptors()), System())

    assert expected == finding.key
    assert str(finding.values["owner"]).endswith(f"[{os.getpid()}]")


def test_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One that never answers is not waited for.
    """
    monkeypatch.setattr(port, "ANSWER_SECONDS", 0.2)
    begun = time.monotonic()
    with answering(b"HTTP/1.1 200 ", close=False) as number:
        assert not is_exporter("127.0.0.1", number)
        assert 10 > time.monotonic() - begun


def test_owner_unseen() -> None:
    """
    An owner that is not to be seen has no name.
    """
    with answering(b"?") as number:
        finding = check_port(Address("127.0.0.1", number), ITSELF, [], System())

    assert "?" == finding.values["owner"]


def test_command(tmp_path: Path) -> None:
    """
    An exporter that asks for a password is known by how it was started.
    """
    machine = Machine(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        machine.put(
            "/proc/net/tcp",
            b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
            b"   0: 0100007F:%04X 00000000:0000 0A 00000000:00000000 00:00000000 00000000 "
            b"0        0 4711 1\n" % number,
        )
        machine.open(7, "python3", "socket:[4711]")
        machine.put(
            "/proc/7/cmdline", b"/usr/bin/python3\0/usr/local/bin/milter-manager-exporter\0"
        )
        found = list(machine.system.descriptors())
        finding = check_port(Address("127.0.0.1", number), ITSELF, found, machine.system)

    assert ("port_exporter", "python3[7]") == (finding.key, finding.values["owner"])


@pytest.mark.parametrize(
    ("host", "expected"), [("192.0.2.1", "port_not_here"), ("mail.example", "port_unresolved")]
)
def test_elsewhere(host: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An address that is not this machine's cannot be had, and no name is asked for.
    """
    monkeypatch.setattr(socket, "getaddrinfo", None)

    assert expected == check_port(Address(host, 10125), ITSELF, [], System()).key


@pytest.mark.parametrize("code", [errno.EACCES, None])
def test_refused(code: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A low port is refused by the kernel to who asks, by its own rule to others.
    """
    machine = Machine(tmp_path)
    machine.put(PRIVILEGED, b"1024\n")
    monkeypatch.setattr(port, "try_to_bind", lambda *_: code or 0)
    person = ITSELF if code else STRANGER

    assert "port_refused" == check_port(Address("127.0.0.1", 80), person, [], machine.system).key


@pytest.mark.parametrize("number", [0, 1024])
def test_unprivileged(number: int, tmp_path: Path) -> None:
    """
    Any free port, and those above the low ones, are everybody's.
    """
    machine = Machine(tmp_path)
    machine.put(PRIVILEGED, b"1024\n")

    assert "port_free" == check_port(Address("127.0.0.1", number), STRANGER, [], machine.system).key


def test_one_family(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A machine without IPv6 serves on IPv4.
    """
    monkeypatch.setattr(
        port, "try_to_bind", lambda host, _: errno.EAFNOSUPPORT if ":" in host else 0
    )

    assert "port_free" == check_port(Address("", 10125), ITSELF, [], System()).key


def test_addresses() -> None:
    """
    Each address is looked at; with systemd's sockets there is none.
    """
    addresses = (Address("127.0.0.1", 0), Address("no.such.example", 1))
    config = Config(listen_addresses=addresses)

    assert ["port_free", "port_unresolved"] == keys(check_ports(config, ITSELF, [], System()))
    assert ["port_systemd"] == keys(check_ports(Config(systemd_socket=True), ITSELF, [], System()))
