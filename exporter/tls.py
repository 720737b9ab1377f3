"""
What `tls_server_config` asks for, as a context of Python's ssl.

What ssl or OpenSSL cannot honour is refused, never ignored: a handshake with itself has to succeed
before a context is handed out.  It never reads a file that the administrator named.
"""

import ipaddress
import os
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress

from exporter.webconfig import Pem, Tls, WebConfigError

_KEY = "tls_server_config"
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("TLS10", "TLS11")
# https://pkg.go.dev/crypto/tls#CipherSuites, and what OpenSSL calls them.
_TLS13_SUITES = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
_SUITES = {
    f"TLS_ECDHE_{signature}_WITH_{go}": f"ECDHE-{signature}-{openssl}"
    for signature in ("ECDSA", "RSA")
    for go, openssl in {
        "AES_128_CBC_SHA": "AES128-SHA",
        "AES_256_CBC_SHA": "AES256-SHA",
        "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    }.items()
}
_CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
    "X25519MLKEM768": "X25519MLKEM768",
}
_REASONS = {
    "CA_MD_TOO_WEAK": "a signature in it is too weak for OpenSSL",
    "EE_KEY_TOO_SMALL": "its key is too small for OpenSSL",
    "KEY_VALUES_MISMATCH": "belongs to another certificate",
}
_VERIFY_MODES = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}
_FLIGHTS = 8  # more than any handshake has


def build_context(tls: Tls) -> ssl.SSLContext:
    """
    Make the server's context; WebConfigError names the key that cannot be honoured.
    """
    context = _server(tls)
    for name, version in _VERSIONS.items():
        if not context.minimum_version <= version <= context.maximum_version:
            continue
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        client.set_ciphers("ALL")  # Python's own choice is without CBC
        client.minimum_version = client.maximum_version = version
        try:
            _shake_hands(context, client)
        except ssl.SSLError as error:
            reason = f"no client could connect with {name}: {_reason(error)}"
            raise WebConfigError(f"{_KEY}: {reason}") from None
    if tls.client_ca:
        _trust(context, tls.client_ca)
    context.verify_mode = _VERIFY_MODES[tls.client_auth]
    return context


def find_complaint(tls: Tls) -> str:
    """
    Say what clients will not like about the certificate, that it has expired for one; or nothing.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    _trust(client, tls.cert)
    try:
        _shake_hands(_server(tls), client)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    return ""


def is_allowed(certificate: Mapping[str, object] | None, sans: Collection[str]) -> bool:
    """
    Tell whether a verified client may come in: by a name on the list; without a list anyone may.
    """
    if not sans:
        return True
    allowed = {_canonical(name) for name in sans}
    names = certificate.get("subjectAltName", ()) if certificate else ()
    if not isinstance(names, tuple):
        return False
    return any(
        kind in {"DNS", "IP Address", "URI", "email"}
        and isinstance(name, str)
        and _canonical(name) in allowed
        for kind, name in names
    )


def _canonical(name: str) -> str:
    """
    Spell an address in the one way; OpenSSL has its own, 0:0:0:0:0:0:0:1.
    """
    with suppress(ValueError):
        return str(ipaddress.ip_address(name.strip()))
    return name


def _server(tls: Tls) -> ssl.SSLContext:
    """
    Make a context that does not yet ask for the client's certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _limit_versions(context, tls)
    _choose_suites(context, tls.cipher_suites)
    _choose_curve(context, tls.curves)
    _load_pair(context, tls)
    return context


def _limit_versions(context: ssl.SSLContext, tls: Tls) -> None:
    """
    Set the versions of TLS.
    """
    for key, name in (("min_version", tls.min_version), ("max_version", tls.max_version)):
        if name in _OLD_VERSIONS:
            reason = f"OpenSSL speaks {name} only with its security level lowered"
            raise WebConfigError(f"{_KEY}.{key}: {reason}")
        if name not in _VERSIONS:
            raise WebConfigError(f"{_KEY}.{key}: must be TLS12 or TLS13, not {name!a}")
    low, high = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    if low > high:
        reason = f"{tls.min_version} is above max_version {tls.max_version}"
        raise WebConfigError(f"{_KEY}.min_version: {reason}")
    # Python sets the one at once and checks it against the other.
    context.minimum_version, context.maximum_version = low, high


