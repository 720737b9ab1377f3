"""
From a line in the log to the person who is told.

Real Prometheus, real Alertmanager, with the configurations and rules that are shipped; only their
clock goes faster (hurry.py), and the addresses are those of this test.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hurry import LOOKBACK, hurry, hurry_files, scraped_each_minute
from receiving import ALERTS, MONITORING, RULES, Receiver, receiving, start_alertmanager
from running import Exporter, Program, Server, free_port, wait_until

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

RUNBOOK = "https://milter-manager-exporter.example/runbook#"
HEAD = b"Nov 22 22:10:34 vm milter-manager[7]: "
SESSION = HEAD + b"[statistics] [session][end][end-of-message][pass][0.02899](33)\n"
UNREACHABLE = HEAD + b"[33] [children][error][connection] [37] Connection refused: clamav\n"
LAUNCHER = HEAD + b"[launcher][error][write] </usr/bin/spamd>@<nobody>: Broken pipe\n"


@dataclass(frozen=True, slots=True)
class Host:
    """
    A mail host: its log, and the address of its exporter.
    """

    log: Path
    instance: str

    def write(self, lines: bytes) -> None:
        """
        Write at the end of its log.
        """
        with self.log.open("ab") as file:
            file.write(lines)


@dataclass(frozen=True, slots=True)
class Site:
    """
    Three hosts, by what happens to them, and who watches; `down` has no exporter at first.
    """

    clumsy: Host
    dead: Host
    down: Host
    prometheus: Server
    receiver: Receiver
    start_exporter: Callable[[Host], Exporter]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """
    Someone who is told.
    """
    with receiving() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, receiver: Receiver, programs: list[Program]) -> Site:
    """
    Start everything.
    """

    def start_exporter(host: Host) -> Exporter:
        exporter = Exporter(tmp_path, f"--input.file={host.log}", address=host.instance)
        programs.append(exporter)
        return exporter

    hosts = []
    for name in ("clumsy", "dead", "down"):
        hosts.append(Host(tmp_path / f"{name}.log", f"127.0.0.1:{free_port()}"))
        hosts[-1].write(b"")
    for exporter in [start_exporter(host) for host in hosts[:2]]:
        exporter.serve()
    alertmanager = start_alertmanager(tmp_path, receiver)
    programs.append(alertmanager)
    prometheus = start_prometheus(tmp_path, hosts, alertmanager.port)
    programs.append(prometheus)
    clumsy, dead, down = hosts
    return Site(clumsy, dead, down, prometheus, receiver, start_exporter)


def start_prometheus(directory: Path, hosts: list[Host], alertmanager: int) -> Server:
    """
    Start Prometheus as shipped: its clock goes faster, its targets are here.
    """
    port = free_port()
    text = scraped_each_minute((MONITORING / "prometheus.yml").read_text())
    for shipped, here in {
        '"exporter:10125"': ", ".join(f'"{host.instance}"' for host in hosts),
        "alertmanager:9093": f"127.0.0.1:{alertmanager}",
        "localhost:9090": f"127.0.0.1:{port}",
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    hurry_files(RULES, directory / "rules")
    config = directory / "prometheus.yml"
    config.write_text(text)
    return Server(config, LOOKBACK, port=port)


def test_delivered(site: Site) -> None:
    """
    What the log says of a host reaches the right people once, explained, and so does its end.
    """
    clumsy, dead, down, receiver = site.clumsy, site.dead, site.down, site.receiver

    def is_scraped(host: Host, since: str) -> bool:
        """
        See whether a host has been scraped for a while: what came before is no news.
        """
        return 1 == site.prometheus.number(
            hurry(f'up{{instance="{host.instance}"}} offset {since}')
        )

    def is_broken() -> bool:
        """
        Have one more session whose milter cannot be reached, until everyone is told.
        """
        dead.write(UNREACHABLE + SESSION)
        return bool(
            receiver.paged(dead.instance, "firing")
            and receiver.said(clumsy.instance, "FIRING")
            and receiver.said(down.instance, "FIRING")
        )

    def is_mended() -> bool:
        """
        Have one more good session, until everyone knows.
        """
        dead.write(SESSION)
        return bool(
            receiver.paged(dead.instance, "resolved")
            and receiver.said(clumsy.instance, "RESOLVED")
            and receiver.said(down.instance, "RESOLVED")
        )

    wait_until(lambda: is_scraped(clumsy, "1m"))
    clumsy.write(LAUNCHER)
    wait_until(lambda: is_scraped(dead, "5m"))
    wait_until(is_broken)

    assert_page_explains(receiver, dead)
    assert_chat_explains(receiver, clumsy)

    site.start_exporter(down)
    wait_until(is_mended)

    assert ["MilterManagerLauncherFailing"] == receiver.said(clumsy.instance, "FIRING")
    assert ["MilterManagerExporterDown"] == receiver.said(down.instance, "FIRING")
    assert [] == receiver.said(dead.instance, "FIRING")
    assert 1 == len(receiver.paged(dead.instance, "firing"))
    assert 1 == len(receiver.paged(dead.instance, "resolved"))
    assert 2 == len(receiver.pages), "nobody else is paged"


def assert_page_explains(receiver: Receiver, host: Host) -> None:
    """
    The pager gets the labels and every annotation, filled in.
    """
    (alert,) = receiver.paged(host.instance, "firing")[0]
    told = alert.annotations

    assert {
        "alertname": "MilterManagerMilterUnreachable",
        "instance": host.instance,
        "job": "milter-manager",
        "milter": "clamav",
        "severity": "critical",
    } == alert.labels
    assert f"milter-manager on {host.instance} cannot connect to milter clamav" == told["summary"]
    assert told["description"].startswith("Connections to clamav have failed for more than")
    assert f"{RUNBOOK}miltermanagermilterunreachable" == told["runbook_url"]
    assert ALERTS[alert.labels["alertname"]].annotations.keys() == told.keys()
    assert not [text for text in told.values() if "{{" in text or "error expanding" in text]


def assert_chat_explains(receiver: Receiver, host: Host) -> None:
    """
    The chat reads what it is, what to do, and where to read on.
    """
    message = next(chat for chat in receiver.chats if host.instance in chat.attachments[0].title)
    summary, description, runbook = message.attachments[0].text.strip().splitlines()

    assert "#mail" == message.channel
    assert f"*milter-manager on {host.instance} cannot start a milter*" == summary
    assert description.startswith("[launcher][error][write] was logged.")
    assert f"{RUNBOOK}miltermanagerlauncherfailing" == runbook
