"""
The numbers: what additions do to them and what a scrape gets.
"""

import math
from dataclasses import replace
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.tally import KEPT_GAUGES, MOST_PROCESSES, Additions, Exemplar, Tally, TallyState

BOUNDS = (0.1, 1.0, 10.0)
KEY = ("session_duration", "pass")


def as_number(stamp: bytes) -> float | None:
    """
    Read a stamp that is a number already.
    """
    return float(stamp) if stamp else None


def heard(file: str, **processes: int) -> Additions:
    """
    Make additions in which each process spoke at a time; the last of them is the newest.
    """
    additions = Additions(file)
    for name, seconds in processes.items():
        stamp = str(seconds).encode()
        additions.heard[name.removeprefix("pid").encode()] = additions.last = stamp
    return additions


def test_zeros() -> None:
    """
    What is known from the start is there at 0, and nothing else.
    """
    snapshot = Tally(BOUNDS, [("quarantines",)], [KEY]).snapshot()

    assert {("quarantines",): 0} == snapshot.counts
    assert [KEY] == list(snapshot.histograms)
    assert [0, 0, 0, 0] == snapshot.histograms[KEY].buckets
    assert [None] * 4 == snapshot.histograms[KEY].exemplars
    assert 0.0 == snapshot.histograms[KEY].sum
    assert {} == snapshot.gauges
    assert (0, 0) == (snapshot.sessions_in_progress, snapshot.processes)


def test_counts() -> None:
    """
    Counters add up, whether they come alone or in a chunk.
    """
    tally = Tally(BOUNDS, [("quarantines",)])
    additions = Additions("a")
    additions.count(("quarantines",))
    additions.count(("lines", "foreign"), 3)
    additions.count(("lines", "foreign"))
    tally.add(additions, as_number)
    tally.count(("lines", "overlong"))
    tally.count(("lines", "foreign"), 2)

    assert {
        ("quarantines",): 1,
        ("lines", "foreign"): 6,
        ("lines", "overlong"): 1,
    } == tally.snapshot().counts


@pytest.mark.parametrize(
    ("seconds", "bucket"),
    [(0.0, 0), (0.1, 0), (0.1000001, 1), (1.0, 1), (9.9, 2), (10.0, 2), (10.5, 3), (1e9, 3)],
)
def test_bucket(seconds: float, bucket: int) -> None:
    """
    A bucket holds what is up to its bound, the bound included; the last one holds the rest.
    """
    tally = Tally(BOUNDS)
    additions = Additions("a")
    additions.observations.append((KEY, seconds, b"7", b"5", 2))
    tally.add(additions, as_number)
    histogram = tally.snapshot().histograms[KEY]
    expected = [0, 0, 0, 0]
    expected[bucket] = 2

    assert expected == histogram.buckets
    assert 2 * seconds == histogram.sum
    assert Exemplar("7", seconds, 5.0) == histogram.exemplars[bucket]
    assert 1 == sum(exemplar is not None for exemplar in histogram.exemplars)


def test_exemplar() -> None:
    """
    A bucket's exemplar is the newest observation, with the log's own time where it has one.
    """
    tally = Tally(BOUNDS)
    additions = Additions("a")
    additions.observations += [
        (KEY, 0.5, b"1", b"100", 1),
        (KEY, 0.7, b"2", b"200", 1),
        (KEY, 0.01, b"", b"", 1),
    ]
    tally.add(additions, as_number)

    assert [
        Exemplar("", 0.01, None),
        Exemplar("2", 0.7, 200.0),
        None,
        None,
    ] == tally.snapshot().histograms[KEY].exemplars


@settings(max_examples=100)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 5)), max_size=20))
def test_histogram(observed: list[tuple[float, int]]) -> None:
    """
    The buckets hold as many observations as were made, and the sum is theirs.
    """
    tally = Tally(BOUNDS, histograms=[KEY])
    additions = Additions("a")
    additions.observations += [(KEY, seconds, b"1", b"1", times) for seconds, times in observed]
    tally.add(additions, as_number)
    histogram = tally.snapshot().histograms[KEY]

    assert sum(times for _, times in observed) == sum(histogram.buckets)
    assert math.isclose(sum(s * times for s, times in observed), histogram.sum, rel_tol=1e-12)


def test_processes() -> None:
    """
    A process counts until it has been silent for 15 minutes by its own log's clock.
    """
    tally = Tally(BOUNDS)
    tally.add(heard("a", pid1=1_000, pid2=1_100), as_number)

    assert 2 == tally.snapshot().processes

    tally.add(heard("a", pid2=1_900), as_number)

    assert 2 == tally.snapshot().processes

    tally.add(heard("a", pid2=1_901), as_number)

    assert 1 == tally.snapshot().processes

    tally.add(heard("a", pid1=1_902), as_number)

    assert 2 == tally.snapshot().processes


