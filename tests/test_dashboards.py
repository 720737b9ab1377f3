"""
Tests of monitoring/dashboards: the files, and every query against a real Prometheus.
"""

import json
import lzma
import math
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict
from urllib.parse import quote

import msgspec
import pytest
from dashboards import DASHBOARDS
from dashboards.frame import render
from dashboards.meanings import LEVELS, meanings, sections
from dashboards.palette import RESULTS, STATUSES
from dashboards.places import HEALTH, MILTERS, OVERVIEW, RUNBOOK
from dashboards.promql import events, without_harmless
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from running import Exporter, Prometheus, get, require, wait_until

from exporter import mailchecks
from exporter.advice import slug
from exporter.catalogue import load_catalogue
from exporter.collector import FAMILIES

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

HERE = Path(__file__).parent
DATA = HERE / "data"
FILES = HERE.parent / "monitoring" / "dashboards"
RUNBOOK_PAGE = HERE.parent / "docs" / "runbook.md"

# What Prometheus itself says of a target, and prometheus_client of a process.
FOREIGN_METRICS = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "ALERTS",
}
# Queries that rightly find nothing in the captures, and why.
NOTHING_FOUND = {
    # A dashboard must work without the alert rules; with them the test of the alerts sees it.
    'ALERTS{alertstate="firing",alertname=~"MilterManager.+"}',
}
# What is rightly 0 where nothing is wrong with the exporter and its files, and nothing is going
# on any more; the rest must not be.
USUALLY_ZERO = {
    "milter_manager_sessions_in_progress",
    "up",
    "milter_manager_exporter_unread_bytes",
    "milter_manager_exporter_read_errors_total",
    "milter_manager_exporter_state_errors_total",
    "milter_manager_exporter_file_rotations_total",
    "milter_manager_exporter_file_truncations_total",
    "milter_manager_exporter_watcher_up",
}
# What Grafana would put in: never less than four scrapes, which are a second apart here.
RATE_INTERVAL = "15s"
RANGE = "5m"
GRID_WIDTH = 24


class Link(TypedDict):
    """
    A link of a panel or a dashboard.
    """

    title: str
    url: str


class Target(TypedDict, total=False):
    """
    A query.
    """

    refId: str
    expr: str
    legendFormat: str
    instant: bool
    exemplar: bool
    datasource: dict[str, str]


class Transformation(TypedDict):
    """
    What is done with a query's answer.
    """

    id: str
    options: dict[str, dict[str, object]]


class Panel(msgspec.Struct, rename="camel"):
    """
    What a test looks at in a panel.
    """

    id: int
    type: str
    title: str
    grid_pos: dict[str, int]
    description: str = ""
    datasource: dict[str, str] = {}
    targets: list[Target] = []
    links: list[Link] = []
    field_config: dict[str, object] = {}
    transformations: list[Transformation] = []


class Variable(msgspec.Struct, rename="camel"):
    """
    What a test looks at in a variable.
    """

    name: str
    type: str
    query: str | dict[str, str]
    datasource: dict[str, str] = {}
    all_value: str = ""
    multi: bool = False
    include_all: bool = False


class Annotation(msgspec.Struct):
    """
    What a test looks at in an annotation.
    """

    expr: str
    datasource: dict[str, str]


class Variables(msgspec.Struct):
    """
    Grafana's list of variables.
    """

    list: list[Variable]


class Annotations(msgspec.Struct):
    """
    Grafana's list of annotations.
    """

    list: list[Annotation]


class Board(msgspec.Struct):
    """
    What a test looks at in a dashboard.
    """

    uid: str
    title: str
    description: str
    refresh: str
    time: dict[str, str]
    tags: list[str]
    links: list[Link]
    panels: list[Panel]
    templating: Variables
    annotations: Annotations


@cache
def read(name: str) -> Board:
    """
    Read a file as Grafana gets it.
    """
    return msgspec.json.decode((FILES / name).read_bytes(), type=Board)


