"""
Listening sockets, on this machine's own addresses.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from exporter.config import Address, StartError
from exporter.listen import bind, bound_address

LOCAL = Address("127.0.0.1", 0)


@contextmanager
def listening(*addresses: Address) -> Iterator[list[Address]]:
    """
    Listen for as long as the block, and tell where.
    """
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(sock)) for sock in bind(addresses)]
        yield [bound_address(sock) for sock in sockets]


def has_ipv6() -> bool:
    """
    Tell whether this machine has an IPv6 loopback.
    """
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_every_interface() -> None:
    """
    Without a host both families listen, on one and the same port even if that is any free one.
    """
    with listening(Address("", 0)) as bound:
        v4, v6 = sorted(bound, key=str)
        for host in ["127.0.0.1", "::1"]:
            socket.create_connection((host, v4.port), timeout=20).close()

    assert ("0.0.0.0", "::") == (v4.host, v6.host)  # noqa: S104  what is tested
    assert 0 != v4.port == v6.port


def test_several_addresses() -> None:
    """
    Every address given is listened on, in the order given.
    """
    with listening(LOCAL) as (free,):
        pass
    with listening(free, LOCAL) as bound:
        ports = {address.port for address in bound}

    assert free == bound[0]
    assert 2 == len(ports)


def test_no_addresses() -> None:
    """
    Without an address there is no socket.
    """
    assert [] == bind([])


def test_does_not_block() -> None:
    """
    A socket says at once that nobody has called, as an event loop needs it.
    """
    (sock,) = bind([LOCAL])
    with closing(sock), pytest.raises(BlockingIOError):
        sock.accept()


def test_port_in_use() -> None:
    """
    A port in use is said in one sentence; an address bound before it is given back.
    """
    with listening(LOCAL) as (free,):
        pass
    with listening(LOCAL) as (taken,), pytest.raises(StartError) as caught:
        bind([free, taken])

    assert f"cannot listen on {taken}: address already in use" == str(caught.value)
    with listening(free) as bound:
        assert [free] == bound


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_port_in_use_in_one_family() -> None:
    """
    A port that only IPv6 has in use is a port in use, and IPv4's is given back.
    """
    with listening(Address("::1", 0)) as (taken,):
        with pytest.raises(StartError) as caught:
            bind([Address("", taken.port)])
        with listening(Address("127.0.0.1", taken.port)):
            pass

    assert f"cannot listen on :{taken.port}: address already in use" == str(caught.value)


def test_same_address_twice() -> None:
    """
    A family of the same address given twice is a port in use, whichever family it is.
    """
    with (
        listening(LOCAL) as (taken,),
        pytest.raises(StartError, match=rf"cannot listen on :{taken.port}: address already in"),
    ):
        bind([Address("", taken.port)])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (Address("192.0.2.1", 0), "cannot listen on 192.0.2.1:0: cannot assign requested address"),
        (Address("2001:db8::1", 0), r"cannot listen on \[2001:db8::1\]:0: "),
        (Address("nosuch.invalid", 80), "cannot listen on nosuch.invalid:80: "),
        (Address("x" * 70, 80), f"cannot listen on {'x' * 70}:80: not a valid host name"),
    ],
    ids=str,
)
def test_impossible_address(address: Address, expected: str) -> None:
    """
    An address this machine does not have is said in one sentence.
    """
    with pytest.raises(StartError, match=expected) as caught:
        bind([address])

    assert 1 == len(str(caught.value).splitlines())


class NoFamily(socket.socket):
    """
    A socket on a machine without IPv6, or where it may not be bound.
    """

    def __init__(
        self, family: int = -1, kind: int = -1, proto: int = -1, fileno: int | None = None
    ) -> None:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        super().__init__(family, kind, proto, fileno)

    def listen(self, backlog: int = 0) -> None:
        """
        Refuse port 80, as bind does to any user but root.
        """
        if self.getsockname()[1] == 80:
            raise PermissionError(errno.EACCES, "Permission denied")
        super().listen(backlog)


def test_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without IPv6 every interface is IPv4's, and an IPv6 address is an error.
    """
    monkeypatch.setattr(socket, "socket", NoFamily)
    with listening(Address("", 0)) as bound:
        assert ["0.0.0.0"] == [address.host for address in bound]  # noqa: S104

    with pytest.raises(StartError, match=r"cannot listen on \[::1\]:0: address family not supp"):
        bind([Address("::1", 0)])


def test_privileged_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A port that may not be had is said in one sentence.
    """
    monkeypatch.setattr(socket, "socket", NoFamily)

    with pytest.raises(StartError, match=r"cannot listen on 127\.0\.0\.1:80: permission denied"):
        bind([Address("127.0.0.1", 80)])
