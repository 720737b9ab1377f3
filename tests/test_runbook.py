"""
The runbook against the catalogue, the advice and the alert rules that it is generated from.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from generate_runbook import PAGES, ROOT, RULES, write_runbook
from runbook_alerts import Alert, Matcher, Selection, find_alerts, select, unquote
from runbook_markdown import cell, prose, without_templates
from runbook_metrics import Counted, counted_in

from exporter.advice import LANGUAGES, anchor, heading, load_advice, slug
from exporter.catalogue import load_catalogue

MESSAGES = load_catalogue().messages
BY_NUMBER = {message.number: message for message in MESSAGES}
ALERTS = find_alerts(RULES, MESSAGES)
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(?P<marks>#+) (?P<text>.+)$", re.MULTILINE)
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
CODE = re.compile(r"`[^`\n]*`")
by_language = pytest.mark.parametrize("language", LANGUAGES)


def page(language: str) -> str:
    """
    Read the committed page.
    """
    return (ROOT / PAGES[language]).read_text()


def headings(text: str) -> list[tuple[int, str]]:
    """
    List level and text of the headings of a page.
    """
    found = HEADING.finditer(FENCE.sub("", text))
    return [(len(match["marks"]), match["text"].replace("`", "")) for match in found]


def anchors(text: str) -> list[str]:
    """
    List the anchors that GitHub makes of a page's headings: the second of a name gets "-1".
    """
    seen: Counter[str] = Counter()
    made = []
    for _, title in headings(text):
        name = slug(title)
        made.append(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return made


def section(text: str, title: str) -> str:
    """
    Give what stands under a heading, until the next of any level.
    """
    (start,) = (
        match for match in HEADING.finditer(text) if match["text"].replace("`", "") == title
    )
    end = HEADING.search(text, start.end())
    return text[start.end() : end.start() if end else None]


def find(tmp_path: Path, *rules: Mapping[str, object]) -> list[Alert]:
    """
    Find the alerts of a file with some rules.
    """
    groups = {"groups": [{"name": "g", "rules": list(rules)}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups))
    return find_alerts(tmp_path, MESSAGES)


def numbers(tmp_path: Path, expression: str, **recorded: str) -> str:
    """
    Give the messages behind an alert with this expression.
    """
    records = [{"record": f"level:{name}:rate", "expr": text} for name, text in recorded.items()]
    (alert,) = find(tmp_path, *records, {"alert": "A", "expr": expression})
    return " ".join(message.number for message in alert.messages)


@by_language
def test_in_step(language: str) -> None:
    """
    The committed page is the one that the generator writes; if not, run `./dev docs`.
    """
    assert write_runbook(language) == page(language)


@by_language
def test_every_alert(language: str) -> None:
    """
    Every alert has one section, to which its link leads.
    """
    made = Counter(anchors(page(language)))

    assert ALERTS
    for alert in ALERTS:
        assert 1 == made[alert.name.lower()]
        assert alert.annotations["runbook_url"].endswith(f"#{alert.name.lower()}")


@by_language
def test_every_message(language: str) -> None:
    """
    Every message has one section, at its anchor, with its condition and a metric.
    """
    text = page(language)
    titles = [title for level, title in headings(text) if level == 4]

    assert sorted(heading(message) for message in MESSAGES) == sorted(titles)
    for message in MESSAGES:
        own = section(text, heading(message))

        assert 1 == anchors(text).count(anchor(message))
        assert prose(message.ja if language == "ja" else message.en) in own
        assert "`milter_manager_" in own


@by_language
def test_every_advice(language: str) -> None:
    """
    Every advice is written out once, and everything else links there.
    """
    text = page(language)
    for advice in load_advice().groups:
        causes = "\n".join(f"- {prose(cause)}" for cause in advice.wording[language].causes)

        assert 1 == text.count(f"\n\n{causes}\n\n")


@by_language
def test_links(language: str) -> None:
    """
    Every link leads to a heading of the page, or to the other page.
    """
    text = page(language)
    made = {f"#{name}" for name in anchors(text)}
    targets = {match["target"] for match in LINK.finditer(text)}
    others = {Path(path).name for path in PAGES.values()} - {Path(PAGES[language]).name}

    assert others == {target for target in targets if not target.startswith("#")}
    assert not targets - made - others


def test_same_structure() -> None:
    """
    Both pages have the same headings, lists, tables and series in the same order.
    """
    shapes = []
    for language in LANGUAGES:
        text = page(language)
        marks = re.findall(r"^(?:#+ |- |  - |\d+\. |\||> |```|\*\*|<)", text, re.MULTILINE)
        series = re.findall(r"`milter_manager_\w+\{[^`]*\}`", text)
        named = [title for level, title in headings(text) if level == 4]
        shapes.append((marks, named, Counter(series)))

    assert shapes[0] == shapes[1]


@by_language
def test_nothing_left_over(language: str) -> None:
    """
    No template of an annotation is left, no table has a row of another width.
    """
    text = page(language)
    rows = re.findall(r"^\|.*\|$(?:\n^\|.*\|$)*", text, re.MULTILINE)

    assert "{{" not in FENCE.sub("", text)
    assert 2 == len(rows)
    for table in rows:
        assert 1 == len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()})


def test_without_alerts(tmp_path: Path) -> None:
    """
    Without rules there is a runbook all the same.
    """
    text = write_runbook("en", tmp_path)

    assert "There are no alerts." in section(text, "Alerts")


def test_general_alert(tmp_path: Path) -> None:
    """
    An alert on errors in general does not list them all, and no message lists it.
    """
    find(
        tmp_path,
        {
            "alert": "Errors",
            "expr": 'rate(milter_manager_log_messages_total{level="error"}[5m]) > 1',
            "for": "5m",
            "labels": {"severity": "mystery"},
            "annotations": {"summary": "Many. See Other.", "description": "Look at Errors."},
        },
    )
    text = write_runbook("ja", tmp_path)

    assert "Many. See Other." in section(text, "Errors")
    assert "`mystery`" in section(text, "Errors")
    assert "[`[reader][error][read]`]" not in section(text, "Errors")
    assert "Errors" not in section(text, heading(BY_NUMBER["1"]))


def test_urgent_first(tmp_path: Path) -> None:
    """
    Alerts are listed by severity, an unknown one last.
    """
    find(
        tmp_path,
        *(
            {"alert": f"Alert-{one}", "expr": "up == 0", "labels": {"severity": one}}
            for one in ("unheard", "info", "critical", "warning")
        ),
    )
    titles = [title for _, title in headings(write_runbook("en", tmp_path))]
    listed = [title.removeprefix("Alert-") for title in titles if title.startswith("Alert-")]

    assert ["critical", "warning", "info", "unheard"] == listed


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('milter_manager_log_messages_total{tag="[children][error][alive]"} > 0', "114"),
        ('{tag="[children][error][alive]"} > 0', ""),
        (
            "increase(milter_manager_log_messages_total{tag=~`\\[launcher]\\[error]\\[l.*`}[5m])",
            "69",
        ),
        ('milter_manager_log_messages_total{level="critical", tag!~".*SEGV.*"}', "123 X7"),
        ("milter_manager_log_messages_total{level='critical', module!=\"manager\"}", "X7"),
        ('milter_manager_milter_timeouts_total{phase="connection"} > 0', "112"),
        ("milter_manager_milter_timeouts_total > 0", "104 105 106 112"),
        ('milter_manager_milter_invalid_responses_total{response="stopped"}', "102"),
        ("sum(milter_manager_milter_fallbacks_total) # milter_manager_quarantines_total", "107"),
        ('label_replace(milter_manager_quarantines_total, "milter_manager_memory_bytes")', "47"),
        ("rate(milter_manager_session_duration_seconds_bucket[5m])", "143"),
        ("milter_manager_sessions_finished_total", "46"),
        ("milter_manager_memory_bytes > 1e9", "X17"),
        ("milter_manager_exporter_watcher_up == 0", ""),
        # what it is measured against is not what it is about
        ("milter_manager_milter_fallbacks_total / milter_manager_sessions_ended_total", "107"),
        ("milter_manager_sessions_disconnected_total / milter_manager_sessions_ended_total", "144"),
        ("milter_manager_sessions_ended_total and up", "143"),
        ("up == 0", ""),
        ('x{tag="[egg][error]"} - milter_manager_harmless_messages_total{level="error"}', ""),
        ('level:errors:rate{tag="[egg][error]"} > 0', "121"),
        ("level:twice:rate > 0", "104 105 106 112"),
    ],
)
def test_messages_behind(tmp_path: Path, expression: str, expected: str) -> None:
    """
    The messages behind an alert are those whose series it selects, through recording rules too.
    """
    assert expected == numbers(
        tmp_path,
        expression,
        errors='rate(milter_manager_log_messages_total{level="error"}[5m])',
        timeouts="rate(milter_manager_milter_timeouts_total[5m])",
        twice="sum(level:timeouts:rate)",
    )


def test_every_tag(tmp_path: Path) -> None:
    """
    Every message that has a series of its own is found by its tag.
    """
    for message in MESSAGES:
        if message.recognisable and message.module != "other":
            selection = Selection(
                "milter_manager_log_messages_total", (Matcher("tag", "=", message.tags),)
            )

            assert [message] == [one for one in MESSAGES if selection.has(one)]
    assert find_alerts(tmp_path, MESSAGES) == []


@pytest.mark.parametrize(
    ("string", "expected"),
    [
        (r'"\\[a]\"b"', r'\[a]"b'),
        ("'say \"a\" \\'b\\''", "say \"a\" 'b'"),
        (r"`\[a]`", r"\[a]"),
    ],
)
def test_unquote(string: str, expected: str) -> None:
    """
    A string of PromQL is read as Prometheus reads it, in all three kinds of quotes.
    """
    assert expected == unquote(string)


def test_braces_in_a_string() -> None:
    """
    A brace within a string does not end the matchers.
    """
    found = list(select('milter_manager_log_messages_total{tag="[{state}]", level="error"}', {}))

    assert [Matcher("tag", "=", "[{state}]"), Matcher("level", "=", "error")] == [
        *found[0].matchers
    ]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            "105",
            [
                Counted(
                    "milter_manager_log_messages_total",
                    {"module": "manager", "level": "error", "tag": "[children][timeout][reading]"},
                    (),
                ),
                Counted(
                    "milter_manager_milter_messages_total",
                    {"level": "error", "tag": "[children][timeout][reading]"},
                    ("milter",),
                ),
                Counted(
                    "milter_manager_milter_timeouts_total",
                    {"phase": "reading"},
                    ("milter", "state", "fallback_status"),
                ),
            ],
        ),
        ("X12", [Counted("milter_manager_exporter_lines_total", {"outcome": "untagged"}, ())]),
        (
            "144",
            [
                Counted(
                    "milter_manager_log_messages_total",
                    {
                        "module": "manager",
                        "level": "statistics",
                        "tag": "[session][disconnected][{elapsed}]",
                    },
                    (),
                ),
                Counted("milter_manager_sessions_disconnected_total", {}, ()),
                Counted("milter_manager_session_disconnected_after_seconds", {}, ()),
            ],
        ),
    ],
)
def test_counted_in(number: str, expected: list[Counted]) -> None:
    """
    What counts a message is what the exporter's own code raises for it.
    """
    assert expected == list(counted_in(BY_NUMBER[number]))


def test_labels_that_a_line_lacks() -> None:
    """
    A label that is empty for a message is not shown.
    """
    timeouts = counted_in(BY_NUMBER["112"])[-1]

    assert {"phase": "connection"} == timeouts.fixed
    assert ("milter",) == timeouts.open


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The [reader] line names it.", "The `[reader]` line names it."),
        ("[a][{b}] and {state}, in braces", "`[a][{b}]` and `{state}`, in braces"),
        ("Set milter.fallback_status.", "Set `milter.fallback_status`."),
        ("in milter-manager.conf", "in milter-manager.conf"),
        ("with --input.file or --show-config", "with `--input.file` or `--show-config`"),
        ("see RLIMIT_NOFILE", "see `RLIMIT_NOFILE`"),
        (r"C:\x", r"C:\\x"),
        ("`a_b | *c*` stays", "`a_b | *c*` stays"),
        ("a < b | *c* [d] _e_ ~f~", "a \\< b \\| \\*c\\* `[d]` \\_e\\_ \\~f\\~"),
    ],
)
def test_prose(text: str, expected: str) -> None:
    """
    What is literal becomes code, and nothing else has a hidden meaning to Markdown.
    """
    assert expected == prose(text)


def test_cell() -> None:
    """
    A bar in a cell does not end it.
    """
    assert r"a \| `b \| c`" == cell(r"a \| `b | c`")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ $labels.milter }} on\n {{$labels.instance}}", "{milter} on {instance}"),
        ('{{ printf "%.0f" $value }} of {{ $value | humanizePercentage }}', "{value} of {value}"),
        (
            "{{ with $labels.milter }}Milter {{ . }}{{ else }}A{{ end }} hangs",
            "Milter {milter} hangs",
        ),
    ],
)
def test_without_templates(text: str, expected: str) -> None:
    """
    A template is shown as the name of what Prometheus puts there.
    """
    assert expected == without_templates(text)
