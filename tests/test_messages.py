"""
The catalogue as table, Markdown and JSON.
"""

import io
import json
import re

import pytest
from rich.cells import cell_len
from test_logtool_cli import new_terminal

from exporter.catalogue import load_catalogue
from exporter.logtool.cli import run_command
from exporter.logtool.terminal import Terminal

CATALOGUE = load_catalogue().messages


class Screen(io.StringIO):
    """
    An output that says it is a terminal.
    """

    def isatty(self) -> bool:
        """
        Say so.
        """
        return True


def ask(*arguments: str, language: str = "en") -> str:
    """
    Give what `messages` writes.
    """
    terminal = new_terminal()
    status = run_command(["messages", *arguments, "--lang", language], {}, terminal)

    assert isinstance(terminal.output, io.StringIO)
    assert (status == 0) == (len(terminal.output.getvalue().splitlines()) > 1)
    return terminal.output.getvalue()


@pytest.mark.parametrize("language", ["en", "ja"])
def test_all(language: str) -> None:
    """
    Each form has every message once, with its meaning in the language asked for.
    """
    meanings = [one.ja if language == "ja" else one.en for one in CATALOGUE]
    table = [row.split("\t") for row in ask(language=language).splitlines()]
    objects = json.loads(ask("--json", language=language))
    markdown = ask("--markdown", language=language).splitlines()

    assert meanings == [row[4] for row in table[1:]] == [one["meaning"] for one in objects]
    assert [one.number for one in CATALOGUE] == [row[0] for row in table[1:]]
    assert len(CATALOGUE) + 2 == len(markdown)
    assert all(row.replace("\\|", "").count("|") == 6 for row in markdown)
    assert all(one["causes"] and one["check"] for one in objects)


@pytest.mark.parametrize("module", sorted({one.module for one in CATALOGUE}))
def test_module(module: str) -> None:
    """
    --module keeps that module's messages.
    """
    expected = [one.number for one in CATALOGUE if one.module == module]

    assert expected == [one["number"] for one in json.loads(ask("--module", module, "--json"))]


def test_filters_together() -> None:
    """
    Filters are joined by "and", one repeated by "or".
    """
    arguments = (
        "--module",
        "server",
        "--module",
        "manager",
        "--level",
        "error",
        "TIMEOUT",
        "--json",
    )
    expected = [
        one.number
        for one in CATALOGUE
        if one.module in {"server", "manager"} and one.level == "error"
    ]
    found = json.loads(ask(*arguments))

    assert {"53", "105"} <= {one["number"] for one in found} < set(expected)


def test_harmless() -> None:
    """
    --harmless keeps what a healthy server writes too, with the reason.
    """
    found = json.loads(ask("--harmless", "--json"))

    assert [one.number for one in CATALOGUE if one.harmless] == [one["number"] for one in found]
    assert all(one["harmless_because"] for one in found)


def test_nothing_found() -> None:
    """
    That nothing fits is said, with status 1.
    """
    terminal = new_terminal()

    assert run_command(["messages", "no such word"], {}, terminal) == 1
    assert isinstance(terminal.error, io.StringIO)
    assert terminal.error.getvalue().endswith("no message fits\n")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_terminal(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a terminal the table is no wider than that.
    """
    monkeypatch.setenv("COLUMNS", "100")
    screen = Screen()
    run_command(
        ["messages", "timeout", "--lang", language], {}, Terminal(io.BytesIO(), screen, screen)
    )

    assert "[server][timeout][connection]" in screen.getvalue()
    text = re.sub("\x1b\\[[0-9;]*m", "", screen.getvalue())

    assert max(map(cell_len, text.splitlines())) <= 100
