"""
A strict YAML document.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.document import read_document
from exporter.section import DocumentError, Value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# only a comment\n", {}),
        ("---\n", {}),
        ("\ufeffa: b", {"a": "b"}),
        ("a: b\nc: [d, 'e', \"f\"]", {"a": "b", "c": ["d", "e", "f"]}),
        ("a: 1\nb: -2\nc: +0\nd: 0.5", {"a": 1, "b": -2, "c": 0, "d": 0.0}),
        ("a: yes\nb: off\nc: True\nd: FALSE", {"a": True, "b": False, "c": True, "d": False}),
        ("a: 'yes'\nb: '1'\n'1': '~'", {"a": "yes", "b": "1", "1": "~"}),
        ("a:\nb: ~\nc: null", {"a": None, "b": None, "c": None}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("a: {b: {}}", {"a": {"b": {}}}),
        ("!!str 1", "1"),
        ("[1, x]", [1, "x"]),
    ],
)
def test_values(text: str, expected: Value) -> None:
    """
    Mappings, lists, texts, whole numbers, true and false are read; a fraction is only told apart.
    """
    assert expected == read_document(text.encode())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a: b\n\ta: c", "line 2: found character '\\t' that cannot start any token"),
        (b"a: [b", "line 1: expected ',' or ']', but got '<stream end>'"),
        (b"a: b\nc\nd: e", "line 3: could not find expected ':'"),
        (b"a: b\n--- x\n", "line 2: but found another document"),
        (b"a: b\nc: \xff", "line 2: not UTF-8"),
        (b"\xff\xfea\x00", "line 1: not UTF-8"),
        (b"a: b\nc: \x00", "line 2: a character that YAML forbids"),
        (b'a: "\\UFFFFFFFF"', "a number or an escape that YAML forbids"),
        (b'a: "\\U00110000"', "a number or an escape that YAML forbids"),
        (b'a:\n  b: "\\ud800"', "a.b: line 2: half a character (a surrogate)"),
        (b"a: {b: c, b: d}", "a.b: line 1: given twice"),
        (b"a: b\nc: d\na: b", "a: line 3: given twice"),
        (b"a: &x {}\nb: *x", "line 2: aliases are not supported"),
        (b"a: &x [*x]", "line 1: aliases are not supported"),
        (b"a:\n  <<: {b: c}", "a: line 2: merge keys (<<) are not supported"),
        (b"yes: b", "line 1: a key is true or false, not text: quote it"),
        (b"a:\n  1: b", "a: line 2: a key is a number, not text: quote it"),
        (b"a: {~: b}", "a: line 1: a key is nothing, not text: quote it"),
        (b"? [a]\n: b", "line 1: a key is a list, not text: quote it"),
        (b"? {a: b}\n: c", "line 1: a key is a mapping, not text: quote it"),
        (b"a: 1:30", "a: line 1: read as something else than text: quote it"),
        (b"a: 010", "a: line 1: read as something else than text: quote it"),
        (b"a: 2001-01-01", "a: line 1: read as something else than text: quote it"),
        (b"a: !!int x", "a: line 1: read as something else than text: quote it"),
        (b"a: !!bool x", "a: line 1: read as something else than text: quote it"),
        (b"a: !!python/name:os.system x", "a: line 1: read as something else than text: quote it"),
        (b"a: !x {}", "a: line 1: tags are not supported"),
        (b"a: [b, !!set {}]", "a[1]: line 1: tags are not supported"),
        (b"!x []", "line 1: tags are not supported"),
        (b"[" * 100_000, "line 1: nested deeper than 16 levels"),
        (b"a: b: c", "line 1: mapping values are not allowed here"),
    ],
)
def test_refused(data: bytes, expected: str) -> None:
    """
    What is no YAML, or what people trip over in it, is refused with its place.
    """
    with pytest.raises(DocumentError) as caught:
        read_document(data)

    assert expected == str(caught.value)


@given(
    st.one_of(
        st.binary(), st.text(alphabet="ab:-?{}[]!&*|>'\"%@`#,~<1.\\\n\t \u00e9").map(str.encode)
    )
)
def test_anything(data: bytes) -> None:
    """
    Whatever a file says is read or refused on one line.
    """
    try:
        read_document(data)
    except DocumentError as error:
        reason = str(error)
    else:
        reason = "read"

    assert len(reason.splitlines()) == 1
