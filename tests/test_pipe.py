"""
Standard input and FIFOs: the lines that come, once each, from real writers.
"""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import StartExporter
from dialects import DATA
from hypothesis import given
from hypothesis import strategies as st
from running import DEADLINE_SECONDS, Exporter, wait_until

from exporter.config import STANDARD_INPUT
from exporter.generation import LINE_BYTES
from exporter.pipe import TURN_BYTES, Pipe, is_file, is_pipe

LINE = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] "
END = LINE + b"[session][end][end-of-message][pass][0.02899](1)\n"
ENDED = "milter_manager_sessions_ended_total"
LINES = "milter_manager_exporter_lines_total"
LATENCY_SECONDS = 0.5
"""Half of what the timer takes: whoever is this quick was woken."""


def read(pipe: Pipe) -> bytes:
    """
    Read all lines that are there, each led by its newline.
    """
    return b"".join(chunk.lines for chunk in pipe.read(0.0))


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    """
    Make a FIFO.
    """
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


@contextmanager
def opened(path: Path) -> Iterator[Pipe]:
    """
    Follow a FIFO that is open from the first read on.
    """
    pipe = Pipe(path)
    assert b"" == read(pipe)
    yield pipe
    pipe.close()


def wait_for(exporter: Exporter, sessions: int) -> None:
    """
    Wait until so many sessions were counted.
    """
    wait_until(lambda: sessions == exporter.total(ENDED))


# --- within the process -------------------------------------------------------------------------


@given(st.lists(st.sampled_from([b"a", b"bc\n", b"\n", b"\0", b"\0\n", b"d" * 9]), max_size=20))
def test_lines(written: list[bytes]) -> None:
    """
    However it is cut into writes, each complete line comes once, without its NUL bytes.
    """
    pipe = Pipe(STANDARD_INPUT)
    found = b"".join(pipe._cut(piece) for piece in written)  # noqa: SLF001 - without a process
    whole = b"".join(written).replace(b"\0", b"")
    complete = whole[: whole.rfind(b"\n") + 1]

    assert [b"", *complete.split(b"\n")[:-1]] == found.split(b"\n")


@pytest.mark.parametrize("piece", [1000, 64 * 1024, LINE_BYTES])
def test_overlong(piece: int) -> None:
    """
    A line of more than 1 MiB is left out and counted; the longest that is not is taken.
    """
    pipe = Pipe(STANDARD_INPUT)
    longest = b"x" * LINE_BYTES
    log = longest + b"x" * 5000 + b"\nafter\n" + longest + b"\nlast\n"
    found = b"".join(
        pipe._cut(log[at : at + piece])  # noqa: SLF001 - without a process
        for at in range(0, len(log), piece)
    )

    assert b"\nafter\n" + longest + b"\nlast" == found
    assert 1 == pipe.statistics.overlong_lines


def test_writers_come_and_go(fifo: Path) -> None:
    """
    A FIFO is there for the next writer; what the last one left unfinished never ends.
    """
    with opened(fifo) as pipe:
        number = pipe.numbers
        fifo.write_bytes(b"one\ntwo")
        assert b"\none" == read(pipe)
        fifo.write_bytes(b"three\n")
        assert b"\nthree" == read(pipe)

        assert 1 == pipe.statistics.cut_lines
        assert 13 == pipe.statistics.read_bytes
        assert number != pipe.numbers
        assert not pipe.ended


