"""
The files in systemd/, as far as systemd's own programs can tell without running them.
"""

import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from configparser import ConfigParser
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import bcrypt
import pytest
from certificates import client_context, write_certificates
from journals import say
from running import (
    DEADLINE_SECONDS,
    Program,
    free_port,
    get,
    read_samples,
    require,
    total,
    wait_until,
)

from exporter.cli import NOT_FLAGS, PREFIX

DIRECTORY = Path(__file__).resolve().parent.parent / "systemd"
SERVICE = DIRECTORY / "milter-manager-exporter.service"
PROGRAM = "/usr/local/bin/milter-manager-exporter"
MOST_EXPOSED = 1.5


def analyze(*arguments: str) -> str:
    """
    Ask systemd-analyze; give all that it says.
    """
    result = subprocess.run(
        [require("systemd-analyze", "systemd"), *arguments],
        env={**os.environ, "SYSTEMD_PAGER": "", "LC_ALL": "C.UTF-8"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=True,
    )
    return result.stdout


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """
    The units, of a program that is there.
    """
    copies = [tmp_path / path.name for path in DIRECTORY.glob("*.s[eo]*")]
    for copy in copies:
        text = (DIRECTORY / copy.name).read_text()
        copy.write_text(text.replace(PROGRAM, "/bin/true"))
    return [str(copy) for copy in copies]


def read_service() -> dict[str, str]:
    """
    Read what stands under [Service], the last of each.
    """
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names as they are
    parser.read(SERVICE)
    return dict(parser["Service"])


def test_verify(units: list[str]) -> None:
    """
    Nothing in the units is unknown to systemd, or wrong.
    """
    assert 2 == len(units)
    assert "" == analyze("verify", *units)


def test_security(units: list[str]) -> None:
    """
    The service is shut in about as far as one can be that reads logs and serves the network.
    """
    (service,) = (unit for unit in units if unit.endswith(".service"))
    said = analyze("security", "--offline=true", service)
    exposure = re.search(r"Overall exposure level for \S+: (?P<level>[\d.]+)", said)
    assert exposure

    assert MOST_EXPOSED >= float(exposure["level"])


def test_log_stays_readable() -> None:
    """
    Nothing is set that takes the groups, the logs or journalctl away.
    """
    service = read_service()

    assert {"adm", "systemd-journal"} == set(service["SupplementaryGroups"].split())
    assert "strict" == service["ProtectSystem"]
    assert set() == service.keys() & {
        *("PrivateUsers", "User", "Group", "RootDirectory", "PrivateNetwork", "ProcSubset"),
        *("InaccessiblePaths", "TemporaryFileSystem", "NoExecPaths", "RootImage"),
    }


def test_options_variable() -> None:
    """
    The variable that the unit puts on the command line is the one in the environment file.
    """
    service = read_service()
    default = (DIRECTORY / "milter-manager-exporter.default").read_text()
    (variable,) = NOT_FLAGS

    assert f"{PROGRAM} ${variable}" == service["ExecStart"]
    assert "-/etc/default/milter-manager-exporter" == service["EnvironmentFile"]
    # Of two the later one counts: each example does something once its # is gone.
    assert re.findall(rf"^#?({PREFIX}\w+)=", default, re.MULTILINE)[0] == variable
    assert [variable] == re.findall(rf"^({PREFIX}\w+)=", default, re.MULTILINE)


def allowed_calls() -> set[str]:
    """
    List the system calls that the unit allows, its groups expanded.
    """
    calls: set[str] = set()
    for line in SERVICE.read_text().splitlines():
        if not line.startswith("SystemCallFilter="):
            continue
        value = line.partition("=")[2]
        group = {call for name in value.lstrip("~").split() for call in expand(name)}
        calls = calls - group if value.startswith("~") else calls | group
    return calls


def expand(name: str) -> set[str]:
    """
    List the system calls of a group, those of the groups in it too.
    """
    if not name.startswith("@"):
        return {name}
    said = analyze("syscall-filter", name).splitlines()[1:]
    names = {line.strip() for line in said} - {""}
    return {call for each in names if not each.startswith("#") for call in expand(each)}


@pytest.mark.usefixtures("_unmeasured")
def test_system_calls(tmp_path: Path, programs: list[Program]) -> None:
    """
    A run through reading, rotating, saving, serving and reloading makes none that is forbidden.

    With TLS and passwords, which want files in memory and a thread; and no memory is both written
    to and executed.
    """
    path, calls, port = tmp_path / "mail.log", tmp_path / "calls", free_port()
    path.write_bytes(b"x\n")
    write_certificates(tmp_path)
    hashed = bcrypt.hashpw(b"right", bcrypt.gensalt(4)).decode()
    (tmp_path / "web.yml").write_text(
        "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
        f"basic_auth_users: {{a: {hashed}}}\n"
    )
    context = client_context(tmp_path)

    def ask(question: str) -> bytes:
        headers = {"Authorization": "Basic " + b64encode(b"a:right").decode()}
        connection = HTTPSConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS, context=context)
        with closing(connection):
            connection.request("GET", question, headers=headers)
            answer = connection.getresponse()

            assert 200 == answer.status

            return answer.read()

    exporter = Program(
        [
            *(require("strace", "strace"), "-f", "-qq", "-o", str(calls)),
            *(sys.executable, "-m", "exporter", f"--input.file={path}"),
            *(f"--state.file={tmp_path / 'state' / 'state'}", f"--web.listen-address=:{port}"),
            f"--web.config.file={tmp_path / 'web.yml'}",
        ],
        tmp_path,
    )
    programs.append(exporter)
    exporter.hear("msg=ready")
    path.rename(tmp_path / "mail.log.1")
    path.write_bytes(b"y\n")
    number = int(calls.read_text().split(maxsplit=1)[0])
    wait_until(lambda: ask("/metrics").count(b"rotations_total{") == 1)
    ask("/")
    os.kill(number, signal.SIGHUP)
    exporter.hear("reloading")
    os.kill(number, signal.SIGTERM)

    assert 0 == exporter.wait()

    made = made_calls(calls)

    assert {"rename", "renameat"} & made
    assert "memfd_create" in made
    assert set() == made - allowed_calls()
    assert [] == refused_memory(calls)
    assert allowed_families() >= families(calls)


