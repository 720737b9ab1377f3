"""
The newest lines of a log, through the daemon's own grammar and counters.

A log's lines are written by strangers: what is quoted of them are names of programs and tags.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exporter.catalogue import Catalogue, load_catalogue
from exporter.config import DEFAULT_BUCKETS, Config
from exporter.counting import Counting
from exporter.logfile import HEAD_BYTES
from exporter.logtool.checks.finding import Finding, Value
from exporter.logtool.checks.system import System
from exporter.logtool.terminal import shown
from exporter.milters import MilterNames
from exporter.overview import Overview, summarise
from exporter.recognise import Recogniser
from exporter.record import REPEATED, Grammar, Line, may_be_cut, read_message
from exporter.tally import Tally
from exporter.verdict import SILENT_SECONDS

SAMPLE_BYTES = 8 * 2**20
NEIGHBOUR_BYTES = 2 * 2**20
NEIGHBOURS = ("/var/log/syslog", "/var/log/messages")
"""Where syslog daemons speak of themselves."""

TOOLS = frozenset((b"milter-test-client", b"milter-test-server", b"milter-performance-check"))
"""Programs of milter-manager's that write the same tags, and must not count."""
DAEMONS = frozenset((b"rsyslogd", b"rsyslog", b"systemd-journald"))
DROPPED = (b"due to rate-limiting", b"Suppressed ")
CUT_TAGS = b"[milter][header][add]"
MOST_PROGRAMS = 50
MOST_TAGS = 3
AHEAD_SECONDS = 120.0


@dataclass(slots=True)
class Sample:
    """
    What the newest lines of a log are.
    """

    size: int
    overview: Overview
    dialects: frozenset[str]
    statistics: int
    unknown_tags: tuple[str, ...]
    programs: Counter[bytes] = field(default_factory=Counter)
    """Those that count."""
    strangers: Counter[bytes] = field(default_factory=Counter)
    """Those that do not, with lines that milter-manager would write."""
    repeated: int = 0
    cut: int = 0
    dropped: int = 0


def take_sample(path: Path, config: Config, system: System) -> Sample:
    """
    Read the newest lines of a log; OSError where it cannot be read.
    """
    data = system.tail(path, SAMPLE_BYTES)
    head = data[:HEAD_BYTES]
    if len(data) == SAMPLE_BYTES:
        data = data[data.find(b"\n") + 1 :]
    data = data[: data.rfind(b"\n") + 1].replace(b"\0", b"")
    return read_sample(head, data, config, system)


def read_sample(head: bytes, data: bytes, config: Config, system: System) -> Sample:
    """
    Read lines, each with its newline, of a log that begins with `head`.
    """
    catalogue = load_catalogue()
    recogniser = Recogniser(catalogue, MilterNames())
    grammar = Grammar(config.input_programs)
    tally = Tally(DEFAULT_BUCKETS)
    counting = Counting("", grammar, recogniser, tally, system.now)
    counting.start(head)
    if data:
        counting.add(b"\n" + data[:-1])
    counting.finish()
    snapshot = tally.snapshot()
    sample = Sample(
        len(data),
        summarise(snapshot, catalogue),
        frozenset(counting.dialects),
        snapshot.counts.get(("log_lines", "statistics"), 0),
        tuple(tags for tags, _ in recogniser.unknown_tags.ranked()[:MOST_TAGS]),
    )
    look_closer(data, grammar, sample, catalogue)
    return sample


def look_closer(data: bytes, grammar: Grammar, sample: Sample, catalogue: Catalogue) -> None:
    """
    Go through the lines that may hold more than the counters tell.
    """
    strangers = Strangers(catalogue)
    for line in data.split(b"\n"):
        if b"milter" not in line and b": [" not in line and not any(m in line for m in DROPPED):
            continue
        read = grammar.read_line(line)
        if read is None:
            continue
        if read.message is not None:
            sample.programs[read.program] += 1
            sample.repeated += bool(REPEATED.fullmatch(read.message))
            sample.cut += is_cut(read)
        elif read.program in DAEMONS:
            sample.dropped += tells_of_loss(line)
        elif strangers.knows(read.program, line):
            sample.strangers[read.program] += 1


def is_cut(line: Line) -> bool:
    """
    Say whether syslog has cut off the name of the milter at the end of a line.
    """
    assert line.message is not None  # noqa: S101 - it is a line of ours
    parts = read_message(line.message)
    at_limit = line.dialect != "own" and may_be_cut(len(parts.text))
    return at_limit and parts.tags == CUT_TAGS and b">: " not in parts.text


def tells_of_loss(line: bytes) -> bool:
    """
    Say whether a syslog daemon speaks of lines that it dropped, and not of another program's.
    """
    return DROPPED[0] in line or (DROPPED[1] in line and b"milter-manager" in line)