BOARDS = tuple(DASHBOARDS)
PANELS = [
    pytest.param(panel, id=f"{name}-{panel.id}")
    for name in BOARDS
    for panel in read(name).panels
    if panel.type != "row"
]
EXPRESSIONS = [
    pytest.param(target["expr"], target["instant"], id=f"{name}-{panel.id}-{target['refId']}")
    for name in BOARDS
    for panel in read(name).panels
    for target in panel.targets
]


# ---- The files --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BOARDS)
def test_committed(name: str) -> None:
    """
    The committed file is what the code writes: ./dev docs.
    """
    assert render(DASHBOARDS[name]()) == (FILES / name).read_text()


def test_no_other_files() -> None:
    """
    No file is left behind that no code writes.
    """
    assert set(BOARDS) == {path.name for path in FILES.glob("*.json")}


@pytest.mark.parametrize("name", BOARDS)
def test_schema(name: str) -> None:
    """
    Grafana's own types can read a file and write it again without losing a word.
    """
    # The SDK's type of annotations lacks the words of a mark.
    text = re.sub(r',\s+"(?:title|text)Format": "[^"]*"', "", (FILES / name).read_text())
    again = json.dumps(Dashboard.from_json(json.loads(text)), cls=JSONEncoder)

    assert json.loads(text) == json.loads(again)


def test_identities() -> None:
    """
    Addresses hold: the uids, which bookmarks go by, are fixed and each dashboard's own.
    """
    assert {
        "overview.json": OVERVIEW,
        "milters.json": MILTERS,
        "exporter.json": HEALTH,
    } == {name: read(name).uid for name in BOARDS}


@pytest.mark.parametrize("name", BOARDS)
def test_frame(name: str) -> None:
    """
    Every dashboard refreshes, starts with some hours, and has the same variables in front.
    """
    board = read(name)
    text = (FILES / name).read_text()

    assert ("1m", {"from": "now-6h", "to": "now"}) == (board.refresh, board.time)
    assert board.description
    assert ["datasource", "job", "instance"] == [one.name for one in board.templating.list][:3]
    # Nothing of one Grafana: each data source is the variable.
    assert {"${datasource}"} == set(re.findall(r'"uid": "([^"]*)"', text)) - {board.uid}


def test_variables() -> None:
    """
    Jobs, instances and milters can be chosen, several at once, or all.
    """
    variables = read("milters.json").templating.list

    assert [("datasource", "prometheus")] == [(one.type, one.query) for one in variables[:1]]
    assert ["job", "instance", "milter"] == [
        one.name for one in variables if one.multi and one.include_all
    ]


@pytest.mark.parametrize("name", BOARDS)
def test_grid(name: str) -> None:
    """
    No panel lies on another, none leaves the page, and no row has a hole.
    """
    cells: dict[tuple[int, int], int] = {}
    for panel in read(name).panels:
        place = panel.grid_pos
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, (panel.id, cells[x, y])
                cells[x, y] = panel.id
    rows = 1 + max(y for _, y in cells)

    assert {(x, y) for x in range(GRID_WIDTH) for y in range(rows)} == set(cells)


@pytest.mark.parametrize("name", BOARDS)
def test_panel_ids(name: str) -> None:
    """
    A panel's id, which links to single panels go by, is nobody else's.
    """
    ids = [panel.id for panel in read(name).panels]

    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", BOARDS)
def test_reads_top_down(name: str) -> None:
    """
    Every dashboard asks its questions in the same order.
    """
    rows = [panel.title for panel in read(name).panels if panel.type == "row"]

    assert ["Is it working?", "What happened?", "Who is at fault?"] == rows[:3]


@pytest.mark.parametrize("panel", PANELS)
def test_panel(panel: Panel) -> None:
    """
    Every panel has its words, a unit, thresholds, and the data source that was chosen.
    """
    defaults = panel.field_config["defaults"]
    assert isinstance(defaults, dict)

    assert panel.title
    # A sentence at least: what the number means, and how it misleads.
    assert re.search(r"[a-z].{30,}\.$", panel.description)
    assert defaults["unit"]
    assert defaults["thresholds"]["steps"]
    assert {"${datasource}"} == {
        source["uid"]
        for source in (panel.datasource, *(target["datasource"] for target in panel.targets))
    }


