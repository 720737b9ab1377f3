"""
Many hosts: three exporters, an agent that scrapes them, a central Prometheus that answers for all.

The configurations are those of monitoring/fleet; only their clock goes faster (hurry.py), and the
addresses are those of this test.
"""

import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import oracle
import pytest
from dialects import DATA
from hurry import LOOKBACK, hurry_files, scraped_each_minute
from running import Agent, Exporter, Program, Server, require, wait_until

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

ROOT = Path(__file__).resolve().parent.parent
MONITORING = ROOT / "monitoring"
FLEET = MONITORING / "fleet"
TARGETS = (FLEET / "targets" / "mail.yml").read_text()
HOSTS = {
    "mx1.example.net:10125": "sample.log",
    "mx2.example.net:10125": "native.log",
    "out1.example.net:10125": "repeated.log",
}
"""The hosts of the example, and the log that each has here."""
PAGE = (ROOT / "docs" / "fleet.md").read_text()
DROPS = re.search(r"```yaml\n(    metric_relabel_configs:\n.*?)```", PAGE, re.DOTALL)
"""What the documentation says can be left out."""
SESSION = (
    b"Nov 22 22:10:34 vm milter-manager[7]: "
    b"[statistics] [session][end][end-of-message][pass][0.02899](33)\n"
)
ENDED = "milter_manager_sessions_ended_total"


@dataclass(frozen=True, slots=True)
class Fleet:
    """
    All that runs.
    """

    logs: dict[str, Path]
    """Where each host's log is, by the address that it has here."""
    targets: Path
    all_targets: str
    agent: Agent
    central: Server


@pytest.fixture
def exporters(programs: list[Program], tmp_path: Path) -> dict[str, Exporter]:
    """
    Start an exporter for each host.
    """
    started = {}
    for host, name in HOSTS.items():
        log = tmp_path / name
        log.write_bytes((DATA / name).read_bytes())
        started[host] = Exporter(tmp_path, f"--input.file={log}", "--input.from=beginning")
        programs.append(started[host])
    return {host: exporter.serve() for host, exporter in started.items()}


@pytest.fixture
def fleet(exporters: dict[str, Exporter], programs: list[Program], tmp_path: Path) -> Fleet:
    """
    Start the central Prometheus, and the agent with the two hosts that receive mail.
    """
    directory = tmp_path / "fleet"
    hurry_files(MONITORING / "rules", tmp_path / "rules")
    hurry_files(FLEET, directory)
    for name in ("central.yml", "agent.yml"):
        (directory / name).write_text(scraped_each_minute((FLEET / name).read_text()))
    central = Server(directory / "central.yml", "--web.enable-remote-write-receiver", LOOKBACK)
    programs.append(central)

    text = TARGETS
    for host, exporter in exporters.items():
        assert host in text
        text = text.replace(host, f"127.0.0.1:{exporter.port}")
    targets = directory / "targets" / "mail.yml"
    targets.parent.mkdir()
    targets.write_text("- targets:".join(text.split("- targets:")[:2]))
    config = directory / "agent.yml"
    configure_agent(config, central.port)
    agent = Agent(config)
    programs.append(agent)
    logs = {f"127.0.0.1:{exporters[host].port}": tmp_path / HOSTS[host] for host in HOSTS}
    return Fleet(logs, targets, text, agent, central)


def configure_agent(config: Path, central: int) -> None:
    """
    Have the agent send to this central Prometheus, without what the documentation leaves out.
    """
    assert DROPS
    text = config.read_text()
    for shipped, here in {
        "https://prometheus.example": f"http://127.0.0.1:{central}",
        "\nremote_write:": f"{DROPS[1]}\nremote_write:",
    }.items():
        assert shipped in text
        text = text.replace(shipped, here)
    config.write_text(text)


