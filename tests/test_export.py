"""
The journal's export format, as systemd describes it.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journals import write_field

from exporter.export import Fields, read_fields


def split_entries(data: bytes) -> tuple[list[Fields], bytes]:
    """
    Read one entry after the other.
    """
    entries: list[Fields] = []
    at = 0
    while read := read_fields(data, at):
        fields, at = read
        entries.append(fields)
    return entries, data[at:]


@pytest.mark.parametrize(
    ("data", "entries", "rest"),
    [
        (b"", [], b""),
        (b"A=1\nB=x=y\n\n", [{b"A": b"1", b"B": b"x=y"}], b""),
        (b"A=1\n\nA=2\n\nA=3\n", [{b"A": b"1"}, {b"A": b"2"}], b"A=3\n"),
        (b"A=1\nA=2\n\n", [{b"A": b"2"}], b""),
        (
            b"A=1\nM\n\x03\0\0\0\0\0\0\0a\n\n\nB=2\n\n",
            [{b"A": b"1", b"M": b"a\n\n", b"B": b"2"}],
            b"",
        ),
        (b"M\n\x03\0\0\0\0\0\0\0a\n\n", [], b"M\n\x03\0\0\0\0\0\0\0a\n\n"),
        (b"M\n\x02\0\0\0\0\0\0\0\n\n\n", [], b"M\n\x02\0\0\0\0\0\0\0\n\n\n"),
    ],
)
def test_split(data: bytes, entries: list[Fields], rest: bytes) -> None:
    """
    Whole entries are taken, the last of a repeated field, the rest is left as it is.
    """
    assert (entries, rest) == split_entries(data)


values = st.lists(st.sampled_from([b"\n", b"=", b"A", b"\0", b"\xff", b"\n\n"])).map(b"".join)


@given(st.lists(st.dictionaries(st.sampled_from(["A", "B", "C"]), values, min_size=1)), st.data())
def test_any_bytes(entries: list[dict[str, bytes]], data: st.DataObject) -> None:
    """
    Any bytes come through, wherever what is read happens to end.
    """
    written = b"".join(
        b"__CURSOR=x\n"
        + b"".join(write_field(name, value) for name, value in entry.items())
        + b"\n"
        for entry in entries
    )
    cut = data.draw(st.integers(0, len(written)))
    first, rest = split_entries(written[:cut])
    second, left = split_entries(rest + written[cut:])
    expected = [
        {b"__CURSOR": b"x", **{name.encode(): value for name, value in entry.items()}}
        for entry in entries
    ]

    assert expected == first + second
    assert b"" == left
