"""
What `explain` says of lines, and that it counts as the daemon does.
"""

import gzip
import io
import json
import re
import shlex
import time
import tomllib
from pathlib import Path

import lines
import pytest
from dialects import DIALECTS, OWN, SYSLOG, Said, Sample, samples
from hypothesis import given
from hypothesis import strategies as st
from test_logtool_cli import new_terminal

from exporter.advice import load_advice
from exporter.catalogue import load_catalogue
from exporter.config import DEFAULT_BUCKETS, DEFAULT_PROGRAMS
from exporter.counting import Counting
from exporter.logtool import explain
from exporter.logtool.cli import run_command
from exporter.logtool.interpret import Interpreter, Raised
from exporter.logtool.nearest import find_nearest
from exporter.logtool.terminal import UsageError
from exporter.logtool.words import Words, load_words
from exporter.logtool.writing import write_object, write_text
from exporter.milters import MilterNames
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.tally import Snapshot, Tally

README = Path(__file__).resolve().parent.parent / "README.md"
CATALOGUE = load_catalogue()
STAMP = "Nov 22 22:07:33 mail milter-manager[509]: "


def ask(*arguments: str, data: bytes = b"", status: int = 0) -> str:
    """
    Give what `explain` writes.
    """
    terminal = new_terminal(data)
    given_status = run_command(["explain", *arguments], {}, terminal)

    assert status == given_status
    assert isinstance(terminal.output, io.StringIO)
    return terminal.output.getvalue()


def daemon_counts(log: bytes) -> Snapshot:
    """
    Count a log in one go, as the daemon does.
    """
    tally = Tally(DEFAULT_BUCKETS)
    recogniser = Recogniser(CATALOGUE, MilterNames())
    counting = Counting("", Grammar(DEFAULT_PROGRAMS), recogniser, tally, time.time)
    counting.start(log)
    counting.add(b"\n" + log)
    counting.finish()
    return tally.snapshot()


def explained_counts(log: bytes) -> tuple[Raised, list[str]]:
    """
    Add up what the lines of a log raise, each by itself.
    """
    text = ask("--json", data=log + b"\n")
    total = Raised()
    outcomes = []
    for line in text.splitlines():
        what = json.loads(line)
        outcomes.append(what["outcome"])
        counts = {(one["metric"], *one["labels"].values()): one["by"] for one in what["raises"]}
        total += Raised(counts)
    return total, outcomes


@given(lines.logs | lines.uniform_logs)
def test_counts_as_the_daemon(log: list[bytes]) -> None:
    """
    What the lines of a log raise adds up to what the daemon counts.
    """
    interpreter = Interpreter(CATALOGUE, DEFAULT_PROGRAMS)
    data = b"\n".join(log)
    interpreter.start(data)
    total = Raised()
    for line in data.split(b"\n"):
        total += interpreter.read(line).raised
    total += interpreter.close()
    expected = {key: times for key, times in daemon_counts(data).counts.items() if times}

    assert expected == {key: times for key, times in total.counts.items() if times}


@given(lines.logs | lines.uniform_logs | st.lists(st.binary(), min_size=1, max_size=3))
def test_any_bytes(log: list[bytes]) -> None:
    """
    Any bytes are explained, in both languages and as JSON, and nothing of them moves the cursor.
    """
    interpreter = Interpreter(CATALOGUE, DEFAULT_PROGRAMS)
    interpreter.start()
    for number, line in enumerate(log, 1):
        what = interpreter.read(line.replace(b"\n", b"").replace(b"\0", b""))
        for language in ("en", "ja"):
            text = write_text(what, number, Words(language), 80)
            assert text.replace("\n", "").isprintable()
            assert json.dumps(write_object(what, number, Words(language))).isascii()


@given(st.binary(max_size=60).filter(lambda data: b"\0" not in data))
def test_any_argument(data: bytes) -> None:
    """
    Any argument is explained or said to be unknown, in one piece of printable text.
    """
    argument = data.decode("utf-8", "surrogateescape")
    terminal = new_terminal()
    status = explain.Explainer(options(), terminal).explain_arguments(["[" + argument])

    assert status in {0, 1}
    assert isinstance(terminal.output, io.StringIO)
    assert terminal.output.getvalue().replace("\n", "").isprintable()


