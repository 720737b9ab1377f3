"""
The subcommand `summary`, from files to its exit status.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest
from backports import zstd
from dialects import DATA
from summing import TROUBLED, Screen, call, log_of, metrics, volume

from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.logtool.cli import build_command_parser, main
from exporter.logtool.sources import Source, feed
from exporter.logtool.summary import run
from exporter.logtool.terminal import Terminal
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Tally

LINE = b"%s vm milter-manager[7]: [statistics] [session][end][quit][pass][0.1](1)\n"
SESSIONS = "milter_manager_sessions_ended_total"
COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": partial(lzma.compress, preset=0),  # the usual preset takes fifty times as long
    ".zst": zstd.compress,
}


def sessions(*arguments: str, data: bytes = b"") -> float:
    """
    Count the sessions of some logs.
    """
    return sum(metrics(*arguments, data=data)[SESSIONS].values())


def count_as_the_daemon(path: Path) -> Tally:
    """
    Count a log whole.
    """
    catalogue = load_catalogue()
    tally = Tally(DEFAULT_BUCKETS, zero_counters(catalogue), zero_histograms())
    recogniser = Recogniser(catalogue, MilterNames())
    counting = Counting(str(path), Grammar(DEFAULT_PROGRAMS), recogniser, tally, time.time)
    for _ in feed(Source(str(path), io.BytesIO()), counting, tally):
        pass
    return tally


def test_volume(tmp_path: Path) -> None:
    """
    Of twenty thousand connections the totals are those that are known.
    """
    found = metrics(str(volume(tmp_path)))
    statuses: dict[str, float] = {}
    for (_, status), value in found[SESSIONS].items():
        statuses[status] = statuses.get(status, 0) + value
    totals = {name: sum(series.values()) for name, series in found.items()}
    leader = ("manager", "error", "[leader][error]")

    assert {"pass": 16_408, "reject": 1_998, "temporary-failure": 1_195, "discard": 399} == {
        status: value for status, value in statuses.items() if value
    }
    assert 0 == totals["milter_manager_sessions_disconnected_total"]
    assert 150 == totals["milter_manager_milters_ended_total"]
    assert 20_000 == totals["milter_manager_sessions_finished_total"]
    assert 200 == totals["milter_manager_quarantines_total"]
    assert 29_547 == totals["milter_manager_session_headers_added_total"]
    assert 29_547 == totals["milter_manager_milter_headers_added_total"]
    assert 6_397 == found["milter_manager_log_messages_total"][leader]
    assert 234_040 == totals["milter_manager_exporter_lines_total"]
    assert 102_418 == totals["milter_manager_log_lines_total"]


@pytest.mark.parametrize("name", ["native.log", "repeated.log", "syslog-rfc3164.log"])
def test_daemons_numbers(name: str) -> None:
    """
    Every number is the daemon's.
    """
    found = metrics(str(DATA / name))
    snapshot = count_as_the_daemon(DATA / name).snapshot()
    expected = sorted(value for value in snapshot.counts.values() if value)
    actual = [
        value
        for metric, series in found.items()
        for value in series.values()
        if value and metric.endswith("_total")
    ]

    assert expected == sorted(actual)
    assert snapshot.sessions_in_progress == sum(
        found["milter_manager_sessions_in_progress"].values()
    )
    assert snapshot.processes == sum(found["milter_manager_processes"].values())


@pytest.mark.parametrize("suffix", list(COMPRESSORS))
def test_compressed(suffix: str, tmp_path: Path) -> None:
    """
    A log may be compressed, in a file or on standard input.
    """
    data = COMPRESSORS[suffix](log_of(*TROUBLED))
    path = tmp_path / f"mail.log{suffix}"
    path.write_bytes(data)

    assert 3 == sessions(str(path)) == sessions("-", data=data)


def test_rotated(tmp_path: Path) -> None:
    """
    Rotated files are one log, oldest first, in whatever order they are given.
    """
    stamps = {"mail.log.2.gz": b"Nov 20 10:00:00", "mail.log.1": b"Nov 21 10:00:00",
              "mail.log": b"Nov 22 10:00:00"}  # fmt: skip
    for i, (name, stamp) in enumerate(stamps.items(), 1):
        line = b"%s vm milter-manager[7]: [sessions][finished] %d(+1) %d\n" % (stamp, i, i)
        data = LINE % stamp + line
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    names = [str(tmp_path / name) for name in ("mail.log", "mail.log.2.gz", "mail.log.1")]
    _, out, _ = call("--json", *names)
    found = json.loads(out)

    assert ["mail.log.2.gz", "mail.log.1", "mail.log"] == [
        Path(one["name"]).name for one in found["files"]
    ]
    assert ["11-20", "11-22"] == [found[end][5:10] for end in ("first", "last")]
    assert 3 == sessions(*names)
    assert {(): 3} == metrics(*names)["milter_manager_sessions_in_progress"]


def test_period(tmp_path: Path) -> None:
    """
    --since and --until choose among the lines; the files say how many were left out.
    """
    path = tmp_path / "mail.log"
    stamps = (b"2026-11-20T10:00:00Z", b"2026-11-21T10:00:00Z", b"2026-11-22T10:00:00Z")
    path.write_bytes(b"".join(LINE % stamp for stamp in stamps))
    since, until = "--since=2026-11-21 00:00Z", "--until=2026-11-21 23:00Z"
    status, out, error = call(str(path), since, until)

    assert (0, "") == (status, error)
    assert "2 lines outside --since and --until left out" in out
    assert 1 == sessions(str(path), since, until)
    assert 2 == sessions(str(path), since)
    assert 2 == sessions(str(path), until)
    assert 0 == sessions(str(path), "--since=2026-11-23 00:00Z")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--since=soon", "-"], "error: 'soon' is no time: write 2026-11-22"),
        (["--since=now", "--until=yesterday", "-"], "error: --since is not before --until"),
        ([], "error: the following arguments are required: FILE"),
        (["--nonsense", "-"], "error: unrecognized arguments: --nonsense"),
        (["-", "--html=/nowhere/x.html"], "error: --html /nowhere/x.html: No such file"),
    ],
)
def test_usage(arguments: list[str], error: str) -> None:
    """
    A wrong command line is told in one line, with exit status 2.
    """
    status, out, told = call(*arguments, data=log_of(*TROUBLED))

    assert (2, "") == (status, out)
    assert told.startswith(f"milter-manager-logtool: {error}")
    assert 1 == told.count("\n")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "No such file or directory"),
        (b"", "empty"),
        (b"\n", "none of its 1 lines is milter-manager's"),
        (b"Nov 22 22:07:33 vm postfix/smtpd[1]: x\n" * 3, "none of its 3 lines"),
        (bytes(range(256)) * 100, "none of its"),
        (gzip.compress(log_of(*TROUBLED))[:-9], "damaged or cut off"),
    ],
)
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_unusable(content: bytes | None, error: str, lang: str, tmp_path: Path) -> None:
    """
    A file that cannot be used is told in one line, the rest is done: exit status 1, or 2 alone.
    """
    good, bad = tmp_path / "good.log", tmp_path / "bad.log"
    good.write_bytes(log_of(*TROUBLED))
    if content is not None:
        bad.write_bytes(content)
    status, out, told = call(str(bad), str(good), "--json", lang=lang)
    found = json.loads(out)

    assert 1 == status
    assert 1 == told.count("\n")
    assert str(bad) in told
    assert lang == "ja" or error in told
    assert [True, False] == [bool(one["problem"]) for one in found["files"]]

    status, out, told = call(str(bad), lang=lang)

    assert (2, "") == (status, out)
    assert 2 == told.count("\n")


def test_without_times() -> None:
    """
    A log without times cannot be chosen from by time, and says so.
    """
    data = b"[session][end][quit][pass][0.1](1)\n"
    status, _, told = call("-", "--since=yesterday", data=data)

    assert 2 == status
    assert "standard input: its lines have no times" in told
    assert 1 == sessions("-", data=data)


def test_same_file_twice(tmp_path: Path) -> None:
    """
    A file counts once, and a note says which name was left out.
    """
    path, link = tmp_path / "mail.log", tmp_path / "other.log"
    path.write_bytes(log_of(*TROUBLED))
    link.symlink_to(path)
    status, _, told = call(str(path), str(link))

    assert 0 == status
    assert "left out" in told
    assert 3 == sessions(str(path), str(link))


def test_program() -> None:
    """
    Other program names count if they are given, and then no others.
    """
    data = log_of(*TROUBLED).replace(b"milter-manager[7]", b"mm-outgoing[7]")

    assert 3 == sessions("-", "--program=mm-outgoing", data=data)
    assert 2 == call("-", data=data)[0]


def test_html(tmp_path: Path) -> None:
    """
    --html writes a page beside what is printed.
    """
    path = tmp_path / "report.html"
    status, out, _ = call("-", f"--html={path}", data=log_of(*TROUBLED))

    assert 0 == status
    assert "Sessions" in out
    assert "<title>What milter-manager did</title>" in path.read_text()


def test_tables_by_default(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """
    From the command line there are tables, in the language asked for.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(log_of(*TROUBLED))
    status = main(["summary", "--lang=ja", str(path)])

    assert 0 == status
    assert "セッション" in capsys.readouterr().out


