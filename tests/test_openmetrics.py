"""
A history as OpenMetrics: every sample of it, and no name that breaks it.
"""

from backfilled import series_of
from hypothesis import given
from hypothesis import strategies as st

from exporter.logtool.history import History
from exporter.logtool.openmetrics import BATCH_LINES, number, write_history
from exporter.logtool.spool import Spool
from exporter.tally import Key, Tally

TARGET = (("job", "milter-manager"),)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def write(key: Key, step: int, labels: tuple[tuple[str, str], ...], last: int = 0) -> str:
    """
    Write the history of one counter that is raised once.
    """
    with Spool(None) as spool:
        tally = Tally([1.0])
        history = History(tally, spool, 60)
        history.reach(step)
        tally.count(key)
        history.reach(max(last, step))
        history.close_step()
        return "".join(text for _, text in write_history(history, labels))


def test_written() -> None:
    """
    Type and help come first, the counter's name without its _total; our labels before others.
    """
    head, kind, *samples, end = write(("milter_headers_added", "a", "X-Spam"), 10, TARGET).split(
        "\n", 5
    )

    assert head.startswith("# HELP milter_manager_milter_headers_added Headers that a child")
    assert "# TYPE milter_manager_milter_headers_added counter" == kind
    name = 'milter_manager_milter_headers_added_total{milter="a",header="X-Spam",'
    assert [f'{name}job="milter-manager"}} {value} {at}' for value, at in ((0, 540), (1, 600))] == (
        samples[:2]
    )
    assert samples[2] == "# EOF"
    assert "" == end


@given(TEXT, TEXT)
def test_hostile(milter: str, instance: str) -> None:
    """
    Whatever a milter or a target is called, the name comes out as it went in.
    """
    text = write(("milter_headers_added", milter, "X-Spam"), 10, (("instance", instance),))
    name = "milter_manager_milter_headers_added_total"
    labels = (("header", "X-Spam"), ("instance", instance), ("milter", milter))

    assert {(name, labels): [(540.0, 0.0), (600.0, 1.0)]} == series_of(text)


def test_long() -> None:
    """
    A series of more lines than are written at once lacks none.
    """
    last = 10
    series = series_of_long(last + 3 * BATCH_LINES)

    assert [9, *range(10, last + 3 * BATCH_LINES + 1)] == [int(at) // 60 for at, _ in series]


def series_of_long(last: int) -> list[tuple[float, float]]:
    """
    Write a counter that is raised in step 10, with lines until another step.
    """
    with Spool(None) as spool:
        tally = Tally([1.0])
        history = History(tally, spool, 60)
        tally.count(("quarantines",))
        for step in range(10, last + 1, 50):
            history.reach(step)
        history.reach(last)
        history.close_step()
        text = "".join(text for _, text in write_history(history, ()))
    return [
        (float(at), float(value))
        for name, value, at in (line.split() for line in text.splitlines() if line[0] != "#")
        if name == "milter_manager_quarantines_total"
    ]


def test_number() -> None:
    """
    A whole number has no fraction, any other loses nothing.
    """
    assert ["0", "20000000000", "0.1", "1e-06"] == [*map(number, (0.0, 2e10, 0.1, 1e-06))]
