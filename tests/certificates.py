"""
Certificates for the tests, made by an authority that is made for the test run.
"""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import trustme

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)
EXPIRED = datetime(2002, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Issued:
    """
    A certificate with its chain, and its key, both in PEM.
    """

    cert: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """
    An authority, its certificate in PEM.
    """

    ca: trustme.CA
    pem: bytes

    def issue(self, *names: str, rsa: bool = False, expired: bool = False) -> Issued:
        """
        Issue a certificate for host names, addresses and mail addresses.
        """
        leaf = self.ca.issue_cert(
            *names,
            key_type=trustme.KeyType.RSA if rsa else trustme.KeyType.ECDSA,
            not_before=LONG_AGO if expired else None,
            not_after=EXPIRED if expired else None,
        )
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        return Issued(chain, leaf.private_key_pem.bytes())


@cache
def authority(name: str = "tests") -> Authority:
    """
    Return the authority of this name, the same one throughout the run.
    """
    ca = trustme.CA(organization_name=name)
    return Authority(ca, ca.cert_pem.bytes())


@cache
def server_certificate() -> Issued:
    """
    Return a certificate for localhost, 127.0.0.1 and ::1.
    """
    return authority().issue("localhost", "127.0.0.1", "::1")


@cache
def client_certificate() -> Issued:
    """
    Return a certificate for a client that calls itself scraper.example.net.
    """
    return authority().issue("scraper.example.net")


def write_certificates(directory: Path) -> None:
    """
    Write ca.pem, the server's cert.pem and key.pem, and a client's client.pem and client-key.pem.
    """
    server, client = server_certificate(), client_certificate()
    for name, content in {
        "ca.pem": authority().pem,
        "cert.pem": server.cert,
        "key.pem": server.key,
        "client.pem": client.cert,
        "client-key.pem": client.key,
    }.items():
        (directory / name).write_bytes(content)


def client_context(directory: Path, *, with_certificate: bool = False) -> ssl.SSLContext:
    """
    Make the context of a client that trusts the authority, from the files that were written.
    """
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    if with_certificate:
        context.load_cert_chain(directory / "client.pem", directory / "client-key.pem")
    return context
