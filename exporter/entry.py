"""
An entry of the systemd journal, as `journalctl -o json` prints it -> the line syslog would write.

https://systemd.io/JOURNAL_EXPORT_FORMATS/#journal-json-format: one object a line, every value a
string; an array of numbers where the bytes are not UTF-8 or hold control characters, an array of
these where a field was given several times, null where it is longer than 4 KiB and --all is off.

Pure: it knows nothing of cursors' order, of programs or of what a message means.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias

import msgspec

Value: TypeAlias = str | list[int | str | list[int] | None] | None

DEFAULT_FACILITY = 3
"""Daemon, what journald assumes of a service (systemd's SyslogFacility=)."""
MOST_SEVERITY = 7
MOST_FACILITY = 23
MOST_LETTERS = 256
"""Of a name that goes into a line, and is kept for the next one."""

# What rsyslog escapes, and how (EscapeControlCharactersOnReceive, on by default).
CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
NOT_A_WORD = re.compile(rb"[\s\x00-\x1f\x7f:\[\]]")


class Entry(msgspec.Struct, gc=False):
    """
    What is needed of an entry; a field that is not there is empty.
    """

    message: Value = msgspec.field(default="", name="MESSAGE")
    identifier: Value = msgspec.field(default="", name="SYSLOG_IDENTIFIER")
    priority: Value = msgspec.field(default="", name="PRIORITY")
    facility: Value = msgspec.field(default="", name="SYSLOG_FACILITY")
    pid: Value = msgspec.field(default="", name="_PID")
    syslog_pid: Value = msgspec.field(default="", name="SYSLOG_PID")
    hostname: Value = msgspec.field(default="", name="_HOSTNAME")
    microseconds: Value = msgspec.field(default="", name="__REALTIME_TIMESTAMP")
    """Since the epoch, when journald had it."""
    cursor: Value = msgspec.field(default="", name="__CURSOR")


_DECODER = msgspec.json.Decoder(Entry)


def read_entry(line: bytes) -> Entry | None:
    """
    Read one line of `journalctl -o json`; None when it is no such line.
    """
    try:
        entry = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    # Any object would do otherwise.
    return entry if entry.microseconds or entry.identifier else None


def write_line(entry: Entry) -> bytes:
    """
    Write an entry as a line of syslog, without a newline: PRI, RFC 3339 time, host, program[pid].
    """
    pid = entry.pid or entry.syslog_pid
    parts = (entry.priority, entry.facility, entry.hostname, entry.identifier, pid)
    pri, sender = write_sender(*[_text(part)[:MOST_LETTERS] for part in parts])
    message = entry.message
    if isinstance(message, str) and message.isprintable():
        said = message.encode()
    else:
        said = escape(_bytes(message))
    return pri + write_stamp(_text(entry.microseconds)) + sender + said


@lru_cache(maxsize=256)
def write_sender(
    priority: str, facility: str, hostname: str, identifier: str, pid: str
) -> tuple[bytes, bytes]:
    """
    Write what stands before and behind the time; of one sender it is mostly the same.

    Without a valid priority there is no PRI.
    """
    severity, category = _number(priority, MOST_SEVERITY), _number(facility, MOST_FACILITY)
    category = DEFAULT_FACILITY if category is None else category
    pri = b"" if severity is None else b"<%d>" % (category * 8 + severity)
    number = b"[%s]" % pid.encode() if pid.isascii() and pid.isdigit() else b""
    return pri, b" %s %s%s: " % (_word(hostname), _word(identifier), number)


def write_stamp(text: str) -> bytes:
    """
    Write microseconds since the epoch as RFC 3339 does; the epoch itself for what is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len("253402300799999999"):
        text = "0"
    seconds, microseconds = divmod(int(text), 1_000_000)
    return b"%s.%06dZ" % (write_second(seconds), microseconds)


@lru_cache(maxsize=16)
def write_second(seconds: int) -> bytes:
    """
    Write seconds since the epoch as RFC 3339 does, without a zone.
    """
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S").encode()


def _bytes(value: Value) -> bytes:
    """
    Give a field's bytes, the last one's of a field that is there several times; null is empty.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if not value:
        return b""
    if not isinstance(value[-1], int):
        return _bytes(_widen(value[-1]))
    try:
        return bytes(one for one in value if isinstance(one, int))
    except ValueError:  # not from 0 to 255
        return b""


def _widen(value: str | list[int] | None) -> Value:
    return list(value) if isinstance(value, list) else value


def _text(value: Value) -> str:
    return value if isinstance(value, str) else _bytes(value).decode("utf-8", "replace")


def _number(text: str, most: int) -> int | None:
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)) or int(text) > most:
        return None
    return int(text)


def _word(text: str) -> bytes:
    """
    Write what a sender chose as one word of a line: it must not look like several.
    """
    return NOT_A_WORD.sub(b"_", text.encode("utf-8", "replace")) or b"-"


def escape(message: bytes) -> bytes:
    """
    Write control characters as rsyslog does: a newline is #012.
    """
    message = message.rstrip(b"\r\n")
    return CONTROL.sub(lambda found: b"#%03o" % found[0][0], message)
