"""
The Dockerfile: built, and its image run, by buildah on a base image that debootstrap makes.

That needs root, but neither an engine nor a registry of images.  The base is kept in pytest's cache
(--cache-clear has it made anew); images and containers are gone when the tests are done.
"""

import ast
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
from running import (
    DEADLINE_SECONDS,
    Program,
    Sample,
    free_port,
    get,
    read_samples,
    require,
    total,
    wait_until,
)

import exporter

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile"

BUILD_SECONDS = 600.0
NETWORK_SETTINGS = ("cert", "extra-index-url", "index-url", "proxy", "timeout", "trusted-host")
USER = 10125
ADM = 4
STATE = Path("var/lib/milter-manager-exporter")
REVISION = "0123abc"

LINE = b"Nov 22 22:10:34 vm milter-manager[7]: [statistics] "
END = LINE + b"[session][end][end-of-message][pass][0.02899](1)\n"
ENDED = "milter_manager_sessions_ended_total"
LISTEN = "MILTER_MANAGER_EXPORTER_WEB_LISTEN_ADDRESS"

# Mounts die with the process that made them, and the process with the one that started it.
PRIVATE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

# Python from packages, as small as that goes: it is copied for each stage.  Without compiled
# modules it is like the official image of Python.
BASE_RECIPE = r"""
set -eu
debootstrap --variant=minbase --include=python3-venv bookworm "$1" http://deb.debian.org/debian
cd "$1"
rm -rf var/cache/apt/* var/lib/apt/lists/* var/log/* usr/share/doc usr/share/man usr/share/locale
find usr/lib/python3* -name __pycache__ -prune -exec rm -rf {} +
tar --exclude=./dev -cf "$2" .
"""

# What `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` does, by hand:
# buildah's chroot isolation has none of it.
READ_ONLY_RECIPE = """
set -eu
cd "$1"
mount --bind "$1" "$1"
cd "$1"
mount --bind "$2" var/log
mount --options remount,bind,ro var/log
mount --bind "$3" var/lib/milter-manager-exporter
mkdir -p dev
mount --bind /dev dev
mount --types proc proc proc
mount --options remount,bind,ro "$1"
shift 3
exec chroot . setpriv --no-new-privs --bounding-set=-all --inh-caps=-all \
    --reuid 10125 --regid 10125 --groups 4 "$@"
"""


class HealthCheck(msgspec.Struct, rename="pascal"):
    """
    How an engine asks whether the container is well; times in nanoseconds.
    """

    test: list[str]
    interval: int
    timeout: int


class Settings(msgspec.Struct, rename="pascal"):
    """
    What an image says about how to run it.
    """

    user: str
    env: list[str]
    entrypoint: list[str]
    labels: dict[str, str]
    volumes: dict[str, object]
    exposed_ports: dict[str, object]
    healthcheck: HealthCheck


class Docker(msgspec.Struct):
    """
    An image's metadata in Docker's format, the one that knows health checks.
    """

    config: Settings


class Inspection(msgspec.Struct, rename="pascal"):
    """
    What `buildah inspect` says.
    """

    docker: Docker


@dataclass(frozen=True, slots=True)
class Image:
    """
    The image, and one container of it.
    """

    buildah: tuple[str, ...]
    settings: Settings
    container: str
    rootfs: Path


@dataclass(frozen=True, slots=True)
class Server:
    """
    What a container is given: the log's directory, a place for its state, an address.
    """

    logs: Path
    state: Path
    port: int

    @property
    def log(self) -> Path:
        """
        The log, as the host sees it.
        """
        return self.logs / "mail.log"

    def append(self, data: bytes, path: Path | None = None) -> None:
        """
        Write to the log as Debian's rsyslog does: only root and group adm may read it.
        """
        path = path or self.log
        with path.open("ab") as file:
            os.fchown(file.fileno(), 0, ADM)
            os.fchmod(file.fileno(), 0o640)
            file.write(data)

    def rotate(self) -> Path:
        """
        Give the log another name.
        """
        rotated = self.log.with_name(f"mail.log.{time.monotonic_ns()}")
        return self.log.rename(rotated)

    def samples(self) -> dict[Sample, float]:
        """
        Scrape the container.
        """
        answer = get("127.0.0.1", self.port, "/metrics")

        assert 200 == answer.status

        return read_samples(answer.body)

    def ended(self) -> float:
        """
        Scrape the container for the sessions that it has counted.
        """
        return total(self.samples(), ENDED)


Command: TypeAlias = list[str]


def buildah_run(image: Image, server: Server, command: Command) -> tuple[Command, dict[str, str]]:
    """
    Give the command and environment that run something in the container by buildah.
    """
    volumes = (f"{server.logs}:/var/log:ro", f"{server.state}:/{STATE}")
    return [
        *PRIVATE,
        *image.buildah,
        "run",
        "--isolation=chroot",
        *(f"--volume={volume}" for volume in volumes),
        f"--env={LISTEN}=127.0.0.1:{server.port}",
        image.container,
        "--",
        *command,
    ], dict(os.environ)


