"""
The keys of a document.
"""

import pytest

from exporter.section import DocumentError, Section, Value, join, mapping_of

HASH = "$2y$10$" + "a" * 53


def test_join() -> None:
    """
    A key is named on one line, and never shown when it is a hash.
    """
    assert "a" == join("", "a")
    assert "a.b" == join("a", "b")
    assert r"a.'b\n\xe9'" == join("a", "b\n\u00e9")
    assert "a.(a hash)" == join("a", HASH)
    assert "''" == join("", "")
    assert 70 > len(join("", "x" * 1000))


def test_section() -> None:
    """
    A section gives what stands in it, or the default.
    """
    value: Value = {"a": "x", "b": ["y", "z"], "c": False, "d": None}
    section = Section("k", value, ("a", "b", "c", "d", "e"))

    assert section.has("d")
    assert not section.has("e")
    assert ["x", "", "w"] == [section.text("a"), section.text("d"), section.text("e", "w")]
    assert [("y", "z"), (), ()] == [section.texts(name) for name in "bde"]
    assert [False, True, True] == [section.switch(name, default=True) for name in "cde"]
    assert ["x", None, None] == [section.value(name) for name in "ade"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "k: must be a mapping, not a list"),
        ("x", "k: must be a mapping, not text"),
        ({"b": 1}, "k.b: unknown key"),
        ({"b\n": 1}, r"k.'b\n': unknown key"),
        ({"text": 1}, "k.text: must be text, not a number"),
        ({"text": True}, "k.text: must be text, not true or false"),
        ({"text": 0.0}, "k.text: must be text, not a number"),
        ({"text": {}}, "k.text: must be text, not a mapping"),
        ({"text": ""}, "k.text: must not be empty"),
        ({"texts": "a"}, "k.texts: must be a list, not text"),
        ({"texts": ["a", None]}, "k.texts[1]: must be text, not nothing"),
        ({"texts": [""]}, "k.texts[0]: must not be empty"),
        ({"switch": "true"}, "k.switch: must be true or false, not text"),
        ({"switch": 1}, "k.switch: must be true or false, not a number"),
    ],
)
def test_wrong_type(value: Value, expected: str) -> None:
    """
    A value of another kind is refused, and not shown.
    """
    with pytest.raises(DocumentError) as caught:  # noqa: PT012  whichever of them
        section = Section("k", value, ("text", "texts", "switch"))
        section.text("text")
        section.texts("texts")
        section.switch("switch", default=False)

    assert expected == str(caught.value)


def test_top() -> None:
    """
    The whole document has no key to name.
    """
    with pytest.raises(DocumentError, match=r"^must be a mapping, not text$"):
        Section("", "x", ())
    with pytest.raises(DocumentError, match=r"^k: must be a mapping, not nothing$"):
        mapping_of("k", None)
    assert {"a": 1} == mapping_of("k", {"a": 1})