def options() -> explain.Options:
    """
    Give the options of a command line without any.
    """
    return explain.Options(lang="en")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("real", samples())
@pytest.mark.parametrize("dialect", [next(iter(SYSLOG)), next(iter(OWN))])
def test_every_message(real: Sample, dialect: str, language: str) -> None:
    """
    Each real line is explained by its entry: meaning, advice and the counters.
    """
    line = DIALECTS[dialect](Said(lines.MOMENT, 509, real.level, real.message)).split(b"\n")[0]
    interpreter = Interpreter(CATALOGUE, DEFAULT_PROGRAMS)
    what = interpreter.read(line)
    text = write_text(what, 1, Words(language), 10_000)
    flat = "".join(text.split())
    if not what.messages:
        assert what.outcome == "untagged"
        return
    [message] = what.messages
    meaning = message.ja if language == "ja" else message.en

    assert real.number in {one.number for one in CATALOGUE.messages if one.tags == message.tags}
    assert "".join(meaning.split()) in flat
    if not (what.reading and what.reading.harmless):
        wording = load_advice().of_message(message).wording[language]
        assert all("".join(step.split()) in flat for step in (*wording.causes, *wording.check))
    assert "milter_manager_log_lines_total" in flat


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_tag(language: str) -> None:
    """
    Each value of the label tag, and each number, is found and explained.
    """
    for message in CATALOGUE.messages:
        numbered = ask(message.number, "--lang", language)
        assert message.number in numbered
        if message.tags.startswith("["):
            assert message.number in ask(message.tags, "--lang", language)
            [_] = ask("--json", message.tags, "--lang", language).splitlines()


def test_parts() -> None:
    """
    Time, host, program, ids, words, milter and elapsed are told apart.
    """
    line = (
        "2026-11-22T22:07:33.5+00:00 mail milter-manager[509]: "
        "[statistics] [milter][end][end-of-message][reject][0.25](31): spam: filter"
    )
    what = json.loads(ask("--json", line))

    assert ("iso", "mail", "milter-manager", "509") == tuple(
        what[key] for key in ("dialect", "host", "program", "pid")
    )
    assert what["time"].endswith(":33.500000+00:00") or "+" in what["time"]
    assert {"milter": "31"} == what["ids"]
    assert {"last_state": "end-of-message", "status": "reject"} == what["words"]
    assert ("spam: filter", 0.25, "statistics") == (
        what["milter"], what["elapsed"], what["level"],
    )  # fmt: skip
    [observed] = what["observes"]
    assert observed["metric"] == "milter_manager_milter_duration_seconds"
    assert (0.25, "0.25") == (observed["seconds"], observed["le"])


def test_ids_of_children() -> None:
    """
    The number at the start and the child's are told apart.
    """
    line = f"{STAMP}[224] [children][timeout][reading][data][reject] [225] spam-filter"
    what = json.loads(ask("--json", line))

    assert {"line": "224", "milter": "225"} == what["ids"]


@pytest.mark.parametrize(
    ("line", "outcome", "word"),
    [
        ("Nov 22 22:07:33 mail postfix/smtpd[1]: x", "foreign", "postfix/smtpd"),
        ("Nov 22 22:07:33 ", "foreign", "no program name"),
        ("hello", "malformed", "cut, damaged"),
        (f"{STAMP}[no][such][tags] x", "unknown", "the catalogue does not have them"),
        (f"{STAMP}no tags", "untagged", "without tags"),
        ("[server][eror][helo]", "unknown", "[server][error]"),
    ],
)
def test_not_known(line: str, outcome: str, word: str) -> None:
    """
    What is no message of the catalogue is said to be none, with the reason.
    """
    assert outcome == json.loads(ask("--json", line, status=1))["outcome"]
    assert word in " ".join(ask(line, status=1).split())


def test_harmless() -> None:
    """
    A line of a healthy server is said to be harmless, without advice.
    """
    line = f"{STAMP}[224] [leader][error] invalid state to reply: x"
    text = " ".join(ask(line).split())

    assert "harmless" in text
    assert "milter_manager_harmless_messages_total" in text
    assert " check " not in text


def test_repeated() -> None:
    """
    Syslog's "message repeated" counts as often as it says.
    """
    line = f"{STAMP}message repeated 3 times: [ [reader][error][read] x]"

    assert "repeated    3 times" in ask(line)
    assert 'tag="[reader][error][read]"} +3' in " ".join(ask(line).split())


