"""
What systemd and its services say to each other: sockets in, "ready", "stuck?" and "stopping" out.

Both protocols are a few lines over what the standard library has, sd_listen_fds(3) and
sd_notify(3).  PyPI's sdnotify is no longer maintained, and systemd-python needs a compiler and
libsystemd's headers.

It never decides when something is said, that is `daemon`, and never fails because of systemd: a
notification that cannot be delivered is lost, as the protocol has it.
"""

import os
import socket
import time
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TypeAlias

from exporter.config import StartError

FIRST_DESCRIPTOR = 3
STATUS_SECONDS = 1.0

Environ: TypeAlias = MutableMapping[str, str]


class Notifier:
    """
    Tells systemd how the daemon is; without systemd it tells nobody.
    """

    def __init__(self, environ: Environ) -> None:
        """
        Take systemd's variables out of the environment: they are not for the daemon's children.
        """
        self._socket = environ.pop("NOTIFY_SOCKET", "")
        # Half of what systemd allows is what it recommends; half of that leaves room to be late.
        self.ping_seconds = read_watchdog(environ) / 4
        """How often `alive` is to be called, infinite where nobody asks."""
        self._pinged = self._told = float("-inf")
        self._status = ""

    def ready(self) -> None:
        """
        Say that the start, or a reload, is done.
        """
        self._send("READY=1")

    def reloading(self) -> None:
        """
        Say that the configuration is being read again, until `ready`.
        """
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """
        Say that the end has begun.
        """
        self._send("STOPPING=1")

    def alive(self, now: float) -> None:
        """
        Pat the watchdog, if it is time to: to be called by who would be stuck, and by nobody else.
        """
        if now - self._pinged >= self.ping_seconds:
            self._pinged = now
            self._send("WATCHDOG=1")

    def is_due(self, now: float) -> bool:
        """
        Say whether a new status would be passed on; `now` is a clock that never goes back.
        """
        return bool(self._socket) and now - self._told >= STATUS_SECONDS

    def status(self, text: str, now: float) -> None:
        """
        Say in one line, for `systemctl status`, how it goes: when that changes, once a second.
        """
        if not self.is_due(now) or text == self._status:
            return
        self._told, self._status = now, text
        self._send("STATUS=" + " ".join(text.splitlines()))

    def _send(self, text: str) -> None:
        if not self._socket:
            return
        # The kernel writes an abstract name with a NUL byte in front.
        address = "\0" + self._socket[1:] if self._socket.startswith("@") else self._socket
        # systemd is away, or too busy to be told: no reason to stop, nor to wait.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # noqa: FBT003  the standard library's signature
            sock.sendto(text.encode("utf-8", "replace"), address)


def read_watchdog(environ: Environ) -> float:
    """
    Give the seconds after which systemd takes this process for stuck, infinite where it does not.
    """
    microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
    if pid not in {"", str(os.getpid())} or not microseconds.isdecimal():
        return float("inf")
    return int(microseconds) / 1_000_000 or float("inf")


def take_sockets(environ: Environ) -> list[socket.socket]:
    """
    Take the listening sockets that systemd passed; StartError for none, or for any other kind.

    Their variables are removed, so that no child takes the numbers for its own.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal() or int(count) == 0:
        raise StartError("systemd passed no socket: start the .socket unit, not the .service alone")
    numbers = range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))
    return [_take_socket(number) for number in numbers]


def _take_socket(number: int) -> socket.socket:
    """
    Take one descriptor that must be a stream socket somebody listens on.
    """
    try:
        os.set_inheritable(number, False)  # noqa: FBT003  the standard library's signature
        sock = socket.socket(fileno=number)
    except OSError as error:
        raise StartError(f"descriptor {number} from systemd: {error.strerror}") from error
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    listening = (
        sock.family in families
        and sock.type == socket.SOCK_STREAM
        and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )
    if not listening:
        sock.detach()  # it is not ours to close
        raise StartError(f"descriptor {number} from systemd is not a listening stream socket")
    sock.setblocking(False)  # noqa: FBT003  the standard library's signature
    return sock
