"""
The systemd journal, read by the real journalctl from journals that systemd wrote.
"""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from journals import SAID, START, append, install, say, write_entry
from running import require, wait_until

from exporter import journal as module
from exporter.generation import LINE_BYTES
from exporter.journal import Journal, read_machine_id
from exporter.mark import Mark

PROGRAMS = ("milter-manager", "mymilter")


@dataclass(slots=True)
class Reader:
    """
    A journal that is read by hand, with the time as the test says.
    """

    journal: Journal
    now: float = 0.0
    lines: list[bytes] = field(default_factory=list)

    def read(self) -> None:
        """
        Look once.
        """
        for chunk in self.journal.read(self.now):
            if chunk.lines:
                self.lines += chunk.lines[1:].split(b"\n")

    def wait(self, count: int) -> list[bytes]:
        """
        Look until there are so many lines, and all that were there at the start.
        """

        def is_enough() -> bool:
            self.read()
            return len(self.lines) >= count and not self.journal.is_catching_up

        wait_until(is_enough)
        return self.lines

    def unread(self) -> int:
        """
        Look, and count what is left over.
        """
        self.read()
        return self.journal.unread_bytes

    def follow(self) -> None:
        """
        Look until journalctl follows.
        """
        self.wait(0)

    def wait_for_problem(self) -> str:
        """
        Look until there is a problem.
        """

        def has_problem() -> bool:
            self.read()
            return bool(self.journal.problem)

        wait_until(has_problem)
        return self.journal.problem

    def has_lost(self, going_on: str) -> bool:
        """
        Say whether the loss of the place is said, and counted, once.
        """
        said = self.journal.notes == [f"the place in the journal is gone, {going_on}"]
        return said and self.journal.statistics.read_errors == 1

    def said(self) -> list[int]:
        """
        Give the numbers of the sessions that ended.
        """
        return [int(line.rpartition(b"(")[2][:-1]) for line in self.lines]


@dataclass(slots=True)
class Readers:
    """
    Makes them, and ends them all.
    """

    directory: Path
    made: list[Reader] = field(default_factory=list)

    def make(
        self,
        mark: Mark | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        from_beginning: bool = True,
    ) -> Reader:
        """
        Make one, to go on at a mark.
        """
        journal = Journal(PROGRAMS, from_beginning, environ or os.environ, self.directory)
        journal.marks = [mark] if mark else []
        self.made.append(Reader(journal))
        return self.made[-1]

    def read_all(self, count: int) -> Mark:
        """
        Read so many entries from the beginning, and end there.
        """
        reader = self.make()
        reader.wait(count)
        mark = mark_of(reader)
        reader.journal.close()
        return mark


@pytest.fixture
def readers(journal_directory: Path) -> Iterator[Readers]:
    """
    What makes readers.
    """
    readers = Readers(journal_directory)
    yield readers
    for reader in readers.made:
        reader.journal.close()


def mark_of(reader: Reader) -> Mark:
    """
    Give the place that was reached.
    """
    return reader.journal.places()[0][1]


def cursor(number: int) -> str:
    """
    Make the cursor of an entry.
    """
    return f"s={'1' * 32};i={number:x};b={'2' * 32};m={number:x};t={number:x};x={number:x}"


def export(message: bytes, number: int) -> bytes:
    """
    Write an entry as journalctl prints it.
    """
    head = f"__CURSOR={cursor(number)}\n__REALTIME_TIMESTAMP={number}\n"
    return head.encode() + b"MESSAGE=%s\n\n" % message


def prints(directory: Path, *runs: list[bytes]) -> dict[str, str]:
    """
    Put up a journalctl that prints this in its first, second, ... run, and then waits.
    """
    for number, run in enumerate(runs):
        (directory / f"run{number}").write_bytes(b"".join(run))
    script = f"""
case "$*" in *follow*) ;; *) exit;; esac
echo "$*" >> {directory}/asked
read number < {directory}/number
echo $((number + 1)) > {directory}/number
/bin/cat {directory}/run$number
exec /bin/sleep 600"""
    (directory / "number").write_text("0\n")
    return install(directory, script)


