"""
`check` as a whole: on machines made up, and in the real situations that it is for.
"""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import StartExporter
from machine import ERROR, STATISTIC, Machine
from running import free_port, require

from exporter.logtool.check import check
from exporter.logtool.cli import build_command_parser, main
from exporter.logtool.terminal import Terminal, UsageError

LIMITS = "/proc/sys/fs/inotify"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine on which all is well, with a log of statistics.
    """
    tmp_path.chmod(0o755)
    machine = Machine(tmp_path, {"PATH": "", "HOME": "/root"})
    machine.put("/var/log/mail.log", STATISTIC * 3)
    machine.put(f"{LIMITS}/max_user_instances", b"128\n")
    machine.put(f"{LIMITS}/max_user_watches", b"8192\n")
    return machine


@pytest.fixture
def public() -> Iterator[Path]:
    """
    A directory that everybody may enter, unlike pytest's.
    """
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def ask(machine: Machine, *arguments: str) -> tuple[int, dict[str, str]]:
    """
    Give the exit status, and severity by key of the findings.
    """
    output = io.StringIO()
    terminal = Terminal(io.BytesIO(), output, io.StringIO())
    port = f"--web.listen-address=127.0.0.1:{free_port()}"
    status = check(
        build_command_parser("check", "en"), ["--json", port, *arguments], terminal, machine.system
    )
    return status, severities(output.getvalue())


def severities(text: str) -> dict[str, str]:
    """
    Give severity by key of the findings in a JSON report.
    """
    return {one["key"]: one["severity"] for one in json.loads(text)["findings"]}


def run(*arguments: str, before: tuple[str, ...] = ()) -> tuple[int, dict[str, str]]:
    """
    Run the tool as a program, by way of another one.
    """
    command = [*before, sys.executable, "-m", "exporter.logtool", "check", "--json", *arguments]
    # Another user could not write down what was covered.
    environ = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    result = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert "" == result.stderr

    return result.returncode, severities(result.stdout)


def snapshot(root: Path) -> dict[str, tuple[int, int]]:
    """
    Give what a change of any file below a directory would change.
    """
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in root.rglob("*")}


def test_good(machine: Machine) -> None:
    """
    Where all is well the exit status is 0 and nothing is a problem.
    """
    status, found = ask(machine)

    assert 0 == status
    assert {"ok", "note"} >= set(found.values())
    assert {"log_found", "log_readable", "recognised", "statistics", "state_new"} <= set(found)


def test_changes_nothing(machine: Machine) -> None:
    """
    Nothing on the machine is other than before.
    """
    before = snapshot(machine.root)
    ask(machine)
    ask(machine, "--state.file=/srv/deep/state")

    assert before == snapshot(machine.root)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("--input.file=/nosuch",), "log_missing"),
        (("--input.program=other",), "other_program"),
        (("--web.listen-address=192.0.2.1:80",), "port_not_here"),
        (("--state.file=/var/log/mail.log/state",), "state_unwritable"),
        (("--group=root", "--state.file=/srv/state"), "state_outside"),
    ],
)
def test_problems(arguments: tuple[str, ...], key: str, machine: Machine) -> None:
    """
    The exporter's own flags are taken; one that cannot work is a problem.
    """
    status, found = ask(machine, *arguments)

    assert (1, "problem") == (status, found[key])


def test_no_statistics(machine: Machine) -> None:
    """
    A log without statistics is a problem.
    """
    machine.put("/var/log/mail.log", ERROR)

    assert 1 == ask(machine)[0]


def test_cannot_tell(machine: Machine) -> None:
    """
    A log that nothing can be told of is neither good nor bad.
    """
    machine.put("/var/log/mail.log", b"")

    assert 2 == ask(machine)[0]


def test_pipe(machine: Machine) -> None:
    """
    Standard input and a FIFO are no problem, and nobody is told to wait for a log.
    """
    os.mkfifo(machine.root / "fifo")
    status, found = ask(machine, "--input.file=-", "--input.file=/fifo")

    assert 0 == status
    assert {"standard_input", "fifo", "fifo_alone", "journal_none"} <= set(found)
    assert not {"log_missing", "log_no_file", "no_log"} & set(found)


def test_nothing(machine: Machine) -> None:
    """
    Where neither log nor journal has anything, that is the problem.
    """
    (machine.root / "var/log/mail.log").unlink()
    status, found = ask(machine)

    assert 1 == status
    assert ("problem", "ok") == (found["no_log"], found["journal_none"])


def test_own_file(machine: Machine) -> None:
    """
    Workers that write to milter-manager's own file are told of.
    """
    machine.put("/etc/milter-manager/milter-manager.conf", b"manager.n_workers = 4\n")
    machine.put(
        "/var/log/mail.log", b"[2026-11-22T23:59:30Z]: [session][end][connect][pass][1](1)\n"
    )

    assert "own_file_workers" in ask(machine)[1]


def test_service_settings(machine: Machine) -> None:
    """
    What the service reads is where its log is looked for.
    """
    machine.put("/srv/mail.log", STATISTIC)
    machine.put(
        "/etc/default/milter-manager-exporter",
        b'MILTER_MANAGER_EXPORTER_OPTS="--input.file /srv/mail.log"\n',
    )

    assert {"settings", "log_given"} <= set(ask(machine)[1])


def test_no_file(machine: Machine) -> None:
    """
    Of what is no file no lines are looked at.
    """
    found = ask(machine, "--input.file=/var/log")[1]

    assert "log_no_file" in found
    assert not {"log_given", "log_empty", "lines_unseen"} & set(found)


@pytest.mark.parametrize(("arguments", "expected"), [((), False), (("--user=root",), True)])
def test_unseen_lines(
    arguments: tuple[str, ...],
    expected: bool,  # noqa: FBT001 - pytest gives it
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Lines that who asks may not read are a question left open, unless it was asked for oneself.
    """

    def refuse(*_: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("exporter.logtool.check.take_sample", refuse)

    assert expected is ("lines_unseen" in ask(machine, *arguments)[1])


@pytest.mark.parametrize("uid", [0, 1000])
def test_root(uid: int, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Root is told that a service is not root.
    """
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    assert (uid == 0) is ("as_root" in ask(machine)[1])


def test_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The commands that are suggested keep the flags that were given, as words of a shell.
    """
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.put("/mnt/a b/system.journal")
    machine.put("/bin/journalctl", b"#!/bin/sh\n").chmod(0o755)
    machine = Machine(machine.root, {"PATH": str(machine.root / "bin"), "HOME": "/root"})
    output = io.StringIO()
    terminal = Terminal(io.BytesIO(), output, io.StringIO())
    flags = ["--input.journal", "--input.journal-directory", "/mnt/a b", "--input.program=mine"]
    check(build_command_parser("check", "en"), ["--json", *flags], terminal, machine.system)
    found = {one["key"]: one["commands"] for one in json.loads(output.getvalue())["findings"]}

    assert ["milter-manager-logtool check", "--group adm --group systemd-journal"] == [
        part.strip() for part in found["as_root"][0].split(shlex.join(flags))
    ]
    assert ["journalctl '--directory=/mnt/a b' -t mine -n 5"] == found["journal_waiting"]


@pytest.mark.parametrize("argument", ["--no-such", "--user=no such", "extra"])
def test_wrong(argument: str, machine: Machine) -> None:
    """
    A wrong command line is one.
    """
    with pytest.raises(UsageError):
        ask(machine, argument)


def test_main(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """
    The subcommand is there, in both languages, with the exit status.
    """
    log = f"--input.file={tmp_path}/nosuch"

    assert 1 == main(["check", "--lang=ja", log])
    assert f"問題     {tmp_path}/nosuchがありません。" in capsys.readouterr().out


def test_running_exporter(start_exporter: StartExporter, tmp_path: Path) -> None:
    """
    Beside a running exporter all is well: it is the one that has the port and the state.
    """
    log, state = tmp_path / "mail.log", tmp_path / "state"
    log.write_bytes(STATISTIC)
    flags = (f"--input.file={log}", f"--state.file={state}")
    exporter = start_exporter(*flags).serve()
    before = snapshot(tmp_path)
    found = run(*flags, f"--web.listen-address=127.0.0.1:{exporter.port}")[1]

    assert ("ok", "ok") == (found["port_exporter"], found["state_in_use"])
    assert set(before) <= set(snapshot(tmp_path))


def test_single_file_mount(public: Path) -> None:
    """
    A log that is mounted by itself is found by what the kernel says of mounts.
    """
    unshare = require("unshare", "util-linux")
    if os.geteuid():
        pytest.skip("needs root, who may mount")
    source, log = public / "source.log", public / "mail.log"
    source.write_bytes(STATISTIC)
    log.write_bytes(b"")
    mount = ("-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', source, log)
    status, found = run(f"--input.file={log}", before=(unshare, *map(str, mount)))

    assert (1, "problem") == (status, found["bind_mount"])


@pytest.mark.parametrize(
    ("groups", "status", "expected"),
    [(("--clear-groups",), 1, "unreadable_group"), (("--groups=4",), 0, "log_readable")],
)
def test_unprivileged(groups: tuple[str, ...], status: int, expected: str, public: Path) -> None:
    """
    A user who is not in the log's group is told which one it is; a member can read it.
    """
    setpriv = require("setpriv", "util-linux")
    if os.geteuid():
        pytest.skip("needs root, who may be anybody")
    log = public / "mail.log"
    log.write_bytes(STATISTIC)
    os.chown(log, 0, 4)
    log.chmod(0o640)
    nobody = (setpriv, "--reuid=65534", "--regid=65534", *groups)
    if subprocess.run([*nobody, sys.executable, "-c", "import exporter"], check=False).returncode:
        pytest.skip("needs a checkout that everybody may read")
    port = f"--web.listen-address=127.0.0.1:{free_port()}"
    # The same as root says of that user.
    names = ("--group=adm",) if status == 0 else ("--user=nobody",)

    assert expected in run(f"--input.file={log}", "--no-state", port, before=nobody)[1]
    assert status == run(f"--input.file={log}", "--no-state", port, before=nobody)[0]
    assert expected in run(f"--input.file={log}", "--no-state", port, *names)[1]
