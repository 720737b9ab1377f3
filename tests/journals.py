"""
Journals with made-up entries, written by systemd itself from its export format.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path

from running import DEADLINE_SECONDS, require

BOOTS = ("62bacccb5162495cbe35e188fabe664e", "72bacccb5162495cbe35e188fabe664e")
START = 1795385937000000
"""22 November 2026, 22:18:57 UTC, in microseconds."""
PROGRAM = b"milter-manager"
SAID = b"[statistics] [session][end][quit][pass][0.1](%d)"


def write_field(name: str, value: bytes) -> bytes:
    """
    Write a field in the form that takes any bytes.
    """
    return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)


def write_entry(number: int, message: bytes | None, boot: int = 0, **fields: bytes) -> bytes:
    """
    Write one entry, a millisecond after the one of the number before; None is no message at all.
    """
    known = {
        "_PID": b"7",
        "_HOSTNAME": b"mail",
        "PRIORITY": b"5",
        "SYSLOG_FACILITY": b"2",
        "SYSLOG_IDENTIFIER": PROGRAM,
        "_BOOT_ID": BOOTS[boot].encode(),
    }
    head = (
        f"__REALTIME_TIMESTAMP={START + 1000 * number}\n"
        f"__MONOTONIC_TIMESTAMP={1000000 + 1000 * number}\n"
    )
    rest = b"".join(write_field(name, value) for name, value in (known | fields).items() if value)
    said = b"" if message is None else write_field("MESSAGE", message)
    return head.encode() + rest + said + b"\n"


def append(path: Path, entries: Iterable[bytes]) -> None:
    """
    Append entries to a journal file, which is made if it is not there.
    """
    subprocess.run(
        [require("systemd-journal-remote", "systemd-journal-remote"), f"--output={path}", "-"],
        input=b"".join(entries),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    path.chmod(0o644)


def say(path: Path, numbers: Iterable[int], boot: int = 0) -> None:
    """
    Append the end of a session for each number.
    """
    append(path, [write_entry(number, SAID % number, boot) for number in numbers])


def install(directory: Path, script: str) -> dict[str, str]:
    """
    Put a made-up journalctl where only it is found; give the environment for that.
    """
    program = directory / "bin" / "journalctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": str(program.parent)}
