"""
The file of --web.config.file, in the exporter-toolkit's format, as plain checked values.

It never makes a TLS context, that is `tls`, and never watches the file, that is `websettings`.
No reason it gives for a refusal shows a key, a certificate or a hash.
"""

import math
import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from exporter.config import StartError
from exporter.section import DocumentError, Section, Value, join, kind, mapping_of

MAX_FILE_BYTES = 1024 * 1024
DEFAULT_BURST = 20
MAX_SECONDS = 2**63 / 1e9  # Go's longest duration

ReadFile: TypeAlias = Callable[[Path], bytes]
"""Reads a file that the configuration names; DocumentError says why it cannot."""
ClientAuth: TypeAlias = Literal["none", "optional", "required"]

# https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md
_AUTH_TYPES: Mapping[str, ClientAuth] = {
    "NoClientCert": "none",
    "VerifyClientCertIfGiven": "optional",
    "RequireAndVerifyClientCert": "required",
}
_UNVERIFIED_AUTH_TYPES = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
_HEADER_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")  # RFC 9110, 5.5, without the obsolete part
_USER = re.compile(r"[^:\x00-\x1f\x7f]+")  # RFC 7617, 2
# A cost from 4 to 31, 22 characters of salt and 31 of digest in bcrypt's own base64.
_BCRYPT = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_PART = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)"
_DURATION = re.compile(rf"\+?(?:{_PART})+")
_DURATION_PART = re.compile(_PART)
_UNIT_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "\u00b5s": 1e-6,
    "\u03bcs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


class WebConfigError(StartError):
    """
    The web configuration is wrong; the text is one line that names the key.
    """


@dataclass(frozen=True, slots=True)
class Pem:
    """
    Certificates or a key, and the configuration's key under which they were given.
    """

    key: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tls:
    """
    What `tls_server_config` asks for; the files it names have been read.
    """

    cert: Pem
    private_key: Pem
    client_ca: Pem | None = None
    client_auth: ClientAuth = "none"
    allowed_sans: frozenset[str] = frozenset()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RateLimit:
    """
    At most `burst` requests at once, then one each interval.
    """

    interval_seconds: float
    burst: int = DEFAULT_BURST


@dataclass(frozen=True, slots=True)
class WebConfig:
    """
    The whole file; nothing in it means plain HTTP for everybody.
    """

    tls: Tls | None = None
    headers: tuple[tuple[str, str], ...] = ()
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The bcrypt hash of each user's password; without users nobody is asked."""
    rate_limit: RateLimit | None = None


