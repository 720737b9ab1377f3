"""
One run of journalctl, made up for each case.
"""

import os
import select
from pathlib import Path

import pytest
from journals import install
from running import wait_until

from exporter import journalctl
from exporter.journalctl import Journalctl


def read_all(child: Journalctl) -> bytes:
    """
    Read until the end.
    """
    said = b""
    while data := read(child):
        said += data
    return said


def read(child: Journalctl) -> bytes:
    """
    Read once there is something to read.
    """
    poll = select.poll()
    poll.register(child.descriptor, select.POLLIN)
    poll.poll(30_000)
    data = child.read()

    assert data is not None

    return data


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo entry", ""),
        ("echo entry; exit 3", "journalctl ended with status 3"),
        ("echo entry; echo Failed to do. >&2; exit 1", "journalctl: Failed to do."),
        ("echo entry; kill -9 $$", "journalctl was ended by signal 9"),
        (
            "echo entry; echo Nothing opened due to insufficient permissions. >&2; exit 1",
            "not permitted to read the journal",
        ),
        (
            "echo entry; echo Hint: You are not seeing messages from other users. >&2",
            "not permitted to read the journal",
        ),
    ],
)
def test_end(tmp_path: Path, script: str, reason: str) -> None:
    """
    What it printed is read to the end, and why it ended is said in its own words.
    """
    child = Journalctl([], install(tmp_path, script))

    assert b"entry\n" == read_all(child)
    assert reason == child.end()


def test_missing(tmp_path: Path) -> None:
    """
    A program that is not there cannot be run.
    """
    with pytest.raises(FileNotFoundError):
        Journalctl([], {"PATH": str(tmp_path)})


def test_nothing_yet(tmp_path: Path) -> None:
    """
    Nothing is waited for; what waits is counted; the whole group is ended at once, and only once.
    """
    child = Journalctl([], install(tmp_path, "echo $$; /bin/sleep 600 & /bin/sleep 600"))
    number = int(read(child))
    group = os.getpgid(number)

    assert child.read() is None
    assert 0 == child.unread_bytes
    assert group == number

    child.kill()
    child.kill()

    assert not Path(f"/proc/{number}").exists()


def test_closed_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    One that closes its output and stays is ended.
    """
    monkeypatch.setattr(journalctl, "END_SECONDS", 0.05)
    child = Journalctl([], install(tmp_path, "exec >&-; exec /bin/sleep 600"))

    assert b"" == read_all(child)
    assert "journalctl closed its output" == child.end()


def test_chatter(tmp_path: Path) -> None:
    """
    Complaints without end are read, so that it never waits, and the last of them is kept.
    """
    script = (
        "i=0; while [ $i -lt 4000 ]; do echo Complaint number $i of the many >&2; "
        "i=$((i + 1)); done; echo Enough. >&2; exit 1"
    )
    child = Journalctl([], install(tmp_path, script))
    wait_until(lambda: child.read() == b"")

    assert "journalctl: Enough." == child.end()


def test_settings(tmp_path: Path) -> None:
    """
    It speaks English, whatever the exporter's environment, and gets its arguments as they are.
    """
    environ = {**install(tmp_path, 'echo "$LC_ALL $*"'), "LC_ALL": "ja_JP.UTF-8"}
    child = Journalctl(["--follow", "A=b c"], environ)

    assert b"C --follow A=b c\n" == read_all(child)

    child.end()


def test_complaints_without_end(tmp_path: Path) -> None:
    """
    Who complains faster than anybody can listen holds nobody up, and is heard to the end.
    """
    script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo done; exec sleep 600"
    child = Journalctl([], {**os.environ, "PATH": f"{install(tmp_path, script)['PATH']}:/usr/bin"})
    reads = []

    def is_done() -> bool:
        reads.append(child.read())
        return bool(reads[-1])

    wait_until(is_done)
    child.kill()

    assert b"done\n" == reads[-1]
    assert 1_000_000 / (journalctl.MOST_COMPLAINTS * journalctl.COMPLAINT_BYTES) < len(reads) + 1