def test_forms(journal_directory: Path, readers: Readers) -> None:
    """
    Text, bytes, several lines, none and repeated fields become lines; other programs' do not.
    """
    repeated = write_entry(6, b"once", SYSLOG_IDENTIFIER=b"mymilter")[:-1] + b"MESSAGE=twice\n\n"
    append(
        journal_directory / "a.journal",
        [
            write_entry(0, b"plain", PRIORITY=b"3"),
            write_entry(1, b"two\nlines\t\x01"),
            write_entry(2, b"\xff\xfe bytes"),
            write_entry(3, b"x" * 5000),
            write_entry(4, b"stranger", SYSLOG_IDENTIFIER=b"postfix"),
            write_entry(5, b"[statistics] said"),
            repeated,
        ],
    )
    reader = readers.make()

    assert [
        b"<19>2026-11-22T22:18:57.000000Z mail milter-manager[7]: plain",
        b"<21>2026-11-22T22:18:57.001000Z mail milter-manager[7]: two#012lines#011#001",
        b"<21>2026-11-22T22:18:57.002000Z mail milter-manager[7]: \xff\xfe bytes",
        b"<21>2026-11-22T22:18:57.003000Z mail milter-manager[7]: " + b"x" * 5000,
        b"<21>2026-11-22T22:18:57.005000Z mail milter-manager[7]: [statistics] said",
    ] == reader.wait(6)[:5]
    assert reader.lines[5].startswith(b"<21>2026-11-22T22:18:57.006000Z mail mymilter[7]: ")
    assert reader.journal.unread_bytes == 0
    assert 0 == reader.journal.half_lines


def test_follow(journal_directory: Path, readers: Readers) -> None:
    """
    What is written later comes, from a new file too, and wakes who waits.
    """
    say(journal_directory / "a.journal", range(3))
    reader = readers.make(from_beginning=False)
    journal = reader.journal

    assert [] == journal.places()
    assert (None, set()) == (journal.descriptor, journal.numbers)

    reader.follow()
    say(journal_directory / "a.journal", range(3, 5))
    say(journal_directory / "b.journal", range(5, 7))
    reader.wait(4)

    assert [3, 4, 5, 6] == reader.said()
    assert reader.journal.descriptor is not None
    assert {1} == reader.journal.numbers


def test_resume(journal_directory: Path, readers: Readers) -> None:
    """
    A later run goes on behind the last entry, over a reboot and whatever was written meanwhile.
    """
    say(journal_directory / "a.journal", range(3))
    mark = readers.read_all(3)
    say(journal_directory / "a.journal", range(3, 5))
    say(journal_directory / "b.journal", range(5, 8), boot=1)
    second = readers.make(mark, from_beginning=False)

    assert [(-1, mark)] == second.journal.places()
    assert second.journal.is_catching_up

    second.wait(5)

    assert [3, 4, 5, 6, 7] == second.said()
    assert {1: 0} == second.journal.resumed
    assert [] == second.journal.notes


def test_first_entry(journal_directory: Path, readers: Readers) -> None:
    """
    Where there was nothing, all that comes is new, after a restart too.
    """
    first = readers.make(from_beginning=False)
    first.follow()
    mark = mark_of(first)
    first.journal.close()
    say(journal_directory / "a.journal", range(2))
    second = readers.make(mark, from_beginning=False)
    second.wait(2)

    assert [0, 1] == second.said()


def test_vacuumed(journal_directory: Path, readers: Readers) -> None:
    """
    When the place is gone it goes on at the oldest entry left; that is said and counted.
    """
    say(journal_directory / "a.journal", range(3))
    mark = readers.read_all(3)
    (journal_directory / "a.journal").unlink()
    say(journal_directory / "b.journal", range(7, 9))
    second = readers.make(mark)
    second.wait(2)

    assert [7, 8] == second.said()
    assert second.has_lost("going on at the next entry left")


def test_killed(journal_directory: Path, readers: Readers) -> None:
    """
    A journalctl that is killed is followed by another, which begins where it was.
    """
    say(journal_directory / "a.journal", range(3))
    reader = readers.make()
    reader.wait(3)
    for number in range(3, 6):
        child = reader.journal._child  # noqa: SLF001 - nobody else knows its number
        assert child is not None
        os.kill(child._process.pid, signal.SIGKILL)  # noqa: SLF001
        say(journal_directory / "a.journal", [number])
        problem = reader.wait_for_problem()

        assert "journalctl was ended by signal 9" == problem

        before = len(reader.lines)
        reader.read()  # too early

        assert before == len(reader.lines)

        reader.now += 100.0
        reader.wait(number + 1)
        reader.read()

        assert list(range(number + 1)) == reader.said()
        assert not reader.journal.problem
    assert 3 == reader.journal.statistics.read_errors


