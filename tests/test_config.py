"""
The texts a Config is read from, and its defaults.
"""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.config import (
    DEFAULT_BUCKETS,
    STANDARD_INPUT,
    Address,
    Config,
    parse_address,
    parse_buckets,
    parse_input_file,
    parse_program,
    parse_seconds,
    parse_state_file,
    parse_switch,
    parse_telemetry_path,
    parse_web_config_file,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":10125", Address("", 10125)),
        (":0", Address("", 0)),
        ("127.0.0.1:9", Address("127.0.0.1", 9)),
        ("localhost:65535", Address("localhost", 65535)),
        ("mail-1.example.org.:80", Address("mail-1.example.org.", 80)),
        ("[::1]:10125", Address("::1", 10125)),
        ("[::]:1", Address("::", 1)),
        ("[fe80::1%eth0]:1", Address("fe80::1%eth0", 1)),
    ],
)
def test_address(text: str, expected: Address) -> None:
    """
    An address is read as it is written, and written as it is read.
    """
    actual = parse_address(text)

    assert expected == actual
    assert text == str(actual)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "'' is not host:port, :port or [IPv6 address]:port"),
        ("10125", "'10125' is not host:port, :port or [IPv6 address]:port"),
        ("http://a:1", "'http://a:1' is not host:port, :port or [IPv6 address]:port"),
        ("a:", "the port of 'a:' is not a number from 0 to 65535"),
        ("a:65536", "the port of 'a:65536' is not a number from 0 to 65535"),
        ("a:-1", "the port of 'a:-1' is not a number from 0 to 65535"),
        ("a:http", "the port of 'a:http' is not a number from 0 to 65535"),
        ("a:\uff11", "the port of 'a:\uff11' is not a number from 0 to 65535"),
        (":" + "9" * 5000, f"the port of {':' + '9' * 5000!r} is not a number from 0 to 65535"),
        ("::1:80", "an IPv6 address needs brackets, [::1]:80, not '::1:80'"),
        ("[::g]:80", "'[::g]:80' has no valid IPv6 address between the brackets"),
        ("[]:80", "'[]:80' has no valid IPv6 address between the brackets"),
        ("a b:80", "'a b:80' has no valid host name or address"),
        ("*:80", "'*:80' has no valid host name or address"),
    ],
)
def test_bad_address(text: str, expected: str) -> None:
    """
    A bad address is refused in words that say what is wrong with it.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the text is compared
        parse_address(text)

    assert expected == str(caught.value)


@given(st.text())
def test_any_address(text: str) -> None:
    """
    Whatever the text, parsing it gives an address or a ValueError of one line.
    """
    try:
        address = parse_address(text)
    except ValueError as error:
        lines = str(error).splitlines()
    else:
        lines = [str(address)]
        assert address == parse_address(*lines)

    assert 1 == len(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", (1.0,)),
        ("0.1, 1e0 ,2.,.3e2", (0.1, 1.0, 2.0, 30.0)),
        (",".join(str(n) for n in range(1, 101)), tuple(float(n) for n in range(1, 101))),
    ],
)
def test_buckets(text: str, expected: tuple[float, ...]) -> None:
    """
    Buckets are decimal numbers of any usual form.
    """
    assert expected == parse_buckets(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "needs at least one number of seconds"),
        (" ", "needs at least one number of seconds"),
        ("1,,2", "'' is not a number of seconds"),
        ("1;2", "'1;2' is not a number of seconds"),
        ("1_0", "'1_0' is not a number of seconds"),
        ("0x1", "'0x1' is not a number of seconds"),
        ("1,+Inf", "'+Inf' is not a finite number (+Inf is added by itself)"),
        ("NaN", "'NaN' is not a finite number (+Inf is added by itself)"),
        ("1e999", "'1e999' is not a finite number (+Inf is added by itself)"),
        ("0,1", "must be more than 0 seconds, not '0'"),
        ("-1,1", "must be more than 0 seconds, not '-1'"),
        ("2,1", "must rise from one to the next, but 1.0 comes after 2.0"),
        ("1,1.0", "must rise from one to the next, but 1.0 comes after 1.0"),
        (",".join(str(n) for n in range(1, 102)), "at most 100 buckets, not 101"),
    ],
)
def test_bad_buckets(text: str, expected: str) -> None:
    """
    Bad buckets are refused in words that say which and why.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the text is compared
        parse_buckets(text)

    assert expected == str(caught.value)


