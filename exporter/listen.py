"""
Listening sockets: the addresses asked for in, a socket for each of their families out.

`describe` says where any of them listens, those that somebody else has made among them.

Either every address can be had or StartError says in one sentence which cannot, and none is kept.
It never accepts a connection, nor reads or writes one.
"""

import errno
import os
import socket
from collections.abc import Sequence

from exporter.config import Address, StartError

BACKLOG = 128

# What the system says of an address whose family or interface it does not have.
_NOT_HERE = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def bind(addresses: Sequence[Address]) -> list[socket.socket]:
    """
    Listen on every address or on none; StartError names the first that cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        for address in addresses:
            sockets += _bind(address)
    except StartError:
        _close(sockets)
        raise
    return sockets


def _bind(address: Address) -> list[socket.socket]:
    """
    Listen on everything one address stands for, IPv4 and IPv6.

    Tornado's bind_sockets would leave its first sockets open when a later one fails, and would take
    one missing family for an error.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, where in _resolve(address):
            # Port 0 becomes a free port with the first socket, and stays that one.
            port = bound_address(sockets[0]).port if sockets else address.port
            try:
                sockets.append(_listen(family, (where[0], port, *where[2:])))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except (OSError, UnicodeError) as error:
        _close(sockets)
        raise StartError(f"cannot listen on {address}: {_reason(error)}") from error
    return sockets


def _resolve(address: Address) -> list[tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]]:
    """
    Look an address up, every interface of both families if it has no host.
    """
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return [(family, where) for family, _, _, _, where in found]


def _listen(family: socket.AddressFamily, where: tuple[str | int | bytes, ...]) -> socket.socket:
    """
    Open one listening socket.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart need not wait for the connections of the last run to be forgotten.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # IPv4 has a socket of its own.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)  # noqa: FBT003  the standard library's signature
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bound_address(sock: socket.socket) -> Address:
    """
    Tell where a socket really listens.
    """
    name: tuple[str, int] = sock.getsockname()[:2]
    return Address(*name)


def describe(sock: socket.socket) -> str:
    """
    Write down where a socket listens: `host:port`, `unix:/path`, or `unix:@name` without a file.
    """
    if sock.family != socket.AF_UNIX:
        return str(bound_address(sock))
    name: str | bytes = sock.getsockname()
    text = os.fsdecode(name)
    return f"unix:@{text[1:]}" if text.startswith("\0") else f"unix:{text}"


def _close(sockets: Sequence[socket.socket]) -> None:
    """
    Close all of them.
    """
    for sock in sockets:
        sock.close()


def _reason(error: OSError | UnicodeError) -> str:
    """
    Say in the system's words, as part of a sentence, why an address cannot be had.
    """
    if isinstance(error, UnicodeError):
        return "not a valid host name"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