def test_back_off(journal_directory: Path, readers: Readers, tmp_path: Path) -> None:
    """
    After each failure it waits twice as long, a minute at most; a steady run begins anew.
    """
    reader = readers.make(environ={"PATH": str(tmp_path)})
    delays = []
    for _ in range(8):
        reader.read()
        delays.append(reader.journal._retry_at - reader.now)  # noqa: SLF001 - takes minutes
        reader.now = reader.journal._retry_at  # noqa: SLF001 - see above

    assert [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] == delays
    assert "cannot run journalctl: No such file or directory" == reader.journal.problem

    say(journal_directory / "a.journal", range(1))
    reader.journal.environ = os.environ
    reader.wait(1)
    reader.now += 61.0
    reader.read()
    reader.journal.close()
    reader.journal.environ = {"PATH": str(tmp_path)}
    reader.read()

    assert reader.now + 1.0 == reader.journal._retry_at  # noqa: SLF001 - see above


def test_cannot_follow(
    journal_directory: Path, readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A journalctl that goes missing between question and following is a problem like any other.
    """
    say(journal_directory / "a.journal", range(3))
    reader = readers.make()
    wait_until(lambda: bool(reader.journal.look(0.0)))
    monkeypatch.setattr(reader.journal, "environ", {"PATH": str(tmp_path)})
    reader.read()

    assert "cannot run journalctl: No such file or directory" == reader.journal.problem


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo Failed to open. >&2; exit 1", "journalctl: Failed to open."),
        ('case "$*" in *follow*) ;; esac', "journalctl ended"),
        (
            'case "$*" in *follow*) echo insufficient permissions >&2; exec /bin/sleep 600;; esac',
            "not permitted to read the journal",
        ),
    ],
)
def test_problem(readers: Readers, tmp_path: Path, script: str, problem: str) -> None:
    """
    Whatever hinders journalctl is said, and the group that would let it be read.
    """
    reader = readers.make(environ=install(tmp_path, script))

    assert problem == reader.wait_for_problem()
    assert not reader.journal.is_catching_up

    remedy = reader.journal.remedy()

    assert ("systemd-journal" if "permitted" in problem else None) == (remedy and remedy.group)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_denied(journal_directory: Path, readers: Readers, tmp_path: Path) -> None:
    """
    The real journalctl's refusal is understood.
    """
    say(journal_directory / "a.journal", range(3))
    (journal_directory / "a.journal").chmod(0o600)
    for path in (*tmp_path.parents, tmp_path, journal_directory):
        if path.is_relative_to("/tmp/pytest-of-root"):  # noqa: S108 - pytest's own
            path.chmod(0o755)
    real = require("journalctl", "systemd")
    script = f'exec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups {real} "$@"'
    reader = readers.make(environ=install(tmp_path, script))

    assert "not permitted to read the journal" == reader.wait_for_problem()


def test_silent(readers: Readers, tmp_path: Path) -> None:
    """
    One that does not answer is ended after a while.
    """
    reader = readers.make(environ=install(tmp_path, "exec /bin/sleep 600"))
    reader.read()
    reader.now += 61.0
    reader.read()

    assert "journalctl does not answer" == reader.journal.problem
    assert reader.journal.found is False


def test_look(journal_directory: Path, readers: Readers) -> None:
    """
    Whether there are entries can be asked without following; the first ever is read when it comes.
    """
    reader = readers.make(from_beginning=False)

    def is_known() -> bool:
        reader.journal.look(reader.now)
        return reader.journal.found is not None

    wait_until(is_known)

    assert reader.journal.found is False

    say(journal_directory / "a.journal", range(2))

    assert reader.journal.look(reader.now) is False

    reader.now += 10.0
    wait_until(lambda: reader.journal.look(reader.now) is True)
    reader.wait(2)

    assert [0, 1] == reader.said()
    assert reader.journal.look(reader.now) is True


def test_garbage(readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is no entry, has no text or is too long is counted, and does not hinder the next.
    """
    monkeypatch.setattr(module, "ENTRY_BYTES", 2 * 1024 * 1024)
    forged = b"\n\n__CURSOR=" + cursor(9).encode() + b"\nMESSAGE=forged\n\n"
    environ = prints(
        tmp_path,
        [
            b"MESSAGE=no cursor\n\n",
            b"__CURSOR=s=1;i=2\nMESSAGE=no such cursor\n\n",
            export(b"x" * (LINE_BYTES + 1), 1),
            export(b"x" * (8 * 1024 * 1024) + forged, 2),
            export(b"never reached", 3),
        ],
        [export(b"good", 3), b"__CUR"],
    )
    reader = readers.make(environ=environ)

    assert b"1970-01-01T00:00:00.000003Z - -: good" == reader.wait(1)[0]
    wait_until(lambda: reader.unread() == 5)

    assert 1 == len(reader.lines)
    assert 2 == reader.journal.statistics.cut_lines
    assert 2 == reader.journal.statistics.overlong_lines
    assert cursor(3) == mark_of(reader).cursor
    assert f"--after-cursor={cursor(2)}" in (tmp_path / "asked").read_text().splitlines()[1]


def test_overlong_again(readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An entry that is too long counts once, also when it is what an earlier run read last.
    """
    monkeypatch.setattr(module, "ENTRY_BYTES", 1024)
    environ = prints(tmp_path, [export(b"x" * 4096, 2)[:-2]], [export(b"good", 3)])
    reader = readers.make(Mark(0, 0, 0, "", "", cursor=cursor(2)), environ)
    reader.wait(1)

    assert 0 == reader.journal.statistics.overlong_lines
    assert 0 == reader.journal.statistics.read_errors
    assert f"--cursor={cursor(2)} " in (tmp_path / "asked").read_text().splitlines()[0]


def test_overlong_without_a_place(
    readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without end and without a cursor there is only to begin anew.
    """
    monkeypatch.setattr(module, "ENTRY_BYTES", 1024)
    environ = prints(
        tmp_path, [export(b"one", 1), b"x" * 4096], [export(b"one", 1), export(b"two", 2)]
    )
    reader = readers.make(environ=environ)
    reader.wait(2)

    assert [b"one", b"two"] == [line[-3:] for line in reader.lines]


def test_this_machine(readers: Readers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without a directory only this machine's entries are asked for, where it has an identity.
    """
    (tmp_path / "id").write_text("0123\n")
    for path, expected in ((tmp_path / "id", "_MACHINE_ID=0123"), (tmp_path / "none", "")):
        monkeypatch.setattr(module, "MACHINE_ID", path)
        reader = readers.make(environ=install(tmp_path, f'echo "$*" > {tmp_path}/asked; exit 1'))
        reader.journal.directory = None
        reader.wait_for_problem()
        asked = (tmp_path / "asked").read_text()

        assert "--directory" not in asked
        assert (
            f"SYSLOG_IDENTIFIER=mymilter {expected}".strip() + "\n"
            == asked[asked.index("SYSLOG_IDENTIFIER=mymilter") :]
        )

    monkeypatch.setattr(module, "MACHINE_ID", Path("/etc/machine-id"))

    assert Path("/etc/machine-id").read_text().strip() == read_machine_id()


def test_copied(journal_directory: Path, readers: Readers, tmp_path: Path) -> None:
    """
    Files that are moved to the archive, as rotation does, change nothing.
    """
    say(journal_directory / "system.journal", range(3))
    mark = readers.read_all(3)
    shutil.move(journal_directory / "system.journal", journal_directory / "system@1.journal")
    say(journal_directory / "system.journal", range(3, 5))
    second = readers.make(mark)
    second.wait(2)

    assert [3, 4] == second.said()
    assert SAID % 4 in second.lines[-1]
    assert not second.journal.statistics.read_errors
    assert (
        subprocess.run(
            ["journalctl", f"--directory={journal_directory}", "--output=cat"],
            stdout=subprocess.PIPE,
            check=True,
            cwd=tmp_path,
        ).stdout.count(b"\n")
        == 5
    )


def at(path: Path, numbers: range, days: int) -> None:
    """
    Append entries of so many days later, of another boot.
    """
    start = START + days * 86_400_000_000
    head = b"__REALTIME_TIMESTAMP=%d\n"
    append(
        path,
        [
            write_entry(number, SAID % number, 1).replace(
                head % (START + 1000 * number), head % (start + 1000 * number)
            )
            for number in numbers
        ],
    )


def test_place_ahead(journal_directory: Path, readers: Readers) -> None:
    """
    A place later than all that is left is gone too: it goes on at the end, said and counted.
    """
    say(journal_directory / "a.journal", range(3))
    mark = readers.read_all(3)
    (journal_directory / "a.journal").unlink()
    at(journal_directory / "b.journal", range(10, 13), days=-1)
    second = readers.make(mark)

    def is_ready() -> bool:
        second.read()
        second.now += 0.5
        return not second.journal.is_catching_up

    wait_until(is_ready)
    at(journal_directory / "b.journal", range(13, 15), days=-1)
    second.wait(2)

    assert [13, 14] == second.said()
    assert second.has_lost("going on at the end")


def test_ready_in_time(readers: Readers, tmp_path: Path) -> None:
    """
    A journalctl that prints nothing of what it has does not keep the exporter from being ready.
    """
    newest = export(b"", 7)[:-2].decode() + "_PID=1"
    script = f"""case "$*" in *follow*) exec /bin/sleep 600;; *) echo "{newest}"; echo;; esac"""
    reader = readers.make(environ=install(tmp_path, script))
    wait_until(lambda: reader.unread() == 0 and reader.journal.found is True)
    reader.read()

    before = reader.journal.is_catching_up
    reader.now += 10.0
    reader.read()

    assert (True, False) == (before, reader.journal.is_catching_up)
    assert [] == reader.journal.notes


def test_bad_place(journal_directory: Path, readers: Readers) -> None:
    """
    What is no cursor in the state never gets to journalctl: it goes on at the oldest entry.
    """
    say(journal_directory / "a.journal", range(2))
    reader = readers.make(Mark(0, 0, 0, "", "", cursor="s=1;i=\0"))
    reader.wait(2)

    assert [0, 1] == reader.said()
    assert reader.has_lost("going on at the oldest entry")


def test_moved(journal_directory: Path, readers: Readers) -> None:
    """
    Entries of one microsecond, moved to another file: what was read is told from what is new.
    """
    entries = [
        re.sub(rb"(_TIMESTAMP=)\d+", rb"\g<1>1795385937000000", write_entry(n, SAID % n))
        for n in range(5)
    ]
    append(journal_directory / "a.journal", entries[:3])
    mark = readers.read_all(3)
    (journal_directory / "a.journal").unlink()
    append(journal_directory / "b.journal", entries)
    second = readers.make(mark)
    second.wait(2)

    assert [3, 4] == second.said()
    assert [] == second.journal.notes


def test_gone_among_its_like(readers: Readers, tmp_path: Path) -> None:
    """
    Where all that is left is of the place's microsecond, and none is it, the place is gone.
    """
    mark = Mark(0, 0, 0, "", "", cursor=f"{cursor(2)}0")
    reader = readers.make(mark, prints(tmp_path, [export(b"one", 2)]))
    reader.wait(1)

    assert reader.has_lost("going on at the next entry left")


def test_directory_made_anew(journal_directory: Path, readers: Readers) -> None:
    """
    A directory that is removed and made anew is followed, from the place that was reached.
    """
    say(journal_directory / "a.journal", range(2))
    reader = readers.make()
    reader.wait(2)
    journal_directory.rename(journal_directory.with_name("old"))
    journal_directory.mkdir()
    shutil.copy(journal_directory.with_name("old") / "a.journal", journal_directory)
    say(journal_directory / "a.journal", range(2, 4))
    reader.now += 10.0
    reader.wait(4)

    assert [0, 1, 2, 3] == reader.said()
    assert 0 == reader.journal.statistics.read_errors


def test_endless_answer(readers: Readers, tmp_path: Path) -> None:
    """
    An answer without end is given up.
    """
    reader = readers.make(environ=install(tmp_path, "exec /bin/cat /dev/zero"))

    assert "journalctl gives an answer without end" == reader.wait_for_problem()
    assert 1 == reader.journal.statistics.read_errors


def test_long_newest_entry(journal_directory: Path, readers: Readers) -> None:
    """
    To know the newest entry its message is not read: it may be as long as it likes.
    """
    append(journal_directory / "a.journal", [write_entry(0, b"\n" + b"x" * 4_000_000)])
    reader = readers.make(from_beginning=False)
    reader.follow()

    assert 0 == reader.journal.statistics.overlong_lines
    assert reader.journal.found


def test_damaged_file(journal_directory: Path, readers: Readers) -> None:
    """
    A file that journalctl cannot read is said and counted once, and the others are read.
    """
    say(journal_directory / "a.journal", range(2))
    say(journal_directory / "b.journal", range(2, 4))
    with (journal_directory / "a.journal").open("r+b") as file:
        file.write(bytes(300))
    reader = readers.make()
    reader.wait(2)
    reader.journal.reopen()
    reader.follow()

    assert [2, 3] == reader.said()
    assert 1 == reader.journal.statistics.read_errors
    assert ["a.journal"] == [
        Path(note.split(" ")[2]).name for note in reader.journal.notes if "ignoring file" in note
    ]
