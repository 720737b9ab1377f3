"""
Whole captures: the totals that are known, a second count, and one traffic in many dialects.
"""

import lzma
import re
from collections import Counter

import oracle
import pytest
from counted import READABLE, count_chunks
from dialects import BARE, DATA, DIALECTS, OWN, SYSLOG, chunk_of, read_own_file, render

from exporter.tally import Snapshot

CAPTURES = ("native.log", "native-pid-name.log", "repeated.log", "sample.log",
            "syslog-rfc3164.log", "volume.log.xz")  # fmt: skip
NATIVE = ("native.log", "native-pid-name.log")
CHUNK_BYTES = 64 * 1024


def read_capture(name: str) -> bytes:
    """
    Read a capture.
    """
    path = DATA / name
    return lzma.decompress(path.read_bytes()) if name.endswith(".xz") else path.read_bytes()


def chunks_of(log: bytes) -> list[bytes]:
    """
    Cut a log into chunks of whole lines, as the reader does.
    """
    chunks, start = [], 0
    while start < len(log):
        end = log.rfind(b"\n", start, start + CHUNK_BYTES) + 1
        end = end or log.find(b"\n", start) + 1 or len(log)
        chunks.append(chunk_of(log[start:end]))
        start = end
    return chunks


def count(log: bytes) -> Snapshot:
    """
    Count a log as the daemon would.
    """
    return count_chunks(chunks_of(log), head=log[:4096].rpartition(b"\n")[0])


def comparable(snapshot: Snapshot) -> oracle.Numbers:
    """
    Bring our numbers into the oracle's shape: headers in all, no limits, no lines by level.

    What headers say has a second count of its own, in test_mailchecks.
    """
    numbers: oracle.Numbers = Counter()
    for key, value in snapshot.counts.items():
        if key[0] == "milter_headers_added":
            numbers["milter_headers", key[1]] += value
        elif key[0] == "session_headers_added":
            numbers["session_headers",] += value
        elif key[0] not in ("log_lines", "label_overflows", "mail_checks"):
            numbers[key] += value
    return +numbers


def total(snapshot: Snapshot, *start: str) -> int:
    """
    Add up the counters whose key starts so.
    """
    return sum(v for key, v in snapshot.counts.items() if key[: len(start)] == start)


def test_volume() -> None:
    """
    Twenty thousand connections of a healthy server give the totals that are known of them.
    """
    snapshot = count(read_capture("volume.log.xz"))
    statuses: Counter[str] = Counter()
    for key, value in snapshot.counts.items():
        if key[0] == "sessions_ended":
            statuses[key[2]] += value

    assert {
        "pass": 16_408,
        "reject": 1_998,
        "temporary-failure": 1_195,
        "discard": 399,
    } == statuses
    assert 20_000 == total(snapshot, "sessions_ended")
    assert 0 == total(snapshot, "sessions_disconnected")
    assert 150 == total(snapshot, "milters_ended")
    assert 150 == sum(v for k, v in snapshot.counts.items()
                      if k[0] == "milters_ended" and k[3] == "pass")  # fmt: skip
    assert 20_000 == total(snapshot, "sessions_finished")
    assert 200 == total(snapshot, "quarantines")
    assert 29_547 == total(snapshot, "session_headers_added")
    assert 29_547 == total(snapshot, "milter_headers_added")
    assert 6_397 == total(snapshot, "log_messages", "manager", "error", "[leader][error]")
    assert 6_397 == total(snapshot, "harmless_messages")
    assert 234_040 == total(snapshot, "lines")
    assert 102_418 == total(snapshot, "log_lines")
    assert 102_418 == total(snapshot, "lines", "recognised")
    assert 234_040 - 102_418 == total(snapshot, "lines", "foreign")
    assert (1, 0) == (snapshot.processes, snapshot.sessions_in_progress)
    for status, times in statuses.items():
        assert times == sum(snapshot.histograms["session_duration", status].buckets)


@pytest.mark.parametrize("name", CAPTURES)
def test_oracle(name: str) -> None:
    """
    A naive second count of every capture has the same numbers.
    """
    log = read_capture(name)

    assert oracle.count(log) == comparable(count(log))


