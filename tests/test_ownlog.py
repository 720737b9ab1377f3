"""
The exporter's own log, as it appears on standard error.
"""

import errno
import io
import json
import logging
import re
import sys
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from exporter.ownlog import (
    LOGGED_CHARACTERS,
    LOGGED_KINDS,
    Bridge,
    RateLimit,
    StandardError,
    configure_log,
    printable,
)

pytestmark = pytest.mark.usefixtures("_restored_log")


def logger() -> structlog.typing.FilteringBoundLogger:
    """
    Get a logger as every module does.
    """
    log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return log


def test_logfmt(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A line in logfmt starts with time, level and message, as Prometheus programs write it.
    """
    configure_log("info", "logfmt")
    logger().warning("no log yet", path=Path("/var/log/a b"), tries=2, ok=True, none=None)
    expected = (
        r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=warn "
        r'msg="no log yet" path="/var/log/a b" tries=2 ok=true none=\n'
    )

    assert re.fullmatch(expected, capsys.readouterr().err)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """
    A line in JSON has the same keys in the same order.
    """
    configure_log("info", "json")
    logger().error("no log\nyet", path=Path("/a"), tries=2)
    line = json.loads(capsys.readouterr().err)

    assert ["ts", "level", "msg", "path", "tries"] == list(line)
    assert ["error", "no log\nyet", "/a", 2] == list(line.values())[1:]


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warn", "error", "error"]),
        ("info", ["info", "warn", "error", "error"]),
        ("warn", ["warn", "error", "error"]),
        ("error", ["error", "error"]),
    ],
)
def test_level(level: str, expected: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    Only messages of the level or above are written, under the names of --log.level.
    """
    configure_log(level, "json")
    logger().debug("a")
    logger().info("b")
    logger().warning("c")
    logger().error("d")
    logger().critical("e")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert expected == [line["level"] for line in lines]


def unquote(line: str) -> dict[str, str]:
    """
    Read a logfmt line back.
    """
    pairs = re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)', line)
    assert line == " ".join(f"{key}={value}" for key, value in pairs)
    return dict(pairs)


@given(st.text())
def test_injection(value: str) -> None:
    """
    No value can end its line, leave its quotes, or add a key of its own.
    """
    stderr = io.StringIO()
    sys.stderr, kept = stderr, sys.stderr
    try:
        configure_log("info", "logfmt")
        logger().info("said", value=value, last=1)
    finally:
        sys.stderr = kept
    (line,) = stderr.getvalue().splitlines()

    assert line.isprintable()
    assert ["ts", "level", "msg", "value", "last"] == list(unquote(line))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain\u00e9", "plain\u00e9"),
        ("a\nlevel=error", '"a\\nlevel=error"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\r\x1b[2J\u2028", "a\\r\\x1b[2J\\u2028"),
        ("\u202e\udcff", "\\u202e\\udcff"),
        (b"\xff x", "\"b'\\\\xff x'\""),
        ("x" * 5000, "x" * LOGGED_CHARACTERS),
    ],
)
def test_hostile_value(value: object, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A hostile value is escaped and cut, and stays readable.
    """
    configure_log("info", "logfmt")
    logger().info("said", value=value)

    assert expected == unquote(capsys.readouterr().err.rstrip("\n"))["value"]


def test_exception(capsys: pytest.CaptureFixture[str]) -> None:
    """
    An exception is one line of bounded length, traceback included.
    """
    configure_log("info", "logfmt")
    try:
        int("x" * 10_000)
    except ValueError:
        logger().exception("failed")
    (line,) = capsys.readouterr().err.splitlines()

    assert "level=error msg=failed exception=" in line
    assert "Traceback (most recent call last):\\n" in line
    assert LOGGED_CHARACTERS + 200 > len(line)


class Clock:
    """
    A clock that goes when it is told to.
    """

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """
        Tell the time.
        """
        return self.now


def passes(limit: RateLimit, **values: object) -> dict[str, object] | None:
    """
    Pass an event through; None if it was dropped.
    """
    try:
        return dict(limit(None, "info", {"event": "fault", **values}))
    except structlog.DropEvent:
        return None


def test_rate() -> None:
    """
    The same fault is written once a second, and the next time says how often it was dropped.
    """
    clock = Clock()
    limit = RateLimit(clock)
    once = {"event": "fault", "path": "/a"}

    assert once == passes(limit, path="/a")
    assert None is passes(limit, path="/a")
    clock.now += 0.999
    assert None is passes(limit, path="/a")
    clock.now += 0.001
    assert {**once, "repeated": 2} == passes(limit, path="/a")
    assert None is passes(limit, path="/a")
    clock.now += 1
    assert {**once, "repeated": 1} == passes(limit, path="/a")
    clock.now += 1
    assert once == passes(limit, path="/a")


def test_other_faults() -> None:
    """
    Another value is another fault, unless the caller says what makes it the same.
    """
    limit = RateLimit(Clock())

    assert {"event": "fault", "path": "/a"} == passes(limit, path="/a")
    assert {"event": "fault", "path": "/b"} == passes(limit, path="/b")
    assert {"event": "fault", "text": "x"} == passes(limit, text="x", same_as=("f", 1))
    assert None is passes(limit, text="y", same_as=("f", 1))


def test_bounded_memory() -> None:
    """
    Only so many faults are remembered; the one not written for longest goes first.
    """
    clock = Clock()
    limit = RateLimit(clock)
    passes(limit, n=0)
    clock.now += 1
    for n in [1, 0, *range(2, LOGGED_KINDS + 1)]:
        assert None is not passes(limit, n=n)

    assert None is passes(limit, n=0)
    assert None is passes(limit, n=2)
    assert None is not passes(limit, n=1)


def test_written_once(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The limit is part of the log that configure_log makes.
    """
    configure_log("info", "logfmt")
    for _ in range(100):
        logger().error("fault", path="/a")

    assert 1 == len(capsys.readouterr().err.splitlines())


def test_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """
    What libraries log has the same form, once a second from one place whatever the text.
    """
    configure_log("info", "json")
    for n in range(100):
        logging.getLogger("tornado.application").error("hostile %s", f"text\n{n}")
    logging.getLogger("asyncio").warning("slow")
    logging.getLogger("tornado.general").info("Malformed HTTP message")
    logging.getLogger("tornado.access").error("500")
    logging.getLogger("watchdog").info("an event")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [
        ("error", "tornado.application", "hostile text\n0"),
        ("warn", "asyncio", "slow"),
    ] == [(line["level"], line["logger"], line["msg"]) for line in lines]


def test_debug_of_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    """
    At level debug malformed requests are named, but never watchdog's events, which would feed it.
    """
    configure_log("debug", "json")
    configure_log("debug", "json")
    logging.getLogger("tornado.general").info("Malformed HTTP message")
    logging.getLogger("watchdog").debug("an event")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert ["Malformed HTTP message"] == [line["msg"] for line in lines]
    assert 1 == [type(handler) for handler in logging.getLogger().handlers].count(Bridge)


class Full(io.StringIO):
    """
    A stream on a full disk.
    """

    def write(self, _text: str) -> int:
        """
        Fail.
        """
        raise OSError(errno.ENOSPC, "No space left on device")


def test_unwritable() -> None:
    """
    A standard error that cannot be written loses the line and nothing else.
    """
    StandardError(Full()).error("line")


@given(st.text())
def test_printable(text: str) -> None:
    """
    Printable text is left alone, and everything becomes printable, newlines aside.
    """
    actual = printable(text)

    assert actual.replace("\n", "").isprintable()
    if text.isprintable():
        assert text == actual