@pytest.mark.parametrize("text", ["/metrics", "/a/b", "/a/", "/-x", "/a:b@c"])
def test_telemetry_path(text: str) -> None:
    """
    A plain path is taken as it is.
    """
    assert text == parse_telemetry_path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "must start with a slash, not ''"),
        ("metrics", "must start with a slash, not 'metrics'"),
        ("/", "'/' is taken by the exporter itself"),
        ("/-", "'/-' is taken by the exporter itself"),
        ("/-/ready", "'/-/ready' is taken by the exporter itself"),
        ("/-/healthy", "'/-/healthy' is taken by the exporter itself"),
        ("/a?b", "'/a?b' is not a plain path"),
        ("/a b", "'/a b' is not a plain path"),
        ("/a%20b", "'/a%20b' is not a plain path"),
        ("/a/../b", "'/a/../b' is not a plain path"),
        ("//a", "'//a' is not a plain path"),
        ("/\u00e9", "'/\u00e9' is not a plain path"),
    ],
)
def test_bad_telemetry_path(text: str, expected: str) -> None:
    """
    A path that is taken, or that clients would change on the way, is refused.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the text is compared
        parse_telemetry_path(text)

    assert expected == str(caught.value)


def test_program() -> None:
    """
    A program name is what can stand before `[pid]:` in a syslog line.
    """
    assert "milter-manager" == parse_program("milter-manager")
    for text in ["", "a b", "a:", "a[1]", "a\n"]:
        with pytest.raises(ValueError, match="cannot be a program name in a syslog line"):
            parse_program(text)


def test_input_file() -> None:
    """
    A pathname is any that is not empty; a hyphen and its like are standard input.
    """
    assert Path("/var/log/mail log") == parse_input_file("/var/log/mail log")
    assert Path("/proc/self/cwd/-") == parse_input_file("./-")
    assert Path("/proc/self/cwd/journal") == parse_input_file("journal")
    assert Path("/journal") == parse_input_file("/journal")
    with pytest.raises(ValueError, match="must not be empty"):
        parse_input_file("")
    for text in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        assert STANDARD_INPUT == parse_input_file(text)


def test_state_file() -> None:
    """
    A state file is any name of a file; what can only be a directory is refused.
    """
    for text in ["/var/lib/x/state", "state", "a b", "-", "../state", ":"]:
        assert Path(text) == parse_state_file(text)
    for text in ["", "/", "a/", ".", "..", "a/.."]:
        with pytest.raises(ValueError, match=f"^must be the name of a file, not '{text}'$"):
            parse_state_file(text)


def test_web_config_file() -> None:
    """
    A web configuration is any name of a file too.
    """
    assert Path("web.yml") == parse_web_config_file("web.yml")
    with pytest.raises(ValueError, match=r"^must be the name of a file, not 'a/'$"):
        parse_web_config_file("a/")


def test_switch() -> None:
    """
    A switch is true or false, in digits as well.
    """
    assert [True, True, False, False] == [
        parse_switch(text) for text in ("True", "1", "false", "0")
    ]
    for text in ["", "yes", "2", "on\n"]:
        with pytest.raises(ValueError, match=r"^must be true or false, not "):
            parse_switch(text)


def test_defaults() -> None:
    """
    A Config made of nothing is the documented one.
    """
    expected = Config(
        input_files=(),
        input_programs=("milter-manager", "milter-manager-process-launcher"),
        from_beginning=False,
        listen_addresses=(Address("", 10125),),
        telemetry_path="/metrics",
        buckets=parse_buckets(
            "0.001,0.0025,0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,30,60,120,300"
        ),
        state_file=None,
        keep_state=True,
        web_config_file=None,
    )

    assert expected == Config()
    assert 17 == len(DEFAULT_BUCKETS)


def test_frozen() -> None:
    """
    A Config cannot be changed once it is made.
    """
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().telemetry_path = "/x"  # type: ignore[misc]


def test_seconds() -> None:
    """
    Seconds are a number from 0 to a day, and nothing else.
    """
    assert 0.0 == parse_seconds("0")
    assert 1.5 == parse_seconds("1.5")
    for text in ("-1", "nan", "inf", "86401", "1m", ""):
        with pytest.raises(ValueError, match="must be a number of seconds from 0 to 86400"):
            parse_seconds(text)
