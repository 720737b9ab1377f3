"""
What the daemon is asked to do: one frozen Config, and the texts it is read from.

It checks what can be checked without touching the machine.  It never reads the command line,
the environment, a file or the network: that is `cli` and `daemon`.
"""

import ipaddress
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

MAX_PORT = 65535
MAX_BUCKETS = 100
MOST_SECONDS = 86400

STANDARD_INPUT = Path("-")
RESERVED = (STANDARD_INPUT, Path("journal"))
"""What the state and the label `file` call what has no pathname."""
STANDARD_INPUT_NAMES = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")

_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_.])?")
_PORT = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# The characters of RFC 3986, 3.3 that need no percent-encoding: what clients send is then to the
# letter what is compared.
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@-]+)+/?")
_PROGRAM = re.compile(r"[^\s:\[\]\x00-\x1f\x7f]+")


class StartError(Exception):
    """
    The daemon cannot start; the text is the one line the administrator reads.
    """


@dataclass(frozen=True, slots=True)
class Address:
    """
    Where to listen: an empty host is every interface, port 0 any free port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        """
        Spell it as the flag does, an IPv6 address in brackets.
        """
        if ":" in self.host:
            return f"[{self.host}]:{self.port}"
        return f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """
    Read `host:port`, `:port` or `[::1]:port`; ValueError says what is wrong.
    """
    host, colon, port = text.rpartition(":")
    if not colon or "/" in text:
        raise ValueError(f"{text!r} is not host:port, :port or [IPv6 address]:port")
    if not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        raise ValueError(f"the port of {text!r} is not a number from 0 to {MAX_PORT}")
    if host.startswith("[") and host.endswith("]"):
        return Address(_ipv6(host[1:-1], text), int(port))
    if ":" in host:
        raise ValueError(f"an IPv6 address needs brackets, [::1]:{port}, not {text!r}")
    if host and not _HOST.fullmatch(host):
        raise ValueError(f"{text!r} has no valid host name or address")
    return Address(host, int(port))


def _ipv6(host: str, text: str) -> str:
    """
    Return the IPv6 address between the brackets of `text`, scope included.
    """
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise ValueError(f"{text!r} has no valid IPv6 address between the brackets") from None


def parse_buckets(text: str) -> tuple[float, ...]:
    """
    Read upper bounds in seconds, comma-separated; +Inf is added by itself.
    """
    if not text.strip():
        raise ValueError("needs at least one number of seconds")
    buckets = tuple(_bucket(part.strip()) for part in text.split(","))
    if len(buckets) > MAX_BUCKETS:
        raise ValueError(f"at most {MAX_BUCKETS} buckets, not {len(buckets)}")
    for lower, upper in pairwise(buckets):
        if lower >= upper:
            raise ValueError(f"must rise from one to the next, but {upper} comes after {lower}")
    return buckets


def _bucket(part: str) -> float:
    """
    Read one upper bound.
    """
    if part.lower().lstrip("+-") in {"inf", "infinity", "nan"}:
        raise ValueError(f"{part!r} is not a finite number (+Inf is added by itself)")
    if not _NUMBER.fullmatch(part):
        raise ValueError(f"{part!r} is not a number of seconds")
    seconds = float(part)
    if not math.isfinite(seconds):
        raise ValueError(f"{part!r} is not a finite number (+Inf is added by itself)")
    if seconds <= 0:
        raise ValueError(f"must be more than 0 seconds, not {part!r}")
    return seconds


def parse_telemetry_path(text: str) -> str:
    """
    Check a path to serve the metrics under: none that is taken, none that clients rewrite.
    """
    if not text.startswith("/"):
        raise ValueError(f"must start with a slash, not {text!r}")
    if text == "/" or f"{text}/".startswith("/-/"):
        raise ValueError(f"{text!r} is taken by the exporter itself")
    if not _PATH.fullmatch(text) or {".", ".."} & set(text.split("/")):
        raise ValueError(f"{text!r} is not a plain path")
    return text


def parse_program(text: str) -> str:
    """
    Check a program name as it stands in a syslog line, before `[pid]:`.
    """
    if not _PROGRAM.fullmatch(text):
        raise ValueError(f"{text!r} cannot be a program name in a syslog line")
    return text


def parse_input_file(text: str) -> Path:
    """
    Check the pathname of a log; whether it exists is the daemon's affair.
    """
    if not text:
        raise ValueError("must not be empty")
    if text in STANDARD_INPUT_NAMES:
        return STANDARD_INPUT
    # A file that is really called so is told apart by its directory.
    return Path("/proc/self/cwd", text) if Path(text) in RESERVED else Path(text)


def parse_seconds(text: str) -> float:
    """
    Read a number of seconds, none included.
    """
    seconds = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not 0 <= seconds <= MOST_SECONDS:
        raise ValueError(f"must be a number of seconds from 0 to {MOST_SECONDS}, not {text!r}")
    return seconds


def parse_directory(text: str) -> Path:
    """
    Check the pathname of a directory; whether it exists is the daemon's affair.
    """
    if not text.startswith("/"):
        raise ValueError(f"must be an absolute path, not {text!r}")
    return Path(text)


def parse_state_file(text: str) -> Path:
    """
    Check the pathname of the state file; whether it can be written is the daemon's affair.
    """
    if text.endswith("/") or Path(text).name in {"", ".."}:
        raise ValueError(f"must be the name of a file, not {text!r}")
    return Path(text)


def parse_web_config_file(text: str) -> Path:
    """
    Check the pathname of the web configuration; what it says is read when the daemon starts.
    """
    return parse_state_file(text)


def parse_switch(text: str) -> bool:
    """
    Read the value of a switch in the environment.
    """
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in words:
        raise ValueError(f"must be true or false, not {text!r}")
    return words[text.lower()]


DEFAULT_PROGRAMS = ("milter-manager", "milter-manager-process-launcher")
DEFAULT_LISTEN_ADDRESSES = (Address("", 10125),)
DEFAULT_TELEMETRY_PATH = "/metrics"
DEFAULT_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0),
)


@dataclass(frozen=True, slots=True)
class Config:
    """
    The daemon's whole configuration; without input files it looks for the log itself.
    """

    input_files: tuple[Path, ...] = ()
    journal: bool = False
    """Follow the systemd journal instead of files."""
    journal_directory: Path | None = None
    """Where its files are, if it is not this machine's own."""
    input_programs: tuple[str, ...] = DEFAULT_PROGRAMS
    from_beginning: bool = False
    listen_addresses: tuple[Address, ...] = DEFAULT_LISTEN_ADDRESSES
    systemd_socket: bool = False
    """Take the sockets from systemd instead of the addresses."""
    telemetry_path: str = DEFAULT_TELEMETRY_PATH
    buckets: tuple[float, ...] = DEFAULT_BUCKETS
    state_file: Path | None = None
    """None: where systemd says, or the system's place, or the user's."""
    keep_state: bool = True
    web_config_file: Path | None = None
    linger_seconds: float = 0.0
    """How long to go on serving when standard input, the only input, has ended."""
