"""
The alerts on real traffic: captures played to the running exporter, its answers to Prometheus.

A capture is written to the log minute by minute, as long as a minute of it takes to read, and what
the exporter then answers is kept as that minute's scrape.  promtool, which is Prometheus' own rule
engine, evaluates the shipped rules over hours of such scrapes; a Prometheus that was given them as
its past answers the same.
"""

import json
import lzma
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
import yaml
from dialects import DATA, samples
from running import (
    Exporter,
    Program,
    Sample,
    free_port,
    get,
    read_samples,
    require,
    wait_until,
)
from test_rules import items, text

pytestmark = pytest.mark.usefixtures("_unmeasured_module")

RULES = Path(__file__).parents[1] / "monitoring" / "rules"
GROUPS = [
    "milter-manager-sessions", "milter-manager-durations", "milter-manager-errors",
    "milter-manager-milters", "milter-manager-alerts-exporter", "milter-manager-alerts-milters",
    "milter-manager-alerts-program", "milter-manager-alerts-sessions",
]  # fmt: skip
TARGET = (("instance", "vm:10125"), ("job", "milter-manager"))
STAMP = re.compile(rb"(\d\d):(\d\d):(\d\d)")
QUIET_BEFORE = 20
"""Minutes in which the exporter is scraped before there is traffic: what follows is news."""
MINUTES = 20
"""For how long a short capture is played again and again: those servers stay broken."""
QUIET_AFTER = 80
"""Minutes without traffic: longer than any alert outlives its cause."""
LAST_READ = "milter_manager_exporter_last_read_timestamp_seconds"

Scrape = dict[Sample, float]
StartExporter = Callable[..., Exporter]


class Fired(NamedTuple):
    """
    The alerts that fired, each by the values of its labels.
    """

    ever: set[str]
    at_the_end: set[str]


@dataclass(frozen=True, slots=True)
class Minute:
    """
    What one scrape saw.
    """

    scrape: Scrape
    times: int = 1
    """For how many scrapes nothing changed."""


def read_lines(name: str) -> list[bytes]:
    """
    Read a capture's lines.
    """
    path = DATA / name
    log = lzma.decompress(path.read_bytes()) if name.endswith(".xz") else path.read_bytes()
    return log.splitlines(keepends=True)


def minutes_of(lines: Sequence[bytes], stretch: float) -> list[bytes]:
    """
    Cut a capture into the minutes of its own clock, which goes `stretch` times slower here.
    """
    minutes: list[list[bytes]] = []
    begin = None
    now = 0
    for line in lines:
        stamp = STAMP.search(line[:40])
        if stamp:
            hours, minute, second = map(int, stamp.groups())
            now = max(now, 3600 * hours + 60 * minute + second)
        begin = now if begin is None else begin
        i = int((now - begin) * stretch / 60)
        minutes += [[] for _ in range(i + 1 - len(minutes))]
        minutes[i].append(line)
    return [b"".join(minute) for minute in minutes]


def play(exporter: Exporter, log: Path, minutes: Sequence[bytes]) -> Iterator[Minute]:
    """
    Write the log minute by minute; give what the exporter answers when it has read each.
    """
    read = re.compile(rb"^milter_manager_exporter_read_bytes_total\{.*\} (\S+)$", re.MULTILINE)
    written = 0
    exposition = b""

    def is_read() -> bool:
        nonlocal exposition
        exposition = exporter.get("/metrics").body
        found = read.search(exposition)
        return found is not None and float(found[1]) == written

    wait_until(is_read)
    yield Minute(read_samples(exposition), QUIET_BEFORE)
    with log.open("ab", buffering=0) as file:
        for minute in minutes:
            written += file.write(minute)
            wait_until(is_read)
            yield Minute(read_samples(exposition))
    yield Minute(read_samples(exposition), QUIET_AFTER)


def series_of(minutes: Sequence[Minute]) -> dict[Sample, list[float | None]]:
    """
    Turn scrapes into series, one value a minute, None before the first.
    """
    series: dict[Sample, list[float | None]] = {("up", ()): []}
    at = 0
    for minute in minutes:
        for sample, value in {**minute.scrape, ("up", ()): 1.0}.items():
            values = series.setdefault(sample, [])
            values += [None] * (at - len(values))
            if sample[0] == LAST_READ:  # of this machine's clock, which the minutes do not follow
                values += [60.0 * (at + i) for i in range(minute.times)]
            else:
                values += [value] * minute.times
        at += minute.times
    return series


