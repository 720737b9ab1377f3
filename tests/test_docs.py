"""
The documents against what they name: tests that exist, links that lead somewhere.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUARANTEES = ROOT / "docs" / "guarantees.md"
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

# `test_rotation.py::test_late` once, then `::test_later` for others of the same file.
NAMED_TEST = re.compile(r"`(?P<file>test_\w+\.py)?::(?P<function>\w+)`")
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#+ +(?P<text>.+)$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def find_named_tests(text: str) -> set[tuple[str, str]]:
    """
    Give file and function of each test that a text names.
    """
    named, file = set(), ""
    for match in NAMED_TEST.finditer(text):
        file = match["file"] or file
        named.add((file, match["function"]))
    return named


def find_links(text: str) -> list[str]:
    """
    List the links of a text that lead to this repository.
    """
    targets = [match["target"] for match in LINK.finditer(CODE.sub("", text))]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """
    Give the names by which a text's headings can be linked to.
    """
    headings = (match["text"].lower() for match in HEADING.finditer(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def test_named_tests() -> None:
    """
    Each test that the guarantees name is there, file and function.
    """
    named = find_named_tests(GUARANTEES.read_text())
    existing = set()
    for file, _ in named:
        path = ROOT / "tests" / file
        tree = ast.parse(path.read_text() if path.is_file() else "")
        existing |= {(file, node.name) for node in tree.body if isinstance(node, ast.FunctionDef)}
        # A Hypothesis state machine is named by a variable: TestLog = Machine.TestCase.
        existing |= {
            (file, name.id)
            for node in tree.body
            if isinstance(node, ast.Assign)
            for name in node.targets
            if isinstance(name, ast.Name) and name.id.startswith("Test")
        }

    assert named
    assert set() == named - existing


def test_every_promise_is_proved() -> None:
    """
    Each row of the promises names a test.
    """
    promises = GUARANTEES.read_text().partition("## What is promised")[2].partition("\n## ")[0]
    rows = [
        line
        for line in promises.splitlines()
        if line.startswith("|") and not line.startswith(("|---", "| failure"))
    ]

    assert rows
    assert [] == [row for row in rows if not find_named_tests(row.rpartition(" | ")[2])]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links(document: Path) -> None:
    """
    Each link to this repository leads to a file that is there, and to a heading of it.
    """
    for target in find_links(document.read_text()):
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document

        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target