def test_addresses(tmp_path: Path) -> None:
    """
    The commands of the page put the reader's addresses in place of all placeholders.
    """
    commands = re.findall(r"^sed -i .*$", PAGE, re.MULTILINE)
    for name in ("rules/alerts.yml", "fleet/sites.yml"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text((MONITORING / name).read_text())
    for command in commands:
        subprocess.run(command, shell=True, cwd=tmp_path, check=True)  # noqa: S602 - our own page
    texts = [(tmp_path / name).read_text() for name in ("rules/alerts.yml", "fleet/sites.yml")]

    assert all("runbook_url: https://YOUR/" in text for text in texts)
    assert not any("runbook_url: https://milter-manager-exporter.example" in text for text in texts)


def sessions_by_status(log: Path) -> dict[str, float]:
    """
    Count a log's sessions, without the exporter.
    """
    statuses: Counter[str] = Counter()
    for key, times in oracle.count(log.read_bytes()).items():
        if key[0] == "sessions_ended":
            statuses[key[2]] += times
    return dict(statuses)


def by_host(central: Server) -> dict[str, dict[str, float]]:
    """
    Ask the central Prometheus, once, for the sessions of all hosts.
    """
    found: dict[str, dict[str, float]] = {}
    for labels, value in central.query(f"sum by (instance, status) ({ENDED}) > 0"):
        found.setdefault(labels["instance"], {})[labels["status"]] = value
    return found


def test_fleet(fleet: Fleet) -> None:
    """
    One query answers for all hosts, exactly; a host is added by a file; a silent site is told of.
    """
    expected = {address: sessions_by_status(log) for address, log in fleet.logs.items()}
    mx1, mx2, out1 = expected
    wait_until(lambda: {mx1: expected[mx1], mx2: expected[mx2]} == by_host(fleet.central))

    unfinished = fleet.targets.with_suffix(".new")
    unfinished.write_text(fleet.all_targets)
    unfinished.rename(fleet.targets)
    wait_until(lambda: expected == by_host(fleet.central))

    assert sum(map(Counter, expected.values()), Counter()).total() == fleet.central.number(
        f"sum({ENDED})"
    )
    wait_until(
        lambda: (
            {("tokyo", "inbound", mx1), ("tokyo", "inbound", mx2), ("tokyo", "outbound", out1)}
            == {
                (labels["site"], labels["role"], labels["instance"])
                for labels, _ in fleet.central.query("up == 1")
            }
        )
    )

    assert {"0.01", "0.1", "1.0", "10.0", "60.0", "300.0", "+Inf"} == {
        labels["le"]
        for labels, _ in fleet.central.query(
            "count by (le) ({__name__=~'milter_manager.*',le!=''})"
        )
    }

    def rates() -> dict[str, float]:
        """
        Give the fleet's recorded rates, by role.
        """
        answer = fleet.central.query("fleet:milter_manager_sessions_ended:rate5m > 0")
        return {labels["role"]: value for labels, value in answer}

    def flows() -> bool:
        """
        Have one more session on each host, until the rules have seen it everywhere.
        """
        for log in fleet.logs.values():
            with log.open("ab") as file:
                file.write(SESSION)
        return {"inbound", "outbound"} == rates().keys()

    wait_until(flows)

    silent = 'ALERTS{alertname="MilterManagerSiteSilent",alertstate="firing"}'

    assert [] == fleet.central.query(silent)

    fleet.agent.kill()
    wait_until(lambda: bool(fleet.central.query(silent)))

    assert {"tokyo"} == {labels["site"] for labels, _ in fleet.central.query(silent)}
    assert [] == fleet.central.query('ALERTS{alertname="MilterManagerExporterDown"}')


@pytest.mark.parametrize("name", ["agent.yml", "central.yml"])
def test_configurations(name: str) -> None:
    """
    The example is valid as it is shipped, by Prometheus' own tool.
    """
    flags = ["--agent"] if name == "agent.yml" else []
    command = [require("promtool"), "check", "config", *flags, str(FLEET / name)]

    assert 0 == subprocess.run(command, check=False, capture_output=True).returncode


def test_documented_cost() -> None:
    """
    The figures for one host in the documentation are what the benchmark measures.
    """
    command = [sys.executable, str(ROOT / "benchmarks" / "fleet.py"), "--hosts=0"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    measured = re.findall(r"^ *(\d+) milters +(\d+) +(\d+) +(\d+)", result.stdout, re.MULTILINE)
    row = r"^\| (\d+ milters|nothing in its log yet) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$"
    documented = re.findall(row, PAGE, re.MULTILINE)

    assert ["0", "10", "30"] == [milters for milters, *_ in measured]
    for (_, *numbers), (_, *figures) in zip(measured, documented, strict=True):
        for number, figure in zip(numbers, figures, strict=True):
            assert 0.05 > abs(int(figure.replace(",", "")) / int(number) - 1), (figure, number)
