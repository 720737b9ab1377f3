"""
What of an earlier run's state still applies.
"""

from collections.abc import Iterator, MutableMapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from exporter.earlier import Earlier
from exporter.generation import Statistics
from exporter.logfile import Register
from exporter.mark import Mark
from exporter.milters import LIMIT, MilterNames
from exporter.state import LogState, State
from exporter.tally import Tally, TallyState

Said = list[MutableMapping[str, object]]

ENDED = ("sessions_ended", "quit", "pass")
DURATION = ("session_duration", "pass")
TALLY = TallyState(
    bounds=[1.0],
    counts=[(ENDED, 7)],
    histograms=[(DURATION, [2, 1], 3.5)],
    gauges=[(("memory",), 4096.0)],
    processes=[(("/a", "1"), 100.0, 3), (("caf\ufffd", "2"), 100.0, 5)],
    newest={"/a": 100.0, "caf\ufffd": 100.0},
)
LEFT = Mark(5, 6, 7, "a", "b", 8)
LOGS = [LogState(path, [], Statistics()) for path in (b"/a", b"caf\xe9")]


@pytest.fixture
def said() -> Iterator[Said]:
    """
    The exporter's own log.
    """
    with capture_logs() as said:
        yield said


def new_state(tally: TallyState = TALLY, names: list[bytes] | None = None) -> State:
    """
    Make the state of an earlier run.
    """
    return State(tally, names or [], LOGS.copy(), [LEFT])


def test_everything(said: Said) -> None:
    """
    Where nothing changed between the runs, all is put back, and there is nothing to say.
    """
    tally, names, register = Tally((1.0,)), MilterNames(), Register()
    earlier = Earlier(tally)
    earlier.restore(new_state(names=[b"b", b"a"]), names, register)

    assert TALLY == tally.export()
    assert [b"b", b"a"] == list(names)
    assert [LEFT] == register.left
    assert LOGS == earlier.logs
    assert [] == said


def test_names() -> None:
    """
    The limit for milter names holds through restarts: those that were in stay in.
    """
    known = [b"milter %d" % i for i in range(LIMIT)]
    names = MilterNames()
    Earlier(Tally((1.0,))).restore(new_state(names=known), names, Register())

    assert "milter 0" == names.label(b"milter 0")
    assert "other" == names.label(b"another")


def test_other_buckets(said: Said) -> None:
    """
    With other buckets histograms start at 0, the counters stay, and the log says so.
    """
    tally = Tally((1.0, 2.0), histograms=[DURATION])
    Earlier(tally).restore(new_state(), MilterNames(), Register())
    snapshot = tally.snapshot()

    assert {ENDED: 7} == snapshot.counts
    assert [0, 0, 0] == snapshot.histograms[DURATION].buckets
    assert 8 == snapshot.sessions_in_progress
    assert ["histogram buckets have changed: histograms start at 0"] == [
        line["event"] for line in said
    ]


@pytest.mark.parametrize(
    "key",
    [
        (),
        ("nosuch",),
        ("nosuch", "a"),
        ("sessions_ended",),
        ("sessions_ended", "quit", "pass", "more"),
        ("session_duration", "pass"),
        ("memory",),
    ],
)
def test_unknown_counter(key: tuple[str, ...], said: Said) -> None:
    """
    Counters of no metric, or of one with other labels or of another type, are dropped, and said.
    """
    tally = Tally((1.0,))
    state = new_state(replace(TALLY, counts=[(ENDED, 7), (key, 1)]))
    Earlier(tally).restore(state, MilterNames(), Register())

    assert {ENDED: 7} == tally.snapshot().counts
    assert ["numbers of metrics that are no more are dropped"] == [line["event"] for line in said]
    assert 1 == said[0]["series"]


def test_unknown_histogram(said: Said) -> None:
    """
    So are histograms, and values that nobody shows.
    """
    tally = Tally((1.0,))
    state = new_state(
        replace(
            TALLY,
            histograms=[(DURATION, [2, 1], 3.5), (ENDED, [2, 1], 3.5)],
            gauges=[(("memory",), 1.0), (("nosuch",), 1.0)],
        )
    )
    Earlier(tally).restore(state, MilterNames(), Register())

    assert [DURATION] == list(tally.snapshot().histograms)
    assert {("memory",): 1.0} == tally.snapshot().gauges
    assert [1] == [line["series"] for line in said]


def test_logs(said: Said) -> None:
    """
    A log is gone on with once; those that nobody took are dropped with their processes, and said.
    """
    tally = Tally((1.0,))
    earlier = Earlier(tally)
    earlier.restore(new_state(), MilterNames(), Register())

    assert earlier.take_log(b"/b") is None
    assert LOGS[0] == earlier.take_log(b"/a")
    assert earlier.take_log(b"/a") is None
    assert 8 == tally.snapshot().sessions_in_progress

    earlier.drop_logs()
    earlier.drop_logs()

    assert [] == earlier.logs
    assert 3 == tally.snapshot().sessions_in_progress
    assert 1 == tally.snapshot().processes
    assert [("no longer following a log, its position is dropped", "caf\ufffd")] == [
        (line["event"], line["file"]) for line in said
    ]


def test_no_earlier_run() -> None:
    """
    Without an earlier run there is nothing to go on with.
    """
    earlier = Earlier(Tally((1.0,)))
    earlier.drop_logs()

    assert earlier.take_log(b"/a") is None
