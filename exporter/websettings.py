"""
The web configuration in force: loaded at the start, and again whenever a file of it changes.

While a file is bad every request has to fail, and a change that only a cut file may have made
never opens what was closed.  It never serves anything, that is `web`.
"""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import structlog

from exporter.section import DocumentError
from exporter.tls import build_context, find_complaint
from exporter.webconfig import WebConfig, WebConfigError, read_file, read_web_config

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

CHECK_SECONDS = 1.0

_STRICTNESS: Final = ("none", "optional", "required")


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What the server goes by; while `problem` says why, every request must fail.
    """

    config: WebConfig = field(default_factory=WebConfig)
    context: ssl.SSLContext | None = None
    problem: str = ""


class WebSettings:
    """
    Hands out the Settings in force: the same object for as long as nothing has changed.
    """

    def __init__(self, path: Path | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = dict[Path, bytes | str]()
        """What each file said, or why it could not be read."""
        self._settings = Settings()
        self._next_check = clock() + CHECK_SECONDS
        if path is not None:
            self._settings = self._load(path)
            _warn(self._settings.config)

    def current(self) -> Settings:
        """
        Return the settings in force; once a second the files are read, and compared.
        """
        if self._path is None or self._clock() < self._next_check:
            return self._settings
        with self._lock:
            if self._changed():
                self._renew(self._path, wanted=False)
            self._next_check = self._clock() + CHECK_SECONDS
        return self._settings

    def reload(self) -> None:
        """
        Read everything anew, at the administrator's wish; any thread may call it.
        """
        if self._path is None:
            return
        with self._lock:
            self._renew(self._path, wanted=True)
            self._next_check = self._clock() + CHECK_SECONDS

    def _changed(self) -> bool:
        """
        Tell whether any file says something else; times and sizes can be the same all the same.
        """
        return any(_look(path) != seen for path, seen in self._seen.items())

    def _load(self, path: Path) -> Settings:
        """
        Read the files, remembering what they said, and make the settings of them.
        """
        self._seen = {}
        config = read_web_config(path, self._read)
        try:
            context = build_context(config.tls) if config.tls else None
        except WebConfigError as error:
            raise WebConfigError(f"{path}: {error}") from None
        return Settings(config, context)

    def _read(self, path: Path) -> bytes:
        """
        Read one file, remembering what it said.
        """
        seen = self._seen[path] = _look(path)
        if isinstance(seen, str):
            raise DocumentError(seen)
        return seen

    def _renew(self, path: Path, *, wanted: bool) -> None:
        """
        Put new settings in force, unless they are bad or not `wanted` and weaker.
        """
        old = self._settings
        try:
            new = self._load(path)
        except WebConfigError as error:
            self._fail(str(error))
            return
        weakened = "" if wanted else _weakened(old.config, new.config)
        if weakened:
            self._fail(f"{path}: {weakened}: only SIGHUP or a restart does that")
        elif new.config != old.config:
            self._settings = new
            log.info("web configuration applied", path=path)
            _warn(new.config)
        elif old.problem:
            self._settings = replace(old, problem="")
            log.info("web configuration is good again", path=path)

    def _fail(self, problem: str) -> None:
        """
        Let requests fail, and say once why.
        """
        if problem != self._settings.problem:
            self._settings = replace(self._settings, problem=problem)
            log.error("web configuration is bad, requests fail", reason=problem)


def _look(path: Path) -> bytes | str:
    """
    Return what a file says, or why it cannot be read.
    """
    try:
        return read_file(path)
    except DocumentError as error:
        return str(error)


def _weakened(old: WebConfig, new: WebConfig) -> str:
    """
    Name the protection that would be gone; a file cut short by its writer may well be valid.
    """
    if old.users and not new.users:
        return "basic_auth_users: would no longer ask for a password"
    if old.tls is None:
        return ""
    if new.tls is None:
        return "tls_server_config: would turn TLS off"
    if _STRICTNESS.index(new.tls.client_auth) < _STRICTNESS.index(old.tls.client_auth):
        return "tls_server_config.client_auth_type: would ask less of clients"
    if old.tls.allowed_sans and not new.tls.allowed_sans:
        return "tls_server_config.client_allowed_sans: would let any client in"
    return ""


def _warn(config: WebConfig) -> None:
    """
    Say what clients will not like about the certificate.
    """
    complaint = find_complaint(config.tls) if config.tls else ""
    if complaint:
        log.warning("clients will not accept the certificate", reason=complaint)