def notation(values: Sequence[float | None]) -> str:
    """
    Write a series as promtool wants it.
    """
    runs = ((value, len(list(same))) for value, same in groupby(values))
    return " ".join(
        f"_x{times}" if value is None else f"{value!r}+0x{times - 1}" for value, times in runs
    )


def name_of(sample: Sample, target: tuple[tuple[str, str], ...] = TARGET) -> str:
    """
    Write a series' name and labels, those of its target included.
    """
    name, labels = sample
    pairs = (f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in (*labels, *target))
    return f"{name}{{{','.join(pairs)}}}"


def fired(series: dict[Sample, list[float | None]], directory: Path) -> Fired:
    """
    Let promtool evaluate the rules; give the alerts that fired at any time, and at the end.
    """
    end = len(series["up", ()]) - 1
    firing = 'ALERTS{alertstate="firing"}'
    kept = "alertname, severity, milter, phase"
    # What is expected cannot be: promtool only tells what it got when that is something else.
    checks = [
        {
            "expr": f"count by ({kept}) (count_over_time({firing}[1d])) or vector(0)",
            "eval_time": f"{end}m",
            "exp_samples": [],
        },
        {
            "expr": f"count by ({kept}) ({firing}) or vector(0)",
            "eval_time": f"{end}m",
            "exp_samples": [],
        },
    ]
    test = {
        "rule_files": [str(RULES / "recording.yml"), str(RULES / "alerts.yml")],
        "evaluation_interval": "1m",
        "group_eval_order": GROUPS,
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name_of(sample), "values": notation(values)}
                    for sample, values in series.items()
                ],
                "promql_expr_test": checks,
            }
        ],
    }
    file = directory / "replay.yml"
    file.write_text(json.dumps(test))  # which is YAML too
    result = subprocess.run(
        [require("promtool"), "test", "rules", str(file)],
        env={**os.environ, "GOGC": "400"},  # a third faster
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    got = re.findall(r"^ *got: (.*)$", result.stdout + result.stderr, re.MULTILINE)

    assert 2 == len(got), result.stdout + result.stderr

    ever, at_the_end = (
        {
            " ".join(value for _, value in sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', one)))
            for one in re.findall(r"\{((?:[^\"}]|\"(?:[^\"\\]|\\.)*\")*)\}", answer)
        }
        - {""}
        for answer in got
    )
    return Fired(ever, at_the_end)


def repeated(minutes: Sequence[bytes], at_least: int = MINUTES) -> list[bytes]:
    """
    Play a short capture again and again.
    """
    return [*minutes] * (at_least // len(minutes))


def slow_minutes(count: int) -> list[bytes]:
    """
    Cut the worst part of the healthy capture, where the machine was busiest, into single sessions.
    """
    lines = read_lines("volume.log.xz")
    begin = next(i for i, line in enumerate(lines) if b" 22:09:0" in line)
    minutes: list[bytes] = []
    minute = b""
    for line in lines[begin:]:
        minute += line
        if b"[session][end]" in line:
            minutes.append(minute)
            minute = b""
        if len(minutes) == count:
            break
    return minutes


@pytest.fixture
def replay(start_exporter: StartExporter, tmp_path: Path) -> Callable[[Sequence[bytes]], Fired]:
    """
    Play minutes of a log to an exporter and evaluate the rules.
    """

    def run(minutes: Sequence[bytes]) -> Fired:
        log = tmp_path / "mail.log"
        log.touch()
        exporter = start_exporter(f"--input.file={log}", "--input.from=beginning").serve()
        return fired(series_of(list(play(exporter, log, minutes))), tmp_path)

    return run


HEALTHY = {
    # 20,000 connections in three minutes, as they were: 114 a second.
    "as it was": lambda: minutes_of(read_lines("volume.log.xz"), 1),
    # The same in an hour: 6 a second.
    "in an hour": lambda: minutes_of(read_lines("volume.log.xz"), 20),
    # One connection a minute.
    "one a minute": lambda: slow_minutes(60),
}


@pytest.mark.parametrize("speed", HEALTHY)
def test_healthy(speed: str, replay: Callable[[Sequence[bytes]], Fired]) -> None:
    """
    On a healthy server no alert fires, at whatever pace its mail comes.

    It has 6,397 [leader][error] lines, 150 fallbacks, 6 % deferred and 10 % rejected sessions.
    """
    minutes = HEALTHY[speed]()

    assert b"".join(minutes).count(b"[leader][error] invalid state to reply: ")
    assert Fired(set(), set()) == replay(minutes)


# What must fire, decided by what was done to these servers, never by what did.  `missing` and the
# like are the names of the child milters.
NATIVE = {
    # policy sleeps: two of 19 sessions wait for it until the timeout.
    "MilterManagerMilterTimeouts policy reading warning",
    # raw answers nonsense thrice in 19 sessions, and fallback_status "accept" stands in for it:
    "MilterManagerMilterFallback raw warning",
    # once a header at MAIL FROM, where none may be added; once what is no milter packet.
    "MilterManagerMilterProtocolViolation raw warning",
    "MilterManagerMilterProtocolViolation warning",
}
SAMPLE = NATIVE | {
    # policy also sleeps at the end of a message; raw is mute in all states there are.
    "MilterManagerMilterTimeouts policy end-of-message warning",
    "MilterManagerMilterTimeouts raw reading warning",
    "MilterManagerMilterTimeouts raw end-of-message warning",
}
SUSPENDED = {
    # max_connections was set to next to nothing: twelve suspensions in half a minute, and eleven
    # resumes, for the server was stopped during the last one.
    "MilterManagerConnectionLimit warning",
    "MilterManagerAcceptSuspended critical",
    # RLIMIT_NOFILE was set to next to nothing: accept fails with EMFILE, and so does connecting to
    # any of the three milters.
    "MilterManagerOutOfFileDescriptors critical",
    "MilterManagerMilterUnreachable opendkim critical",
    "MilterManagerMilterUnreachable policy critical",
    "MilterManagerMilterUnreachable raw critical",
}
BROKEN = {
    "native.log": NATIVE,
    "sample.log": SAMPLE,
    # Two of 51 sessions wait for raw, which is mute.
    "repeated.log": SUSPENDED | {"MilterManagerMilterTimeouts raw reading warning"},
    "syslog-rfc3164.log": SAMPLE
    | SUSPENDED
    | {
        # One milter for each way to be broken, in two sessions each: no socket there, nobody
        # listening (`launched` was tried in one session only, one in 280),
        "MilterManagerMilterUnreachable missing critical",
        "MilterManagerMilterUnreachable refused critical",
        # a full backlog, no answer, an endless packet, bytes that make no packet;
        "MilterManagerMilterTimeouts raw-full connection warning",
        "MilterManagerMilterTimeouts raw-mute reading warning",
        "MilterManagerMilterTimeouts raw-hugepkt reading warning",
        "MilterManagerMilterTimeouts raw-garbage reading warning",
        # "continue" where only a negotiation may be answered.
        "MilterManagerMilterProtocolViolation raw-badnego warning",
        # A milter whose connection spec is wrong, one whose command does not exist,
        "MilterManagerConfigurationError warning",
        "MilterManagerLauncherFailing warning",
        # a server all of whose milters were stopped, one whose configuration lost them all,
        "MilterManagerAllMiltersDead critical",
        "MilterManagerNoMilterProcessing critical",
        # and a worker that complained to GLib before it crashed.
        "MilterManagerGLibCritical warning",
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name: str, replay: Callable[[Sequence[bytes]], Fired]) -> None:
    """
    On servers that were broken on purpose the right alerts fire, no others, and all end again.
    """
    minutes = repeated(minutes_of(read_lines(name), 1))

    assert Fired(BROKEN[name], set()) == replay(minutes)


def test_every_message(replay: Callable[[Sequence[bytes]], Fired]) -> None:
    """
    A server that writes every message there is once a minute sets off every alert of a message.
    """
    marks = {"statistics": b"[statistics] "}
    head = b"Nov 22 22:07:33 vm milter-manager[509]: "
    lines = [head + marks.get(one.level, b"") + one.message + b"\n" for one in samples()]
    expected = {
        "MilterManagerAllMiltersDead critical",
        "MilterManagerNoMilterProcessing critical",
        "MilterManagerMilterUnreachable spam-filter critical",
        # four timeouts for each session that ends
        "MilterManagerMilterHangs spam-filter critical",
        *(
            f"MilterManagerMilterTimeouts spam-filter {phase} warning"
            for phase in ("connection", "writing", "reading", "end-of-message")
        ),
        "MilterManagerMilterFallback spam-filter warning",
        "MilterManagerMilterProtocolViolation spam-filter warning",
        "MilterManagerMilterProtocolViolation warning",
        "MilterManagerConfigurationError warning",
        "MilterManagerLauncherFailing warning",
        "MilterManagerGLibCritical warning",
        # two suspensions a minute, each with its resume; one failed accept a minute is no EMFILE
        "MilterManagerConnectionLimit warning",
        # of two sessions one ends and one is broken off
        "MilterManagerDisconnects warning",
    }

    assert Fired(expected, set()) == replay(repeated([b"".join(lines)], 40))


class Past(Program):
    """
    A Prometheus that scrapes nothing, but has a past.
    """

    def __init__(self, directory: Path) -> None:
        """
        Start it on loopback, with the blocks that lie below `directory`.
        """
        self.port = free_port()
        self.data = directory / "data"
        config = directory / "prometheus.yml"
        config.write_text("global: {}\n")
        arguments = [
            require("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.data}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        super().__init__(arguments, directory)
        self.hear("Server is ready to receive web requests")

    def query(self, expression: str, start: int, end: int) -> list[dict[str, object]]:
        """
        Ask for an expression's values, one a minute.
        """
        path = f"/api/v1/query_range?query={quote(expression)}&start={start}&end={end}&step=60"
        answer = get("127.0.0.1", self.port, path)

        assert 200 == answer.status, answer.body

        found: list[dict[str, object]] = json.loads(answer.body)["data"]["result"]
        return found


def promtool(*arguments: str) -> None:
    """
    Run promtool, which has to succeed.
    """
    subprocess.run([require("promtool"), *arguments], check=True, capture_output=True, timeout=60)


def openmetrics(series: dict[Sample, list[float | None]], host: str, start: int) -> Iterator[str]:
    """
    Write series of one host as OpenMetrics with timestamps.
    """
    for sample, values in series.items():
        name = name_of(sample, (("instance", host), ("job", "milter-manager")))
        for i, value in enumerate(values):
            if value is not None:
                at = start + 60 * i
                yield f"{name} {value + start if sample[0] == LAST_READ else value!r} {at}\n"


def seconds_of(duration: str) -> int:
    """
    Read what `for` says.
    """
    return 60 * int(duration.removesuffix("m"))


def fired_in(prometheus: Past, start: int, end: int) -> set[tuple[str, str]]:
    """
    Give host and alert for every alert whose expression held for as long as it asks.
    """
    document: object = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))
    found: set[tuple[str, str]] = set()
    for group in items(document, "groups"):
        for rule in items(group, "rules"):
            wait = seconds_of(text(rule, "for") or "0m")
            for series in prometheus.query(text(rule, "expr"), start, end):
                labels, values = series["metric"], series["values"]
                assert isinstance(labels, dict)
                assert isinstance(values, list)
                times = [int(at) for at, _ in values]
                # So many minutes in a row it held when the first and the last are so far apart.
                if any(b - a == wait for a, b in zip(times, times[wait // 60 :], strict=False)):
                    words = [str(labels.get(key, "")) for key in ("milter", "phase")]
                    name = " ".join([text(rule, "alert"), *filter(None, words)])
                    found.add((str(labels.get("instance")), name))
    return found


def test_prometheus(start_exporter: StartExporter, tmp_path: Path, programs: list[Program]) -> None:
    """
    A Prometheus with a healthy and a broken host in its past finds the same alerts for each.

    The rules are not evaluated as time goes by here, but over the whole past, expression by
    expression; recorded series that stand on recorded ones take a round each.
    """
    played = {
        "healthy": HEALTHY["as it was"](),
        "broken": repeated(minutes_of(read_lines("syslog-rfc3164.log"), 1), 15),
    }
    start = int(time.time()) // 7200 * 7200 - 6 * 3600
    exposition = tmp_path / "past.txt"
    end = start
    with exposition.open("w") as file:
        for host, minutes in played.items():
            log = tmp_path / f"{host}.log"
            log.touch()
            exporter = start_exporter(f"--input.file={log}", "--input.from=beginning").serve()
            series = series_of(list(play(exporter, log, minutes)))
            end = max(end, start + 60 * (len(series["up", ()]) - 1))
            file.writelines(openmetrics(series, host, start))
        file.write("# EOF\n")
    data = tmp_path / "data"
    promtool("tsdb", "create-blocks-from", "openmetrics", str(exposition), str(data))
    for _ in range(2):
        prometheus = Past(tmp_path)
        programs.append(prometheus)
        promtool(
            "tsdb", "create-blocks-from", "rules", f"--start={start}", f"--end={end}",
            f"--url=http://127.0.0.1:{prometheus.port}", "--eval-interval=1m",
            f"--output-dir={data}", str(RULES / "recording.yml"),
        )  # fmt: skip
        prometheus.terminate()
    prometheus = Past(tmp_path)
    programs.append(prometheus)
    expected = {("broken", alert.rpartition(" ")[0]) for alert in BROKEN["syslog-rfc3164.log"]}

    assert expected == fired_in(prometheus, start, end)
