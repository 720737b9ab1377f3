"""
The container's health check against servers that are well, and others.
"""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from running import DEADLINE_SECONDS, free_port

HEALTHCHECK = Path(__file__).resolve().parent.parent / "container" / "healthcheck"
VARIABLE = "MILTER_MANAGER_EXPORTER_WEB_LISTEN_ADDRESS"


def check(address: str) -> int:
    """
    Run the health check for an exporter that was told to listen there; give its exit status.
    """
    environ = {"PATH": os.environ["PATH"], VARIABLE: address}
    return subprocess.run([HEALTHCHECK], env=environ, capture_output=True, check=False).returncode


@contextmanager
def serve(answer: bytes | None, host: str = "127.0.0.1") -> Iterator[int]:
    """
    Answer the first request, or with None never; give the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    done = threading.Event()
    with socket.create_server((host, 0), family=family) as sock:
        sock.settimeout(DEADLINE_SECONDS)

        def answer_one() -> None:
            connection, _ = sock.accept()
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(1024)
                if answer is None:
                    done.wait(DEADLINE_SECONDS)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=answer_one, daemon=True)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            done.set()
    thread.join(DEADLINE_SECONDS)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nhealthy\n", 0),
        (b"HTTP/1.1 401 Unauthorized\r\n\r\n", 0),
        (b"HTTP/1.1 429 Too Many Requests\r\n\r\n", 0),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", 1),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n", 1),
        (b"", 0),  # a TLS server hangs up on who speaks plain HTTP
        (b"\x15\x03\x01\x00\x02\x02\x46", 0),  # or sends an alert first
    ],
)
def test_answer(answer: bytes, expected: int) -> None:
    """
    Whatever is no server error is a sign of life.
    """
    with serve(answer) as port:
        assert expected == check(f"127.0.0.1:{port}")


def test_nobody_listens() -> None:
    """
    Without a listener it fails.
    """
    assert 1 == check(f"127.0.0.1:{free_port()}")


def test_hanging_server() -> None:
    """
    A server that accepts and says nothing fails, within the five seconds that the image allows.
    """
    with serve(None) as port:
        asked = time.monotonic()

        assert 1 == check(f"127.0.0.1:{port}")
        assert 5 > time.monotonic() - asked


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", ":{port}"),
        ("127.0.0.1", "0.0.0.0:{port}"),
        ("127.0.0.1", "localhost:{port}"),
        ("127.0.0.1", "127.0.0.1:{port}, 127.0.0.2:1"),
        ("127.0.0.2", "127.0.0.2:{port}"),
        ("::1", "[::1]:{port}"),
        ("::1", "[::]:{port}"),
    ],
)
def test_address(host: str, address: str) -> None:
    """
    Every spelling of the listen address is understood; of several addresses the first is asked.
    """
    with serve(b"HTTP/1.1 200 OK\r\n\r\n", host) as port:
        assert 0 == check(address.format(port=port))
