"""
What the newest lines of a log tell.
"""

from pathlib import Path

import pytest
from machine import ERROR, FOREIGN, NOW, STATISTIC, Machine, keys

from exporter.config import Config
from exporter.logtool.checks import lines
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.lines import (
    MOST_PROGRAMS,
    check_age,
    check_lines,
    check_neighbours,
    take_sample,
)
from exporter.logtool.checks.system import System

LOG = Path("/var/log/mail.log")
DATA = Path(__file__).resolve().parent / "data"

RENAMED = STATISTIC.replace(b"milter-manager[", b"mymilter[")
UNKNOWN = STATISTIC.replace(b"[session][end][end-of-message][reject][0.056374](1)", b"[no][such]")
REPEATED = STATISTIC.replace(b"[statistics] ", b"message repeated 59 times: [ [statistics] ")
REPEATED = REPEATED.replace(b"(1)\n", b"(1)]\n")
HEADER = STATISTIC.partition(b"[session]")[0] + b"[milter][header][add](1): <X-A>=<"
CUT = HEADER + b"a" * 8080 + b"\n"
WHOLE = HEADER + b"a" * 8080 + b">: policy\n"
OWN = b"[2026-11-22T23:59:30.1Z]: [session][end][end-of-message][pass][0.031527](1)\n"
OWN_HEADER = OWN.partition(b"[session]")[0] + CUT.partition(b"[statistics] ")[2]
LOSS = (
    b"2026-11-22T23:59:30+00:00 mail rsyslogd: imjournal: 70 messages lost due to rate-limiting "
    b"(20000 allowed within 600 seconds)\n"
)
SUPPRESSED = (
    b"2026-11-22T23:59:30+00:00 mail systemd-journald[300]: "
    b"Suppressed 70 messages from milter-manager.service\n"
)
OTHERS_LOSS = SUPPRESSED.replace(b"milter-manager", b"cron")
IMITATION = STATISTIC.replace(b"(1)\n", b"(1) due to rate-limiting\n")
TOOL = STATISTIC.replace(b"milter-manager[", b"milter-test-client[")
PROGRAMLESS = b"2026-11-22T23:59:30+00:00 [statistics] [session][end]: [milter]\n"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine.
    """
    return Machine(tmp_path)


def check(machine: Machine, data: bytes, config: Config | None = None) -> list[Finding]:
    """
    Give what is said of a log with these lines.
    """
    config = config or Config()
    machine.put(str(LOG), data)
    return list(check_lines(LOG, take_sample(LOG, config, machine.system), config, NOW))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ["log_empty"]),
        (b"half a line", ["log_empty"]),
        (FOREIGN, ["no_line"]),
        (TOOL, ["no_line"]),
        (PROGRAMLESS, ["no_line"]),
        (b"what is this?\n", ["malformed"]),
        (UNKNOWN, ["unrecognised"]),
        (STATISTIC, ["recognised", "statistics"]),
        (b"\0" * 100 + STATISTIC, ["recognised", "statistics"]),
        (ERROR, ["recognised", "no_statistics"]),
        (STATISTIC + UNKNOWN, ["recognised", "statistics", "unknown_tags"]),
        (STATISTIC + REPEATED, ["recognised", "statistics", "repeated"]),
        (STATISTIC + CUT, ["recognised", "statistics", "cut_lines"]),
        (STATISTIC + WHOLE, ["recognised", "statistics"]),
        (OWN, ["recognised", "statistics", "own_file"]),
        (OWN + OWN_HEADER, ["recognised", "statistics", "own_file"]),
        (STATISTIC + LOSS, ["recognised", "statistics", "lines_dropped"]),
        (STATISTIC + SUPPRESSED, ["recognised", "statistics", "lines_dropped"]),
        (STATISTIC + OTHERS_LOSS, ["recognised", "statistics"]),
        (STATISTIC + b"what milter is this?\n", ["recognised", "statistics"]),
        (STATISTIC + IMITATION, ["recognised", "statistics"]),
        (RENAMED, ["other_program"]),
        (RENAMED.replace(b"[statistics] [session]", b"[no]"), ["no_line"]),
        (RENAMED.replace(b"mymilter[509]: ", b"mymilter[509]:\n"), ["no_line"]),
        (STATISTIC + RENAMED, ["other_program", "recognised", "statistics"]),
        (FOREIGN + STATISTIC, ["recognised", "statistics"]),
    ],
)
def test_told(data: bytes, expected: list[str], machine: Machine) -> None:
    """
    Each kind of log has its finding, and what other programs write has none.
    """
    assert expected == keys(check(machine, data))


def test_values(machine: Machine) -> None:
    """
    How many lines are recognised is said as the daemon counts, with the format and the programs.
    """
    launcher = STATISTIC.replace(b"milter-manager[", b"milter-manager-process-launcher[")
    recognised = check(machine, STATISTIC * 2 + launcher + UNKNOWN)[0]
    values: dict[str, Value] = {
        "file": str(LOG),
        "lines": 4,
        "share": 0.75,
        "dialects": "iso",
        "programs": "milter-manager, milter-manager-process-launcher",
    }

    assert Finding("recognised", values) == recognised


def test_other_name(machine: Machine) -> None:
    """
    The flags that add a name keep those that count by now, and a shell reads them as words.
    """
    hostile = STATISTIC.replace(b"milter-manager[", b"$(id)[")
    config = Config(input_programs=("milter-manager",))
    finding = check(machine, RENAMED * 2 + hostile, config)[0]
    flags = "--input.program=milter-manager '--input.program=$(id)' --input.program=mymilter"

    assert ("$(id), mymilter", flags, 3) == (
        finding.values["names"],
        finding.values["flags"],
        finding.values["lines"],
    )


def test_named(machine: Machine) -> None:
    """
    A name that is given is one of those that count.
    """
    config = Config(input_programs=("mymilter",))

    assert ["recognised", "statistics"] == keys(check(machine, RENAMED, config))


def test_many_programs(machine: Machine) -> None:
    """
    Only so many other names are looked at.
    """
    names = [b"x%03d[" % n for n in range(MOST_PROGRAMS + 5)]
    data = b"".join(STATISTIC.replace(b"milter-manager[", name) for name in names)

    assert MOST_PROGRAMS == check(machine, data)[0].values["lines"]


def test_newest(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Of a long log only the end is read, from the first whole line on.
    """
    monkeypatch.setattr(lines, "SAMPLE_BYTES", 2 * len(STATISTIC) + 10)

    assert 2 == check(machine, FOREIGN * 10 + STATISTIC * 3)[0].values["lines"]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (None, []),
        (NOW - 3601, ["silent"]),
        (NOW - 3599, []),
        (NOW + 119, []),
        (NOW + 121, ["clock_ahead"]),
    ],
)
def test_age(last: float | None, expected: list[str]) -> None:
    """
    A log silent for an hour is told of, and one whose time is ahead of the clock.
    """
    assert expected == keys(check_age(str(LOG), last, NOW))


