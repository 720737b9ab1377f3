"""
The tool's command line.
"""

import errno
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import __version__
from exporter.logtool import __main__, cli, explain
from exporter.logtool.cli import COMMANDS, load_command, main, run_command
from exporter.logtool.terminal import (
    PROGRAM,
    Terminal,
    UsageError,
    language_of,
    never_fail,
    one_line,
    shown,
)


def new_terminal(data: bytes = b"") -> Terminal:
    """
    Make a terminal that nobody sits at.
    """
    return Terminal(io.BytesIO(data), io.StringIO(), io.StringIO())


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """
    --help names every subcommand.
    """
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])

    text = capsys.readouterr().out

    assert stopped.value.code == 0
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_commands(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Each subcommand has its own --help, with --lang.
    """
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])

    assert stopped.value.code == 0
    assert "--lang" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """
    --version gives the exporter's.
    """
    with pytest.raises(SystemExit):
        main(["--version"])

    assert f"{PROGRAM}, version {__version__}\n" == capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [[], ["nonsense"], ["explain", "--nonsense"], ["explain", "--lang", "fr"]]
)
def test_usage(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """
    A wrong command line is said in one line, with status 2.
    """
    status = main(argv)
    said = capsys.readouterr()

    assert (2, "", 1) == (status, said.out, said.err.count("\n"))
    assert said.err.startswith(f"{PROGRAM}: error: ")


def test_load_command() -> None:
    """
    Each name gives its own module's `run`.
    """
    modules = [load_command(name).__module__ for name in COMMANDS]

    assert [f"exporter.logtool.{name}" for name in COMMANDS] == modules


def test_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Control-C ends it with 130, without a traceback.
    """

    def interrupt(*_arguments: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(explain, "run", interrupt)

    assert main(["explain"]) == 130


def test_status(capsys: pytest.CaptureFixture[str]) -> None:
    """
    The subcommand's status is the tool's.
    """
    assert (0, 1) == (main(["explain", "52"]), main(["explain", "no such thing"]))
    assert not capsys.readouterr().err


def test_reader_gone_inside(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Standard output is put out of reach of Python's last flush once nobody reads it.
    """

    def write(*_arguments: object) -> int:
        raise BrokenPipeError

    replaced: list[int] = []
    monkeypatch.setattr(explain, "run", write)
    monkeypatch.setattr(os, "dup2", lambda _null, stream: replaced.append(stream))

    assert main(["explain"]) == 141
    assert [sys.stdout.fileno()] == replaced
    assert ("", "") == capfd.readouterr()


def test_reader_gone() -> None:
    """
    It ends quietly when whoever reads its output has gone.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "exporter.logtool", "messages"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        complaint = process.stderr.read()

    assert (141, b"") == (process.returncode, complaint)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_closed_streams(closed: str) -> None:
    """
    A standard stream that is closed is no reason for a traceback.
    """
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m exporter.logtool explain "[reader][error][read]" {closed}'
         .replace("$0", sys.executable)],
        capture_output=True, check=False,
    )  # fmt: skip

    assert (0, b"") == (done.returncode, done.stderr)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_MESSAGES": "C"}, "en"),
        ({"LANG": "C", "LC_ALL": "ja", "LC_MESSAGES": "de_DE"}, "ja"),
        ({"LANG": "fr_FR.UTF-8", "LC_ALL": ""}, "en"),
    ],
)
def test_language_of(environ: dict[str, str], expected: str) -> None:
    """
    POSIX' order: LC_ALL, LC_MESSAGES, LANG; an empty one is none.
    """
    assert expected == language_of(environ)


def test_language_is_used() -> None:
    """
    The locale decides where --lang does not.
    """
    terminal = new_terminal()
    run_command(["explain", "52"], {"LANG": "ja_JP.UTF-8"}, terminal)
    run_command(["explain", "52", "--lang", "en"], {"LANG": "ja_JP.UTF-8"}, terminal)
    text = terminal.output.getvalue() if isinstance(terminal.output, io.StringIO) else ""

    assert text.startswith("1行目: 52\n")
    assert "line 1: 52\n" in text


def test_escapes() -> None:
    """
    Control characters, marks that turn the direction of writing and broken UTF-8 show as codes.
    """
    assert one_line("a\x1b[2J\n\u202eb") == "a\\x1b[2J\\n\\u202eb"
    assert shown(b"\xff\t\xe3\x81\x82") == "\\xff\\tあ"


