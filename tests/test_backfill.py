"""
A log's history: what Prometheus knows after the import, and what the command line refuses.
"""

import io
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backfilled import TARGET, History, backfill, imported, run_tool, series_of
from rich.console import Console

from exporter.collector import FAMILIES
from exporter.logtool import terminal as terminals
from exporter.logtool.cli import main

DAY = 86_400
BEGIN = int(datetime(2025, 11, 3, tzinfo=UTC).timestamp())
DAYS = 3
STATUSES = ("pass", "pass", "pass", "reject", "temporary-failure")


@dataclass(slots=True)
class Traffic:
    """
    Lines of some days, and what was written on each of them.
    """

    lines: list[bytes] = field(default_factory=list)
    sessions: Counter[tuple[int, str]] = field(default_factory=Counter)
    """By day and status."""
    slow: Counter[int] = field(default_factory=Counter)
    """By day: sessions of more than a second."""
    timeouts: Counter[int] = field(default_factory=Counter)

    def say(self, moment: int, message: str) -> None:
        """
        Write one line.
        """
        stamp = datetime.fromtimestamp(moment, UTC).isoformat()
        self.lines.append(f"{stamp} mail milter-manager[7]: {message}\n".encode())

    def end_session(self, moment: int, status: str, elapsed: float) -> None:
        """
        Write what a session ends with.
        """
        day = (moment - BEGIN) // DAY
        self.sessions[day, status] += 1
        self.slow[day] += elapsed > 1
        self.say(moment, f"[statistics] [session][end][end-of-message][{status}][{elapsed}](1)")

    def time_out(self, moment: int) -> None:
        """
        Write that a child milter hung.
        """
        self.timeouts[(moment - BEGIN) // DAY] += 1
        self.say(
            moment,
            "[1] [children][timeout][reading][connect][accept] [5] hangs",
        )


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    """
    Write three days, seeded: a session in half a minute, nothing for some hours, hangs on day two.
    """
    rng = random.Random(6)  # noqa: S311 - no secret
    traffic = Traffic()
    moment = BEGIN
    while True:
        moment += rng.randint(1, 60)
        # Longer than a silence may be; on the middle of a day, so that midnights have samples.
        if BEGIN + DAY + 30_000 < moment < BEGIN + DAY + 50_000:
            moment = BEGIN + DAY + 50_000
        if moment >= BEGIN + DAYS * DAY:
            return traffic
        traffic.end_session(moment, rng.choice(STATUSES), rng.choice((0.01, 0.5, 7.25)))
        if moment >= BEGIN + DAY + 60_000 and rng.random() < 0.01:
            traffic.time_out(moment)


@pytest.fixture(scope="module")
def history(traffic: Traffic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """
    Import them.
    """
    directory = tmp_path_factory.mktemp("history")
    log = directory / "mail.log"
    log.write_bytes(b"".join(traffic.lines))
    output = directory / "history.om"

    assert 0 == main(["backfill", f"--output={output}", *TARGET, str(log)])

    with imported(output, directory) as server:
        yield server


# A day and a millisecond: Prometheus 3 leaves out the sample at the beginning of a range.
INCREASE = "increase({name}{labels}[{days}d1ms])"


def increase(history: History, name: str, labels: str, day: int, days: int = 1) -> float:
    """
    Ask how much a metric rose in some days, beginning with one.
    """
    name = f"milter_manager_{name}"
    expression = f"sum({INCREASE.format(name=name, labels=labels, days=days)}) or vector(0)"
    ((_, value),) = history.at(expression, BEGIN + (day + days) * DAY)
    return value


def test_increase_by_day(history: History, traffic: Traffic) -> None:
    """
    For each day `increase()` gives what was written, from a counter's first event on.
    """
    for day in range(DAYS):
        for status in set(STATUSES):
            found = increase(history, "sessions_ended_total", f'{{status="{status}"}}', day)

            assert pytest.approx(traffic.sessions[day, status], rel=1e-6) == found

        found = increase(history, "milter_timeouts_total", '{milter="hangs"}', day)

        assert pytest.approx(traffic.timeouts[day], rel=1e-6) == found


def test_increase_in_all(history: History, traffic: Traffic) -> None:
    """
    Over all days it gives the sum of them.
    """
    sessions = increase(history, "sessions_ended_total", "", 0, DAYS)
    timeouts = increase(history, "milter_timeouts_total", "", 0, DAYS)

    assert 0 < traffic.timeouts.total()
    assert pytest.approx(traffic.sessions.total(), rel=1e-6) == sessions
    assert pytest.approx(traffic.timeouts.total(), rel=1e-6) == timeouts


def test_histograms(history: History, traffic: Traffic) -> None:
    """
    Histograms rise as counters do: buckets, count and sum.
    """
    for day in range(DAYS):
        name = "session_duration_seconds"
        count = increase(history, f"{name}_count", "", day)
        quick = increase(history, f"{name}_bucket", '{le="1.0"}', day)
        expected = sum(v for (of, _), v in traffic.sessions.items() if of == day)

        assert pytest.approx(expected, rel=1e-6) == count
        assert pytest.approx(expected - traffic.slow[day], rel=1e-6) == quick
        assert increase(history, f"{name}_sum", "", day) > 7.25 * traffic.slow[day]


def test_silence(history: History) -> None:
    """
    A silent log has samples for an hour, and then none until the minute before the next line.
    """
    expression = "sum(milter_manager_sessions_ended_total)"
    silent, loud = BEGIN + DAY + 30_000, BEGIN + DAY + 50_000

    assert history.at(expression, silent + 3600)
    assert [] == history.at(expression, silent + 3600 + 420)
    assert [] == history.at(expression, loud - 61)
    assert history.at(expression, loud)


def test_labels(history: History) -> None:
    """
    Series have the labels that a scrape would have given them.
    """
    ((labels, _),) = history.at("milter_manager_processes", BEGIN + DAY)

    assert {
        "__name__": "milter_manager_processes", "job": "milter-manager", "instance": "mail:10125",
    } == labels  # fmt: skip


def lines_at(*moments: int, begin: int = BEGIN) -> bytes:
    """
    Write sessions that end at some times.
    """
    traffic = Traffic()
    for moment in moments:
        traffic.end_session(begin + moment, "pass", 0.5)
    return b"".join(traffic.lines)


ENDED = (
    "milter_manager_sessions_ended_total",
    (("last_state", "end-of-message"), ("status", "pass")),
)


def ended(text: str) -> list[tuple[float, float]]:
    """
    Give the samples of the sessions ended, times counted from the beginning.
    """
    return [(at - BEGIN, value) for at, value in series_of(text)[ENDED]]


def test_steps() -> None:
    """
    There is a sample for each step, the first one at 0 before the first event.
    """
    log = lines_at(0, 59, 60, 200)

    assert [(0, 0), (60, 2), (120, 3), (180, 3), (240, 4)] == ended(backfill("-", log=log))
    assert [(0, 0), (300, 4)] == ended(backfill("-", "--step=5m", log=log))
    assert [(0, 0), (100, 3), (200, 3), (300, 4)] == ended(backfill("-", "--step=100s", log=log))


def test_year_of_silence() -> None:
    """
    A year without a line takes no more than the hour after the last one.
    """
    samples = ended(backfill("-", log=lines_at(0, 365 * DAY)))

    assert [(0, 0), *((60 * i, 1) for i in range(1, 62))] == samples[:62]
    assert [(365 * DAY, 1), (365 * DAY + 60, 2)] == samples[62:]


def test_since_and_until() -> None:
    """
    What is outside the time that is wanted counts nowhere; its ends go down to whole steps.
    """
    log = lines_at(0, 60, 120, 180, 240)
    since = datetime.fromtimestamp(BEGIN + 60, UTC).isoformat()
    until = datetime.fromtimestamp(BEGIN + 190, UTC).isoformat()
    text = backfill("-", f"--since={since}", f"--until={until}", log=log)

    assert [(60, 0), (120, 1), (180, 2)] == ended(text)


def test_exporters_own(tmp_path: Path) -> None:
    """
    All metrics of milter-manager may be there, none of the exporter: it was not running.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(b"foreign\n" + lines_at(0) + b"2025-11-03T00:00:07Z mail postfix/smtpd[1]: x\n")
    names = {name for name, _ in series_of(backfill(log))}

    assert "milter_manager_log_lines_total" in names
    assert [] == [name for name in names if "exporter" in name]
    assert "# HELP milter_manager_sessions_ended Sessions" in backfill(log)
    assert FAMILIES["sessions_ended"].name == ENDED[0]


def test_rotated(tmp_path: Path) -> None:
    """
    The files of one log are one history, whatever their order; a process goes on in the next one.
    """
    (tmp_path / "mail.log.1").write_bytes(lines_at(0, 60))
    (tmp_path / "mail.log").write_bytes(lines_at(61, 180))
    text = backfill(tmp_path / "mail.log", tmp_path / "mail.log.1")

    assert [(0, 0), (60, 1), (120, 3), (180, 3), (240, 4)] == ended(text)
    assert {1.0} == {value for _, value in series_of(text)["milter_manager_processes", ()]}


def test_year(tmp_path: Path) -> None:
    """
    Stamps without a year are of the year that the file was last written in, or of the one given.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(b"Dec 31 23:59:59 mail milter-manager[7]: [session][end][quit][pass][1](1)\n")
    changed = datetime(2019, 1, 5, tzinfo=UTC).timestamp()
    os.utime(log, (changed, changed))

    def years(*arguments: object) -> set[int]:
        text = backfill(log, *arguments)
        return {
            datetime.fromtimestamp(at - DAY, UTC).year
            for samples in series_of(text).values()
            for at, _ in samples
        }

    assert {2018} == years()
    assert {2015} == years("--year=2015")


def test_buckets_and_programs(tmp_path: Path) -> None:
    """
    What the exporter was told by flags the tool can be told too.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(0).replace(b"milter-manager", b"mm"))
    text = backfill(log, "--input.program=mm", "--histogram.buckets=0.25,2")
    bounds = {
        dict(labels)["le"]
        for name, labels in series_of(text)
        if name == "milter_manager_session_duration_seconds_bucket"
    }

    assert {"0.25", "2.0", "+Inf"} == bounds


def test_two_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A file that begins long before the one in front of it ends is left out, and it is said why.
    """
    (tmp_path / "a.log").write_bytes(lines_at(10_000))
    (tmp_path / "b.log").write_bytes(lines_at(0, 20_000))
    files = [str(tmp_path / name) for name in ("a.log", "b.log")]

    assert 1 == main(["backfill", "--output=-", *files])

    out, err = capsys.readouterr()

    assert [1.0] == sorted({value for _, value in series_of(out)[ENDED]} - {0})
    assert f"{files[1]}: begins at 2025-11-03 " in err


def test_clock_set_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Lines of long before count at the time that was reached, and it is said how many they are.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(10_000, 0, 1, 10_001))

    assert 0 == main(["backfill", "--output=-", str(log)])

    out, err = capsys.readouterr()

    assert [4.0] == sorted({value for _, value in series_of(out)[ENDED]} - {0})
    assert f"{log}: 2 lines bear times of more than an hour before" in err


def test_no_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A file without times cannot be placed: one line says so, and the rest is done.
    """
    bare = tmp_path / "bare.log"
    bare.write_bytes(b"[session][end][quit][pass][1](1)\n")
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(0))

    assert 1 == main(["backfill", "--output=-", str(bare), str(tmp_path / "none"), str(log)])

    out, err = capsys.readouterr()

    assert [1.0] == sorted({value for _, value in series_of(out)[ENDED]} - {0})
    assert f"{bare}: no line in it bears a time" in err
    assert f"{tmp_path / 'none'}: No such file" in err


def test_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Without a line of milter-manager nothing is written, and the exit status is 2.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(0).replace(b"milter-manager", b"postfix"))
    output = tmp_path / "out"

    assert 2 == main(["backfill", f"--output={output}", str(log)])
    assert "no line of milter-manager" in capsys.readouterr().err
    assert [log] == list(tmp_path.iterdir())


def test_copies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A file beside its compressed form counts once, and it is said which.
    """
    for name in ("mail.log.1", "mail.log.1.gz"):
        (tmp_path / name).write_bytes(lines_at(0))

    assert 0 == main(["backfill", "--output=-", *map(str, sorted(tmp_path.iterdir()))])

    out, err = capsys.readouterr()

    assert [1.0] == sorted({value for _, value in series_of(out)[ENDED]} - {0})
    assert "mail.log.1.gz: left out" in err


WRONG = {
    "no output": ["x"],
    "no file": ["--output=-"],
    "step": ["--output=-", "--step=1h", "x"],
    "year": ["--output=-", "--year=20", "x"],
    "since": ["--output=-", "--since=soon", "x"],
    "no label": ["--output=-", "--label=job", "x"],
    "label of ours": ["--output=-", "--label=milter=a", "x"],
    "label of a histogram": ["--output=-", "--label=le=a", "x"],
    "label of Prometheus": ["--output=-", "--label=__name__=a", "x"],
    "label twice": ["--output=-", "--label=job=a", "--label=job=b", "x"],
    "buckets": ["--output=-", "--histogram.buckets=2,1", "x"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    A wrong command line is told in one line, and the exit status is 2.
    """
    assert 2 == main(["backfill", *arguments])

    out, err = capsys.readouterr()

    assert "" == out
    assert 1 == err.count("\n")


def test_exists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    A file is written over only by force.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(0))
    output = tmp_path / "out"
    output.write_bytes(b"mine")

    assert 2 == main(["backfill", f"--output={output}", str(log)])
    assert b"mine" == output.read_bytes()
    assert "--force" in capsys.readouterr().err
    assert 0 == main(["backfill", f"--output={output}", "--force", *TARGET, str(log)])
    assert output.read_bytes().endswith(b"\n# EOF\n")
    assert "note:" not in capsys.readouterr().err


def test_full_disk(tmp_path: Path) -> None:
    """
    Where the disk is full one line says so, the exit status is 1, and no half of a file is left.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(*range(0, 5 * 3600, 3000)))
    output = tmp_path / "out"

    def limit() -> None:
        # What a full disk says is another word for the same.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    result = subprocess.run(
        [sys.executable, "-B", "-m", "exporter.logtool", "backfill", f"--output={output}", log],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if "COV" not in name},
    )

    assert 1 == result.returncode
    assert f"milter-manager-logtool: error: cannot write {output}: File too large\n" == (
        result.stderr
    )
    assert [log] == list(tmp_path.iterdir())