@pytest.mark.parametrize(
    "panel",
    [param for param in PANELS if param.values[0].type == "stat"],  # type: ignore[union-attr]
)
def test_thresholds(panel: Panel) -> None:
    """
    A large number says by its colour whether it is good, unless it only says how much.
    """
    defaults = panel.field_config["defaults"]
    assert isinstance(defaults, dict)
    colours = [step["color"] for step in defaults["thresholds"]["steps"]]

    assert panel.title == "Sessions" or (colours[0] == "green" and len(colours) > 1)


def anchors() -> set[str]:
    """
    Give what a link into the runbook may lead to.
    """
    headings = re.findall(r"^#+ (.*)$", RUNBOOK_PAGE.read_text(), re.MULTILINE)
    return {slug(heading) for heading in headings}


@pytest.mark.parametrize("name", BOARDS)
def test_links(name: str) -> None:
    """
    Links lead to dashboards and sections that exist, and keep the time and the variables.
    """
    text = (FILES / name).read_text()
    # Links of columns, too.
    urls = re.findall(r'"url": "([^"]+)"', text)
    uids = {read(other).uid for other in BOARDS}
    known = anchors()

    assert urls
    for url in urls:
        found = re.fullmatch(r"/d/([\w-]+)\?(.*)", url)
        if found:
            assert found[1] in uids
            assert [
                "${__url_time_range}",
                *(f"${{{one}:queryparam}}" for one in ("datasource", "job", "instance")),
            ] == found[2].split("&")[:4]
            continue
        page, _, anchor = url.partition("#")
        assert RUNBOOK == page
        assert anchor in known | {"", "${__value.text}"}


def test_sections() -> None:
    """
    The links of the messages lead to the runbook's sections.
    """
    assert {option.text for option in sections().options.values()} <= anchors()


def test_meanings() -> None:
    """
    Every message that the tables can show has its meaning and its section.
    """
    tags = {one.tags for one in load_catalogue().messages if one.tags and one.level in LEVELS}

    assert tags == set(meanings().options) == set(sections().options)


def test_statuses() -> None:
    """
    Every status has a colour, and no two look the same.
    """
    words = load_catalogue().lists["status"]

    assert {*words, "other"} == set(STATUSES)
    assert len(STATUSES) == len(set(STATUSES.values()))


def test_results() -> None:
    """
    Every result of a check has a colour.
    """
    words = {word for results in mailchecks.RESULTS.values() for word in results}
    words |= {word for results in mailchecks.WORDS.values() for word in results.values()}

    # Of X-Greylist, which has no list, and what is on none; dkim-adsp's own words are not drawn.
    words |= {"delayed", "whitelisted", "spf-compliant", "other"}

    assert words - {"discard", "nxdomain", "unknown"} == set(RESULTS)


def test_nothing_unread() -> None:
    """
    Every metric is on a dashboard, or an alert reads it.
    """
    alerts = (FILES.parent / "rules" / "alerts.yml").read_text()
    asked = " ".join(str(param.values[0]) for param in EXPRESSIONS) + alerts
    words = {re.sub("_(bucket|sum|count)$", "", word) for word in re.findall(r"\w+", asked)}

    assert set() == {family.name for family in FAMILIES.values()} - words


@pytest.mark.parametrize(("expression", "instant"), EXPRESSIONS)
def test_names(expression: str, instant: bool) -> None:  # noqa: FBT001 - a field of Grafana's
    """
    A query asks for metrics that there are, of the chosen hosts, over windows that fit it.
    """
    exported = {family.name for family in FAMILIES.values()} | {
        f"{family.name}_{part}"
        for family in FAMILIES.values()
        if family.kind == "histogram"
        for part in ("bucket", "sum", "count")
    }
    selectors = re.findall(r"([A-Za-z_:][\w:]*)\{([^}]*)", expression)

    assert selectors
    for name, conditions in selectors:
        assert name in exported | FOREIGN_METRICS
        assert conditions.startswith('job=~"$job",instance=~"$instance"')
    # The whole time range as one number, or a point's own interval: never the other way round.
    assert set(re.findall(r"\[([^\]\"]*)\]", re.sub(r'"[^"]*"', '""', expression))) <= {
        "$__range" if instant else "$__rate_interval"
    }
    # Grafana would take it for a variable.
    assert "[[" not in expression


