"""
The landing page, read as a browser would.
"""

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from exporter.advice import load_advice
from exporter.catalogue import Message, load_catalogue
from exporter.journal import Journal
from exporter.misread import FORMS
from exporter.overview import ERROR_LEVELS
from exporter.page import View, render_page
from exporter.remedy import Remedy
from exporter.status import InputStatus, Status
from exporter.tally import Additions, Key, Tally
from exporter.wording import NAME_LENGTH, load_texts

NOW = 1_795_390_000.0
VOID = {"meta", "link"}
INLINE = {"a", "bdi", "code", "time"}
ACTIVE = {"script", "img", "iframe", "form", "object", "embed", "base", "input", "button"}
HOSTILE = "</code><script>alert(1)</script>&amp;\"'{{ 7 * 7 }}{0}"
LOG = InputStatus("/var/log/mail.log", dialects=("iso",), position=2048, rotations=3, read_errors=4)
JOURNAL = InputStatus("journal", "journal", dialects=("iso",), position=2048, read_errors=1)
ENDED = InputStatus("-", "stdin", present=False, ended=True)
CATALOGUE = load_catalogue()


class Reader(HTMLParser):
    """
    Keeps links, text and tags, and checks that every element is closed in its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str | None] = []
        self.text: list[str] = []
        self.commands: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Keep an element.
        """
        self.elements.append((tag, dict(attrs)))
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Keep an element without content.
        """
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """
        Close the innermost element.
        """
        assert tag == self._open.pop()

        if tag not in INLINE:
            self.text.append(" ")

    def handle_data(self, data: str) -> None:
        """
        Keep text, commands apart and without the style sheet.
        """
        if "pre" in self._open:
            self.commands.append(data)
        elif self._open[-1:] != ["style"]:
            self.text.append(data)

    def close(self) -> None:
        """
        End the document.
        """
        super().close()

        assert [] == self._open

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """
        Give the attributes of each element of a kind.
        """
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        """
        Give the text, runs of blanks as one.
        """
        return " ".join("".join(self.text).split())


def view(
    status: Status | None = None,
    counts: dict[Key, int] | None = None,
    gauges: dict[Key, float] | None = None,
    *,
    ready: bool = True,
    telemetry_path: str = "/metrics",
) -> View:
    """
    Make what a page shows; without a word, of a log that is being read.
    """
    tally = Tally((1.0,))
    for key, number in (counts or {}).items():
        tally.count(key, number)
    for key, value in (gauges or {}).items():
        tally.set(key, value)
    return View(
        version="0.1.0",
        telemetry_path=telemetry_path,
        started=NOW - 7200,
        now=NOW,
        ready=ready,
        status=status or Status(NOW, (LOG,)),
        snapshot=tally.snapshot(),
        catalogue=CATALOGUE,
    )


def read(view: View, language: str = "en") -> Reader:
    """
    Render and parse a whole page.
    """
    reader = Reader()
    reader.feed(render_page(view, language).decode())
    reader.close()
    return reader


BUSY = view(
    Status(
        NOW,
        (LOG, InputStatus("/var/log/other.log", present=False)),
        state_file="/var/lib/state",
        unknown_tags=(("[a][new-one]", 1234),),
        unlisted_tags=56,
    ),
    {
        ("lines", "recognised"): 12_345,
        ("sessions_ended", "quit", "pass"): 3000,
        ("sessions_ended", "quit", "temporary-failure"): 500,
        ("sessions_disconnected",): 500,
        ("quarantines",): 9,
        ("milter_timeouts", "rspamd", "reading", "body", "accept"): 31,
        ("milter_fallbacks", "clamav", "body", "temporary-failure"): 12,
        ("log_messages", "manager", "error", "[children][timeout][reading]"): 31,
        ("log_messages", "other", "critical", "[gone]"): 2,
    },
    {("last_line",): NOW - 180, ("memory",): 1_258_291.0, ("state_last_save",): NOW - 5},
)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_document(language: str) -> None:
    """
    The page is an HTML5 document in its language that loads and runs nothing.
    """
    reader = read(BUSY, language)
    styles = [name for _, attributes in reader.elements for name in attributes]

    assert render_page(BUSY, language).startswith(b"<!DOCTYPE html>\n")
    assert [{"lang": language}] == reader.all("html")
    assert [{"rel": "icon", "href": "data:,"}] == reader.all("link")
    assert set() == ACTIVE & {tag for tag, _ in reader.elements}
    assert not [name for name in styles if name == "style" or name.startswith("on")]


def test_links() -> None:
    """
    The links are relative to wherever the page is served, the program's own site aside.
    """
    links = read(view(telemetry_path="/a:b/metrics")).links

    assert [
        "./a:b/metrics",
        "",
        "./?lang=ja",
        "./-/ready",
        "./-/healthy",
        "https://github.com/milter-manager/milter-manager",
    ] == links


def test_other_language() -> None:
    """
    Each language leads to the other one.
    """
    assert {"href": "./?lang=en", "lang": "en", "hreflang": "en"} in read(BUSY, "ja").all("a")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_accessible(language: str) -> None:
    """
    One h1, no heading level left out, header cells with a scope, labels that lead somewhere.
    """
    reader = read(BUSY, language)
    levels = [int(tag[1]) for tag, _ in reader.elements if tag in {"h1", "h2", "h3", "h4"}]
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    labels = {
        attributes["aria-labelledby"]
        for _, attributes in reader.elements
        if "aria-labelledby" in attributes
    }

    assert 1 == levels.count(1) == levels[0]
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))
    assert {"row", "col"} == {cell.get("scope") for cell in reader.all("th")}
    assert len(ids) == len(set(ids))
    assert labels <= set(ids)


def test_content() -> None:
    """
    The page shows what was counted and how the exporter is, in numbers for people.
    """
    words = read(BUSY).words

    for text in (
        "Log not found There is no file /var/log/other.log.",
        "Sessions 4,000",
        "pass 3,000 75.0%",
        "temporary-failure 500 12.5%",
        "disconnected 500 12.5%",
        "Quarantine responses: 9.",
        "rspamd 31 reading 31",
        "clamav 0 12 temporary-failure 12",
        "1,234 [a][new-one]",
        "56 more lines",
        "/var/log/mail.log being read Format syslog, ISO 8601 times",
        "Position byte 2,048 2.0 KiB",
        "Rotations 3 Truncations 0 Read errors 4",
        "recognised 12,345",
        "Version 0.1.0",
        "Uptime 2 hours",
        "Last line 3 minutes ago",
        "Last saved 5 seconds ago",
        "State file /var/lib/state",
        "Memory of milter-manager 1.2 MiB",
    ):
        assert text in words


@pytest.mark.parametrize("language", ["en", "ja"])
def test_errors_are_explained(language: str) -> None:
    """
    An error has the catalogue's explanation in the page's language, an unknown one says so.
    """
    message = next(m for m in CATALOGUE.messages if m.tags == "[children][timeout][reading]")
    words = read(BUSY, language).words
    expected = message.ja if language == "ja" else message.en

    assert f"31 [children][timeout][reading] error, manager {expected}" in words
    assert load_texts()["no_meaning"][language] in words


@pytest.mark.parametrize("language", ["en", "ja"])
def test_errors_have_advice(language: str) -> None:
    """
    Behind an error stand its causes and what to check; nothing behind one that nobody knows.
    """
    message = next(m for m in CATALOGUE.messages if m.tags == "[children][timeout][reading]")
    advice = load_advice().of_message(message).wording[language]
    reader = read(BUSY, language)

    assert [{}] == reader.all("details")
    assert len(advice.causes) + len(advice.check) == len(reader.all("li")) - len(reader.links)
    for text in (*advice.causes, *advice.check):
        assert text.replace("`", "") in reader.words


def test_advice_of_one_message() -> None:
    """
    What holds for one message of a group alone is said with it.
    """
    messages = [m for m in CATALOGUE.messages if m.level in ERROR_LEVELS]
    tags = Counter((m.module, m.tags) for m in messages)
    notes = {
        key_of(m): load_advice().of_message(m).wording["en"].notes.get(m.number, "")
        for m in messages
        if 1 == tags[m.module, m.tags]
    }
    noted = {key: note.replace("`", "") for key, note in notes.items() if note}
    pages = {key: read(view(counts={key: 1})).words for key in noted}

    assert noted
    assert [] == [key for key, note in noted.items() if note not in pages[key]]


def key_of(message: Message) -> Key:
    """
    Give the key under which the lines of a message are counted.
    """
    return "log_messages", message.module, message.level, message.tags


@pytest.mark.parametrize("language", ["en", "ja"])
def test_nothing_yet(language: str) -> None:
    """
    A page of nothing has no empty tables.
    """
    reader = read(view(), language)

    assert [] == reader.all("table")
    for key in ("waiting", "sessions_none", "errors_none", "state_off"):
        assert load_texts()[key][language] in reader.words


GROUP = Remedy("group", "/l", "exporter", "adm", 4)


def barred(remedy: Remedy | None) -> View:
    """
    Make the view of a log that may not be read.
    """
    problem = InputStatus("/l", present=False, problem="Permission denied", remedy=remedy)
    return view(Status(NOW, (problem,), watching=False))


SILENT = replace(
    BUSY, status=Status(NOW, (LOG,)), snapshot=replace(BUSY.snapshot, gauges={("last_line",): 1.0})
)
STATES = {
    "works": (replace(BUSY, status=Status(NOW, (LOG,))), "good", ""),
    "none": (view(Status(NOW, (), ("/a", "/b"))), "bad", "journalctl -t milter-manager -n 5"),
    "missing": (view(Status(NOW, (InputStatus("/a", present=False),))), "bad", ""),
    "group": (barred(GROUP), "bad", "usermod --append --groups adm exporter"),
    "mode": (barred(replace(GROUP, kind="mode", path="/l l")), "bad", "chmod g+r '/l l'"),
    "root": (barred(replace(GROUP, kind="root")), "bad", "chgrp adm /l && chmod g+r /l"),
    "path": (barred(Remedy("path", "/l")), "bad", "namei -l /l"),
    "unreadable": (barred(None), "bad", ""),
    "stalled": (
        view(Status(NOW - 60, (LOG,))),
        "bad",
        "systemctl restart milter-manager-exporter",
    ),
    "backlog": (view(Status(NOW, (replace(LOG, unread_bytes=2048),)), ready=False), "busy", ""),
    "backlog_journal": (view(Status(NOW, (JOURNAL,)), ready=False), "busy", ""),
    "starting": (view(Status(NOW), ready=False), "busy", ""),
    "over": (replace(BUSY, status=Status(NOW, (ENDED,))), "note", ""),
    "behind": (view(Status(NOW, (replace(LOG, unread_bytes=2**30),))), "busy", ""),
    "waiting": (view(), "note", ""),
    "waiting_journal": (view(Status(NOW, (JOURNAL,))), "note", ""),
    "misread": (view(Status(NOW, (replace(LOG, form="verbose"),))), "bad", ""),
    "malformed": (view(counts={("lines", "malformed"): 5}), "bad", ""),
    "unrecognised": (view(counts={("lines", "unknown"): 5}), "warn", ""),
    "unsaved": (
        replace(BUSY, status=Status(NOW, (LOG,), state_file="/s/t", state_problem="full")),
        "warn",
        "df -h /s; ls -ld /s",
    ),
    "silent": (SILENT, "note", "systemctl status milter-manager"),
}
REMEDIES = {"group", "mode", "root", "path"}


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("state", STATES)
def test_verdict(state: str, language: str) -> None:
    """
    Each state has its headline, its severity in a word, and the command that mends it.
    """
    shown, severity, command = STATES[state]
    reader = read(shown, language)
    key = "unreadable" if state in REMEDIES else state
    title = load_texts()[key][language].partition("{")[0]
    (section,) = (
        one for one in reader.all("section") if (one.get("class") or "").startswith("verdict ")
    )

    assert f"verdict {severity}" == section["class"]
    assert f"{load_texts()[severity][language]} {title}".strip() in reader.words
    assert ([command] if command else []) == reader.commands


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    ("one", "badge"),
    [(JOURNAL, "reading"), (InputStatus("/run/f", "fifo"), "reading"), (ENDED, "ended")],
)
def test_kinds(one: InputStatus, badge: str, language: str) -> None:
    """
    What is no file says what it is and what is unread of it, and has no place or rotations.
    """
    words = read(replace(BUSY, status=Status(NOW, (one,))), language).words
    texts = {key: text[language] for key, text in load_texts().items()}

    assert texts[f"kind_{one.kind}"] in words
    assert texts[f"unread_{one.kind}"] in words
    assert f"{one.name} {texts[f'state_{badge}']}" in words
    assert texts["rotations"] not in words
    assert texts["position"] not in words
    assert (one.kind != "journal") == (texts["dialect"] in words)


def test_barred_journal() -> None:
    """
    Without a log file, a journal that may not be read is said first, with what mends it.
    """
    remedy = replace(GROUP, group="systemd-journal", path="journal")
    journal = replace(JOURNAL, present=False, problem="not permitted", remedy=remedy)
    reader = read(view(Status(NOW, (), ("/a",), journal)))

    assert reader.words.index("not permitted") < reader.words.index("No log found")
    assert "usermod --append --groups systemd-journal exporter" == reader.commands[0]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("form", FORMS)
def test_misread(form: str, language: str) -> None:
    """
    A format without lines is named, and the one to take instead, whatever was counted before.
    """
    words = read(replace(BUSY, status=Status(NOW, (replace(LOG, form=form),))), language).words

    assert f"journalctl --output={form}" in words
    assert "journalctl --all --output=json" in words


@pytest.mark.parametrize(
    ("problem", "command"),
    [
        ("cannot run journalctl: Permission denied", None),
        ("journalctl: Failed to open /var/x y: Permission denied", "namei -l '/var/x y'"),
        ("journalctl: Failed to open /var/x: No such file or directory", None),
        ("journalctl ended with status 1", None),
    ],
)
def test_problem_of_journalctl(problem: str, command: str | None) -> None:
    """
    Where journalctl may not look into the directory, the page shows how to find out why.
    """
    commands = read(view(Status(NOW, (replace(JOURNAL, present=False, problem=problem),)))).commands

    assert ([command] if command else []) == commands


@pytest.mark.parametrize("language", ["en", "ja"])
def test_no_journalctl(language: str, tmp_path: Path) -> None:
    """
    Where there is no journalctl, the page says which package has it.
    """
    journal = Journal(["x"], from_beginning=True, environ={"PATH": str(tmp_path)})
    list(journal.read(0.0))
    one = replace(JOURNAL, present=False, problem=journal.problem, remedy=journal.remedy())
    reader = read(view(Status(NOW, (one,))), language)

    assert ["apt-get install systemd"] == reader.commands
    assert "--input.file" in reader.words


def test_every_finding_is_shown() -> None:
    """
    All that `test_verdict` has no row for are parts of others: no finding is without words.
    """
    keys = {key.removesuffix("_text") for key in load_texts() if key.endswith("_text")}
    headed = {key for key in keys if key in load_texts()}
    others = {"sessions", "milters", "errors", "unknown", "ready", "healthy"}

    assert headed - others == set(STATES) - REMEDIES


def test_progress() -> None:
    """
    The backlog has a bar, for eyes and ears.
    """
    reader = read(STATES["backlog"][0])
    (bar,) = reader.all("progress")

    assert ("2048", "4096") == (bar["value"], bar["max"])
    assert load_texts()["backlog"]["en"] == bar["aria-label"]
    assert "2.0 KiB of 4.0 KiB are read" in reader.words


def test_works_without_times() -> None:
    """
    A log without times has no last line to tell of.
    """
    shown = replace(BUSY, status=Status(NOW, (LOG,)), snapshot=replace(BUSY.snapshot, gauges={}))

    assert load_texts()["works_timeless"]["en"] in read(shown).words


def test_bars() -> None:
    """
    A bar is as long as its share and has its status's colour; the number stands beside it.
    """
    bars = [(bar["class"], bar["width"]) for bar in read(BUSY).all("rect")]

    assert [("pass", "75.00%"), ("temporary-failure", "12.50%"), ("disconnected", "12.50%")] == bars


def test_last_line_of_each_log() -> None:
    """
    Each log has its own last line's time.
    """
    tally = Tally((1.0,))
    tally.add(Additions(LOG.name, heard={b"1": b"x"}, last=b"x"), lambda _: NOW - 7200)
    other = replace(LOG, name="/other")
    shown = replace(view(Status(NOW, (LOG, other))), snapshot=tally.snapshot())

    assert "Last line 2 hours ago 2026-11-22" in read(shown).words
    assert 1 == read(shown).words.count("Last line none yet")


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize(
    "name", [HOSTILE, "evil\u202egnp.exe", "a\0b\x1b[31m", "\udcff", "x" * 10_000, "</style>"]
)
def test_hostile_names(name: str, language: str) -> None:
    """
    Whatever a name holds, it is shown as text, cut, isolated, and with its direction in codes.
    """
    one = InputStatus(
        name, problem=name, remedy=Remedy("group", name, name, name), dialects=(name,)
    )
    status = Status(
        NOW, (one,), (name,), state_file=f"/{name}/s", state_problem=name, unknown_tags=((name, 1),)
    )
    shown = view(
        status,
        {
            ("milter_timeouts", name, name, "", ""): 1,
            ("milter_fallbacks", name, "", name): 1,
            ("sessions_ended", "quit", name): 1,
            ("log_messages", name, "error", name): 1,
        },
        telemetry_path=f"/{name}" if name == HOSTILE else "/metrics",
    )
    reader = read(shown, language)

    assert set() == ACTIVE & {tag for tag, _ in reader.elements}
    assert 1 == len(reader.all("style"))
    assert not [text for text in reader.text if not text.replace("\n", "").isprintable()]
    assert "49" not in reader.words
    assert "x" * (NAME_LENGTH + 1) not in reader.words
    if name == HOSTILE:
        assert 5 < reader.words.count(HOSTILE)
        assert f"./{HOSTILE}" == reader.links[0]


def test_size() -> None:
    """
    A page of as many milters as there may be is of bounded size.
    """
    counts: dict[Key, int] = {}
    for i in range(100):
        counts["milter_timeouts", f"milter-{i}" + "x" * 200, "reading", "body", "accept"] = i + 1
    page = render_page(view(counts=counts), "en")

    assert 200_000 > len(page)
