"""
The advice against the catalogue, the metrics and milter-manager's own settings.
"""

import re
from collections import Counter

import pytest

from exporter.advice import LANGUAGES, Advice, anchor, load_advice, slug
from exporter.catalogue import load_catalogue
from exporter.collector import FAMILIES

MESSAGES = {message.number: message for message in load_catalogue().messages}
BOOK = load_advice()
NAMES = {family.name for family in FAMILIES.values()}
JAPANESE = re.compile(r"[\u3041-\u30ff]")
CODE = re.compile(r"`([^`]+)`")

# The settings of milter-manager's configuration reference that the advice names.
SETTINGS = {
    "controller.connection_spec", "controller.unix_socket_group", "controller.unix_socket_mode",
    "log.level", "log.path", "log.use_syslog",
    "manager.connection_check_interval", "manager.connection_spec",
    "manager.custom_configuration_directory", "manager.maintenance_interval",
    "manager.max_connections", "manager.max_file_descriptors", "manager.n_workers",
    "manager.pid_file", "manager.remove_unix_socket_on_create",
    "manager.suspend_time_on_unacceptable", "manager.unix_socket_group",
    "manager.unix_socket_mode",
    "milter.command", "milter.command_options", "milter.connection_spec",
    "milter.connection_timeout", "milter.enabled", "milter.end_of_message_timeout",
    "milter.evaluation_mode", "milter.fallback_status", "milter.reading_timeout",
    "milter.user_name", "milter.writing_timeout",
    "security.effective_group", "security.effective_user", "security.privilege_mode",
}  # fmt: skip
SETTING = re.compile(r"(?<![A-Za-z-])(?:controller|log|manager|milter|security)\.[a-z_]*[a-z]")

by_group = pytest.mark.parametrize("advice", BOOK.groups, ids=lambda advice: advice.name)


def sentences(advice: Advice, language: str) -> tuple[str, ...]:
    """
    List all that an advice says in a language, its title aside.
    """
    wording = advice.wording[language]
    return (*wording.causes, *wording.check, *wording.notes.values())


def test_every_message() -> None:
    """
    Every message has one advice.
    """
    numbers = Counter(number for advice in BOOK.groups for number in advice.messages)

    assert dict.fromkeys(MESSAGES, 1) == numbers
    assert all(m.number in BOOK.of_message(m).messages for m in MESSAGES.values())


def test_metrics() -> None:
    """
    A metric has one advice at most, and is one that there is.
    """
    named = Counter(metric for advice in BOOK.groups for metric in advice.metrics)

    assert {1} == set(named.values())
    assert {"up"} == set(named) - NAMES
    for advice in BOOK.groups:
        assert all(BOOK.of_metric(metric) is advice for metric in advice.metrics)
    assert BOOK.of_metric("milter_manager_log_messages_total") is None


@by_group
def test_languages(advice: Advice) -> None:
    """
    Both languages say as much, in sentences of their own.
    """
    english, japanese = (advice.wording[language] for language in LANGUAGES)

    assert advice.messages or advice.metrics
    assert english.causes
    assert english.check
    assert len(english.causes) == len(japanese.causes)
    assert len(english.check) == len(japanese.check)
    assert set(english.notes) == set(japanese.notes)
    assert set(english.notes) <= set(advice.messages)
    for text in (english.title, *sentences(advice, "en")):
        assert text.isascii()
    for text in (japanese.title, *sentences(advice, "ja")):
        assert JAPANESE.search(text)
    for language, end in (("en", (".", "?", ".)")), ("ja", ("\u3002", "`\u3002"))):
        assert all(text.endswith(end) for text in sentences(advice, language))


@by_group
def test_same_commands(advice: Advice) -> None:
    """
    Each step has the same commands and settings in both languages, quoted in pairs.
    """
    wordings = [advice.wording[language] for language in LANGUAGES]
    for texts in zip(*(wording.check for wording in wordings), strict=True):
        commands = [set(CODE.findall(text)) for text in texts]

        assert commands[0] == commands[1]
    assert not [
        t for language in LANGUAGES for t in sentences(advice, language) if t.count("`") % 2
    ]


def test_titles() -> None:
    """
    No two titles in a language lead to the same place.
    """
    for language in LANGUAGES:
        anchors = {slug(advice.wording[language].title) for advice in BOOK.groups}

        assert len(BOOK.groups) == len(anchors)


def test_nothing_invented() -> None:
    """
    Every setting named is one of milter-manager's, every metric one of the exporter's.
    """
    text = "\n".join(t for advice in BOOK.groups for n in LANGUAGES for t in sentences(advice, n))
    metrics = {name.removesuffix("_bucket") for name in re.findall(r"\bmilter_manager_\w+", text)}

    assert SETTINGS == set(SETTING.findall(text))
    assert not metrics - NAMES


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("1", "1-readererrorread"),
        ("107", "107-childrenerrorstatefallback_status"),
        ("106", "106-childrentimeoutend-of-message"),
        ("136", "136-failed-to-listen-controller-socket"),
        ("X6", "x6-glib-domain"),
        ("X12", "x12-untagged"),
    ],
)
def test_anchor(number: str, expected: str) -> None:
    """
    An anchor is number and tags as GitHub writes them: small letters, no marks, hyphens.
    """
    assert expected == anchor(MESSAGES[number])


def test_own_anchor() -> None:
    """
    Every message has an anchor of its own.
    """
    assert len(MESSAGES) == len({anchor(message) for message in MESSAGES.values()})
