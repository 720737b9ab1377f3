"""
monitoring/compose.yaml, and the files it mounts, against the programs that will read them.
"""

import os
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from running import require

from exporter.cli import FLAGS, read_options

ROOT = Path(__file__).resolve().parent.parent
MONITORING = ROOT / "monitoring"


class Service(msgspec.Struct, forbid_unknown_fields=True):
    """
    One service of compose.yaml, after its defaults are filled in.
    """

    image: str
    read_only: bool
    cap_drop: list[str]
    security_opt: list[str]
    restart: str
    volumes: list[str]
    build: dict[str, str] = {}
    command: list[str] = []
    environment: dict[str, str] = {}
    group_add: list[str] = []
    ports: list[str] = []
    tmpfs: list[str] = []


class Compose(msgspec.Struct):
    """
    What `docker-compose config` says.
    """

    services: dict[str, Service]
    volumes: dict[str, object]


class DataSource(msgspec.Struct):
    """
    Where Grafana is told to ask.
    """

    uid: str
    url: str


class DataSources(msgspec.Struct, rename="camel"):
    """
    Grafana's datasources.yaml.
    """

    api_version: int
    datasources: list[DataSource]


def run(*arguments: str | Path, **environ: str) -> str:
    """
    Run a program that is to succeed; give what it printed.
    """
    result = subprocess.run(
        arguments,
        env=os.environ | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert 0 == result.returncode, result.stdout

    return result.stdout


@pytest.fixture(scope="module")
def compose() -> Compose:
    """
    Have docker-compose check the file against its schema, and fill in variables and defaults.
    """
    program = require("docker-compose", "docker-compose")
    environ = {"GRAFANA_ADMIN_PASSWORD": "one"}
    said = run(program, "-f", MONITORING / "compose.yaml", "config", **environ)
    return msgspec.convert(yaml.safe_load(said), Compose)


def mounts(service: Service) -> dict[str, tuple[str, str]]:
    """
    Give what is mounted where: place in the container, then source and mode.
    """
    split = (volume.split(":") for volume in service.volumes)
    return {target: (source, mode) for source, target, mode in split}


def test_services(compose: Compose) -> None:
    """
    All four are there, each with no more rights than it needs, reached from this machine only.
    """
    assert {"exporter", "prometheus", "alertmanager", "grafana"} == compose.services.keys()
    for service in compose.services.values():
        assert service.read_only
        assert ["ALL"] == service.cap_drop
        assert ["no-new-privileges:true"] == service.security_opt
        assert all(port.startswith("127.0.0.1:") for port in service.ports)
        assert service.build or service.image.partition(":")[2][-1].isdigit(), "not pinned"


def test_mounts(compose: Compose) -> None:
    """
    What comes from the repository is there and is not written; everything else is a named volume.
    """
    for service in compose.services.values():
        for source, mode in mounts(service).values():
            if source.startswith("/"):
                assert "ro" == mode
                assert source == "/var/log" or Path(source).exists(), source
                assert source == "/var/log" or Path(source).is_relative_to(MONITORING)
            else:
                assert source in compose.volumes


def test_exporter(compose: Compose) -> None:
    """
    The exporter gets flags that it knows, the log's directory, its group, and room for its state.
    """
    service = compose.services["exporter"]

    assert service.environment.keys() <= {flag.variable for flag in FLAGS}
    assert [] == service.command
    assert 10125 == read_options(service.command, service.environment).web_listen_address[0].port
    assert {
        "/var/log": ("/var/log", "ro"),
        "/var/lib/milter-manager-exporter": ("exporter", "rw"),
    } == mounts(service)
    assert ["4"] == service.group_add
    assert str(ROOT) == service.build["context"]


def test_password_is_asked_for() -> None:
    """
    Grafana does not start with a password that everybody knows.
    """
    result = subprocess.run(
        [
            require("docker-compose", "docker-compose"),
            "-f",
            MONITORING / "compose.yaml",
            "config",
            "-q",
        ],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
    )

    assert 0 != result.returncode
    assert b"GRAFANA_ADMIN_PASSWORD" in result.stderr


def test_prometheus() -> None:
    """
    Prometheus and its rules are valid, by its own tool; it scrapes and alerts by the right names.
    """
    run(require("promtool"), "check", "config", MONITORING / "prometheus.yml")
    text = (MONITORING / "prometheus.yml").read_text()

    assert "rules/*.yml" in text
    assert '"exporter:10125"' in text
    assert '"alertmanager:9093"' in text


def test_alertmanager() -> None:
    """
    Alertmanager's configuration is valid, by its own tool.
    """
    run(
        require("amtool", "prometheus-alertmanager"),
        "check-config",
        MONITORING / "alertmanager.yml",
    )


def test_grafana(compose: Compose) -> None:
    """
    Grafana finds Prometheus and Alertmanager by their services' names, and the dashboards mounted.
    """
    text = (MONITORING / "grafana" / "datasources.yaml").read_text()
    found = msgspec.convert(yaml.safe_load(text), DataSources)

    assert 1 == found.api_version
    assert {
        "prometheus": "http://prometheus:9090",
        "alertmanager": "http://alertmanager:9093",
    } == {source.uid: source.url for source in found.datasources}
    place = "/etc/grafana/dashboards"
    assert f"path: {place}\n" in (MONITORING / "grafana" / "dashboards.yaml").read_text()
    assert (str(MONITORING / "dashboards"), "ro") == mounts(compose.services["grafana"])[place]