def test_progress(tmp_path: Path) -> None:
    """
    A terminal is shown how far it has come, a pipe is not.
    """
    path = tmp_path / "mail.log"
    path.write_bytes(log_of(*TROUBLED))
    for stream in (Screen(), io.StringIO()):
        terminal = Terminal(io.BytesIO(), io.StringIO(), stream)
        run(build_command_parser("summary", "en"), [str(path)], terminal)

        assert isinstance(stream, Screen) == ("mail.log" in stream.getvalue())


def test_year_of_an_old_log(tmp_path: Path) -> None:
    """
    Traditional stamps of an old file are of the year in which it was last written to.
    """
    path = tmp_path / "mail.log.1"
    path.write_bytes(LINE % b"Nov 22 10:00:00")
    os.utime(path, (1700700000, 1700700000))
    _, out, _ = call("--json", str(path))

    assert "2023-11-22" == json.loads(out)["first"][:10]


def many_lines(times: int) -> Iterator[bytes]:
    """
    Write a long log: a second a line, many milters, many ids and many values.
    """
    start = 1_700_000_000
    for i in range(times):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(start + i * 61)).encode()
        head = b"%s vm milter-manager[%d]: " % (stamp, i % 3000)
        yield head + b"[session][end][quit][pass][%g](%d)\n" % (i % 977 / 7, i)
        yield head + b"[milter][end][quit][reject][%g](%d): m%d\n" % (i % 7, i, i)
        yield head + b"[sessions][finished] %d(+1) %d\n" % (i, i % 5)
        yield head + b"[no][such][tag%d] %d\n" % (i, i)


