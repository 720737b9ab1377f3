"""
The addresses to serve on: whether they can be had, and if not who has them.

Binds for a moment and never listens; the only connection it makes is to this machine, to ask
whether it is an exporter that has the port.
"""

import errno
import ipaddress
import socket
import time
from collections.abc import Iterator, Sequence

from exporter.config import Address, Config
from exporter.logtool.checks.access import Person
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.system import Descriptor, System

ANSWER_SECONDS = 2.0
ANSWER_BYTES = 4096
REQUEST = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PRIVILEGED = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENING = "0A"
HOSTS = {"": ("0.0.0.0", "::"), "localhost": ("127.0.0.1", "::1")}  # noqa: S104 - as the flag says
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - see above
NOT_HERE = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))


def check_ports(
    config: Config, person: Person, descriptors: Sequence[Descriptor], system: System
) -> Iterator[Finding]:
    """
    Say of each address whether it can be served on.
    """
    if config.systemd_socket:
        yield Finding("port_systemd")
        return
    for address in config.listen_addresses:
        yield check_port(address, person, descriptors, system)


def check_port(
    address: Address, person: Person, descriptors: Sequence[Descriptor], system: System
) -> Finding:
    """
    Say whether one address can be served on.
    """
    values: dict[str, Value] = {"address": str(address), "port": address.port, "user": person.name}
    hosts = HOSTS.get(address.host) or numeric(address.host)
    if not hosts:
        return Finding("port_unresolved", values)
    faults = {host: try_to_bind(host, address.port) for host in hosts}
    for host, fault in faults.items():
        if fault == errno.EADDRINUSE:
            return describe_owner(host, address.port, values, descriptors, system)
    if NOT_HERE.issuperset(faults.values()):
        return Finding("port_not_here", values)
    first = system.number(PRIVILEGED) or 0
    stranger = not person.itself and person.uid != 0
    if errno.EACCES in faults.values() or (stranger and 0 < address.port < first):
        return Finding("port_refused", values)
    return Finding("port_free", values)


def numeric(host: str) -> tuple[str, ...]:
    """
    Give an address as such; nothing for a name, since the network would have to be asked.
    """
    try:
        return (str(ipaddress.ip_address(host)),)
    except ValueError:
        return ()


def try_to_bind(host: str, port: int) -> int:
    """
    Give the error number of what keeps a port from being bound; 0 if nothing does.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((host, port))
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def describe_owner(
    host: str,
    port: int,
    values: dict[str, Value],
    descriptors: Sequence[Descriptor],
    system: System,
) -> Finding:
    """
    Say who has a port: an exporter that runs already, or another program.
    """
    owner = find_owner(port, descriptors, system)
    # One that asks for a password or TLS does not answer this question.
    command = system.text(f"/proc/{owner.pid}/cmdline") if owner else ""
    values["owner"] = f"{owner.name}[{owner.pid}]" if owner else "?"
    if "milter-manager-exporter" in command or is_exporter(LOOPBACK.get(host, host), port):
        return Finding("port_exporter", values)
    return Finding("port_in_use", values)


def find_owner(port: int, descriptors: Sequence[Descriptor], system: System) -> Descriptor | None:
    """
    Give the process that listens on a port; None where it is not to be seen (proc_pid_net(5)).
    """
    sockets = {
        f"socket:[{fields[9]}]"
        for table in TABLES
        for fields in map(str.split, system.text(table).splitlines()[1:])
        if fields[3] == LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    return next((one for one in descriptors if one.target in sockets), None)


def is_exporter(host: str, port: int) -> bool:
    """
    Ask whoever listens there whether it is an exporter.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    answer = b""
    try:
        with socket.create_connection((host, port), ANSWER_SECONDS) as connection:
            connection.sendall(REQUEST)
            while len(answer) < ANSWER_BYTES:
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                piece = connection.recv(ANSWER_BYTES)
                if not piece:
                    break
                answer += piece
    except OSError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\nhealthy\n")
