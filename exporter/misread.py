"""
Formats of journalctl that are no lines of a log: known by how they begin, so that it can be said.

Pure.  Reads none of them: `json` has all that they have, one line an entry.
"""

import re

from exporter.record import FULL, VERBOSE

MARKS = re.compile(rb"\A(?:-- [^\n]* --\n)+")
"""What journalctl puts before the first entry, and between those of two boots."""
FORMS = {
    "export": re.compile(rb"__CURSOR="),
    "json-pretty": re.compile(rb"\{(?:\n|\Z)"),
    "json-sse": re.compile(rb'data: \{"'),
    "json-seq": re.compile(rb'\x1e\{"'),
    "verbose": re.compile(FULL + rb" " + VERBOSE),
    "short-monotonic": re.compile(rb"\[ *\d++\.\d{6}\] "),
    "short-delta": re.compile(rb"\[ *\d++\.\d{6} [ <]"),
}


def name_form(head: bytes) -> str:
    """
    Name the format that an input begins in, if it is one of those; empty if it is not.
    """
    entries = MARKS.sub(b"", head)
    return next((name for name, pattern in FORMS.items() if pattern.match(entries)), "")
