"""
Milter names: as labels, bounded, and told from the text around them.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.milters import LIMIT, NAME_BYTES, MilterNames, as_label


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (b"policy", "policy"),
        (b"", ""),
        (b"(null)", "(null)"),
        (b"name with spaces", "name with spaces"),
        ("日本語ミルター".encode(), "日本語ミルター"),
        (b"tab\there", "tab#011here"),
        (b"tab#011here", "tab#011here"),
        (b"a\nb\x00\x7f", "a#012b#000#177"),
        (b"caf\xe9", "caf\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b'quote"back\\slash', 'quote"back\\slash'),
    ],
)
def test_as_label(name: bytes, expected: str) -> None:
    """
    A label is text without control characters, the same from syslog and from the own file.
    """
    assert expected == as_label(name)


@settings(max_examples=200)
@given(st.binary())
def test_label_is_utf8(name: bytes) -> None:
    """
    Any bytes make a label that UTF-8 can encode, on one line.
    """
    label = as_label(name)

    assert label == label.encode().decode()
    assert not any(character < " " for character in label)


def test_limit() -> None:
    """
    The first hundred names are labels for good; every later one is `other`.
    """
    names = MilterNames()
    first = [f"milter-{i}" for i in range(LIMIT)]

    assert 100 == LIMIT
    assert first == [names.label(name.encode()) for name in first]
    assert "other" == names.label(b"one too many")
    assert first == [names.label(name.encode()) for name in first]
    assert LIMIT == len(names)
    assert b"one too many" not in names
    assert [name.encode() for name in first] == list(names)


def test_long_name() -> None:
    """
    A name longer than any administrator writes is `other`, and takes no place.
    """
    names = MilterNames()

    assert "n" * NAME_BYTES == names.label(b"n" * NAME_BYTES)
    assert "other" == names.label(b"n" * (NAME_BYTES + 1))
    assert 1 == len(names)


def test_restored() -> None:
    """
    The names of an earlier run are there from the start, in their order.
    """
    names = MilterNames([b"b", b"a"])

    assert [b"b", b"a"] == list(names)
    assert b"a" in names
    assert "a" == names.label(b"a")


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        ([], b"Decode error: quark: SMTP reply code <999>: raw", b"raw"),
        ([], b"error: paren(1): colon", b"colon"),
        ([b"paren(1): colon"], b"error: paren(1): colon", b"paren(1): colon"),
        ([b"colon", b"paren(1): colon"], b"error: paren(1): colon", b"paren(1): colon"),
        ([b"raw"], b"error: raw: policy", b"policy"),
        ([], b"error: ", b""),
        ([], b"error: a name:", b""),
        ([b"name:"], b"error: a: name:", b"name:"),
        ([], b"no separator", None),
        ([], b"", None),
        ([], b"error: " + b"n" * 1000, b"n" * 1000),
    ],
)
def test_last(known: list[bytes], text: bytes, expected: bytes | None) -> None:
    """
    A known name at the end wins, the longest of them; else it is what follows the last separator.
    """
    assert expected == MilterNames(known).last(text, b": ")


def test_last_of_cut_text() -> None:
    """
    A text that may have lost its end names known milters only.
    """
    names = MilterNames([b"opendkim"])

    assert b"opendkim" == names.last(b"error: opendkim", b": ", cut=True)
    assert None is names.last(b"error: opendk", b": ", cut=True)
    assert None is names.last(b"error:", b": ", cut=True)


@pytest.mark.parametrize(
    ("known", "text", "expected"),
    [
        ([], b"raw] text", b"raw"),
        ([], b"[brackets]] text", b"[brackets]"),
        ([], b"a] b] text", b"a"),
        ([b"a] b"], b"a] b] text", b"a] b"),
        ([b"a", b"a] b"], b"a] b] text", b"a] b"),
        ([b"text"], b"raw] text] more", b"raw"),
        ([], b"] text", b""),
        ([], b"no end", None),
        ([b"n" * NAME_BYTES], b"n" * NAME_BYTES + b"] x", b"n" * NAME_BYTES),
    ],
)
def test_first(known: list[bytes], text: bytes, expected: bytes | None) -> None:
    """
    A known name at the start wins, the longest of them; else it is what precedes the first end.
    """
    assert expected == MilterNames(known).first(text, b"] ")


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=8), max_size=5), st.binary(max_size=40), st.booleans())
def test_any_text(known: list[bytes], text: bytes, cut: bool) -> None:  # noqa: FBT001
    """
    Whatever is found is a part of the text, and looking for it adds no name.
    """
    names = MilterNames(known)
    before = list(names)
    found = (names.last(text, b": ", cut=cut), names.first(text, b"] "))

    assert all(name is None or name in text for name in found)
    assert before == list(names)
