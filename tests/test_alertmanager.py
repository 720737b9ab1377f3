"""
Who is told of what, and what is held back: a real Alertmanager with the shipped configuration.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from receiving import ALERTS, ROUTES, Receiver, receiving, start_alertmanager
from running import Alertmanager, require, wait_until

MILTER_ALERTS = ("Unreachable", "Hangs", "Timeouts", "Fallback", "Slow")
SYMPTOMS = (
    "TemporaryFailuresHigh",
    "RejectsHigh",
    "SessionsSlow",
    "Disconnects",
    "ConnectionLimit",
)


class State(msgspec.Struct, rename="camel"):
    """
    What Alertmanager has to say about an alert.
    """

    state: str
    inhibited_by: list[str]


class Known(msgspec.Struct):
    """
    An alert that Alertmanager knows.
    """

    labels: dict[str, str]
    status: State


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """
    Someone who is told.
    """
    with receiving() as server:
        yield server


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[Alertmanager]:
    """
    Start Alertmanager.
    """
    program = start_alertmanager(tmp_path, receiver)
    yield program
    program.kill()


def of_milter(milter: str, *names: str) -> list[tuple[str, str, str]]:
    """
    Give a milter's alerts, the timeouts once for each phase.
    """
    return [
        (f"MilterManagerMilter{name}", milter, phase)
        for name in names
        for phase in (
            ("connection", "writing", "reading", "end-of-message") if name == "Timeouts" else ("",)
        )
    ]


def of_host(*names: str) -> list[tuple[str, str, str]]:
    """
    Give alerts that name no milter.
    """
    return [(f"MilterManager{name}", "", "") for name in names]


STORMS = {
    "one-dead-milter": (
        [*of_milter("clamav", *MILTER_ALERTS), *of_host(*SYMPTOMS)],
        ["MilterManagerMilterUnreachable"],
        [],
    ),
    "one-that-hangs": (
        [*of_milter("clamav", *MILTER_ALERTS[1:]), *of_host(*SYMPTOMS)],
        ["MilterManagerMilterHangs"],
        [],
    ),
    "two-dead-milters": (
        [*of_milter("clamav", *MILTER_ALERTS), *of_milter("dkim", *MILTER_ALERTS)],
        ["MilterManagerMilterUnreachable"] * 2,
        [],
    ),
    "one-dead-one-with-timeouts": (
        [*of_milter("clamav", *MILTER_ALERTS), ("MilterManagerMilterTimeouts", "dkim", "reading")],
        ["MilterManagerMilterUnreachable"],
        ["MilterManagerMilterTimeouts"],
    ),
    "all-dead": (
        [
            *of_milter("clamav", *MILTER_ALERTS),
            *of_milter("dkim", *MILTER_ALERTS),
            *of_host("AllMiltersDead", "NoMilterProcessing", *SYMPTOMS),
        ],
        ["MilterManagerAllMiltersDead"],
        [],
    ),
    "no-descriptors": (
        [
            *of_milter("clamav", *MILTER_ALERTS),
            *of_host("OutOfFileDescriptors", "AllMiltersDead", "NoMilterProcessing", *SYMPTOMS),
        ],
        ["MilterManagerOutOfFileDescriptors"],
        [],
    ),
    "no-exporter": (
        [(name, "", "") for name in ALERTS if name != "MilterManagerExporterAbsent"],
        [],
        ["MilterManagerExporterDown"],
    ),
    "symptoms-only": (of_host("TemporaryFailuresHigh"), [], ["MilterManagerTemporaryFailuresHigh"]),
}
"""For each host: what fires at once, what of it is paged, and what the chat is told."""


def firing(instance: str, name: str, milter: str, phase: str) -> dict[str, object]:
    """
    Make an alert as Prometheus sends it.
    """
    labels = {
        "alertname": name,
        "instance": instance,
        "job": "milter-manager",
        "milter": milter,
        "phase": phase,
        **ALERTS[name].labels,
    }
    return {"labels": {k: v for k, v in labels.items() if v}, "annotations": {"summary": name}}


def test_one_page(receiver: Receiver, alertmanager: Alertmanager) -> None:
    """
    Whatever else it brings about, one cause is told once: one page for a dead milter.
    """
    alertmanager.post(
        [firing(host, *alert) for host, (alerts, _, _) in STORMS.items() for alert in alerts]
    )

    def is_told() -> bool:
        """
        See whether each host's message has come.
        """
        return all(
            bool(paged) == bool(receiver.paged(host, "firing"))
            and bool(said) == bool(receiver.said(host, "FIRING"))
            for host, (_, paged, said) in STORMS.items()
        )

    wait_until(is_told)
    # Its group is made after all others, so they have had their turn when this one is told.
    for name in ("MilterManagerLogSilent", "MilterManagerLogUnread"):
        alertmanager.post([firing("last", name, "", "")])
    wait_until(lambda: bool(receiver.paged("last", "firing") and receiver.said("last", "FIRING")))
    known = msgspec.json.decode(alertmanager.get("/api/v2/alerts"), type=list[Known])

    for host, (alerts, paged, said) in STORMS.items():
        pages = receiver.paged(host, "firing")

        assert bool(paged) == len(pages), host
        assert paged == [alert.labels["alertname"] for page in pages for alert in page], host
        assert said == receiver.said(host, "FIRING"), host
        active = Counter(
            alert.labels["alertname"]
            for alert in known
            if alert.labels["instance"] == host and not alert.status.inhibited_by
        )
        assert Counter(paged + said) == active, host
        assert len(set(alerts)) == sum(host == alert.labels["instance"] for alert in known)


@pytest.mark.parametrize("alert", [*ALERTS, ""])
def test_routes(alert: str) -> None:
    """
    Critical alerts go to the pager, warnings to the chat, everything else is mailed, by amtool.
    """
    severity = ALERTS[alert].labels["severity"] if alert else ""
    labels = [f"alertname={alert or 'Other'}", f"severity={severity}", "instance=mx1:10125"]
    command = ["config", "routes", "test", f"--config.file={ROUTES}", *labels]
    result = subprocess.run(
        [require("amtool", "prometheus-alertmanager"), *command],
        capture_output=True,
        text=True,
        check=True,
    )

    assert {"critical": "page", "warning": "chat"}.get(severity, "mail") == result.stdout.strip()


def test_inhibitions_name_alerts() -> None:
    """
    Each alert that an inhibition names is a shipped one.
    """
    text = ROUTES.read_text().partition("inhibit_rules:")[2]
    patterns = re.findall(r'alertname(?:=~|!=|=)"([^"]*)"', text)
    for pattern in patterns:
        for name in spell_out(pattern):
            assert [known for known in ALERTS if re.fullmatch(name, known)], name
    assert patterns


def spell_out(pattern: str) -> list[str]:
    """
    List the alternatives of a pattern, those within others too.
    """
    innermost = re.search(r"\(([^()]*)\)", pattern)
    if not innermost:
        return [pattern]
    return [
        name
        for word in innermost[1].split("|")
        for name in spell_out(pattern[: innermost.start()] + word + pattern[innermost.end() :])
    ]