def test_device_full(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """
    A device that is full is told in the same way.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(*range(0, 5 * 3600, 3000)))

    assert 1 == main(["backfill", "--output=/dev/full", str(log)])
    assert "cannot write /dev/full: No space left on device" in capsys.readouterr().err


def test_no_reader(tmp_path: Path) -> None:
    """
    Where nobody reads on, it ends without a word.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(*range(0, 5 * 3600, 3000)))
    with subprocess.Popen(
        [sys.executable, "-m", "exporter.logtool", "backfill", "--output=-", log],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None

        process.stdout.close()

        assert b"" == process.stderr.read()
        assert 141 == process.wait(30)


def test_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a terminal it shows how far it is, in reading and in writing.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(lines_at(0))
    shown = io.StringIO()

    def new_console(_stream: object) -> Console:
        return Console(file=shown, force_terminal=True, width=200)

    monkeypatch.setattr(terminals, "new_console", new_console)

    assert 0 == main(["backfill", f"--output={tmp_path / 'out'}", str(log)])
    assert "reading" in shown.getvalue()
    assert "writing" in shown.getvalue()


def test_standard_input() -> None:
    """
    A log may come through a pipe, with the present for its last change.
    """
    stamp = time.strftime("%b %e %H:%M:%S")
    log = f"{stamp} mail milter-manager[7]: [session][end][quit][pass][1](1)\n"
    result = run_tool("backfill", "--output=-", "-", log=log.encode())
    newest = max(at for samples in series_of(result.output.decode()).values() for at, _ in samples)

    assert 120 > abs(newest - time.time())


def test_empty_generation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    An empty file beside others of its log is a note, by itself a failure.
    """
    log, older, other = (tmp_path / name for name in ("mail.log", "mail.log.1", "other.log"))
    older.write_bytes(lines_at(0, 60))
    for path in (log, other):
        path.write_bytes(b"")
    arguments = ["backfill", "--output", str(tmp_path / "x"), "--force", str(log), str(older)]

    assert 0 == main(arguments)
    assert f"milter-manager-logtool: {log}: empty\n" in capsys.readouterr().err
    assert 1 == main([*arguments, str(other)])
