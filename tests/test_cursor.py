"""
Cursors: which entry one names.
"""

import pytest

from exporter.cursor import is_same, is_same_moment, microseconds_of, read_cursor

ONE = f"s={'a' * 32};i=2;b={'3' * 32};m=4;t=ff;x=6"
MOVED = f"s={'b' * 32};i=99;b={'3' * 32};m=4;t=ff;x=6"
NEIGHBOUR = f"s={'a' * 32};i=3;b={'3' * 32};m=5;t=ff;x=7"
LATER = f"s={'a' * 32};i=3;b={'3' * 32};m=4;t=100;x=6"
OTHER_BOOT = f"s={'a' * 32};i=2;b={'4' * 32};m=4;t=ff;x=6"


@pytest.mark.parametrize(
    ("other", "same", "moment"),
    [
        (ONE, True, True),
        (MOVED, True, True),
        (NEIGHBOUR, False, True),
        (LATER, False, False),
        (OTHER_BOOT, False, False),
    ],
)
def test_is_same(other: str, *, same: bool, moment: bool) -> None:
    """
    An entry that was moved to another file is known again, and no other is taken for it.
    """
    assert same is is_same(ONE, other)
    assert moment is is_same_moment(ONE, other)


@pytest.mark.parametrize(("one", "other"), [("", ONE), (ONE, "")])
def test_nothing(one: str, other: str) -> None:
    """
    No place at all is no entry's.
    """
    assert not is_same(one, other)


def test_microseconds() -> None:
    """
    The time is a hexadecimal number.
    """
    assert 255 == microseconds_of(ONE)


@pytest.mark.parametrize(
    "text",
    [b"", b"garbage", ONE.encode() + b"\n", ONE.encode() + b"\0", ONE.encode()[:-1], b"\xff"],
)
def test_no_cursor(text: bytes) -> None:
    """
    Only what has all the parts is a cursor; anything else never reaches a command line.
    """
    assert "" == read_cursor(text)


def test_cursor() -> None:
    """
    What journalctl prints is one.
    """
    assert ONE == read_cursor(ONE.encode())


def test_moment_of_none() -> None:
    """
    Nobody asks for the time of what is no cursor.
    """
    with pytest.raises(ValueError, match="garbage"):
        microseconds_of("garbage")
