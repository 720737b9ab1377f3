"""
The catalogue against the documented log list, of which tests/data/messages.tsv is a copy.
"""

import re
import tomllib
from collections import Counter
from dataclasses import fields
from importlib import resources
from itertools import product

import pytest
from dialects import Entry, entries

from exporter.catalogue import (
    ELAPSED,
    OTHER,
    PLACEHOLDER,
    Catalogue,
    Match,
    Message,
    load_catalogue,
)
from exporter.recognise import FINDERS

CATALOGUE = load_catalogue()
MESSAGES = {message.number: message for message in CATALOGUE.messages}
DOCUMENTED = [message for message in CATALOGUE.messages if not message.number.startswith("X")]
UNDOCUMENTED = [message for message in CATALOGUE.messages if message.number.startswith("X")]
ENTRIES = entries()
FREE = {"elapsed", "option", "stack_trace"}
JAPANESE = re.compile(r"[\u3041-\u30ff]")
by_number = pytest.mark.parametrize("message", CATALOGUE.messages, ids=lambda m: m.number)


def label(entry: Entry) -> str:
    """
    Write an entry's tags as the label `tag` has them.
    """
    tags = entry.documented_tags.removeprefix("(not documented) ")
    return "" if tags == "(untagged)" else tags.replace("#{", "{")


def test_counts() -> None:
    """
    All 145 documented entries and the 26 undocumented ones are there, in order.
    """
    expected = [*(str(i) for i in range(1, 146)), *(f"X{i}" for i in range(1, 27))]

    assert expected == [message.number for message in CATALOGUE.messages]


def test_count_per_module() -> None:
    """
    Every module of the log list has as many entries as there.
    """
    expected = {"core": 18, "client": 29, "server": 9, "manager": 89}

    assert expected == Counter(message.module for message in DOCUMENTED)
    assert {"other": 26} == Counter(message.module for message in UNDOCUMENTED)


def test_count_per_submodule() -> None:
    """
    Every section of the manager's list has as many entries as there.
    """
    expected = {
        "manager": 1, "configuration": 8, "launcher": 5, "process-launcher": 2, "controller": 11,
        "leader": 10, "children": 27, "egg": 2, "crash": 2, "startup": 16, "statistics": 5,
    }  # fmt: skip

    assert expected == Counter(m.submodule for m in DOCUMENTED if m.module == "manager")
    assert not [m for m in CATALOGUE.messages if m.submodule and m.module != "manager"]


def test_count_per_level() -> None:
    """
    Every documented level has as many entries as in the log list.
    """
    expected = {"error": 131, "statistics": 7, "warning": 5, "critical": 2}

    assert expected == Counter(m.documented_level or m.level for m in DOCUMENTED)


def test_untagged() -> None:
    """
    Fifteen documented entries are known by their text, the stack trace by nothing.
    """
    untagged = [message for message in DOCUMENTED if not message.tags.startswith("[")]

    assert 15 == len(untagged)
    assert ["124"] == [m.number for m in untagged if not m.text]
    assert not MESSAGES["124"].recognisable


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.number)
def test_entry(entry: Entry) -> None:
    """
    Tags, module and levels of every entry are those of the list, to the letter.
    """
    message = MESSAGES[entry.number]
    present = entry.real_level != "not in the current program"

    assert label(entry) == message.tags
    assert entry.module.replace("-", "other") == message.module
    assert entry.submodule.removeprefix("-") == message.submodule
    assert (entry.real_level if present else entry.documented_level) == message.level
    assert present != message.retired
    if message.module != "other":
        assert entry.documented_level == (message.documented_level or message.level)


def test_other_level() -> None:
    """
    One message has another level than documented.
    """
    assert ["30"] == [m.number for m in CATALOGUE.messages if m.documented_level]


@by_number
def test_languages(message: Message) -> None:
    """
    The condition stands there in English and in Japanese, as sentences.
    """
    assert message.en.isascii()
    assert message.en.endswith((".", ".)"))
    assert JAPANESE.search(message.ja)
    assert message.ja.endswith(("\u3002", "\u3002\uff09"))
    assert bool(message.harmless) == bool(message.harmless_en) == bool(message.harmless_ja)
    assert not message.harmless or JAPANESE.search(message.harmless_ja)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_own_condition(language: str) -> None:
    """
    No two messages have the same condition.
    """
    conditions = Counter(getattr(message, language) for message in CATALOGUE.messages)

    assert not [text for text, times in conditions.items() if times > 1]


@by_number
def test_placeholders(message: Message) -> None:
    """
    Every name in braces has a list of words, or may be anything.
    """
    names = set(PLACEHOLDER.findall(message.tags + message.logged))

    assert not {n for n in names - FREE if not CATALOGUE.words_of(message, n)}
    assert set(message.words) <= names
    assert set(message.words.values()) <= set(CATALOGUE.lists)
    assert not set(message.fixed) & names


@by_number
def test_milter(message: Message) -> None:
    """
    The way a message names its milter is one that the program can read.
    """
    assert not message.milter or message.milter in FINDERS
    assert message.milter or not message.counts.startswith(("milter_", "timeout", "fallback"))


def test_words_are_tags() -> None:
    """
    No list holds a word twice, nor one that could not stand between brackets.
    """
    for words in CATALOGUE.lists.values():
        assert len(words) == len(set(words))
        assert all(re.fullmatch(r"[\w-]+", word) for word in words)
        assert OTHER not in words