def test_overlong_unfinished(fifo: Path) -> None:
    """
    A line that is too long and never ends is counted as too long.
    """
    with opened(fifo) as pipe:
        descriptor = os.open(fifo, os.O_WRONLY)
        for _ in range(LINE_BYTES // 65536 + 1):
            os.write(descriptor, b"x" * 65536)
            assert b"" == read(pipe)
        os.close(descriptor)
        assert b"" == read(pipe)

        assert 1 == pipe.statistics.overlong_lines
        assert 0 == pipe.statistics.cut_lines


def test_replaced(fifo: Path) -> None:
    """
    A FIFO that is made anew is opened anew, once the old one is empty; one that is gone is kept.
    """
    with opened(fifo) as pipe:
        old = os.open(fifo, os.O_WRONLY)
        os.write(old, b"one\n")
        fifo.rename(fifo.with_name("old"))
        assert b"\none" == read(pipe) + read(pipe)
        os.mkfifo(fifo)
        os.write(old, b"two\n")
        new = os.open(fifo, os.O_RDWR)
        os.write(new, b"three\n")
        found = read(pipe) + read(pipe)
        os.close(old)
        os.close(new)

        assert b"\ntwo\nthree" == found


def test_missing(fifo: Path) -> None:
    """
    A FIFO that is not there, or is something else by now, is a problem until it is there again.
    """
    fifo.unlink()
    pipe = Pipe(fifo)
    assert b"" == read(pipe)

    assert "No such file or directory" == pipe.problem
    assert pipe.descriptor is None
    assert 0 == pipe.unread_bytes

    fifo.write_bytes(b"")
    assert b"" == read(pipe)

    assert "it is no FIFO any more" == pipe.problem

    fifo.unlink()
    os.mkfifo(fifo)
    assert b"" == read(pipe)

    assert ["", True] == [pipe.problem, isinstance(pipe.descriptor, int)]
    assert b"" == read(pipe)
    assert 2 == pipe.statistics.read_errors

    pipe.close()


def test_reload(fifo: Path) -> None:
    """
    SIGHUP leaves what waits in a pipe where it is, and how much that is can be told.
    """
    with opened(fifo) as pipe:
        descriptor = os.open(fifo, os.O_WRONLY)
        os.write(descriptor, b"one\n")
        pipe.reopen()

        assert 4 == pipe.unread_bytes
        assert b"\none" == read(pipe)

        os.close(descriptor)


def test_turn(fifo: Path) -> None:
    """
    A writer that never stops does not keep the reader from its other work.
    """
    with opened(fifo) as pipe, subprocess.Popen(["sh", "-c", f"exec yes > {fifo}"]) as writer:
        try:
            wait_until(lambda: pipe.unread_bytes > 0)
            total = len(read(pipe))
        finally:
            writer.kill()

        assert 2 * TURN_BYTES > total


def test_is_pipe(fifo: Path) -> None:
    """
    A FIFO and standard input are pipes; a file and nothing are not.
    """
    file = fifo.parent / "file"
    file.write_bytes(b"")
    names = (STANDARD_INPUT, fifo, file, fifo.parent, fifo.parent / "none")

    assert [True, True, False, False, False] == [is_pipe(name) for name in names]
    assert [False, False, True, False, False] == [is_file(name) for name in names]


# --- the exporter -------------------------------------------------------------------------------


def test_misread(fifo: Path, start_exporter: StartExporter) -> None:
    """
    Whoever pipes a form of journalctl that has no lines is told so, and which one to pipe.
    """
    exporter = start_exporter(f"--input.file={fifo}").serve()
    fifo.write_bytes(b"__CURSOR=s=1\nMESSAGE=x\n\n")
    said = exporter.hear("no lines of a log")
    wait_until(lambda: b"This is not a log" in exporter.get("/").body)

    assert "--output=export" in said
    assert "--output=json" in said


@pytest.mark.parametrize("first", ["nothing", "file", "fifo"])
def test_another_kind(first: str, start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    What a name stands for may change between file and FIFO: each line counts, none twice.
    """
    path = tmp_path / "log"
    if first == "file":
        path.write_bytes(END)
    elif first == "fifo":
        os.mkfifo(path)
    exporter = start_exporter(f"--input.file={path}").serve()
    sessions = 0
    for round_ in range(4):
        fifo = (round_ % 2 == 0) == (first != "fifo")
        other = tmp_path / "other"
        if fifo:
            os.mkfifo(other)
            other.replace(path)
        else:
            # No file looks like one before it, which may have had its inode.
            other.write_bytes(b"%d\n" % round_ + END * 2)
            other.replace(path)
            sessions += 2
            wait_for(exporter, sessions)
        with path.open("ab") as writer:
            writer.write(END)
        sessions += 1
        wait_for(exporter, sessions)

    assert any("another kind" in line for line in exporter.lines)
    assert 0 == exporter.total("milter_manager_exporter_file_truncations_total")
    assert 0 == exporter.terminate()


def test_another_kind_at_a_restart(start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    A FIFO in the place of a file that an earlier run read keeps nobody waiting for that file.
    """
    path, state = tmp_path / "log", f"--state.file={tmp_path / 'state'}"
    path.write_bytes(END)
    first = start_exporter(f"--input.file={path}", "--input.from=beginning", state).serve()
    wait_for(first, 1)
    assert 0 == first.terminate()
    path.unlink()
    os.mkfifo(path)
    again = start_exporter(f"--input.file={path}", state).serve()
    path.write_bytes(END)
    wait_for(again, 2)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("/dev/zero", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("/", "is not a regular file"),
    ],
)
def test_no_log(name: str, problem: str, start_exporter: StartExporter) -> None:
    """
    A device or a directory that is named as a log is no log, which is said, and is not read.
    """
    exporter = start_exporter(f"--input.file={name}").serve()
    before = exporter.read_bytes()

    assert problem in "".join(exporter.lines)
    assert 2**20 > exporter.read_bytes() - before


def test_endless_nothing(start_exporter: StartExporter) -> None:
    """
    Standard input of endless NUL bytes is read to no end in little memory, and can be stopped.
    """
    with open("/dev/zero", "rb") as zero:  # noqa: PTH123 - a device
        exporter = start_exporter("--input.file=-", standard_input=zero.fileno()).serve()
    total = "milter_manager_exporter_read_bytes_total"
    wait_until(lambda: exporter.total(total) > 2**26)

    assert 200_000 > exporter.status("VmRSS")
    assert 0 == exporter.terminate()


def test_permission(fifo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A FIFO that may not be read is a problem until it may be.
    """

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    pipe = Pipe(fifo)
    with monkeypatch.context() as patch:  # root may read everything
        patch.setattr(os, "open", refuse)
        assert b"" == read(pipe)

    assert "Permission denied" == pipe.problem
    assert b"" == read(pipe)
    assert "" == pipe.problem

    pipe.close()


def numbers(exporter_samples: dict[tuple[str, tuple[tuple[str, str], ...]], float]) -> object:
    """
    Leave out what is of the exporter itself, and where it read.
    """
    return {
        sample: value
        for sample, value in exporter_samples.items()
        if sample[0].startswith("milter_manager_")
        and (sample[0] == LINES or not sample[0].startswith("milter_manager_exporter_"))
    }


def test_same_as_a_file(start_exporter: StartExporter, fifo: Path) -> None:
    """
    A log gives the same numbers as a file, redirected, through a pipe and through a FIFO.
    """
    log = DATA / "sample.log"
    by_file = start_exporter(f"--input.file={log}", "--input.from=beginning").serve()
    expected = numbers(by_file.samples())
    with log.open("rb") as file:
        redirected = start_exporter(
            "--input.file=-", "--web.linger=600", standard_input=file.fileno()
        ).serve()
    wait_until(lambda: any("end of input" in line for line in redirected.lines))

    assert expected == numbers(redirected.samples())

    with subprocess.Popen(["cat", log], stdout=subprocess.PIPE) as cat:
        assert cat.stdout is not None
        piped = start_exporter(
            "--input.file=-", "--web.linger=600", standard_input=cat.stdout.fileno()
        )
        cat.stdout.close()
        piped.serve()
        wait_until(lambda: any("end of input" in line for line in piped.lines))

    assert expected == numbers(piped.samples())

    by_fifo = start_exporter(f"--input.file={fifo}").serve()
    fifo.write_bytes(log.read_bytes())
    lines = log.read_bytes().count(b"\n")
    wait_until(lambda: lines <= by_fifo.total(LINES))

    assert expected == numbers(by_fifo.samples())


def test_end_of_input(start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    The end of standard input is the end, status 0, and the state goes on in the next run.
    """
    state = f"--state.file={tmp_path / 'state'}"
    for n in (1, 2):
        reading, writing = os.pipe()
        exporter = start_exporter("--input.file=-", "--input.file=-", state, standard_input=reading)
        os.close(reading)
        exporter.serve()
        os.write(writing, END + b"half")
        wait_for(exporter, n)
        os.close(writing)

        assert 0 == exporter.wait()
    last = start_exporter(
        "--input.file=-", "--web.linger=600", state, standard_input=subprocess.DEVNULL
    ).serve()

    assert 2 == last.total(ENDED)
    assert 2 == last.total(LINES, outcome="malformed")


def test_linger(start_exporter: StartExporter) -> None:
    """
    After the end it serves for as long as it was told, and ends by itself then.
    """
    start = time.monotonic()
    exporter = start_exporter(
        "--input.file=-", "--web.linger=1.5", standard_input=subprocess.DEVNULL
    ).serve()

    assert 200 == exporter.get("/metrics").status
    assert 0 == exporter.wait()
    assert 1.5 <= time.monotonic() - start


def test_beside_a_file(start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    As long as there is another log, the end of standard input ends nothing.
    """
    log = tmp_path / "log"
    log.write_bytes(b"")
    exporter = start_exporter("--input.file=-", f"--input.file={log}").serve()
    for n in range(1, 4):
        with log.open("ab") as file:
            file.write(END)
        wait_for(exporter, n)

    assert 0 == exporter.terminate(signal.SIGTERM)


def test_closed() -> None:
    """
    Without a standard input it says so, and does not start.
    """
    result = subprocess.run(
        ["sh", "-c", "exec python3 -m exporter --input.file=- --no-state <&-"],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )

    assert 1 == result.returncode
    assert b"standard input is closed" in result.stderr


def test_latency_and_idleness(start_exporter: StartExporter, fifo: Path) -> None:
    """
    A line is counted when it comes, and between lines and writers nothing is done.
    """
    exporter = start_exporter(f"--input.file={fifo}").serve()
    best = float("inf")
    for n in range(1, 6):
        start = time.monotonic()
        fifo.write_bytes(END)
        wait_for(exporter, n)
        best = min(best, time.monotonic() - start)

    assert LATENCY_SECONDS > best

    before = exporter.cpu_seconds()
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > 2)

    assert 0.5 > exporter.cpu_seconds() - before


def test_hangup(start_exporter: StartExporter) -> None:
    """
    SIGHUP between two lines, and in one, loses nothing.
    """
    reading, writing = os.pipe()
    exporter = start_exporter("--input.file=-", standard_input=reading).serve()
    os.close(reading)
    os.write(writing, END[:20])
    exporter.send(signal.SIGHUP)
    exporter.hear("reloading")
    os.write(writing, END[20:])
    wait_for(exporter, 1)
    os.close(writing)

    assert 0 == exporter.wait()


def test_kill(start_exporter: StartExporter, fifo: Path, tmp_path: Path) -> None:
    """
    After kill -9 no line is counted twice, and those that came before the last save are kept.
    """
    state = f"--state.file={tmp_path / 'state'}"
    exporter = start_exporter(f"--input.file={fifo}", state).serve()
    fifo.write_bytes(END * 1000)
    wait_until(lambda: 1000 == exporter.total(ENDED))
    wait_until(lambda: b'"sessions_ended"' in (tmp_path / "state").read_bytes())
    exporter.kill()
    again = start_exporter(f"--input.file={fifo}", state).serve()
    first = again.total(ENDED)
    fifo.write_bytes(END)
    wait_until(lambda: first + 1 == again.total(ENDED))

    assert 1000 >= first
