"""
The command line and the environment.
"""

import gc
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest

import exporter
from exporter.cli import FLAGS, PREFIX, main
from exporter.config import Address, Config, StartError


class Daemon(ModuleType):
    """
    Stands in for `exporter.daemon`: keeps the Config and does as told.
    """

    def __init__(self, act: Callable[[], int]) -> None:
        super().__init__("exporter.daemon")
        self.configs: list[Config] = []
        self.act = act

    def run(self, config: Config) -> int:
        """
        Keep the Config, then act.
        """
        self.configs.append(config)
        return self.act()


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Daemon:
    """
    Put the stand-in in the daemon's place.
    """
    stand_in = Daemon(lambda: 0)
    monkeypatch.setitem(sys.modules, "exporter.daemon", stand_in)
    monkeypatch.setattr(exporter, "daemon", stand_in, raising=False)
    return stand_in


@pytest.fixture(autouse=True)
def _fresh(_restored_log: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Start without the variables of whoever runs the tests; leave log, SIGHUP and garbage alone.
    """
    monkeypatch.setattr(signal, "signal", Mock())
    monkeypatch.setattr(gc, "freeze", Mock())
    for name in os.environ:
        if name.startswith(PREFIX):
            monkeypatch.delenv(name)


def in_a_process(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """
    Run Python with `arguments` and return its standard output.
    """
    return subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(environ or {})},
    ).stdout


def test_no_flags(daemon: Daemon) -> None:
    """
    Without flags the daemon gets the defaults, and its exit status is the program's.
    """
    daemon.act = lambda: 7

    assert 7 == main([])
    assert [Config()] == daemon.configs


def test_little_to_clear_away(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    When the daemon has ended, and no sooner, Python is told not to look for garbage on its way out.
    """
    freeze = Mock()
    monkeypatch.setattr(gc, "freeze", freeze)
    daemon.act = lambda: freeze.call_count

    assert 0 == main([])
    assert 1 == freeze.call_count


@pytest.mark.usefixtures("daemon")
def test_lost_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Lines that nobody takes any more do not change the exit status on the way out.
    """
    reading, writing = os.pipe()
    os.close(reading)
    lost = os.fdopen(writing, "w")
    monkeypatch.setattr(sys, "stderr", lost)
    lost.write("a line")

    with pytest.raises(BrokenPipeError):
        lost.flush()

    assert 0 == main([])

    lost.close()  # as Python does on its way out


def test_every_flag(daemon: Daemon) -> None:
    """
    Every flag reaches the daemon; a repeatable one replaces its default and keeps its order.
    """
    status = main(
        [
            "--input.file=/var/log/a",
            "--input.file",
            "b,c",
            "--input.program=mm",
            "--input.from=beginning",
            "--state.file=/s/t",
            "--web.listen-address=127.0.0.1:1",
            "--web.listen-address=[::1]:2",
            "--web.telemetry-path=/m",
            "--web.config.file=w",
            "--log.level=error",
            "--log.format=json",
            "--histogram.buckets=1,2",
        ]
    )
    expected = Config(
        input_files=(Path("/var/log/a"), Path("b,c")),
        input_programs=("mm",),
        from_beginning=True,
        state_file=Path("/s/t"),
        listen_addresses=(Address("127.0.0.1", 1), Address("::1", 2)),
        telemetry_path="/m",
        web_config_file=Path("w"),
        buckets=(1.0, 2.0),
    )

    assert 0 == status
    assert [expected] == daemon.configs


def test_every_variable(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Every flag can come from the environment, repeatable ones separated by commas.
    """
    values = {
        "INPUT_FILE": "/a, /b",
        "INPUT_JOURNAL": "false",
        "INPUT_PROGRAM": "x,y",
        "INPUT_FROM": "beginning",
        "STATE_FILE": "s",
        "NO_STATE": "false",
        "WEB_LISTEN_ADDRESS": ":1,[::1]:2",
        "WEB_SYSTEMD_SOCKET": "false",
        "WEB_TELEMETRY_PATH": "/m",
        "WEB_CONFIG_FILE": "w",
        "WEB_LINGER": "60",
        "LOG_LEVEL": "warn",
        "LOG_FORMAT": "json",
        "HISTOGRAM_BUCKETS": "1,2",
    }
    others = {f"{PREFIX}INPUT_JOURNAL_DIRECTORY"}  # excludes INPUT_FILE
    assert others | {f"{PREFIX}{name}" for name in values} == {flag.variable for flag in FLAGS}
    for name, value in values.items():
        monkeypatch.setenv(f"{PREFIX}{name}", value)
    status = main([])
    expected = Config(
        input_files=(Path("/a"), Path("/b")),
        input_programs=("x", "y"),
        from_beginning=True,
        state_file=Path("s"),
        listen_addresses=(Address("", 1), Address("::1", 2)),
        telemetry_path="/m",
        web_config_file=Path("w"),
        linger_seconds=60.0,
        buckets=(1.0, 2.0),
    )

    assert 0 == status
    assert [expected] == daemon.configs


def test_journal(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A directory means the journal, the flag alone this machine's; on the command line files win.
    """
    monkeypatch.setenv(f"{PREFIX}INPUT_JOURNAL_DIRECTORY", "/j")
    main([])
    main(["--input.file=a"])
    monkeypatch.delenv(f"{PREFIX}INPUT_JOURNAL_DIRECTORY")
    main(["--input.journal"])

    assert [
        Config(journal=True, journal_directory=Path("/j")),
        Config(input_files=(Path("a"),)),
        Config(journal=True),
    ] == daemon.configs


def test_precedence(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A flag wins over its variable, a repeatable one too, and an empty variable is not set.
    """
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_WEB_LISTEN_ADDRESS", ":1,:2")
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_WEB_TELEMETRY_PATH", "/variable")
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_INPUT_FROM", "beginning")
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_HISTOGRAM_BUCKETS", "")
    main(["--web.listen-address=:3", "--web.telemetry-path=/flag"])
    expected = Config(
        listen_addresses=(Address("", 3),), telemetry_path="/flag", from_beginning=True
    )

    assert [expected] == daemon.configs


def test_switch(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A switch is on where it is given, and in the environment where it says so.
    """
    values = {"true": True, "1": True, " TRUE ": True, "false": False, "0": False, "": False}
    for value in values:
        monkeypatch.setenv("MILTER_MANAGER_EXPORTER_NO_STATE", value)
        main([])
        main(["--no-state"])
    expected = [Config(keep_state=keep) for off in values.values() for keep in (not off, False)]

    assert expected == daemon.configs


def test_flag_wins_over_what_it_excludes(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    On the command line each of a pair that excludes itself replaces the other's variable.
    """
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_STATE_FILE", "/s")
    main(["--no-state"])
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_NO_STATE", "true")
    main(["--state.file=/t"])

    assert [Config(keep_state=False), Config(state_file=Path("/t"))] == daemon.configs
    assert 2 == main([])
    assert "--no-state and --state.file exclude each other" in capsys.readouterr().err

    monkeypatch.delenv("MILTER_MANAGER_EXPORTER_NO_STATE")
    monkeypatch.delenv("MILTER_MANAGER_EXPORTER_STATE_FILE")
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_WEB_LISTEN_ADDRESS", ":1")
    main(["--web.systemd-socket"])

    assert Config(systemd_socket=True) == daemon.configs[-1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--nosuch"], "unrecognized arguments: --nosuch"),
        (["word"], "unrecognized arguments: word"),
        (["two\nlines"], "unrecognized arguments: two\\nlines"),
        (["\x1b[31m"], "unrecognized arguments: \\x1b[31m"),
        (["--web.listen=:1"], "unrecognized arguments: --web.listen=:1"),
        (["--state.file=/"], "--state.file: must be the name of a file, not '/'"),
        (["--no-state=x"], "--no-state: ignored explicit argument 'x'"),
        (["--no-state", "--state.file=x"], "--no-state and --state.file exclude each other"),
        (
            ["--input.journal-directory="],
            "--input.journal-directory: must be an absolute path, not ''",
        ),
        (
            ["--input.journal-directory=var/log/journal"],
            "--input.journal-directory: must be an absolute path, not 'var/log/journal'",
        ),
        (
            ["--input.journal-directory=/j", "--input.file=-"],
            "--input.journal-directory and --input.file exclude each other",
        ),
        (
            ["--input.journal", "--input.file=x"],
            "--input.journal and --input.file exclude each other",
        ),
        (["--web.config.file="], "--web.config.file: must be the name of a file, not ''"),
        (["--web.systemd-socket=x"], "--web.systemd-socket: ignored explicit argument 'x'"),
        (
            ["--web.listen-address=:1", "--web.systemd-socket"],
            "--web.systemd-socket and --web.listen-address exclude each other",
        ),
        (["--input.file"], "--input.file: expected one argument"),
        (
            ["--web.linger=-1"],
            "--web.linger: must be a number of seconds from 0 to 86400, not '-1'",
        ),
        (["--input.file="], "--input.file: must not be empty"),
        (
            ["--input.program=a b"],
            "--input.program: 'a b' cannot be a program name in a syslog line",
        ),
        (["--input.from=middle"], "--input.from: must be end or beginning, not 'middle'"),
        (
            ["--web.listen-address=:99999"],
            "--web.listen-address: the port of ':99999' is not a number from 0 to 65535",
        ),
        (
            ["--web.telemetry-path=/-/ready"],
            "--web.telemetry-path: '/-/ready' is taken by the exporter itself",
        ),
        (
            ["--log.level=warning"],
            "--log.level: must be debug, info, warn or error, not 'warning'",
        ),
        (["--log.format=\n"], "--log.format: must be logfmt or json, not '\\n'"),
        (["--histogram.buckets=a"], "--histogram.buckets: 'a' is not a number of seconds"),
        (["--help=x"], "-h/--help: ignored explicit argument 'x'"),
    ],
)
def test_wrong_flag(
    arguments: list[str], expected: str, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A wrong flag is one line on standard error and exit status 2, and nothing is started.
    """
    status = main(arguments)

    assert 2 == status
    assert ("", f"milter-manager-exporter: error: {expected}\n") == capsys.readouterr()
    assert [] == daemon.configs


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_wrong_variable(
    flag: object,
    daemon: Daemon,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """
    A bad value in the environment is one line too, and it names the variable.
    """
    wrong = next(wrong for wrong in FLAGS if wrong is flag)
    value = {"input.file": ",", "state.file": "/", "web.config.file": "/"}.get(wrong.name, ": ")
    monkeypatch.setenv(wrong.variable, value)
    status = main([])
    expected = rf"milter-manager-exporter: error: environment variable {wrong.variable}: .+\n"

    assert 2 == status
    assert re.fullmatch(expected, capsys.readouterr().err)
    assert [] == daemon.configs


def test_unknown_variable(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    A misspelt variable is a warning; the one of the systemd unit is not.
    """
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_OPTS", "--log.level=debug")
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_LOG_LEVLE", "debug")
    status = main([])
    lines = capsys.readouterr().err.splitlines()

    assert 0 == status
    assert 1 == len(daemon.configs)
    assert 1 == len(lines)
    assert lines[0].endswith(
        'level=warn msg="unknown environment variable, ignored" '
        "variable=MILTER_MANAGER_EXPORTER_LOG_LEVLE"
    )


def test_start_error(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """
    What keeps the daemon from starting is one line and exit status 1.
    """

    def fail() -> int:
        raise StartError("cannot listen on :80: permission denied")

    daemon.act = fail
    status = main([])
    expected = "milter-manager-exporter: error: cannot listen on :80: permission denied\n"

    assert 1 == status
    assert ("", expected) == capsys.readouterr()


def test_interrupt(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """
    Ctrl-C during the start ends the program silently, with the shell's status for it.
    """

    def interrupt() -> int:
        raise KeyboardInterrupt

    daemon.act = interrupt

    assert 130 == main([])
    assert ("", "") == capsys.readouterr()


def test_version(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """
    --version says one line in the form of Prometheus programs.
    """
    status = main(["--version"])
    expected = (
        f"milter-manager-exporter, version {exporter.__version__} "
        f"(revision: {exporter.REVISION}, python: {platform.python_version()})\n"
    )

    assert 0 == status
    assert (expected, "") == capsys.readouterr()
    assert [] == daemon.configs


def test_help(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    --help names every flag with its variable within 80 columns, even if the environment is wrong.
    """
    monkeypatch.setenv("MILTER_MANAGER_EXPORTER_LOG_LEVEL", "wrong")
    monkeypatch.setenv("COLUMNS", "300")
    status = main(["--help"])
    text = capsys.readouterr().out

    assert 0 == status
    assert [] == daemon.configs
    assert [] == [line for line in text.splitlines() if len(line) > 80]
    for flag in FLAGS:
        assert f"  --{flag.name} {flag.value}".rstrip() + "\n" in text
        assert f"      Environment: {flag.variable}\n" in text
    assert 15 == len(re.findall(r"^      Default:", text, re.MULTILINE))


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["--nosuch"]])
def test_imports(arguments: list[str]) -> None:
    """
    What starts no daemon imports none of its servers.
    """
    program = (
        "import sys\n"
        "from exporter.cli import main\n"
        f"main({arguments!r})\n"
        "print()\n"
        "print(sorted({'tornado', 'watchdog', 'prometheus_client'} & set(sys.modules)))\n"
    )

    assert "[]" == in_a_process("-c", program).splitlines()[-1]


def test_module() -> None:
    """
    `python -m exporter` is the program.
    """
    expected = f"milter-manager-exporter, version {exporter.__version__} "

    assert in_a_process("-m", "exporter", "--version").startswith(expected)


@pytest.mark.parametrize("there", [False, True])
def test_without_rich(there: bool) -> None:  # noqa: FBT001  a table
    """
    The exporter does without rich, which is there for the tool and costs memory and time.
    """
    code = f"""
import sys
{"import rich" if there else ""}
import exporter.daemon
print("rich.traceback" in sys.modules)
import rich.table
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert f"{there}\n" == result.stdout.decode()