@pytest.mark.parametrize(("expression", "instant"), EXPRESSIONS)
def test_tags(expression: str, instant: bool) -> None:  # noqa: ARG001, FBT001 - a pair
    """
    A query for certain messages names them as the catalogue does.
    """
    known = {message.tags for message in load_catalogue().messages}
    for sign, value in re.findall(r'tag(=~?)"([^"]*)"', expression):
        pattern = value.replace(r"\\", "\\") if sign == "=~" else re.escape(value)

        assert 1 + pattern.count("|") == len(
            [tags for tags in known if re.fullmatch(pattern, tags)]
        )


# ---- The queries, against Prometheus ----------------------------------------------------------


class Reply(msgspec.Struct):
    """
    An answer of Prometheus.
    """

    data: msgspec.Raw


class Series(msgspec.Struct):
    """
    One series of an answer.
    """

    metric: dict[str, str]
    value: tuple[float, str] = (0.0, "NaN")
    values: list[tuple[float, str]] = []


class Result(msgspec.Struct):
    """
    The answer to a query.
    """

    result: list[Series]


@dataclass(frozen=True, slots=True)
class World:
    """
    A Prometheus that has seen captures of broken milters and of a healthy server.
    """

    prometheus: Prometheus
    instance: str
    now: float

    def ask(self, path: str, **parameters: str) -> bytes:
        """
        Ask Prometheus as Grafana does; give the JSON of `data`.
        """
        query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
        answer = get("127.0.0.1", self.prometheus.port, f"/api/v1/{path}?{query}")

        assert 200 == answer.status, answer.body

        return bytes(msgspec.json.decode(answer.body, type=Reply).data)

    def series(self, expression: str, *, instant: bool) -> list[Series]:
        """
        Give what a panel would draw.
        """
        if instant:
            body = self.ask("query", query=expression, time=str(self.now))
        else:
            body = self.ask(
                "query_range",
                query=expression,
                start=str(self.now - 10),
                end=str(self.now),
                step="1",
            )
        return msgspec.json.decode(body, type=Result).result

    def numbers(self, expression: str, *, instant: bool) -> list[float]:
        """
        Give all numbers of it.
        """
        found = self.series(expression, instant=instant)
        values = [float(value) for one in found for _, value in (one.values or [one.value])]
        return [value for value in values if not math.isnan(value)]


class Exemplar(msgspec.Struct):
    """
    One session that a bucket's exemplar points to.
    """

    labels: dict[str, str]


class Exemplars(msgspec.Struct):
    """
    The exemplars of one series.
    """

    exemplars: list[Exemplar]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """
    Feed a real exporter with the captures, in two goes, and let a real Prometheus scrape it.
    """
    require("prometheus")
    directory = tmp_path_factory.mktemp("dashboards")
    broken, healthy = directory / "broken.log", directory / "healthy.log"
    captures = {
        broken: (DATA / "syslog-rfc3164.log").read_bytes(),
        healthy: lzma.decompress((DATA / "volume.log.xz").read_bytes()),
    }
    for path in captures:
        path.touch()
    exporter = Exporter(
        directory,
        *(f"--input.file={path}" for path in captures),
        "--input.from=beginning",
        f"--state.file={directory / 'state'}",
    )
    started: list[Exporter | Prometheus] = [exporter]
    try:
        exporter.serve()
        prometheus = Prometheus(directory, exporter)
        started.append(prometheus)
        read_bytes = "sum(milter_manager_exporter_read_bytes_total)"
        size = 0.0
        # Counters that come with their first line need a second go to have a rate.
        for _ in range(2):
            wait_until(lambda: prometheus.number(read_bytes) == size)  # noqa: B023 - at once
            for path, capture in captures.items():
                with path.open("ab") as log:
                    log.write(capture)
                size += len(capture)
        wait_until(lambda: prometheus.number(read_bytes) == size)
        yield World(prometheus, f"{exporter.host}:{exporter.port}", time.time())
    finally:
        for program in reversed(started):
            program.kill()


