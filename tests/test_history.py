"""
A tally over time: which steps have samples, and what a series is in each.
"""

from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.history import Change, History
from exporter.logtool.spool import Spool
from exporter.tally import Additions, Key, Tally

ENDED: Key = ("sessions_ended", "quit", "pass")
MEMORY: Key = ("memory",)
DURATION: Key = ("milter_duration", "a")
BOUNDS = (1.0, 2.0)
HOUR = 60
"""In steps of a minute."""


def no_time(_stamp: bytes) -> float | None:
    """
    Read no stamp.
    """
    return None


def changes(history: History, key: Key) -> list[Change]:
    """
    Give the changes of a series.
    """
    return list(history.changes(key))


def test_counter() -> None:
    """
    A counter begins at 0 one step before its first event; steps without a change keep nothing.
    """
    with Spool(None) as spool:
        tally = Tally(BOUNDS, zeros=[ENDED, ("quarantines",)])
        history = History(tally, spool, 60)
        history.close_step()
        for step, times in ((100, 0), (101, 2), (102, 0), (103, 1)):
            history.reach(step)
            tally.count(ENDED, times)
        history.close_step()

        assert [Change(100, (0,)), Change(101, (2,)), Change(103, (3,))] == changes(history, ENDED)
        assert [ENDED] == history.keys()
        assert [(99, 103)] == history.runs


def test_gauge() -> None:
    """
    A gauge begins with its first value, and what it falls to is kept, 0 included.
    """
    with Spool(None) as spool:
        tally = Tally(BOUNDS)
        history = History(tally, spool, 60)
        for step, value in ((100, 0), (101, 7.5), (102, 0)):
            history.reach(step)
            tally.set(MEMORY, value)
        history.close_step()

        assert [Change(101, (7.5,)), Change(102, (0,))] == changes(history, MEMORY)


def test_histogram() -> None:
    """
    A histogram has its buckets and its sum, and begins at 0 as a counter does.
    """
    with Spool(None) as spool:
        tally = Tally(BOUNDS)
        history = History(tally, spool, 60)
        history.reach(100)
        tally.add(Additions("log", observations=[(DURATION, 1.5, b"1", b"", 2)]), no_time)
        history.close_step()

        assert [Change(99, (0, 0, 0, 0)), Change(100, (0, 2, 0, 3.0))] == changes(history, DURATION)


def test_exporters_own() -> None:
    """
    What an exporter says of itself is not kept.
    """
    with Spool(None) as spool:
        tally = Tally(BOUNDS)
        history = History(tally, spool, 60)
        history.reach(100)
        tally.count(("lines", "foreign"))
        tally.set(("last_line",), 7.0)
        history.close_step()

        assert [] == history.keys()


@given(st.lists(st.integers(1, 100), min_size=1))
def test_runs(gaps: list[int]) -> None:
    """
    A step has samples if there are lines in it, in the next one, or in one of the hour before it.
    """
    with Spool(None) as spool:
        history = History(Tally(BOUNDS), spool, 60)
        steps = [sum(gaps[: i + 1]) for i in range(len(gaps))]
        for step in steps:
            history.reach(step)
        history.close_step()
        expected = [
            step
            for step in range(steps[-1] + 1)
            if any(one - 1 <= step <= one + HOUR for one in steps)
        ]

        assert expected == list(history.steps_from(0))
        assert [step for step in expected if step >= 50] == list(history.steps_from(50))