def run_read_only(image: Image, server: Server, command: Command) -> tuple[Command, dict[str, str]]:
    """
    Give those that run it on a read-only root, without any capability.
    """
    places = [str(place) for place in (image.rootfs, server.logs, server.state)]
    environ = dict(pair.split("=", 1) for pair in image.settings.env)
    environ[LISTEN] = f"127.0.0.1:{server.port}"
    return [*PRIVATE, "sh", "-c", READ_ONLY_RECIPE, "sh", *places, *command], environ


ENGINES = {"buildah": buildah_run, "read-only": run_read_only}


class Container(Program):
    """
    The image's entry point, running.
    """

    def __init__(self, engine: str, image: Image, server: Server) -> None:
        """
        Start it.
        """
        command, environ = ENGINES[engine](image, server, image.settings.entrypoint)
        super().__init__(command, server.logs.parent, environ)

    def exporter(self) -> int:
        """
        Find the exporter's process: the last of the line.
        """
        process = self._process.pid
        while children := [
            int(child)
            for file in Path(f"/proc/{process}/task").glob("*/children")
            for child in file.read_text().split()
        ]:
            (process,) = children
        return process

    def kill(self) -> None:
        """
        End it if it has not ended yet, from the inside: who changes its user outlives its parent.
        """
        if self._process.poll() is None:
            os.kill(self.exporter(), signal.SIGKILL)
        super().kill()


def run(*arguments: str | Path) -> str:
    """
    Run a program that is to succeed; give what it printed.
    """
    result = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )

    assert 0 == result.returncode, result.stdout

    return result.stdout


def read_pip_settings() -> dict[str, str]:
    """
    Ask pip how it is set up here, by files and environment, as far as it concerns the network.
    """
    said = run(sys.executable, "-m", "pip", "--no-color", "config", "list")
    settings = {}
    for line in said.splitlines():
        name, _, text = line.partition("=")
        name = name.rpartition(".")[2]
        if name in NETWORK_SETTINGS:
            words = str(ast.literal_eval(text)).split()
            settings[name] = " ".join(word for word in words if not word.startswith("file:"))
    return settings


def make_base(cache: Path) -> Path:
    """
    Make the base image's files, unless they are there.
    """
    key = hashlib.sha256(BASE_RECIPE.encode()).hexdigest()[:16]
    base = cache / f"base-{key}.tar"
    if not base.exists():
        unfinished = base.with_suffix(".unfinished")
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory, "base")
            run(*PRIVATE, "sh", "-c", BASE_RECIPE, "sh", place, unfinished)
        unfinished.rename(base)
    return base


def build(buildah: tuple[str, ...], base: Path, directory: Path) -> None:
    """
    Build the Dockerfile on the base, with this machine's way to PyPI and nothing of it left.
    """
    scratch = run(*buildah, "from", "scratch").strip()
    run(*buildah, "add", "--quiet", scratch, base, "/")
    run(*buildah, "commit", "--format=docker", "--rm", scratch, "localhost/base")
    pip = read_pip_settings()
    settings = directory / "pip.conf"
    settings.write_text("\n".join(["[global]", *(f"{name} = {pip[name]}" for name in pip)]))
    certificates = {"/etc/ssl/certs", *(pip[name] for name in pip.keys() & {"cert"})}
    run(
        *PRIVATE,
        *buildah,
        "build",
        "--isolation=chroot",
        "--format=docker",
        "--layers=false",
        "--build-arg=BASE=localhost/base",
        f"--build-arg=REVISION={REVISION}",
        f"--secret=id=pip.conf,src={settings}",
        *(f"--volume={place}:{place}:ro" for place in sorted(certificates)),
        "--tag=localhost/exporter",
        ROOT,
    )


@pytest.fixture(scope="module")
def image(pytestconfig: pytest.Config) -> Iterator[Image]:
    """
    Build the image.
    """
    program = require("buildah", "buildah")
    require("debootstrap", "debootstrap")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    assert pytestconfig.cache is not None
    base = make_base(pytestconfig.cache.mkdir("container"))
    with tempfile.TemporaryDirectory(prefix="container-") as name:
        directory = Path(name)
        places = (f"--root={directory / 'root'}", f"--runroot={directory / 'runroot'}")
        buildah = (program, *places, "--storage-driver=vfs")
        build(buildah, base, directory)
        inspection = run(*buildah, "inspect", "--type=image", "localhost/exporter")
        container = run(*buildah, "from", "--pull-never", "localhost/exporter").strip()
        # buildah mounts what the image calls a volume and what it is told to mount in no certain
        # order; an engine lets the latter win.
        run(*buildah, "config", f"--volume=/{STATE}-", container)
        yield Image(
            buildah,
            msgspec.json.decode(inspection, type=Inspection).docker.config,
            container,
            Path(run(*buildah, "mount", container).strip()),
        )


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """
    Make the directories that a container is given, with the rights they have on a server.
    """
    server = Server(tmp_path / "log", tmp_path / "state", free_port())
    server.logs.mkdir()
    server.state.mkdir(mode=0o750)
    os.chown(server.state, USER, USER)
    return server