def substitute(expression: str, chosen: Mapping[str, Sequence[str]]) -> str:
    """
    Put in what was chosen, as Grafana does; a variable that is not named there is All.
    """
    variables = {one.name: one for one in read("milters.json").templating.list}
    values = {"__rate_interval": RATE_INTERVAL, "__range": RANGE}
    for name in ("job", "instance", "milter"):
        # A choice is escaped as a pattern in a string of PromQL, several are alternatives.
        escaped = [re.sub(r"[][\\^$.|?*+(){}]", r"\\\\\g<0>", one) for one in chosen.get(name, ())]
        alternatives = escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        values[name] = alternatives if escaped else variables[name].all_value
    # Longest first: $instance is no $in.
    return re.sub(
        r"\$(__rate_interval|__range|instance|job|milter)\b", lambda m: values[m[1]], expression
    )


@pytest.mark.parametrize(("expression", "instant"), EXPRESSIONS)
def test_all(expression: str, instant: bool, world: World) -> None:  # noqa: FBT001 - Grafana's
    """
    Every query finds something with all instances and all milters, and not just zeros.
    """
    query = substitute(expression, {"job": ["milter-manager"]})

    assert "$" not in query.replace('"$1"', "")

    found = world.numbers(query, instant=instant)

    assert found
    assert any(found) or set(re.findall(r"(\w+)\{", query)) <= USUALLY_ZERO


@pytest.mark.parametrize("panel", PANELS)
def test_labels(panel: Panel, world: World) -> None:
    """
    The labels that legends and columns name are those that the answers have.
    """
    columns = {
        name
        for transformation in panel.transformations
        for name in transformation["options"].get("renameByName", {})
        if not name.startswith("Value")
    }
    answered = set()
    for target in panel.targets:
        query = substitute(target["expr"], {"job": ["milter-manager"]})
        found = world.series(query, instant=target["instant"])
        labels = {label for one in found for label in one.metric}
        answered |= labels

        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels

    # A revision is only known of an exporter that was installed from a repository.
    assert columns - {"revision"} <= answered


@pytest.mark.parametrize(("expression", "instant"), EXPRESSIONS)
def test_chosen(expression: str, instant: bool, world: World) -> None:  # noqa: FBT001 - Grafana's
    """
    Every query finds something with one instance and two milters, and nothing with others.
    """
    chosen = {
        "job": ["milter-manager", "another (job)"],
        "instance": [world.instance],
        "milter": ["raw", "policy", "paren(1): colon"],
    }

    assert world.numbers(substitute(expression, chosen), instant=instant)

    nowhere = substitute(expression, {**chosen, "instance": ["nowhere:1"]})

    assert not any(world.numbers(nowhere, instant=instant))


EXEMPLIFIED = [
    pytest.param(target["expr"], id=f"{name}-{panel.id}-{target['refId']}")
    for name in BOARDS
    for panel in read(name).panels
    for target in panel.targets
    if target["exemplar"]
]


@pytest.mark.parametrize("expression", EXEMPLIFIED)
def test_exemplars(expression: str, world: World) -> None:
    """
    Where a panel promises single sessions as exemplars, Prometheus has them.
    """
    query = substitute(expression, {"job": ["milter-manager"]})
    # An exemplar bears the time of the log line.
    span = {"start": str(world.now - 400 * 86400), "end": str(world.now + 400 * 86400)}

    found = msgspec.json.decode(
        world.ask("query_exemplars", query=query, **span), type=list[Exemplars]
    )

    assert found
    assert {label for one in found for each in one.exemplars for label in each.labels} in (
        {"session_id"},
        {"milter_id"},
    )