def test_gauges() -> None:
    """
    What a line sets is shown beside what it raises.
    """
    finished = json.loads(ask("--json", f"{STAMP}[statistics] [sessions][finished] 29(+2) 3"))
    memory = json.loads(ask("--json", f"{STAMP}[statistics] [maintain][memory] (24560KB) x"))

    assert [{"metric": "milter_manager_sessions_in_progress", "labels": {}, "to": 3}] == (
        finished["sets"]
    )
    assert 24560 * 1024 == memory["sets"][0]["to"]
    assert "milter_manager_sessions_in_progress = 3" in ask(
        f"{STAMP}[statistics] [sessions][finished] 29(+2) 3"
    )


def test_unlisted_word() -> None:
    """
    A word outside its list is said to count as other.
    """
    text = ask(f"{STAMP}[statistics] [session][end][quit][new-status][0.5](5)")

    assert "status has a value that is not on its list" in " ".join(text.split())


def test_header_that_goes_on() -> None:
    """
    The last line of a header that has several raises what depends on the milter at its end.
    """
    log = (
        b"[2026-11-22T22:04:44Z]: [milter][header][add](5): <X-Spam-Report>=<one\n"
        b"two\n"
        b"three>: spam\n"
        b"[2026-11-22T22:04:45Z]: [session][header][add](5): <X-Spam-Report>=<one"
    )
    total, outcomes = explained_counts(log)
    texts = ask("--all", data=log)

    assert ["recognised", "malformed", "malformed", "recognised"] == outcomes
    key = ("milter_manager_milter_headers_added_total", "spam", "X-Spam-Report")
    assert total.counts[key] == 1
    assert "goes on in the next lines" in " ".join(texts.split())
    assert "Goes on with the header value" in " ".join(texts.split())
    ending = ask("--all", data=log.split(b"\n")[0] + b"\n")
    assert 'milter="other",header="X-Spam-Report"} +1' in ending
    alone = json.loads(ask("--json", log.split(b"\n")[0].decode()))
    assert "milter_manager_milter_headers_added_total" in {one["metric"] for one in alone["raises"]}


def test_header_that_goes_on_without_stamps() -> None:
    """
    The same without stamps: tags end the header.
    """
    log = (
        b"[milter][header][add](5): <X-Spam-Report>=<one\n"
        b"two>: spam\n"
        b"[session][header][add](5): <X-Spam-Report>=<one"
    )
    total, outcomes = explained_counts(log)

    assert ["recognised", "untagged", "recognised"] == outcomes
    assert total.counts["milter_manager_milter_headers_added_total", "spam", "X-Spam-Report"] == 1


def test_pipe_tells_each_kind_once() -> None:
    """
    Of many lines the first of each kind is explained and the others are counted.
    """
    line = f"{STAMP}[224] [reader][error][read] x\n".encode()
    other = b"Nov 22 22:07:33 mail postfix/smtpd[1]: x\n"
    text = ask(data=line * 1000 + other * 10 + line)

    assert text.count("raises") == 2
    assert "  1,000 more like line 1: [reader][error][read]\n" in text
    assert "  9 more like line 1001: postfix/smtpd\n" in text
    assert ask("--all", data=line * 5).count("raises") == 5