def test_journalctl(tmp_path: Path, programs: list[Program]) -> None:
    """
    The journal is followed, by journalctl, within what the unit allows; this machine's own too.
    """
    calls, port, directory = tmp_path / "calls", free_port(), tmp_path / "journal"
    require("journalctl", "systemd")
    directory.mkdir()
    say(directory / "system.journal", range(5))
    exporter = Program(
        [
            *(require("strace", "strace"), "-f", "-qq", "-o", str(calls)),
            *(sys.executable, "-m", "exporter", f"--input.journal-directory={directory}"),
            *("--no-state", "--input.from=beginning", f"--web.listen-address=127.0.0.1:{port}"),
        ],
        tmp_path,
    )
    programs.append(exporter)
    exporter.hear("msg=ready")

    def sessions() -> float:
        samples = read_samples(get("127.0.0.1", port, "/metrics").body)
        return total(samples, "milter_manager_sessions_ended_total")

    wait_until(lambda: sessions() == 5)
    say(directory / "system.journal", range(5, 9))
    wait_until(lambda: sessions() == 9)
    number = int(calls.read_text().split(maxsplit=1)[0])
    os.kill(number, signal.SIGHUP)  # another journalctl
    exporter.hear("reloading")
    say(directory / "system.journal", range(9, 10))
    wait_until(lambda: sessions() == 10)
    os.kill(number, signal.SIGTERM)

    assert 0 == exporter.wait()

    own = tmp_path / "own"
    subprocess.run(
        [require("strace", "strace"), "-f", "-qq", "-o", own, "journalctl", "-n1"],
        check=True,
        timeout=DEADLINE_SECONDS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    made = made_calls(calls)

    # The newest entry, then the others, then those from the reload on.
    assert 3 <= len(re.findall(r'execve\("\S*/journalctl"', calls.read_text()))
    assert {"inotify_add_watch", "kill", "setsid"} <= made
    assert set() == (made | made_calls(own)) - allowed_calls()
    for trace in (calls, own):
        assert [] == refused_memory(trace)
        assert allowed_families() >= families(trace)


def allowed_families() -> set[str]:
    """
    List the address families that the unit allows, and the one that the C library does without.
    """
    # getaddrinfo() asks the kernel for this machine's addresses, and takes no answer for one too.
    return {*read_service()["RestrictAddressFamilies"].split(), "AF_NETLINK"}


def families(trace: Path) -> set[str]:
    """
    List the address families of the sockets in what strace has written.
    """
    return set(re.findall(r"socket(?:pair)?\((AF_\w+)", trace.read_text()))


def refused_memory(trace: Path) -> list[str]:
    """
    List the calls that MemoryDenyWriteExecute= refuses in what strace has written.
    """
    return re.findall(
        r"^.*(?:mmap\(.*PROT_WRITE\|PROT_EXEC|mprotect\(.*PROT_EXEC).*",
        trace.read_text(),
        re.MULTILINE,
    )


def made_calls(trace: Path) -> set[str]:
    """
    List the system calls in what strace has written.
    """
    return set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