@pytest.mark.parametrize("name", [name for name in CAPTURES if name != "volume.log.xz"])
def test_readable(name: str) -> None:
    """
    Without the fast pattern every capture gives the same numbers.
    """
    log = read_capture(name)

    assert count_chunks([chunk_of(log)], READABLE) == count_chunks([chunk_of(log)])


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN])
def test_oracle_dialect(name: str, dialect: str) -> None:
    """
    The second count agrees in every dialect that the oracle can tell from others.
    """
    log = render(DIALECTS[dialect], read_own_file(read_capture(name)))
    if dialect == "no-host":
        log = re.sub(rb"(?m)^(.{15}) ", rb"\1 vm ", log)

    assert oracle.count(log) == comparable(count(log))


def everything_but_times(snapshot: Snapshot) -> tuple[object, ...]:
    """
    Leave out what a dialect lacks: the time of a line, the process, the lines of a folded header.
    """
    counts = {
        key: value
        for key, value in snapshot.counts.items()
        if value and key[0] not in ("lines", "log_lines")
    }
    histograms = {key: (h.buckets, h.sum) for key, h in snapshot.histograms.items()}
    return counts, histograms, snapshot.counts["lines", "recognised"]


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("dialect", [*SYSLOG, *OWN, *BARE])
def test_dialects(name: str, dialect: str) -> None:
    """
    The same traffic gives the same numbers in every dialect, folded headers included.
    """
    log = read_capture(name)
    rendered = render(DIALECTS[dialect], read_own_file(log))

    assert b"\n\tURIBL_DBL_SPAM" in log
    assert (b"#012#011URIBL_DBL_SPAM" in rendered) == (dialect in SYSLOG)
    assert everything_but_times(count(log)) == everything_but_times(count(rendered))


def test_times() -> None:
    """
    The newest line's time and the processes are the same where the dialect has them.
    """
    log = read_capture("native-pid-name.log")
    expected = count(log)

    for dialect in ("iso", "rfc5424", "own-name-pid", "own-all", "own-pid"):
        actual = count(render(DIALECTS[dialect], read_own_file(log)))

        assert expected.gauges == actual.gauges
        assert (expected.processes, expected.sessions_in_progress) == (
            actual.processes,
            actual.sessions_in_progress,
        )


def test_folded_header() -> None:
    """
    A folded header counts for the milter at its end, in the own file as in syslog.
    """
    snapshot = count(read_capture("native.log"))
    traditional = count(render(SYSLOG["traditional"], read_own_file(read_capture("native.log"))))

    assert 1 == snapshot.counts["milter_headers_added", "policy", "X-Spam-Status"]
    assert 1 == traditional.counts["milter_headers_added", "policy", "X-Spam-Status"]
    assert 0 < snapshot.counts["lines", "malformed"]
    assert ("lines", "malformed") not in traditional.counts


def test_mixed_dialects() -> None:
    """
    One file may hold several dialects: the numbers are the sum of them.
    """
    log = read_capture("native-pid-name.log")
    said = list(read_own_file(log))
    dialects = [*SYSLOG.values(), *(OWN[name] for name in ("own", "own-all", "own-level"))]
    lines = [dialects[i % len(dialects)](one) + b"\n" for i, one in enumerate(said)]

    assert everything_but_times(count(log)) == everything_but_times(count(b"".join(lines)))


def test_journal() -> None:
    """
    What the journal's messages say is found when they stand alone, one a line.
    """
    text = read_capture_text("journal.json")
    messages = re.findall(r'"MESSAGE":"((?:[^"\\]|\\.)*)"', text)
    plain = [m.replace('\\"', '"') for m in messages if "\\n" not in m and "\\u" not in m]
    syslog = "".join(f"Nov 22 22:18:57 vm milter-manager[7228]: {m}\n" for m in plain).encode()
    snapshot = count(syslog)

    assert oracle.count(syslog) == comparable(snapshot)
    assert 150 < snapshot.counts["lines", "recognised"]


def read_capture_text(name: str) -> str:
    """
    Read a capture as text.
    """
    return (DATA / name).read_text(encoding="utf-8", errors="replace")
