"""
Entries of the journal in its export format -> the lines that syslog would write of them.

Nearly all entries are of a kind that one pattern takes apart: no field of any bytes, nothing to be
escaped.  The others are read field by field, with the same result.

Pure: it knows nothing of processes, of places or of what a message means.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from exporter.cursor import SHAPE, read_cursor
from exporter.entry import MOST_LETTERS, escape, write_second, write_sender, write_stamp
from exporter.export import Fields, read_fields
from exporter.generation import LINE_BYTES

SENDER = (
    *(b"SYSLOG_IDENTIFIER", b"PRIORITY", b"SYSLOG_FACILITY", b"_PID", b"SYSLOG_PID"),
    b"_HOSTNAME",
)
CURSOR, MOMENT = b"__CURSOR", b"__REALTIME_TIMESTAMP"
FIELDS = (b"MESSAGE", *SENDER)
"""Those that make a line beside its place and time, which are always printed."""

# As large as journald's own fields are; a sender's may be of any size, and is kept for the next.
OTHER_FIELDS = rb"((?>(?:(?!MESSAGE=)[^=\n]{1,64}+=.{0,256}+\n){0,12}))"
PLAIN = re.compile(
    rb"__CURSOR=(" + SHAPE + rb")\n"
    rb"__REALTIME_TIMESTAMP=(\d{10})(\d{6})\n"  # from 2001 to 2286
    rb"(?>(?:__[A-Z_]++=.*+\n)*)"
    + OTHER_FIELDS + rb"MESSAGE=([^\x00-\x1f\x7f]*+)\n" + OTHER_FIELDS + rb"\n"
)  # fmt: skip


class Said(NamedTuple):
    """
    One entry.
    """

    cursor: str
    """Empty in what is no entry of journalctl's."""
    line: bytes
    """Without a newline; longer than `LINE_BYTES`, of whatever, when the message is."""


def write_lines(data: bytes) -> tuple[list[Said], bytes]:
    """
    Write the whole entries as lines; give the beginning of the one that is not whole, too.
    """
    said: list[Said] = []
    at = 0
    match_plain = PLAIN.match
    while at < len(data):
        plain = match_plain(data, at)
        if plain:
            cursor, second, fraction, before, message, behind = plain.groups()
            pri, sender = _write_sender(before, behind)
            line = b"%s%s.%sZ%s%s" % (pri, write_second(int(second)), fraction, sender, message)
            said.append(Said(cursor.decode("ascii"), line))
            at = plain.end()
            continue
        read = read_fields(data, at)
        if read is None:
            break
        fields, at = read
        said.append(Said(read_cursor(fields.get(CURSOR, b"")), _write_any(fields)))
    return said, data[at:]


@lru_cache(maxsize=256)
def _write_sender(before: bytes, behind: bytes) -> tuple[bytes, bytes]:
    """
    Write what stands before and behind the time, from the fields before and behind the message.
    """
    read = read_fields(before + behind + b"\n")
    assert read is not None  # noqa: S101 - the pattern took whole fields only
    return _write_sender_of(read[0])


def _write_any(fields: Fields) -> bytes:
    """
    Write an entry that need not be plain.
    """
    message = fields.get(b"MESSAGE", b"")
    if len(message) > LINE_BYTES:
        return message  # escaping takes long, and it will not be counted
    pri, sender = _write_sender_of(fields)
    return (
        pri
        + write_stamp(fields.get(MOMENT, b"").decode("utf-8", "replace"))
        + sender
        + escape(message)
    )


def _write_sender_of(fields: Fields) -> tuple[bytes, bytes]:
    texts = [fields.get(name, b"").decode("utf-8", "replace")[:MOST_LETTERS] for name in SENDER]
    identifier, priority, facility, pid, syslog_pid, hostname = texts
    return write_sender(priority, facility, hostname, identifier, pid or syslog_pid)
