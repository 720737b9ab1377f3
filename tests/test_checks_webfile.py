"""
The web configuration, as `check` looks at it: on machines made up, with certificates made for it.
"""

import os
from pathlib import Path

import pytest
from certificates import authority, write_certificates
from machine import SERVICE, STRANGER, Machine, keys

from exporter.config import Config
from exporter.logtool.checks.access import Person, find_person
from exporter.logtool.checks.webfile import check_web_file

FILE = Path("/etc/exporter/web.yml")
CONFIG = Config(web_config_file=FILE)
ITSELF = find_person("", ())
TLS = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine with a certificate beside where the configuration will be.
    """
    tmp_path.chmod(0o755)
    machine = Machine(tmp_path)
    write_certificates(machine.put(str(FILE), TLS.encode()).parent)
    for path in (machine.root / "etc/exporter").iterdir():
        path.chmod(0o644)
    return machine


def test_none(machine: Machine) -> None:
    """
    Without the flag there is nothing to say.
    """
    assert [] == keys(check_web_file(Config(), ITSELF, machine.system))


@pytest.mark.parametrize("person", [ITSELF, STRANGER, SERVICE])
def test_good(person: Person, machine: Machine) -> None:
    """
    What the exporter accepts and its user may read is good.
    """
    assert ["web_file"] == keys(check_web_file(CONFIG, person, machine.system))


def test_without_tls(machine: Machine) -> None:
    """
    A configuration that does not ask for TLS is as good.
    """
    machine.put(str(FILE), b"rate_limit: {interval: 1s}\n")

    assert ["web_file"] == keys(check_web_file(CONFIG, ITSELF, machine.system))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tls: {}\n", "tls"),
        ("- a\n", ""),
        (TLS.replace("key.pem", "ca.pem"), "tls_server_config.key"),
        (TLS.replace("cert.pem", "missing.pem"), "No such file or directory"),
        (f"{TLS}  min_version: TLS10\n", "min_version"),
    ],
)
def test_refused(text: str, reason: str, machine: Machine) -> None:
    """
    What the exporter refuses is a finding in its own words.
    """
    machine.put(str(FILE), text.encode())
    (found,) = check_web_file(CONFIG, ITSELF, machine.system)

    assert "web_file_refused" == found.key
    assert reason in str(found.values["reason"])


def test_missing(tmp_path: Path) -> None:
    """
    A configuration that is not there is refused, whoever is to read it.
    """
    for person in (ITSELF, SERVICE):
        assert ["web_file_refused"] == keys(
            check_web_file(CONFIG, person, Machine(tmp_path).system)
        )


def test_complaint(machine: Machine) -> None:
    """
    A certificate that no client accepts is told of.
    """
    issued = authority().issue("localhost", expired=True)
    machine.put("/etc/exporter/cert.pem", issued.cert)
    machine.put("/etc/exporter/key.pem", issued.key)

    assert ["web_file_complaint"] == keys(check_web_file(CONFIG, ITSELF, machine.system))


@pytest.mark.parametrize("name", ["web.yml", "key.pem"])
def test_unreadable(name: str, machine: Machine) -> None:
    """
    What the user may not read is named, be it a file that the configuration names.
    """
    path = machine.root / "etc/exporter" / name
    path.chmod(0o600)
    (found,) = check_web_file(CONFIG, STRANGER, machine.system)

    assert ("web_file_unreadable", str(path)) == (found.key, found.values["path"])


def test_unseen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What who asks may not look into is left open for another user, and a fault for oneself.
    """
    monkeypatch.setattr(os, "access", lambda *_, **__: False)

    assert ["web_file_unseen"] == keys(check_web_file(CONFIG, STRANGER, machine.system))
    assert ["web_file_unreadable"] == keys(check_web_file(CONFIG, ITSELF, machine.system))