def peak_kilobytes(path: Path) -> int:
    """
    Sum a log up in a process of its own, and ask how much memory that took.
    """
    code = (
        "import resource, sys; from exporter.logtool.cli import main;"
        "main(['summary', '--json', sys.argv[1]]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], check=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    return int(done.stderr)


@pytest.mark.usefixtures("_unmeasured")
def test_memory(tmp_path: Path) -> None:
    """
    Memory does not grow with the log: ten times as much takes no more.
    """
    peaks = []
    for times in (8_000, 80_000):
        path = tmp_path / "mail.log"
        with path.open("wb") as file:
            file.writelines(many_lines(times))
        peaks.append(peak_kilobytes(path))

    assert peaks[1] < peaks[0] * 1.25


def test_speed(tmp_path: Path) -> None:
    """
    It is not much slower than the daemon: a quarter is measured, thrice as slow fails.
    """
    path = volume(tmp_path)

    def seconds_of(count: Callable[[], object]) -> float:
        started = time.process_time()
        count()
        return time.process_time() - started

    daemon = min(seconds_of(lambda: count_as_the_daemon(path)) for _ in range(3))
    summary = min(seconds_of(lambda: call("--json", str(path))) for _ in range(3))

    assert summary < 3 * daemon


def test_empty_generation(tmp_path: Path) -> None:
    """
    An empty file beside others of its log is a note; where all are empty there is nothing to use.
    """
    newest, older = tmp_path / "mail.log", tmp_path / "mail.log.1.gz"
    newest.write_bytes(b"")
    older.write_bytes(gzip.compress(log_of(*TROUBLED)))
    status, out, told = call(str(newest), str(older), "--json")

    assert (0, f"milter-manager-logtool: {newest}: empty\n") == (status, told)
    assert [str(older)] == [one["name"] for one in json.loads(out)["files"]]

    older.write_bytes(gzip.compress(b""))

    assert 2 == call(str(newest), str(older))[0]
