"""
The shipped rules and their own tests: complete, and about metrics and messages that there are.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from running import require

from exporter.catalogue import load_catalogue
from exporter.collector import FAMILIES

RULES = Path(__file__).parents[1] / "monitoring" / "rules"
FILES = ("recording.yml", "alerts.yml")
TESTS = sorted(path.name for path in (RULES / "tests").glob("*.yml"))
RUNBOOK = "https://milter-manager-exporter.example/runbook"
ANNOTATIONS = {"summary", "description", "summary_ja", "description_ja", "runbook_url"}
NOT_OF_A_HOST = "MilterManagerExporterAbsent"
"""The one alert without an instance: its "just below" is a test of its own."""

RECORDED = re.compile(r"\b(?:instance|fleet)(?:_[a-z_]+)?:[a-z_]+:[a-z0-9_]+")
METRIC = re.compile(r"(?<![:\w])milter_manager_\w+")
MATCHER = re.compile(r'\b(tag|outcome|status|level)(=~?)"((?:[^"\\]|\\.)*)"')
JAPANESE = re.compile(r"[ぁ-んァ-ン]")


def items(value: object, key: str) -> list[dict[object, object]]:
    """
    Give the mappings of a list in a mapping; none where it is absent.
    """
    assert isinstance(value, dict)
    found: object = value.get(key, [])
    assert isinstance(found, list)
    return [item for item in found if isinstance(item, dict)]


def text(value: dict[object, object], *keys: str) -> str:
    """
    Give a text in mappings of mappings; an empty one where it is absent.
    """
    found: object = value
    for key in keys:
        found = found.get(key, "") if isinstance(found, dict) else ""
    return str(found)


def rules(name: str) -> list[dict[object, object]]:
    """
    Read the rules of a file.
    """
    document: object = yaml.safe_load((RULES / name).read_text(encoding="utf-8"))
    return [rule for group in items(document, "groups") for rule in items(group, "rules")]


def unit_tests() -> list[dict[object, object]]:
    """
    Read the tests of all files.
    """
    documents: Iterator[object] = (
        yaml.safe_load((RULES / "tests" / name).read_text(encoding="utf-8")) for name in TESTS
    )
    return [test for document in documents for test in items(document, "tests")]


ALERTS = {text(rule, "alert"): rule for rule in rules("alerts.yml")}
RECORDS = {text(rule, "record"): rule for rule in rules("recording.yml")}
EXPRESSIONS = [text(rule, "expr") for rule in (*ALERTS.values(), *RECORDS.values())]


def placeholders(annotation: str) -> set[str]:
    """
    Give what Prometheus fills in.
    """
    return set(re.findall(r"\{\{.*?\}\}", annotation)) - {"{{ else }}", "{{ end }}"}


def run_promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    """
    Run promtool where the rules are.
    """
    command = [require("promtool"), *arguments]
    return subprocess.run(
        command, cwd=RULES, capture_output=True, text=True, check=False, timeout=300
    )


def test_check() -> None:
    """
    `promtool check rules` has nothing to say, its lint included.
    """
    result = run_promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)

    assert (0, "") == (result.returncode, result.stderr)


@pytest.mark.parametrize("name", TESTS)
def test_promtool(name: str) -> None:
    """
    The rules' own tests pass.
    """
    result = run_promtool("test", "rules", f"tests/{name}")

    assert (0, "SUCCESS") == (result.returncode, result.stdout.split()[-1]), result.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_annotations(alert: str) -> None:
    """
    Each alert says what happened and what to do, in both languages, and where to read on.
    """
    rule = ALERTS[alert]
    annotations = rule["annotations"]

    assert isinstance(annotations, dict)
    assert set(annotations) == ANNOTATIONS
    assert text(rule, "labels", "severity") in {"critical", "warning", "info"}
    assert f"{RUNBOOK}#{alert.lower()}" == annotations["runbook_url"]
    assert re.fullmatch(r"MilterManager[A-Z]\w+", alert)
    for key in ("summary", "description"):
        assert not JAPANESE.search(annotations[key])
        assert JAPANESE.search(annotations[f"{key}_ja"])
        assert placeholders(annotations[key]) == placeholders(annotations[f"{key}_ja"])
    # What to do: a command, a file or a setting to look at.
    assert "`" in annotations["description"]
    assert "`" in annotations["description_ja"]


@pytest.mark.parametrize("alert", ALERTS)
def test_reasons(alert: str) -> None:
    """
    Each alert has the reasons for its thresholds in a comment just above it.
    """
    lines = (RULES / "alerts.yml").read_text(encoding="utf-8").splitlines()

    assert lines[lines.index(f"      - alert: {alert}") - 1].startswith("      # ")


@pytest.mark.parametrize("alert", ALERTS)
def test_three_tests(alert: str) -> None:
    """
    Each alert is tested to fire, to be silent just below its threshold and to resolve.
    """
    (test,) = (test for test in unit_tests() if text(test, "name") == alert)
    hosts = {
        found[1]
        for series in items(test, "input_series")
        if (found := re.search(r'instance="(\w+)"', text(series, "series")))
    }
    fired = [
        [
            re.search(r'instance="(\w+)"', text(sample, "labels"))
            for sample in items(check, "exp_samples")
            if f'alertname="{alert}"' in text(sample, "labels")
        ]
        for check in items(test, "promql_expr_test")
    ]
    names = [{found[1] for found in one if found} for one in fired]

    assert not fired[0]
    assert any(fired)
    assert not fired[-1]
    if alert == NOT_OF_A_HOST:
        (below,) = (test for test in unit_tests() if text(test, "name") == f"{alert}, just below")

        assert not any(items(check, "exp_samples") for check in items(below, "promql_expr_test"))
    else:
        assert {"bad", "below"} <= hosts
        assert "bad" in set.union(*names)
        assert "below" not in set.union(*names)


def test_metrics() -> None:
    """
    Every metric in an expression is one of the exporter's, and every recorded one is recorded.
    """
    known = {family.name for family in FAMILIES.values() if family.kind != "histogram"} | {
        f"{family.name}_{part}"
        for family in FAMILIES.values()
        if family.kind == "histogram"
        for part in ("bucket", "count", "sum")
    }
    used = {name for expression in EXPRESSIONS for name in METRIC.findall(expression)}
    recorded = {name for expression in EXPRESSIONS for name in RECORDED.findall(expression)}

    assert used
    assert set() == used - known
    assert recorded
    assert set() == recorded - RECORDS.keys()


def test_records() -> None:
    """
    Recorded names are level:metric:operations, and no name is recorded twice.
    """
    assert len(RECORDS) == len(rules("recording.yml"))
    for name in RECORDS:
        assert RECORDED.fullmatch(name), name


def matchers() -> list[tuple[str, str, str]]:
    """
    Give what expressions ask of the labels that come from fixed lists.
    """
    found = (match for expression in EXPRESSIONS for match in MATCHER.findall(expression))
    return sorted(
        {(label, operator, value.replace("\\\\", "\\")) for label, operator, value in found}
    )


@pytest.mark.parametrize(("label", "operator", "value"), matchers())
def test_labels(label: str, operator: str, value: str) -> None:
    """
    Every word that an expression asks for is one that the exporter writes.
    """
    catalogue = load_catalogue()
    words = {
        "tag": {message.tags for message in catalogue.messages},
        "level": {message.level for message in catalogue.messages} | {"unknown"},
        "status": set(catalogue.lists["status"]),
        "outcome": {"recognised", "unknown", "untagged"},
    }[label]
    alternatives = value.split("|") if operator == "=~" else [re.escape(value)]

    for alternative in alternatives:
        assert any(re.fullmatch(alternative, word) for word in words), alternative


def test_configuration_messages() -> None:
    """
    The alerts about configuration and launcher ask for all such messages and no others.
    """
    catalogue = load_catalogue()

    def asked(alert: str) -> set[str]:
        (pattern,) = (
            value.replace("\\\\", "\\")
            for label, _, value in MATCHER.findall(text(ALERTS[alert], "expr"))
            if label == "tag"
        )
        return {m.number for m in catalogue.messages if re.fullmatch(pattern, m.tags)}

    expected = {
        m.number
        for m in catalogue.messages
        if m.submodule in {"configuration", "egg"} or m.tags.startswith("[manager]")
    }

    assert expected | {"77"} == asked("MilterManagerConfigurationError")
    assert {
        m.number
        for m in catalogue.messages
        if m.submodule in {"launcher", "process-launcher"} or m.number in {"125", "126", "127"}
    } == asked("MilterManagerLauncherFailing")
