"""
The unknown tags: counted, ranked, bounded, and nothing but tags.
"""

from hypothesis import given
from hypothesis import strategies as st

from exporter.unknown import LENGTH, LIMIT, UnknownTags


def test_ranked() -> None:
    """
    The most frequent come first, equals by name.
    """
    tags = UnknownTags()
    tags.count(b"[b]", 2)
    tags.count(b"[c][d]")
    tags.count(b"[a]")
    tags.count(b"[a]")
    tags.count(b"[e-f_2]", 3)

    assert (("[e-f_2]", 3), ("[a]", 2), ("[b]", 2), ("[c][d]", 1)) == tags.ranked()
    assert 0 == tags.unlisted


def test_limit() -> None:
    """
    When the list is full those on it are counted on, and the others together.
    """
    tags = UnknownTags()
    for i in range(LIMIT + 10):
        tags.count(b"[t%d]" % i)
    tags.count(b"[t0]", 5)
    tags.count(b"[t%d]" % LIMIT, 5)

    assert LIMIT == len(tags.ranked())
    assert ("[t0]", 6) == tags.ranked()[0]
    assert 15 == tags.unlisted


def test_length() -> None:
    """
    What is too long is counted, not kept.
    """
    tags = UnknownTags()
    tags.count(b"[" + b"a" * (LENGTH - 2) + b"]")
    tags.count(b"[" + b"a" * (LENGTH - 1) + b"]")

    assert [LENGTH] == [len(text) for text, _ in tags.ranked()]
    assert 1 == tags.unlisted


@given(st.lists(st.binary(max_size=20) | st.from_regex(rb"(\[[\w-]+\]){1,3}.?", fullmatch=True)))
def test_nothing_but_tags(lines: list[bytes]) -> None:
    """
    Whatever it is given, it keeps the characters of tags only, and counts every line.
    """
    tags = UnknownTags()
    for line in lines:
        tags.count(line)
    shown = "".join(text for text, _ in tags.ranked())

    assert len(lines) == sum(number for _, number in tags.ranked()) + tags.unlisted
    assert all(c in "[]-_" or (c.isascii() and c.isalnum()) for c in shown)