@pytest.mark.parametrize("name", BOARDS)
def test_annotations(name: str, world: World) -> None:
    """
    Every annotation is a valid query; those that find nothing here are listed with the reason.
    """
    for annotation in read(name).annotations.list:
        assert "${datasource}" == annotation.datasource["uid"]

        found = world.numbers(annotation.expr, instant=False)

        assert bool(found) == (annotation.expr not in NOTHING_FOUND)


def test_variable_values(world: World) -> None:
    """
    Every variable has the values that there are.
    """
    found = {}
    for variable in read("milters.json").templating.list[1:]:
        assert isinstance(variable.query, dict)
        asked = re.fullmatch(
            r"label_values\((?P<selector>.*), (?P<label>\w+)\)", variable.query["query"]
        )
        assert asked is not None
        selector = substitute(asked["selector"], {"job": ["milter-manager"]})
        body = world.ask(f"label/{asked['label']}/values", **{"match[]": selector})
        found[variable.name] = msgspec.json.decode(body, type=list[str])

    assert ["milter-manager"] == found["job"]
    assert [world.instance] == found["instance"]
    assert {"opendkim", "policy", "raw", "[brackets]", "日本語ミルター"} <= set(found["milter"])


# ---- The pieces of PromQL, against numbers worked out by hand ---------------------------------

UP = "up{job='j',instance='i'}"
TIMEOUTS = "milter_manager_milter_timeouts_total{job='j',instance='i',milter='m',phase='reading'}"
LOGGED = "milter_manager_log_messages_total{job='j',instance='i',module='manager',level='error'"
HARMLESS = LOGGED.replace("log_messages", "harmless_messages")


@pytest.mark.parametrize(
    ("given", "expression", "expected"),
    [
        pytest.param(
            {UP: "1x40", TIMEOUTS: "_x30 1x10"},
            events("milter", "milter_manager_milter_timeouts_total"),
            '{milter="m"} 1',
            id="the first event of a series counts",
        ),
        pytest.param(
            {UP: "1x40", TIMEOUTS: "_x30 3x4 5x6"},
            events("milter", "milter_manager_milter_timeouts_total"),
            '{milter="m"} 5',
            id="so do those after it, once",
        ),
        pytest.param(
            {UP: "_x30 1x10", TIMEOUTS: "_x30 3x10"},
            events("milter", "milter_manager_milter_timeouts_total"),
            '{milter="m"} 0',
            id="old counts after a gap are no events",
        ),
        pytest.param(
            {LOGGED + ",tag='t'}": "0+150x40", HARMLESS + ",tag='t'}": "0+150x40"},
            without_harmless("module", "rate", "$__range"),
            '{module="manager"} 0',
            id="harmless messages are no errors",
        ),
        pytest.param(
            {
                LOGGED + ",tag='t'}": "0+150x40",
                HARMLESS + ",tag='t'}": "0+150x40",
                LOGGED + ",tag='u'}": "0+300x40",
            },
            without_harmless("module, tag", "rate", "$__range"),
            '{module="manager", tag="t"} 0, {module="manager", tag="u"} 20',
            id="errors without a harmless kind stay",
        ),
    ],
)
def test_promql(given: Mapping[str, str], expression: str, expected: str, tmp_path: Path) -> None:
    """
    The pieces of PromQL count what they say they count.
    """
    samples = []
    for sample in expected.split(", {"):
        labels, _, value = sample.rpartition(" ")
        samples.append(
            {"labels": labels if labels[0] == "{" else "{" + labels, "value": float(value)}
        )
    # As the panel shows it: an increase is extrapolated, and seldom a whole number.
    query = f"round({substitute(expression, {'job': ['j']})})"
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "10m", "exp_samples": samples}],
    }
    path = tmp_path / "test.yml"
    path.write_text(json.dumps({"tests": [case]}))
    result = subprocess.run(
        [require("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (0, "") == (result.returncode, result.stderr), result.stdout + result.stderr