def test_two_files() -> None:
    """
    The same number in two files is two processes, and each file has its own clock.
    """
    tally = Tally(BOUNDS)
    tally.add(heard("a", pid1=1_000), as_number)
    tally.add(heard("b", pid1=900_000), as_number)

    assert 2 == tally.snapshot().processes
    assert 900_000.0 == tally.snapshot().gauges[("last_line",)]


def test_in_progress() -> None:
    """
    The sessions in progress are the last word of every process that is still heard of.
    """
    tally = Tally(BOUNDS)
    first = heard("a", pid1=1_000, pid2=1_001)
    first.in_progress = {b"1": 3, b"2": 5}
    tally.add(first, as_number)

    assert 8 == tally.snapshot().sessions_in_progress

    second = heard("a", pid2=1_500)
    second.in_progress = {b"2": 1}
    tally.add(second, as_number)
    tally.add(heard("a", pid2=1_501), as_number)

    assert 4 == tally.snapshot().sessions_in_progress

    tally.add(heard("a", pid2=2_000), as_number)

    assert 1 == tally.snapshot().sessions_in_progress


def test_no_times() -> None:
    """
    Where lines bear no time the clock stands still: the process and its sessions stay.
    """
    tally = Tally(BOUNDS)
    additions = Additions("a")
    additions.heard[b""] = b""
    additions.in_progress[b""] = 4
    tally.add(additions, as_number)
    tally.add(Additions("a"), as_number)
    snapshot = tally.snapshot()

    assert (1, 4) == (snapshot.processes, snapshot.sessions_in_progress)
    assert ("last_line",) not in snapshot.gauges


def test_impossible_time() -> None:
    """
    A line with an impossible time was written when the file's newest line was.
    """
    tally = Tally(BOUNDS)
    tally.add(heard("a", pid1=1_000), as_number)
    additions = Additions("a")
    additions.heard[b"2"] = additions.last = b""
    tally.add(additions, as_number)

    assert 2 == tally.snapshot().processes
    assert 1_000.0 == tally.snapshot().gauges[("last_line",)]


def test_last_line_without_time() -> None:
    """
    Where the last line of a chunk bears no time, one of another process tells it.
    """
    tally = Tally(BOUNDS)
    additions = heard("a", pid1=1_000)
    additions.heard[b"2"] = additions.last = b""
    tally.add(additions, as_number)

    assert 2 == tally.snapshot().processes
    assert 1_000.0 == tally.snapshot().gauges[("last_line",)]


def test_many_processes() -> None:
    """
    No more processes are remembered than a host can run; the ones silent longest go first.
    """
    tally = Tally(BOUNDS)
    additions = heard("a", **{f"pid{i}": 1_000 for i in range(MOST_PROCESSES + 10)})
    additions.in_progress = {b"0": 100, str(MOST_PROCESSES).encode(): 1}
    tally.add(additions, as_number)

    assert MOST_PROCESSES == tally.snapshot().processes
    assert 1 == tally.snapshot().sessions_in_progress


def test_gauges() -> None:
    """
    A gauge is what was set last; memory is the last size that the program gave.
    """
    tally = Tally(BOUNDS)
    additions = Additions("a")
    additions.memory_bytes = 1024
    tally.add(additions, as_number)
    tally.add(Additions("a"), as_number)
    tally.set(("unread", "a"), 5)
    tally.set(("unread", "a"), 0)

    assert {("memory",): 1024.0, ("unread", "a"): 0.0} == tally.snapshot().gauges


def test_snapshot_is_a_copy() -> None:
    """
    What is counted later does not show in a snapshot, nor does the snapshot's owner change ours.
    """
    tally = Tally(BOUNDS, [("quarantines",)], [KEY])
    before = tally.snapshot()
    additions = heard("a", pid1=1)
    additions.count(("quarantines",))
    additions.observations.append((KEY, 0.5, b"1", b"1", 1))
    tally.add(additions, as_number)

    assert {("quarantines",): 0} == before.counts
    assert [0, 0, 0, 0] == before.histograms[KEY].buckets
    assert [None] * 4 == before.histograms[KEY].exemplars
    assert {} == before.gauges

    after = tally.snapshot()
    after.counts[("quarantines",)] = 99
    after.histograms[KEY].buckets[0] = 99

    assert 1 == tally.snapshot().counts[("quarantines",)]
    assert 0 == tally.snapshot().histograms[KEY].buckets[0]


def test_whole_chunks_only() -> None:
    """
    A scrape in the middle of counting sees all of a chunk or nothing of it.
    """
    tally = Tally(BOUNDS, [("sessions_finished",)])
    additions = Additions("a")
    for i in range(100):
        additions.count(("lines", str(i)))
    additions.count(("sessions_finished",), 100)

    def count() -> None:
        for _ in range(200):
            tally.add(additions, as_number)

    thread = Thread(target=count)
    thread.start()
    snapshots = [tally.snapshot().counts for _ in range(50)]
    thread.join()

    for counts in [*snapshots, tally.snapshot().counts]:
        lines = sum(value for key, value in counts.items() if key[0] == "lines")

        assert counts[("sessions_finished",)] == lines


