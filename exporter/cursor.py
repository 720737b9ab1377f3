"""
Cursors of the systemd journal: which entry one names, in words that outlive the file it is in.

Pure; systemd calls them opaque, but nothing else tells an entry that was moved from another one
(sd_journal_get_cursor(3), journal_file_move_to_entry_by_seqnum and …_by_monotonic in its source).
"""

import re
from typing import NamedTuple

NUMBER = rb"[0-9a-f]{1,16}"
IDENTITY = rb"[0-9a-f]{32}"
SHAPE = (
    rb"s=" + IDENTITY + rb";i=" + NUMBER + rb";b=" + IDENTITY
    + rb";m=" + NUMBER + rb";t=" + NUMBER + rb";x=" + NUMBER
)  # fmt: skip
"""A pattern, without groups."""
CURSOR = re.compile(SHAPE)


class Lasting(NamedTuple):
    """
    The parts of a cursor that no move changes: hexadecimal.
    """

    boot: str
    monotonic: str
    time: str
    """Microseconds since the epoch."""
    sum: str
    """Of the fields."""


def read_cursor(text: bytes) -> str:
    """
    Give a cursor as journalctl takes it, empty for what is none.
    """
    return text.decode("ascii") if CURSOR.fullmatch(text) else ""


def is_same(one: str, other: str) -> bool:
    """
    Say whether two cursors are of one entry.

    When the journal is moved from memory to the disk, at boot, entries get a new file and number:
    what stays is boot, time and the sum of the fields.
    """
    return one == other or bool(one and other and _lasting(one) == _lasting(other))


def is_same_moment(one: str, other: str) -> bool:
    """
    Say whether two cursors are of one microsecond of one boot.
    """
    first, second = _lasting(one), _lasting(other)
    return (first.boot, first.time) == (second.boot, second.time)


def microseconds_of(cursor: str) -> int:
    """
    Give the time of an entry, microseconds since the epoch.
    """
    return int(_lasting(cursor).time, 16)


def _lasting(cursor: str) -> Lasting:
    if not read_cursor(cursor.encode()):
        raise ValueError(cursor)
    _, _, *lasting = (part[2:] for part in cursor.split(";"))
    return Lasting(*lasting)
