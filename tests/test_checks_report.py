"""
Findings in words: in both languages, at a terminal, in a pipe and as JSON.
"""

import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from machine import NOW
from rich.cells import cell_len
from running import require

from exporter.logtool.checks.finding import SEVERITIES, Finding, Value, exit_status
from exporter.logtool.checks.report import Entry, Words, load_entries, quote, report, wrap
from exporter.logtool.terminal import LANGUAGES, Terminal

PLACEHOLDER = re.compile(r"(?<!\{)\{(\w*)\}")
KANA = re.compile(r"[\u3040-\u30ff]")
CHECKS = Path(__file__).resolve().parent.parent / "exporter" / "logtool"

VALUES = {
    name: 1234.5 if name.endswith("_seconds") else 4096 if name.endswith("_bytes") else name
    for entry in load_entries().finding.values()
    for texts in (entry.what.values(), entry.why.values(), entry.how.values(), entry.commands)
    for text in texts
    for name in PLACEHOLDER.findall(text)
} | {"dialects": "iso own", "port": 10125, "gid": 4}
ALL = [Finding(key, VALUES) for key in load_entries().finding]

KEYS = sorted(load_entries().finding)


class Screen(io.StringIO):
    """
    A terminal of 80 columns.
    """

    def isatty(self) -> bool:
        """
        Be one.
        """
        return True


def write(findings: list[Finding], language: str = "en", *, as_json: bool = False) -> str:
    """
    Give what goes to a pipe.
    """
    output = io.StringIO()
    terminal = Terminal(io.BytesIO(), output, io.StringIO())
    report(findings, "mail", Words(language, NOW), terminal, as_json=as_json)
    return output.getvalue()


@pytest.mark.parametrize("key", KEYS)
def test_both_languages(key: str) -> None:
    """
    Each finding is there in each language with the same values; what is not ok says why or how.
    """
    entry: Entry = load_entries().finding[key]

    assert entry.severity in SEVERITIES
    assert entry.severity == "ok" or entry.why or entry.how
    for texts in (entry.what, entry.why, entry.how):
        assert set(texts) in ({*LANGUAGES}, set())
        assert 1 >= len({frozenset(PLACEHOLDER.findall(text)) for text in texts.values()})
        assert not texts or KANA.search(texts["ja"])


@pytest.mark.parametrize("key", KEYS)
def test_mended(key: str) -> None:
    """
    A problem comes with a command that mends it, or with what to do about it.
    """
    entry = load_entries().finding[key]

    assert entry.severity != "problem" or entry.commands or entry.how


@pytest.mark.parametrize("key", KEYS)
def test_shell(key: str) -> None:
    """
    Each command is one that a shell can read, whatever a file is called.
    """
    values = {name: "a'b $(id)" if name == value else value for name, value in VALUES.items()}
    values |= {"flags": "--x", "journalctl": "j --x", "query": "j -t x", "again": "c --x"}
    for command in Words("en", NOW).tell(Finding(key, values)).commands:
        checked = subprocess.run([require("sh", "dash"), "-n", "-c", command], check=False)

        assert 0 == checked.returncode
        assert "$(id)" not in shlex.split(command)


def test_used() -> None:
    """
    The texts are those of the findings that the code gives, no more and no fewer.
    """
    code = "".join(path.read_text() for path in sorted(CHECKS.glob("check*/*.py")))
    code += (CHECKS / "check.py").read_text()
    kinds = {f"unreadable_{kind}" for kind in ("root", "mode", "other", "path", "unseen")}
    named = {key for key in KEYS if f'"{key}"' in code} | kinds
    given = set(re.findall(r'Finding\(\s*"(\w+)"', code))

    assert set(KEYS) == named
    assert given <= named


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ([], 0),
        (["ok", "note"], 0),
        (["ok", "unknown"], 2),
        (["unknown", "problem"], 1),
    ],
)
def test_exit_status(severities: list[str], expected: int) -> None:
    """
    A problem is 1, what cannot be told is 2, notes are no matter.
    """
    assert expected == exit_status(severities)