def filled() -> Tally:
    """
    Make a tally with something in everything.
    """
    tally = Tally(BOUNDS, [("quarantines",)], [KEY])
    additions = heard("a", pid1=1_000, pid2=1_100)
    additions.count(("quarantines",), 3)
    additions.observations += [(KEY, 0.5, b"1", b"100", 1), (KEY, 0.7, b"2", b"200", 1)]
    additions.in_progress[b"1"] = 4
    additions.memory_bytes = 4096
    tally.add(additions, as_number)
    return tally


def test_restored() -> None:
    """
    What one tally gives another goes on with: all that the log said, but for the exemplars.
    """
    one, other = filled(), Tally(BOUNDS, [("quarantines",), ("lines", "foreign")], [KEY])
    one.set(("unread_bytes", "a"), 7.0)

    assert other.restore(one.export())

    before, after = one.snapshot(), other.snapshot()
    assert {**before.counts, ("lines", "foreign"): 0} == after.counts
    assert {key: before.gauges[key] for key in KEPT_GAUGES} == after.gauges
    assert (4, 2) == (after.sessions_in_progress, after.processes)
    assert [0, 2, 0, 0] == after.histograms[KEY].buckets
    assert before.histograms[KEY].sum == after.histograms[KEY].sum
    assert [None] * 4 == after.histograms[KEY].exemplars


def test_restored_goes_on() -> None:
    """
    The numbers of two runs are those of a single one, wherever the log was cut between them.
    """
    single, first, second = filled(), filled(), Tally(BOUNDS)
    second.restore(first.export())
    for tally in (single, second):
        additions = heard("a", pid2=1_901)
        additions.observations.append((KEY, 0.1, b"3", b"300", 1))
        additions.count(("quarantines",))
        tally.add(additions, as_number)

    assert single.export() == second.export()
    assert 1 == second.snapshot().processes


def test_restored_adds() -> None:
    """
    What was counted before the state was put back, errors in loading it above all, is not lost.
    """
    tally = Tally(BOUNDS)
    tally.count(("state_errors",), 2)
    tally.restore(TallyState([], [(("state_errors",), 5)], [], [], [], {}))

    assert {("state_errors",): 7} == tally.snapshot().counts


def test_restored_with_other_bounds() -> None:
    """
    Histograms with other bounds begin anew; all else goes on.
    """
    tally = Tally((0.1, 1.0), histograms=[KEY])

    assert not tally.restore(filled().export())

    snapshot = tally.snapshot()
    assert {("quarantines",): 3} == snapshot.counts
    assert [0, 0, 0] == snapshot.histograms[KEY].buckets
    assert 0.0 == snapshot.histograms[KEY].sum
    assert 2 == snapshot.processes


def test_export_is_a_copy() -> None:
    """
    What was given out, or put back, does not change with the tally.
    """
    tally = filled()
    state = tally.export()
    expected = replace(
        state,
        counts=state.counts.copy(),
        histograms=[(key, buckets.copy(), total) for key, buckets, total in state.histograms],
        newest=state.newest.copy(),
    )
    again = Tally(BOUNDS)
    again.restore(state)
    for one in (tally, again):
        additions = heard("a", pid1=2_000)
        additions.observations.append((KEY, 0.5, b"1", b"100", 1))
        additions.count(("quarantines",))
        one.add(additions, as_number)

    assert expected == state


@pytest.mark.parametrize(
    ("histograms", "processes", "newest"),
    [
        ([(KEY, [1, 2], 0.0)], [], {}),
        ([(KEY, [1, 2, 3, 4], 0.0)], [], {}),
        ([(KEY, [1, 2, 3], 0.0)], [(("a", "1"), 0.0, 0)], {"b": 0.0}),
    ],
)
def test_impossible_state(
    histograms: list[tuple[tuple[str, ...], list[int], float]],
    processes: list[tuple[tuple[str, str], float, int]],
    newest: dict[str, float],
) -> None:
    """
    A state that would break every scrape cannot be made.
    """
    with pytest.raises(ValueError, match=r"^a (histogram|process) "):
        TallyState([1.0, 2.0], [], histograms, [], processes, newest)


def test_forgotten() -> None:
    """
    The processes of a file that is not read any more do not stay for ever.
    """
    tally = Tally(BOUNDS)
    for file in ("a", "b"):
        tally.add(heard(file, pid1=1_000, pid2=1_000), as_number)

    assert 4 == tally.snapshot().processes
    assert {"a": 1_000.0, "b": 1_000.0} == tally.snapshot().newest

    tally.forget("a")
    tally.forget("nosuch")

    assert 2 == tally.snapshot().processes
    assert ["b", "b"] == [file for (file, _), _, _ in tally.export().processes]
    assert {"b": 1_000.0} == tally.export().newest == tally.snapshot().newest


def test_no_time() -> None:
    """
    A file whose lines bear no time has no newest one.
    """
    tally = Tally(BOUNDS)
    tally.add(heard("a", pid1=1_000), lambda _: None)

    assert {} == tally.snapshot().newest