def _choose_suites(context: ssl.SSLContext, names: Collection[str]) -> None:
    """
    Set the cipher suites of TLS 1.2; those of TLS 1.3 are not Python's ssl's to choose.
    """
    key = f"{_KEY}.cipher_suites"
    if not names:
        return
    for name in names:
        if name not in _TLS13_SUITES and name not in _SUITES:
            raise WebConfigError(f"{key}: unknown, or insecure: {name!a}")
    newer = _TLS13_SUITES & set(names)
    if newer and newer != _TLS13_SUITES:
        reason = f"Python's ssl cannot leave out {min(_TLS13_SUITES - newer)}"
        raise WebConfigError(f"{key}: {reason}: name all three suites of TLS 1.3, or none")
    wanted = [_SUITES[name] for name in names if name in _SUITES]
    if not wanted:
        if context.maximum_version < ssl.TLSVersion.TLSv1_3:
            raise WebConfigError(f"{key}: names no suite for max_version TLS12")
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return
    with suppress(ssl.SSLError):  # none of them is there: the next check says so
        context.set_ciphers(":".join(wanted))
    there = {cipher["name"] for cipher in context.get_ciphers()}
    for name in names:
        if _SUITES.get(name, name) not in there:
            raise WebConfigError(f"{key}: {name} is not in this OpenSSL")


def _choose_curve(context: ssl.SSLContext, names: Collection[str]) -> None:
    """
    Set the one curve that Python's ssl can be told.
    """
    key = f"{_KEY}.curve_preferences"
    for name in names:
        if name not in _CURVES:
            raise WebConfigError(f"{key}: must be one of {', '.join(_CURVES)}, not {name!a}")
    if len(set(names)) > 1:
        raise WebConfigError(f"{key}: Python's ssl takes only one, or all if none is named")
    for name in names:
        try:
            context.set_ecdh_curve(_CURVES[name])
        except (ValueError, ssl.SSLError):
            # X25519 too with Python before 3.11.4, which is Debian 12's.
            raise WebConfigError(f"{key}: this Python's ssl cannot choose {name}") from None


def _load_pair(context: ssl.SSLContext, tls: Tls) -> None:
    """
    Load the certificate and its key, each checked by itself so that the right one is blamed.
    """
    with _as_file(tls.cert.data) as cert, _as_file(tls.private_key.data) as key:
        try:
            context.load_cert_chain(cert, key, _refuse_password)
        except _EncryptedKeyError:
            reason = "the key is encrypted, and nobody is there to type its password"
            raise WebConfigError(f"{tls.private_key.key}: {reason}") from None
        except ssl.SSLError as error:
            raise WebConfigError(_blame(tls, error)) from None


def _blame(tls: Tls, error: ssl.SSLError) -> str:
    """
    Find out whether the certificate or the key is bad; OpenSSL only says which kind of fault.
    """
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{tls.private_key.key}: {_reason(error)}"
    if error.reason:
        return f"{tls.cert.key}: {_reason(error)}"
    try:
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), tls.cert)
    except WebConfigError as cert_error:
        return str(cert_error)
    return f"{tls.private_key.key}: no private key in PEM that OpenSSL can read"


def _trust(context: ssl.SSLContext, authorities: Pem) -> None:
    """
    Trust the certificates of a PEM file.
    """
    with _as_file(authorities.data) as name:
        try:
            context.load_verify_locations(name)
        except ssl.SSLError:
            reason = "no certificate in PEM that OpenSSL can read"
            raise WebConfigError(f"{authorities.key}: {reason}") from None


def _reason(error: ssl.SSLError) -> str:
    """
    Say in words what OpenSSL says in capitals.
    """
    reason = error.reason or "unknown fault"
    return _REASONS.get(reason, reason.lower().replace("_", " "))


class _EncryptedKeyError(Exception):
    """
    OpenSSL asked for a password.
    """


def _refuse_password() -> str:
    """
    Stand in for OpenSSL's own prompt, which would wait at the terminal for ever.
    """
    raise _EncryptedKeyError


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """
    Lend bytes the file name that ssl wants: in memory, nothing of a key reaches the disk.
    """
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """
    Let two contexts shake hands in memory; ssl.SSLError says why they cannot.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.wrap_bio(to_client, to_server),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(_FLIGHTS):
        for side in sides:
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
