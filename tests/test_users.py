"""
Basic authentication: headers as strangers write them, and passwords with real bcrypt.
"""

import base64

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.users import Credentials, Users, parse_basic

CHEAP = 4


def hash_of(password: bytes, rounds: int = CHEAP) -> bytes:
    """
    Make a hash, as cheap as bcrypt allows.
    """
    return bcrypt.hashpw(password, bcrypt.gensalt(rounds))


def basic(credentials: bytes, scheme: str = "Basic ") -> str:
    """
    Make a header.
    """
    return scheme + base64.b64encode(credentials).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # The examples of RFC 7617, 2 and 2.1.
        ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", b"open sesame")),
        ("Basic dGVzdDoxMjPCow==", ("test", "123£".encode())),
        (basic(b"a:b", "bAsIc "), ("a", b"b")),
        (basic(b"a:b", "Basic    "), ("a", b"b")),
        (basic(b"a:b") + " ", ("a", b"b")),
        (basic(b"a:b:c:"), ("a", b"b:c:")),
        (basic(b"a:"), ("a", b"")),
        (basic(b":b"), ("", b"b")),
        (basic(b":"), ("", b"")),
        (basic("é:ü".encode()), ("é", "ü".encode())),
        (basic(b"\xff:\xfe\0"), ("\udcff", b"\xfe\0")),
        (basic(b"a:" + b"x" * 100), ("a", b"x" * 72)),
    ],
)
def test_header(header: str, expected: tuple[str, bytes]) -> None:
    """
    A name ends at the first colon, and a password holds anything.
    """
    assert Credentials(*expected) == parse_basic(header)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Basic",
        "Basic ",
        "Basic =",
        "Basic a",
        "Basic YTpi!",
        "Basic YTp",
        "Basic YTpi YTpi",
        "Basic YTpi,Basic YTpi",
        "Basic é",
        "Basic \udcff",
        "Bearer YTpi",
        "Basic\tYTpi",
        basic(b"no colon"),
        "Digest username=a",
    ],
)
def test_malformed_header(header: str) -> None:
    """
    Any other scheme, what is not base64 and what has no colon is nobody.
    """
    assert None is parse_basic(header)


@given(st.one_of(st.text(), st.text().map("Basic ".__add__), st.binary().map(basic)))
def test_any_header(header: str) -> None:
    """
    Whatever a header holds, nothing is raised, and the outcome can be looked up.
    """
    credentials = parse_basic(header)
    if credentials is not None:
        assert not Users().knows({"a": b"hash"}, credentials)


def test_password_not_shown() -> None:
    """
    A password does not appear where credentials are shown.
    """
    assert "secret" not in repr(Credentials("a", b"secret"))


@pytest.mark.parametrize(
    ("password", "given", "expected"),
    [
        (b"right", b"right", True),
        (b"right", b"wrong", False),
        (b"", b"", True),
        (b"", b"x", False),
        (b"a\0b", b"a\0b", True),
        (b"a\0b", b"a\0c", False),
        (b"a\0b", b"a", False),
        ("pässword".encode(), "pässword".encode(), True),
        (b"\xff\xfe", b"\xff\xfe", True),
        # Go cuts at 72 bytes.
        (b"x" * 72, b"x" * 73, True),
        (b"x" * 72, b"x" * 72 + b"\0", True),
        (b"x" * 72, b"x" * 71, False),
        (b"x" * 71, b"x" * 72, False),
    ],
)
def test_verify(password: bytes, given: bytes, expected: bool) -> None:  # noqa: FBT001  a table
    """
    The right password is right, to the byte, up to 72 of them.
    """
    users = {"other": hash_of(b"other"), "a": hash_of(password)}
    credentials = parse_basic(basic(b"a:" + given))

    assert credentials is not None
    assert expected is Users().verify(users, credentials)


@pytest.mark.parametrize("kind", [b"$2a$", b"$2b$", b"$2y$"])
def test_kinds_of_hashes(kind: bytes) -> None:
    """
    The hashes of htpasswd, of Go and of OpenBSD are the same ones by different names.
    """
    users = {"a": kind + hash_of(b"right")[4:]}

    assert Users().verify(users, Credentials("a", b"right"))
    assert not Users().verify(users, Credentials("a", b"wrong"))


def test_broken_hash() -> None:
    """
    With what is no hash nobody comes in.
    """
    assert not Users().verify({"a": b"$2y$99$nonsense"}, Credentials("a", b""))


def test_remembered() -> None:
    """
    A password that was right is known from then on, a wrong one never.
    """
    users = {"a": hash_of(b"right"), "b": hash_of(b"right")}
    door = Users()
    right, wrong = Credentials("a", b"right"), Credentials("a", b"wrong")

    assert not door.knows(users, right)
    assert door.verify(users, right)
    assert not door.verify(users, wrong)
    assert door.knows(users, right)
    assert not door.knows(users, wrong)
    assert not door.knows(users, Credentials("b", b"right"))
    assert not door.knows(users, Credentials("", b"aright"))


def test_changed_users() -> None:
    """
    What was remembered holds for this user with this hash only.
    """
    users = {"a": hash_of(b"right"), "b": hash_of(b"other")}
    door = Users()
    right = Credentials("a", b"right")

    assert door.verify(users, right)
    assert not door.knows({"b": users["b"]}, right)
    assert not door.knows({"b": users["a"]}, right)
    assert not door.knows({"a": hash_of(b"new")}, right)
    assert not door.knows({"a": hash_of(b"right")}, right)
    assert door.knows({"a": users["a"]}, right)


def test_removed_users_are_forgotten() -> None:
    """
    No more is remembered than there are users.
    """
    door = Users()
    for number in range(20):
        name = f"user{number}"
        users = {name: hash_of(b"right")}
        assert door.verify(users, Credentials(name, b"right"))

    assert not door.knows(users | {"user0": b""}, Credentials("user0", b"right"))
    assert 1 == len(door._verified)  # noqa: SLF001  nothing else shows memory


def test_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A stranger costs one bcrypt like a user, at the cost of one, and even a right password fails.
    """
    hashes: list[bytes] = []
    check = bcrypt.checkpw

    def spy(password: bytes, hashed: bytes) -> bool:
        hashes.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", spy)
    users = {"a": hash_of(b"right", 4), "b": hash_of(b"right", 5)}
    door = Users()
    for _ in range(2):
        for number in range(20):
            assert not door.verify(users, Credentials(f"stranger{number}", b"right"))

    assert set(users.values()) == set(hashes)
    assert hashes[:20] == hashes[20:]