def test_keys() -> None:
    """
    The file has no key that the program does not know, and no list that no message uses.
    """
    with resources.files("exporter").joinpath("catalogue.toml").open("rb") as file:
        table = tomllib.load(file)
    used = {
        message.words.get(name, name)
        for message in CATALOGUE.messages
        for name in PLACEHOLDER.findall(message.tags + message.logged)
    }

    assert {"words", "message"} == set(table)
    assert {field.name for field in fields(Message)} >= {key for m in table["message"] for key in m}
    assert used - FREE == set(table["words"])


def expanded(message: Message, run: str) -> list[bytes]:
    """
    Write a run with every choice of its words.
    """
    names = [name for name in PLACEHOLDER.findall(run) if f"{{{name}}}" != ELAPSED]
    runs = []
    for choice in product(*(CATALOGUE.words_of(message, name) for name in names)):
        text = run
        for name, word in zip(names, choice, strict=True):
            text = text.replace(f"{{{name}}}", word)
        runs.append(text.encode())
    return runs


def test_no_duplicates() -> None:
    """
    No two messages share a run of tags once expanded, but GLib's four, which share all of them.
    """
    glib = {"X6", "X7", "X8", "X9"}
    owners: dict[bytes, set[str]] = {}
    for message in CATALOGUE.messages:
        for run in message.runs:
            for tags in expanded(message, run):
                owners.setdefault(tags, set()).add(message.number)

    assert not [tags for tags, numbers in owners.items() if len(numbers) > 1 and numbers != glib]
    assert 4 == len({MESSAGES[number].level for number in glib})


@by_number
def test_found(message: Message) -> None:
    """
    Every choice of words of every run finds its message, nothing dropped.
    """
    for run in message.runs:
        for tags in expanded(message, run):
            match = CATALOGUE.find(tags)

            assert match is not None
            assert message in match.messages
            assert () == match.unlisted
            assert OTHER not in match.words.values()


@pytest.mark.parametrize(
    ("run", "number", "words", "unlisted"),
    [
        ("[server][error][newly][state][invalid][helo]", "52", "other helo", "response"),
        ("[server][error][skip][state][invalid][moon]", "52", "skip other", "state"),
        ("[server][reply][quitted][moon][newly]", "56", "other other", "state response"),
        ("[children][error][invalid-state][reject][moon]", "99", "other", "state"),
        ("[children][error][invalid-state][newly][helo]", "103", "other helo", "response"),
        ("[children][timeout][reading][helo][newly]", "105", "helo other", "fallback_status"),
        ("[milter][end][helo][newly][{elapsed}]", "142", "helo other", "status"),
        ("[session][end][moon][pass][{elapsed}]", "143", "other pass", "last_state"),
        ("[client][option][deprecated][--socket-group]", "45", "other", ""),
        ("[client][option][deprecated][-x]", "45", "other", ""),
    ],
)
def test_unlisted_word(run: str, number: str, words: str, unlisted: str) -> None:
    """
    A word outside its list is `other`, and said to be so; where any word may stand it is no loss.
    """
    match = CATALOGUE.find(run.encode())

    assert match is not None
    assert number == match.messages[0].number
    assert words.split() == list(match.words.values())
    assert tuple(unlisted.split()) == match.unlisted


@pytest.mark.parametrize(
    "run",
    [
        "", "[", "[]", "[reader]", "[server]", "[milter][end]", "[GLib-Moon]", "[ABRT]",
        "[reader][error][read][more]", "[server][error][write][more]", "[leader][error][moon]",
        "[children][error][newly][accept]", "[children][error][helo][newly]",
        "[milter][end][helo][pass]", "[session][end][helo][{elapsed}]", "[sessions]",
        "[session][disconnected]", "[reader][error][read][{elapsed}]", "[Server][error]",
        "[server][error] ", "[server][error]\n",
        # LOG.md, 7: written at level info and debug
        "[server][timeout][reading][registered][{elapsed}]", "[reader][callback][error][start]",
        "[children][milter][end][abort]", "[manager][sessions][finished]",
        "[client][reply][end-of-message][temporary-failure]",
    ],
)  # fmt: skip
def test_unknown(run: str) -> None:
    """
    A part of a run, or more than one, is another run; look-alikes are no messages.
    """
    assert CATALOGUE.find(run.encode()) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("failed to listen: Address already in use", "134"),
        ("failed to listen", "134"),
        ("failed to listen controller socket: Address already in use", "136"),
        ("failed to daemonize: Resource temporarily unavailable", "137"),
        ("failed to listening: x", None),
        ("failed to", None),
        ("we failed to listen: x", None),
        ("", None),
        ("Failed to listen: x", None),
    ],
)
def test_text(text: str, expected: str | None) -> None:
    """
    An untagged message is known by its whole text up to a colon.
    """
    message = CATALOGUE.find_text(text.encode())

    assert expected == (message.number if message else None)


def test_small_catalogue() -> None:
    """
    A catalogue can be made of any messages and lists.
    """
    message = Message(number="1", module="core", level="error", tags="[a][{b}]", en="A.", ja="あ。")
    catalogue = Catalogue((message,), {"b": ("c", "d")})

    assert Match((message,), {"b": "d"}) == catalogue.find(b"[a][d]")
    assert Match((message,), {"b": "other"}, ("b",)) == catalogue.find(b"[a][e]")
