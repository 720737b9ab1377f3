"""
The form of the exporter's own log: one line an event, in logfmt or JSON, on standard error.

It is the only place that configures structlog.  A line never holds what could move a terminal's
cursor or pass for another line, and the same fault is never written more than once a second.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, Self, TextIO

import structlog
from structlog.typing import EventDict

# The longest value in the log: prometheus_client adds the whole metric to an exception's text.
LOGGED_CHARACTERS = 4096
LOGGED_SECONDS = 1.0
LOGGED_KINDS = 256

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
FORMATS: Final = ("logfmt", "json")


def configure_log(level: str, log_format: str) -> None:
    """
    Write the exporter's log, and what its libraries log, to standard error in one format.
    """
    render: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.processors.LogfmtRenderer(bool_as_flag=False)
    )
    structlog.configure(
        processors=[
            add_level,
            structlog.processors.format_exc_info,
            make_safe,
            RateLimit(time.monotonic),
            in_order,
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=StandardError(sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Bridge)]:
        root.removeHandler(handler)
    root.addHandler(Bridge())
    # Never below: watchdog's debug messages name every file event, and where the exporter's own log
    # ends up in the watched directory each of them would be the next event.
    root.setLevel(logging.WARNING)
    # Tornado tells of malformed requests at info: anybody can cause those.
    logging.getLogger("tornado").setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    logging.getLogger("tornado.access").disabled = True


def add_level(_logger: object, method: str, event_dict: EventDict) -> EventDict:
    """
    Add the level under the name it has in --log.level.
    """
    event_dict["level"] = {"warning": "warn", "critical": "error"}.get(method, method)
    return event_dict


def make_safe(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """
    Make every value one that any renderer writes in one line, of bounded length.
    """
    for key, value in event_dict.items():
        if value is not None and not isinstance(value, bool | int | float):
            event_dict[key] = printable(str(value)[:LOGGED_CHARACTERS])
    return event_dict


def printable(text: str) -> str:
    """
    Escape whatever could move a terminal's cursor or end a line, the newline excepted.

    Renderers know how to write a newline, and nothing of the rest.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class RateLimit:
    """
    A structlog processor that drops what was written less than a second ago.

    The same event with the same values is the same fault, unless the caller names with `same_as`
    what makes it so.  The next one written says how many were dropped before it.  It remembers a
    bounded number of faults, and forgets the one not written for longest.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # When it was written and how often dropped since, by hash: long values are not kept.
        self._written: dict[int, tuple[float, int]] = {}

    def __call__(self, _logger: object, _method: str, event_dict: EventDict) -> EventDict:
        """
        Pass the event on, or raise DropEvent.
        """
        same_as = event_dict.pop("same_as", None)
        key = hash(repr(sorted(event_dict.items())) if same_as is None else same_as)
        with self._lock:
            repeated = self._dropped_before(key)
        if repeated:
            event_dict["repeated"] = repeated
        return event_dict

    def _dropped_before(self, key: int) -> int:
        """
        Count what was dropped since the last time, or drop this one too.
        """
        now = self._clock()
        written, dropped = self._written.get(key, (now - LOGGED_SECONDS, 0))
        if now - written < LOGGED_SECONDS:
            self._written[key] = (written, dropped + 1)
            raise structlog.DropEvent
        self._written.pop(key, None)
        if len(self._written) >= LOGGED_KINDS:
            del self._written[next(iter(self._written))]
        self._written[key] = (now, 0)
        return dropped


def in_order(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """
    Put time, level and message first, named as Prometheus programs name them.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    first = {"ts": f"{now}Z", "level": event_dict.pop("level"), "msg": event_dict.pop("event")}
    return {**first, **event_dict}


class StandardError:
    """
    Where structlog's lines go: whole lines, one at a time.

    One that cannot be written (a full disk, a reader gone) loses the line, not the daemon.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, *_arguments: object) -> Self:
        """
        Be structlog's logger factory: there is one logger.
        """
        return self

    def write(self, line: str) -> None:
        """
        Write one line.
        """
        with self._lock, suppress(OSError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


class Bridge(logging.Handler):
    """
    Pass on what libraries write through `logging`, once a second from any one place of theirs.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Hand a record to structlog; strangers choose some of the texts, so the place is what counts.
        """
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
        log.log(
            record.levelno,
            record.getMessage(),
            logger=record.name,
            exc_info=record.exc_info,
            same_as=(record.pathname, record.lineno),
        )