def test_warn() -> None:
    """
    A warning is one line, whatever it tells of.
    """
    terminal = new_terminal()
    terminal.warn("a\nb\x1b[2J")

    assert isinstance(terminal.error, io.StringIO)
    assert terminal.error.getvalue() == f"{PROGRAM}: a\\nb\\x1b[2J\n"


def test_no_marks_up() -> None:
    """
    Rich finds no markup in what a log says.
    """
    terminal = new_terminal()
    terminal.console().print("[red]x[/red] :smile:")
    terminal.progress_console().print("[b]")

    assert isinstance(terminal.output, io.StringIO)
    assert terminal.output.getvalue() == "[red]x[/red] :smile:\n"


def test_never_fail() -> None:
    """
    Japanese on a stream that has no Japanese is escaped.
    """
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "latin-1")
    never_fail(stream)
    stream.write("日")
    stream.flush()

    never_fail(io.StringIO())  # has no encoding

    assert raw.getvalue() == b"\\u65e5"


def test_usage_error_by_hand() -> None:
    """
    A parser raises instead of ending the program.
    """
    with pytest.raises(UsageError, match="COMMAND"):
        cli.build_parser().parse_args([])


def test_installed() -> None:
    """
    The command is installed beside Python, under its own name.
    """
    command = Path(sys.executable).with_name(PROGRAM)
    done = subprocess.run(
        [command, "explain", "52"], capture_output=True, check=False, env=dict(os.environ, LANG="C")
    )

    assert done.returncode == 0
    assert done.stdout.startswith(b"line 1: 52\n")


@pytest.mark.parametrize("raising", [True, False])
def test_entry(raising: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 - pytest
    """
    The command is the tool, and leaves an interrupt as it was: raised, or ignored under nohup.
    """
    wanted = signal.default_int_handler if raising else signal.SIG_IGN
    before = signal.signal(signal.SIGINT, wanted)
    monkeypatch.setattr(cli, "main", lambda: 7)
    try:
        assert (7, wanted) == (__main__.main(), signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupted_import(tmp_path: Path) -> None:
    """
    An interrupt that comes before the tool is imported ends it without a traceback.
    """
    (tmp_path / "rich.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    # Who runs the tests in the background of a shell has SIGINT ignored.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "import sys; sys.path.insert(0, sys.argv[1]); from exporter.logtool import __main__; "
    result = subprocess.run(
        [sys.executable, "-c", f"{code}__main__.main()", tmp_path],
        capture_output=True,
        check=False,
    )

    assert (-signal.SIGINT, b"") == (result.returncode, result.stderr)


@pytest.mark.parametrize("arguments", [["messages"], ["check", "--no-state"], ["explain", "52"]])
def test_full_output(arguments: list[str]) -> None:
    """
    Where standard output cannot be written to, one line says so.
    """
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-m", "exporter.logtool", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )

    assert 1 == result.returncode
    assert b"No space left on device\n" == result.stderr.partition(b"] ")[2]


def test_full_output_inside(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """
    Standard output is put out of reach of Python's last flush once it cannot be written to.
    """

    def write(*_arguments: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    replaced: list[int] = []
    monkeypatch.setattr(explain, "run", write)
    monkeypatch.setattr(os, "dup2", lambda _null, stream: replaced.append(stream))

    assert (1, 1) == (main(["explain"]), len(replaced))
    assert f"{PROGRAM}: error: [Errno {errno.ENOSPC}] full\n" == capfd.readouterr().err


def test_reader_gone_from_table(tmp_path: Path) -> None:
    """
    A table too that nobody reads any more ends the tool as SIGPIPE would.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(b"Nov 22 22:07:33 mail milter-manager[5]: [session][end][quit][pass][1](1)\n")
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "exporter.logtool", "summary", str(log)]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)

    assert (cli.EXIT_NO_READER, b"") == (result.returncode, result.stderr)


def test_closed_output_of_bytes(tmp_path: Path) -> None:
    """
    What writes bytes to a standard output that is closed is no exception.
    """
    log = tmp_path / "mail.log"
    log.write_bytes(b"Nov 22 22:07:33 mail milter-manager[5]: [session][end][quit][pass][1](1)\n")
    command = f'exec "$0" -m exporter.logtool backfill --output - {log} >&-'
    result = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], stderr=subprocess.PIPE, check=False
    )

    assert 0 == result.returncode
    assert b"Traceback" not in result.stderr
