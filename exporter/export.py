"""
The journal's export format, as `journalctl -o export` prints it: bytes in, entries out.

https://systemd.io/JOURNAL_EXPORT_FORMATS/: one field a line, NAME=value, or,
for any bytes, NAME, the length as 8 bytes, the value; an empty line ends the entry.  journalctl
writes it in less than half the time that JSON takes, and no field is altered or left out.

Pure: it knows nothing of what the fields mean.
"""

from typing import TypeAlias

Fields: TypeAlias = dict[bytes, bytes]
"""Of a field that is there several times the last one."""

LENGTH_BYTES = 8


def read_fields(data: bytes, at: int = 0) -> tuple[Fields, int] | None:
    """
    Read the entry that begins at a place; give where it ends too; None if it is not whole.
    """
    fields: Fields = {}
    while (newline := data.find(b"\n", at)) >= 0:
        if newline == at:
            return fields, newline + 1
        name, equals, value = data[at:newline].partition(b"=")
        at = newline + 1
        if not equals:
            start = at + LENGTH_BYTES
            at = start + int.from_bytes(data[at:start], "little") + 1
            if at > len(data):
                return None
            value = data[start : at - 1]
        fields[name] = value
    return None