def read_file(path: Path) -> bytes:
    """
    Read a regular file of at most 1 MiB; a pipe would be waited for, and is gone at the next look.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise DocumentError(f"{path} is not a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError:
        raise DocumentError(f"{path} is a directory") from None
    except OSError as error:
        raise DocumentError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:
        raise DocumentError("not a file name") from None
    if len(data) > MAX_FILE_BYTES:
        raise DocumentError(f"{path} is larger than 1 MiB")
    return data


def _open_at_once(name: str, flags: int) -> int:
    """
    Open without waiting for the other end of a pipe.
    """
    return os.open(name, flags | os.O_NONBLOCK)


def read_web_config(path: Path, read: ReadFile = read_file) -> WebConfig:
    """
    Read the file and those it names; WebConfigError for whatever is wrong.
    """
    # Most have no file, and need not wait for PyYAML at the start.
    from exporter.document import read_document  # noqa: PLC0415

    try:
        return _web_config(read_document(read(path)), path.parent, read)
    except DocumentError as error:
        raise WebConfigError(f"{path}: {error}") from None


def _web_config(value: Value, directory: Path, read: ReadFile) -> WebConfig:
    """
    Read the whole document.
    """
    names = ("tls_server_config", "http_server_config", "basic_auth_users", "rate_limit")
    top = Section("", value, names)
    return WebConfig(
        tls=(
            _tls(top.value("tls_server_config"), directory, read)
            if top.has("tls_server_config")
            else None
        ),
        headers=_headers(top.value("http_server_config")),
        users=_users(top.value("basic_auth_users")) if top.has("basic_auth_users") else {},
        rate_limit=_rate_limit(top.value("rate_limit")),
    )


def _tls(value: Value, directory: Path, read: ReadFile) -> Tls:
    """
    Read `tls_server_config`; that it is there, even empty, asks for TLS.
    """
    key = "tls_server_config"
    names = (
        *("cert", "cert_file", "key", "key_file", "client_ca", "client_ca_file"),
        *("client_auth_type", "client_allowed_sans", "min_version", "max_version"),
        *("cipher_suites", "prefer_server_cipher_suites", "curve_preferences"),
    )
    section = Section(key, {} if value is None else value, names)
    client_auth = _client_auth(section)
    if section.has("client_allowed_sans") and not section.texts("client_allowed_sans"):
        # Taken for no list it would let everyone in.
        raise DocumentError(f"{key}.client_allowed_sans: names nobody")
    ca_given = bool(section.text("client_ca") or section.text("client_ca_file"))
    if ca_given and client_auth == "none":
        name = "client_ca" if section.text("client_ca") else "client_ca_file"
        raise DocumentError(f"{key}.{name}: needs a client_auth_type that verifies")
    if section.has("client_allowed_sans") and client_auth == "none":
        raise DocumentError(f"{key}.client_allowed_sans: needs a client_auth_type that verifies")
    if client_auth != "none" and not ca_given:
        raise DocumentError(f"{key}.client_auth_type: needs client_ca or client_ca_file")
    return Tls(
        cert=_pem(section, "cert", directory, read),
        private_key=_pem(section, "key", directory, read),
        client_ca=_pem(section, "client_ca", directory, read) if ca_given else None,
        client_auth=client_auth,
        allowed_sans=frozenset(section.texts("client_allowed_sans")),
        min_version=section.text("min_version", "TLS12"),
        max_version=section.text("max_version", "TLS13"),
        cipher_suites=section.texts("cipher_suites"),
        prefer_server_cipher_suites=section.switch("prefer_server_cipher_suites", default=True),
        curves=section.texts("curve_preferences"),
    )


def _client_auth(section: Section) -> ClientAuth:
    """
    Read `client_auth_type`.
    """
    name = section.text("client_auth_type", "NoClientCert")
    key = "tls_server_config.client_auth_type"
    if name in _UNVERIFIED_AUTH_TYPES:
        reason = "asks for a certificate without verifying it, which Python's ssl cannot"
        raise DocumentError(f"{key}: {name} {reason}")
    if name not in _AUTH_TYPES:
        raise DocumentError(f"{key}: must be {_either(tuple(_AUTH_TYPES))}, not {name!a}")
    return _AUTH_TYPES[name]


def _pem(section: Section, name: str, directory: Path, read: ReadFile) -> Pem:
    """
    Take what was given inline, or read the file that was named.
    """
    key = f"tls_server_config.{name}"
    inline, file = section.text(name), section.text(f"{name}_file")
    if inline and file:
        raise DocumentError(f"{key}: give either this or {name}_file")
    if inline:
        return Pem(key, inline.encode())
    if not file:
        raise DocumentError(f"{key}_file: missing")
    try:
        return Pem(f"{key}_file", read(directory / file))
    except DocumentError as error:
        raise DocumentError(f"{key}_file: {error}") from None


def _headers(value: Value) -> tuple[tuple[str, str], ...]:
    """
    Read `http_server_config`: headers to send; an empty one is not sent.
    """
    if value is None:
        return ()
    section = Section("http_server_config", value, ("http2", "headers"))
    section.switch("http2", default=True)  # Tornado has no HTTP/2, and no client needs it
    if section.value("headers") is None:
        return ()
    key = "http_server_config.headers"
    headers = Section(key, section.value("headers"), tuple(_HEADERS))
    return tuple(
        (name, _header(f"{key}.{name}", headers.text(name), words))
        for name, words in _HEADERS.items()
        if headers.value(name) not in (None, "")
    )


def _header(key: str, value: str, words: tuple[str, ...]) -> str:
    """
    Check a header's value.
    """
    if words and value not in words:
        raise DocumentError(f"{key}: must be {_either(words)}, not {value!a}")
    if not _HEADER_VALUE.fullmatch(value):
        raise DocumentError(f"{key}: must be printable ASCII on one line")
    return value


def _users(value: Value) -> dict[str, bytes]:
    """
    Read `basic_auth_users`; that it is there, even empty, asks for passwords.
    """
    key = "basic_auth_users"
    users = mapping_of(key, {} if value is None else value)
    if not users:
        # Taken for no users at all it would let everyone in.
        raise DocumentError(f"{key}: names nobody: leave it out to ask for no password")
    return {name: _hash(join(key, name), name, users[name]) for name in users}


def _hash(key: str, user: str, value: Value) -> bytes:
    """
    Check a user's name and bcrypt hash.
    """
    if not user:
        raise DocumentError(f"{key}: a user name must not be empty")
    if not _USER.fullmatch(user):
        raise DocumentError(f"{key}: no user name has a colon or a control character")
    if not isinstance(value, str):
        raise DocumentError(f"{key}: must be a bcrypt hash, not {kind(value)}")
    if not _BCRYPT.fullmatch(value):
        raise DocumentError(f"{key}: not a bcrypt hash ($2a$, $2b$ or $2y$)")
    return value.encode()


def _rate_limit(value: Value) -> RateLimit | None:
    """
    Read `rate_limit`; without an interval, or with 0, there is none.
    """
    if value is None:
        return None
    section = Section("rate_limit", value, ("interval", "burst"))
    burst = section.value("burst")
    if burst is None:
        burst = DEFAULT_BURST
    if not isinstance(burst, int) or isinstance(burst, bool) or burst < 1:
        raise DocumentError("rate_limit.burst: must be a whole number from 1")
    seconds = _seconds("rate_limit.interval", section.value("interval"))
    return RateLimit(seconds, burst) if seconds else None


def _seconds(key: str, value: Value) -> float:
    """
    Read a duration as Go spells it; 0 needs no unit.
    """
    if value is None or value == "0" or (value == 0 and type(value) is int):
        return 0.0
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise DocumentError(f"{key}: must be a duration like 500ms, 1s or 1m30s")
    parts = _DURATION_PART.findall(value)
    seconds = math.fsum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)
    if seconds > MAX_SECONDS:
        raise DocumentError(f"{key}: longer than 292 years")
    return seconds


def _either(words: tuple[str, ...]) -> str:
    """
    List the words that a key may have.
    """
    return f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