class Strangers:
    """
    Tells lines of milter-manager that bear another program's name.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._recogniser = Recogniser(catalogue, MilterNames())
        self._grammars: dict[bytes, Grammar] = {}

    def knows(self, program: bytes, line: bytes) -> bool:
        """
        Say whether it would be recognised, were its program one that counts.
        """
        if not program or program in TOOLS:
            return False
        if program not in self._grammars:
            if len(self._grammars) >= MOST_PROGRAMS:
                return False
            self._grammars[program] = Grammar([program.decode("utf-8", "surrogateescape")])
        read = self._grammars[program].read_line(line)
        if read is None or not read.message:
            return False
        parts = read_message(read.message)
        reading = self._recogniser.recognise(parts, None)
        return bool(parts.tags) and reading.outcome == "recognised"


def check_lines(path: Path, sample: Sample, config: Config, now: float) -> Iterator[Finding]:
    """
    Say what the newest lines of a log are.
    """
    file, overview, outcomes = str(path), sample.overview, sample.overview.outcomes
    recognised = outcomes.get("recognised", 0)
    if sample.strangers:
        yield other_program(file, sample, config)
    if not sample.size:
        yield Finding("log_empty", {"file": file})
    elif overview.ours and not recognised:
        yield Finding("unrecognised", {"file": file, "lines": overview.ours})
    elif overview.ours:
        yield from check_ours(file, sample, now)
    elif not outcomes.get("foreign"):
        yield Finding("malformed", {"file": file, "lines": outcomes.get("malformed", 0)})
    elif not sample.strangers:
        values: dict[str, Value] = {"file": file, "lines": outcomes["foreign"]}
        yield Finding("no_line", {**values, "query": name_query(config)})
    if sample.dropped:
        yield Finding("lines_dropped", {"file": file, "lines": sample.dropped})


def other_program(file: str, sample: Sample, config: Config) -> Finding:
    """
    Say that milter-manager bears another name, and how to add it to those that count.
    """
    names = sorted(map(shown, sample.strangers))
    wanted = (*config.input_programs, *names)
    words = ["--input.journal"] if config.journal else []
    if config.journal_directory:
        words.append(f"--input.journal-directory={config.journal_directory}")
    flags = shlex.join([*words, *(f"--input.program={name}" for name in wanted)])
    lines = sample.strangers.total()
    return Finding(
        "other_program", {"file": file, "names": ", ".join(names), "flags": flags, "lines": lines}
    )


def name_journal(config: Config) -> str:
    """
    Write the command that reads the journal which is followed.
    """
    directory = config.journal_directory
    return shlex.join(["journalctl", *([f"--directory={directory}"] if directory else [])])


def name_query(config: Config) -> str:
    """
    Write the command that shows the entries of the journal which count.
    """
    words = [word for program in config.input_programs for word in ("-t", program)]
    return f"{name_journal(config)} {shlex.join(words)}"


def check_ours(file: str, sample: Sample, now: float) -> Iterator[Finding]:
    """
    Say what milter-manager's lines are.
    """
    overview = sample.overview
    ours, recognised = overview.ours, overview.outcomes["recognised"]
    yield Finding(
        "recognised",
        {
            "file": file,
            "lines": ours,
            "share": recognised / ours,
            "dialects": " ".join(sorted(sample.dialects)),
            "programs": ", ".join(sorted(map(shown, filter(None, sample.programs)))) or "-",
        },
    )
    if sample.statistics:
        yield Finding("statistics", {"file": file, "lines": sample.statistics})
    else:
        yield Finding("no_statistics", {"file": file})
    unknown = overview.outcomes.get("unknown", 0)
    if unknown:
        tags = " ".join(sample.unknown_tags)
        yield Finding("unknown_tags", {"file": file, "lines": unknown, "tags": tags})
    if sample.repeated:
        yield Finding("repeated", {"file": file, "lines": sample.repeated})
    if sample.cut:
        yield Finding("cut_lines", {"file": file, "lines": sample.cut})
    if "own" in sample.dialects:
        yield Finding("own_file", {"file": file})
    yield from check_age(file, overview.last_line, now)


def check_age(file: str, last_line: float | None, now: float) -> Iterator[Finding]:
    """
    Say whether the newest line is old, or of the future.
    """
    if last_line is None:
        return
    if now - last_line > SILENT_SECONDS:
        yield Finding("silent", {"file": file, "silent_seconds": now - last_line})
    elif last_line - now > AHEAD_SECONDS:
        yield Finding("clock_ahead", {"file": file, "ahead_seconds": last_line - now})


def check_neighbours(logs: Iterable[Path], system: System) -> Iterator[Finding]:
    """
    Say whether a syslog daemon tells of dropped lines in a file that is not followed.
    """
    grammar = Grammar([name.decode() for name in DAEMONS])
    known = {str(log) for log in logs}
    for file in NEIGHBOURS:
        if file in known or not system.exists(file):
            continue
        try:
            data = system.tail(file, NEIGHBOUR_BYTES)
        except OSError:
            continue
        told = filter(tells_of_loss, data.split(b"\n"))
        read = map(grammar.read_line, told)
        dropped = sum(1 for line in read if line is not None and line.message is not None)
        if dropped:
            yield Finding("lines_dropped", {"file": file, "lines": dropped})