@pytest.mark.parametrize("language", LANGUAGES)
def test_columns(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    At a terminal no line is wider than it, but for commands, which are to be copied.
    """
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Screen()
    terminal = Terminal(io.BytesIO(), screen, io.StringIO())
    report(ALL, "mail", Words(language, NOW), terminal, as_json=False)
    plain = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    wide = [line for line in plain.splitlines() if cell_len(line) > 80 and "  $ " not in line]

    assert "\x1b[" in screen.getvalue()
    assert [] == wide


@pytest.mark.parametrize("language", LANGUAGES)
def test_pipe(language: str) -> None:
    """
    In a pipe each paragraph is a line, without colours and without blanks at its end.
    """
    text = write(ALL, language)

    assert "\x1b" not in text
    assert [] == [line for line in text.splitlines() if line != line.rstrip()]


def test_text() -> None:
    """
    The worst comes first, what is ok takes one line each, and numbers have their units.
    """
    findings = [
        Finding("port_free", {"address": ":10125"}),
        Finding("state", {"file": "/s", "size_bytes": 2048, "age_seconds": 120.0}),
        Finding("silent", {"file": "/log", "silent_seconds": 7200.0}),
        Finding("unreadable_mode", {"file": "/a b", "user": "", "group": "adm"}),
    ]
    expected = """\
Checked for user mail.

problem  /a b may not be read by the service, nor even by its group, adm.
         Nothing is counted until it can be read.
         Let the group read it, here and in the `create` line of logrotate, \
then check again whether the user is in it:
           $ chmod g+r '/a b'
           $ grep -rn create /etc/logrotate.conf /etc/logrotate.d

note     /log: milter-manager's newest line is 2 hours old.
         On a quiet server that is normal; else milter-manager does not run, or logs elsewhere.
           $ systemctl status milter-manager

ok       Address :10125 is free.
ok       State: /s is sound (2.0 KiB, saved 2 minutes ago).

problems: 1, unclear: 0, notes: 1, ok: 2
"""

    assert expected == write(findings)


def test_json() -> None:
    """
    JSON has the same words, the values as they are and the exit status.
    """
    values: dict[str, Value] = {"file": "/log", "silent_seconds": 7200.0}
    told = {
        "key": "silent",
        "severity": "note",
        "what": "/log：milter-managerの最後の行は2時間前のものです。",  # noqa: RUF001 - Japanese
        "why": load_entries().finding["silent"].why["ja"],
        "how": "",
        "commands": ["systemctl status milter-manager"],
        "values": values,
    }
    text = write([Finding("silent", values)], "ja", as_json=True)

    assert {"status": 0, "user": "mail", "findings": [told]} == json.loads(text)


def test_hostile() -> None:
    """
    A name that would move the cursor or turn the direction of writing is escaped everywhere.
    """
    text = write([Finding("log_no_file", {"file": "a\x1b[2J\u202eb\nc"})])

    assert not {"\x1b", "\u202e"} & set(text)
    assert "a\\x1b[2J\\u202eb\\nc" in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("file", "a b", "'a b'"), ("flags", "a b", "a b"), ("port", 1, "1")],
)
def test_quote(name: str, value: str | int, expected: str) -> None:
    """
    A value is one word of a command, unless it is made of words.
    """
    assert expected == quote(name, value)


def test_numbers() -> None:
    """
    Shares are percentages, counts have their thousands apart, dialects their names.
    """
    values: dict[str, Value] = {
        "file": "/l",
        "lines": 12345,
        "share": 0.9987,
        "dialects": "iso own",
        "programs": "-",
    }

    assert (
        "/l: 99.9% of 12,345 lines of milter-manager are recognised (format: syslog, "
        "ISO 8601 times; milter-manager’s own file; programs: -)."  # noqa: RUF001 - as page.toml has it
    ) == Words("en", NOW).tell(Finding("recognised", values)).what


@pytest.mark.parametrize(
    ("paragraph", "expected"),
    [
        ("", [""]),
        ("one two three", ["one two", "three"]),
        ("/a/path/longer/than/that is", ["/a/path/longer/than/that", "is"]),
        ("行がありません。次", ["行がありま", "せん。次"]),
        ("行がありま。す", ["行があり", "ま。す"]),
        ("設定log.levelが", ["設定", "log.level", "が"]),
    ],
)
def test_wrap(paragraph: str, expected: list[str]) -> None:
    """
    Names stay whole, and no line begins with a full stop.
    """
    assert expected == list(wrap(paragraph, 10))


def test_no_thousands() -> None:
    """
    A number that counts nothing is written as it is.
    """
    finding = Finding("port_refused", {"address": ":1", "port": 10125, "user": "mail"})

    assert "port 10125 " in Words("en", NOW).tell(finding).what
