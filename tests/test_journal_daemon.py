"""
The exporter on a journal: the same numbers as from a file, whatever is killed meanwhile.
"""

import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from journals import PROGRAM, SAID, append, install, say, write_entry
from running import Exporter, Sample, require, wait_until

from exporter.journal import read_machine_id
from exporter.record import Grammar

SAMPLE = Path(__file__).parent / "data" / "sample.log"
ENDED = "milter_manager_sessions_ended_total"
# The exporter as `python -m exporter` is, on a machine that has no log file.
WITHOUT_LOGS = """\
import sys
from exporter import cli, daemon

daemon.CANDIDATES = ()
_, python, m, module, *flags = sys.argv
raise SystemExit(cli.main(flags))
"""


@pytest.fixture
def exporters() -> Iterator[list[Exporter]]:
    """
    What is ended at last.
    """
    exporters: list[Exporter] = []
    yield exporters
    for exporter in exporters:
        exporter.kill()


def wait_for_total(exporter: Exporter, count: int) -> None:
    """
    Wait until so many sessions have ended.
    """
    wait_until(lambda: exporter.total(ENDED) == count)


def of_mail(samples: dict[Sample, float]) -> dict[Sample, float]:
    """
    Leave out what is of the exporter itself and of time.
    """
    return {
        sample: value
        for sample, value in samples.items()
        if sample[0].startswith("milter_manager_")
        and not sample[0].startswith("milter_manager_exporter_")
        and "last_" not in sample[0]
    }


def test_same_numbers(tmp_path: Path, journal_directory: Path, exporters: list[Exporter]) -> None:
    """
    The same messages through a file and through the journal give the same numbers.
    """
    grammar = Grammar((PROGRAM.decode(),))
    lines = [grammar.read_line(line) for line in SAMPLE.read_bytes().splitlines()]
    said = [line for line in lines if line and line.message is not None]
    append(
        journal_directory / "a.journal",
        [write_entry(i, line.message, _PID=line.pid) for i, line in enumerate(said)],
    )
    file = tmp_path / "mail.log"
    file.write_bytes(
        b"".join(
            b"<21>2026-11-22T22:18:57Z mail milter-manager[%s]: %s\n"
            % (line.pid, line.message or b"")
            for line in said
        )
    )
    beginning = "--input.from=beginning"
    exporters.append(Exporter(tmp_path, f"--input.file={file}", beginning).serve())
    exporters.append(
        Exporter(tmp_path, f"--input.journal-directory={journal_directory}", beginning)
    )
    exporters[-1].serve()

    assert len(said) > 500
    assert of_mail(exporters[0].samples()) == of_mail(exporters[1].samples())


def test_kill(tmp_path: Path, journal_directory: Path, exporters: list[Exporter]) -> None:
    """
    Each entry counts once, whichever of exporter and journalctl is killed, and when.
    """
    chance = random.Random(7)  # noqa: S311 - the same each time
    flags = (f"--input.journal-directory={journal_directory}", f"--state.file={tmp_path / 'state'}")
    say(journal_directory / "a.journal", [0])
    written = 1
    for turn in range(8):
        exporter = Exporter(tmp_path, *flags, "--input.from=beginning")
        exporters.append(exporter)
        exporter.serve()
        for _ in range(chance.randrange(3)):
            count = chance.randrange(1, 40)
            say(
                journal_directory / f"{chance.randrange(2)}.journal",
                range(written, written + count),
            )
            written += count
        if turn % 2:
            for number in exporter.children():
                os.kill(number, signal.SIGKILL)
            say(journal_directory / "a.journal", [written])
            written += 1
        if chance.random() < 0.5:
            wait_for_total(exporter, written)
        exporter.kill()
    exporters.append(Exporter(tmp_path, *flags).serve())

    assert written == exporters[-1].total(ENDED)

    exporters[-1].terminate()

    assert [] == [line for line in exporters[-1].lines if "lost" in line]


def test_live(tmp_path: Path, journal_directory: Path, exporters: list[Exporter]) -> None:
    """
    What is written shows, SIGHUP begins with another journalctl, and the end leaves none behind.
    """
    say(journal_directory / "a.journal", [0])
    exporter = Exporter(tmp_path, f"--input.journal-directory={journal_directory}").serve()
    exporters.append(exporter)
    say(journal_directory / "a.journal", [1, 2])
    wait_until(lambda: exporter.total(ENDED) == 2)
    (first,) = exporter.children()
    exporter.send(signal.SIGHUP)
    exporter.hear("reloading")
    say(journal_directory / "a.journal", [3])
    wait_until(lambda: exporter.total(ENDED) == 3)
    (second,) = exporter.children()

    assert first != second
    assert 0 == exporter.terminate()
    assert not Path(f"/proc/{first}").exists()
    assert not Path(f"/proc/{second}").exists()


def test_nothing_yet(tmp_path: Path, journal_directory: Path, exporters: list[Exporter]) -> None:
    """
    A journal without entries of the program is said to be so.
    """
    exporters.append(Exporter(tmp_path, f"--input.journal-directory={journal_directory}").serve())
    exporters[0].hear("the journal has no entries of the program yet")

    assert 0 == exporters[0].total(ENDED)
    assert 0 == exporters[0].terminate()


def test_missing(
    tmp_path: Path, exporters: list[Exporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A journalctl that cannot be run is said once; scrapes go on.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    exporters.append(Exporter(tmp_path, "--input.journal").serve())

    assert "cannot run journalctl: No such file or directory" in "".join(exporters[0].lines)
    assert "no entries" not in "".join(exporters[0].lines)
    assert 0 == exporters[0].total(ENDED)


def test_denied(tmp_path: Path, exporters: list[Exporter], monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who may not read the journal is told which group may.
    """
    script = "echo No files were opened due to insufficient permissions. >&2; exit 1"
    monkeypatch.setenv("PATH", install(tmp_path, script)["PATH"])
    exporter = Exporter(tmp_path, "--input.journal").serve()
    exporters.append(exporter)
    page = b"usermod --append --groups systemd-journal"
    wait_until(lambda: page in exporter.get("/").body)

    assert "not permitted to read the journal" in "".join(exporter.lines)


def test_chosen(
    tmp_path: Path,
    journal_directory: Path,
    exporters: list[Exporter],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Without a log file, whatever is in /var/log, the journal is followed if it has entries.
    """
    machine = read_machine_id().encode()

    def write(number: int) -> None:
        entry = write_entry(number, SAID % number, _MACHINE_ID=machine)
        append(journal_directory / "a.journal", [entry])

    write(0)
    real = require("journalctl", "systemd")
    script = f'exec {real} --directory={journal_directory} "$@"'
    monkeypatch.setenv("PATH", install(tmp_path, script)["PATH"])
    exporter = Exporter(tmp_path, before=[sys.executable, "-c", WITHOUT_LOGS])
    exporters.append(exporter)
    exporter.serve()

    assert any("following the systemd journal" in line for line in exporter.lines)

    write(1)
    wait_until(lambda: exporter.total(ENDED) == 1)