def is_healthy(engine: str, image: Image, server: Server) -> bool:
    """
    Run the image's health check in the container.
    """
    kind, *command = image.settings.healthcheck.test
    arguments, environ = ENGINES[engine](image, server, command)
    result = subprocess.run(
        arguments, env=environ, capture_output=True, timeout=DEADLINE_SECONDS, check=False
    )

    assert "CMD" == kind

    return result.returncode == 0


def test_hadolint() -> None:
    """
    The linter has nothing to say about the Dockerfile.
    """
    assert "" == run(Path(sys.executable).with_name("hadolint"), DOCKERFILE)


def test_settings(image: Image) -> None:
    """
    The image says who runs what in it, where it listens and keeps its state, and what it is.
    """
    settings = image.settings

    assert str(USER) == settings.user
    assert ["milter-manager-exporter"] == settings.entrypoint
    assert {f"{USER}/tcp": {}} == settings.exposed_ports
    assert {f"/{STATE}": {}} == settings.volumes
    assert ["CMD", "healthcheck"] == settings.healthcheck.test
    assert settings.healthcheck.timeout < settings.healthcheck.interval
    labels = {
        name.removeprefix("org.opencontainers.image."): text
        for name, text in settings.labels.items()
    }
    assert {
        "title": "milter-manager-exporter",
        "licenses": "Apache-2.0",
        "version": exporter.__version__,
        "revision": REVISION,
    }.items() <= labels.items()


def test_files(image: Image) -> None:
    """
    The user owns the state's directory and nothing else; nothing that installs or builds is left.
    """
    owned, programs, packages = [], set(), set()
    for directory, directories, files in os.walk(image.rootfs):
        programs.update(files)
        packages.update(directories)
        for name in (*directories, *files):
            path = Path(directory, name)
            if path.lstat().st_uid == USER:
                owned.append(path.relative_to(image.rootfs))

    assert [STATE] == owned
    assert set() == programs & {"pip", "pip3", "pip.conf", "gcc", "cc", "make"}
    assert set() == packages & {"pip", "ensurepip", "hatchling"}
    for leftover in ("src", "pip", "wheels"):
        assert not (image.rootfs / leftover).exists()
    # Compiled when the image was built: later nothing can be written.
    assert any(image.rootfs.glob("usr/lib/python3*/asyncio/__pycache__/*.pyc"))


@pytest.mark.parametrize("engine", ENGINES)
def test_follow(engine: str, image: Image, server: Server, programs: list[Program]) -> None:
    """
    A mounted directory is followed through rotations and from one container to the next.
    """
    server.append(END)
    container = Container(engine, image, server)
    programs.append(container)
    container.hear("ready")

    assert 0 == server.ended()

    server.append(END * 3)
    wait_until(lambda: server.ended() == 3)
    rotated = server.rotate()
    server.append(END, rotated)
    server.append(END)
    wait_until(lambda: server.ended() == 5)

    samples = server.samples()
    assert 5 == total(samples, "milter_manager_exporter_lines_total")
    assert 1 == total(samples, "milter_manager_exporter_file_rotations_total")
    assert 1 == total(samples, "milter_manager_exporter_watcher_up")
    assert 1 == total(samples, "milter_manager_exporter_build_info", revision=REVISION)
    assert is_healthy(engine, image, server)

    status = Path(f"/proc/{container.exporter()}/status").read_text().split("\n")
    ids = {name: text.split() for name, _, text in (line.partition(":") for line in status)}
    assert [str(USER)] * 4 == ids["Uid"] == ids["Gid"]
    assert str(ADM) in ids["Groups"]

    asked = time.monotonic()
    os.kill(container.exporter(), signal.SIGTERM)

    assert 0 == container.wait()
    assert 2 > time.monotonic() - asked
    assert not is_healthy(engine, image, server)

    server.append(END)
    server.rotate()
    server.append(END * 2)
    successor = Container(engine, image, server)
    programs.append(successor)
    successor.hear("ready")

    assert 8 == server.ended()
    assert is_healthy(engine, image, server)


def test_read_only(image: Image, server: Server) -> None:
    """
    Where the root is called read-only it is: only the state's directory can be written to.
    """
    server.append(END)
    script = "for place; do ! touch $place/new 2>/dev/null || echo $place; done"
    places = ["/", "/tmp", "/opt/milter-manager-exporter", "/var/log", f"/{STATE}"]  # noqa: S108
    command, environ = run_read_only(image, server, ["sh", "-c", script, "sh", *places])
    said = subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout

    assert [f"/{STATE}"] == said.split()