@pytest.mark.parametrize(
    ("file", "data", "expected"),
    [
        ("/var/log/syslog", LOSS + SUPPRESSED, 2),
        ("/var/log/messages", LOSS, 1),
        ("/var/log/syslog", FOREIGN + OTHERS_LOSS + IMITATION, 0),
        ("/var/log/syslog", b"nothing due to rate-limiting\n", 0),
    ],
)
def test_neighbours(file: str, data: bytes, expected: int, machine: Machine) -> None:
    """
    What the syslog daemon says of itself in its own file is seen, what others say there is not.
    """
    machine.put(file, data)

    assert expected == sum(
        int(finding.values["lines"]) for finding in check_neighbours([LOG], machine.system)
    )


def test_neighbour_followed(machine: Machine) -> None:
    """
    A file that is followed is not looked through again.
    """
    machine.put("/var/log/syslog", LOSS)

    assert [] == keys(check_neighbours([Path("/var/log/syslog")], machine.system))


def test_neighbour_unreadable(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A neighbour that may not be read is no matter.
    """

    def refuse(*_: object) -> bytes:
        raise PermissionError

    machine.put("/var/log/syslog", LOSS)
    monkeypatch.setattr(System, "tail", refuse)

    assert [] == keys(check_neighbours([], machine.system))


@pytest.mark.parametrize(
    ("name", "dialect"),
    [("native.log", "own"), ("syslog-rfc3164.log", "traditional"), ("repeated.log", "traditional")],
)
def test_captures(name: str, dialect: str, machine: Machine) -> None:
    """
    Of what the real program wrote nearly every line is recognised.
    """
    finding = next(
        one for one in check(machine, (DATA / name).read_bytes()) if "share" in one.values
    )

    assert dialect == finding.values["dialects"]
    assert 0.95 < float(finding.values["share"])