def test_kinds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Strangers' tags do not fill the memory: beyond a number of kinds lines are counted only.
    """
    monkeypatch.setattr(explain, "MOST_KINDS", 5)
    monkeypatch.setattr(explain, "MOST_LISTED", 2)
    monkeypatch.setattr("exporter.logtool.interpret.MOST_REMEMBERED", 3)
    data = b"".join(f"{STAMP}[x{n}] y\n".encode() for n in range(8)) * 2
    text = ask(data=data)

    assert text.count("raises") == 5
    assert ask("--all", data=f"{STAMP}[x] y\n".encode() * 2).count("raises") == 2
    assert text.endswith("9 more of too many other kinds\n")


def test_last_line_without_newline() -> None:
    """
    A last line without its newline is explained too, alone or not.
    """
    line = f"{STAMP}[reader][error][read] x".encode()

    assert "[reader][error][read]" in ask(data=line)
    assert ask("--all", data=line + b"\n" + line).count("raises") == 2


def test_input_of_nothing() -> None:
    """
    Nothing to explain is said, with status 2.
    """
    assert not ask(status=2)
    assert not ask("-", status=2)


def test_damaged_input() -> None:
    """
    Compressed input that is cut is explained as far as it goes, with status 1.
    """
    data = gzip.compress(f"{STAMP}[reader][error][read] x\n".encode() * 3)
    text = ask("--all", data=data[:-9], status=1)

    assert text.startswith("line 1: Nov 22")
    assert not ask(data=data[:12], status=2)
    assert ask(data=f"{STAMP}x\n".encode() * 10_000).count("raises") == 1


def test_overlong_input() -> None:
    """
    Lines too long for the daemon are said to be left out.
    """
    terminal = new_terminal(b"x" * 3_000_000 + f"\n{STAMP}x\n".encode())
    run_command(["explain"], {}, terminal)

    assert isinstance(terminal.error, io.StringIO)
    assert "1 lines longer than 1 MiB were left out" in terminal.error.getvalue()


def test_other_program() -> None:
    """
    --input.program names the program as the exporter takes it.
    """
    line = "Nov 22 22:07:33 mail mm[5]: [reader][error][read] x"

    assert "foreign" in ask(line, status=1)
    assert "recognised" in ask(line, "--input.program", "mm")


def test_file_as_argument(tmp_path: Path) -> None:
    """
    A file's name is no line, and what to do instead is said.
    """
    path = tmp_path / "mail.log"
    path.touch()

    with pytest.raises(UsageError, match="< FILE"):
        ask(str(path))


def test_long_line_is_cut() -> None:
    """
    Of a long line the beginning is shown once more.
    """
    text = ask(f"{STAMP}{'x' * 5000}", status=1)

    assert text.partition("\n")[0].endswith("x…")
    assert len(text) < 2000


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("[server][eror][helo]", "[server][error]"),
        ("[sesion][end][quit][pass][0.5]", "[session][end][{last_state}][{status}][{elapsed}]"),
        ("[children][timeout][readng]", "[children][timeout][reading]"),
    ],
)
def test_nearest(tags: str, expected: str) -> None:
    """
    Tags with a typing error find those that were meant.
    """
    assert expected in [message.tags for message in find_nearest(CATALOGUE, tags)]


@pytest.mark.parametrize("tags", ["", "[qqqqqqqqqq]", "[server]" * 100])
def test_none_is_near(tags: str) -> None:
    """
    Nothing is near what is like nothing, and no time is spent on what is no typing error.
    """
    assert () == find_nearest(CATALOGUE, tags)


def test_words() -> None:
    """
    Every word stands in both languages, with the same values to be put in.
    """
    for key, texts in load_words().items():
        assert {"en", "ja"} == set(texts), key
        assert set(re.findall(r"{\w+}", texts["en"])) == set(re.findall(r"{\w+}", texts["ja"])), key


def test_readme() -> None:
    """
    The commands of the README's part on the tool do what they say.
    """
    section = README.read_text().partition("## The tool")[2].partition("\n## ")[0]
    block = section.partition("```console\n")[2].partition("```")[0]
    commands = [
        shlex.split(line[2:].partition(" #")[0] if line.count("'") != 1 else line[2:])
        for line in block.splitlines()
        if line.startswith("$ milter-manager-logtool ")
    ]
    own = [argv[1:] for argv in commands if argv[1] in {"explain", "messages"}]

    assert own
    for argv in own:
        arguments = argv[: argv.index("<")] if "<" in argv else argv
        data = f"{STAMP}[reader][error][read] x\n".encode() if "<" in argv else b""
        terminal = new_terminal(data)
        assert run_command(arguments, {}, terminal) == 0


def test_words_are_valid() -> None:
    """
    The file is what tomllib reads.
    """
    path = Path(explain.__file__).with_name("words.toml")

    assert tomllib.loads(path.read_text()) == load_words()


def test_tags_of_a_header() -> None:
    """
    Of a header's tags, looked up, every metric is named that such a line may raise.
    """
    found = json.loads(ask("--json", "[milter][header][add]"))

    assert {
        "milter_manager_milter_headers_added_total",
        "milter_manager_mail_checks_total",
    } < {one["metric"] for one in found["raises"]}


def test_long_argument() -> None:
    """
    An argument that is longer than any file's name is taken for a line.
    """
    assert "malformed" in ask("x" * 5000, status=1)
