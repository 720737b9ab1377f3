"""
README.md against the code.
"""

import re
from pathlib import Path

from exporter.cli import FLAGS
from exporter.collector import FAMILIES

README = Path(__file__).resolve().parent.parent / "README.md"


def find_rows(pattern: str) -> list[tuple[str, ...]]:
    """
    Give the cells of the table rows whose first cell matches.
    """
    rows = []
    for line in README.read_text().splitlines():
        cells = tuple(cell.strip() for cell in line.strip("|").split("|"))
        if line.startswith("| `") and re.match(pattern, cells[0]):
            rows.append(cells)
    return rows


def test_metrics() -> None:
    """
    The tables have each metric with its type and labels, and no other.
    """
    expected = {
        (f"`{family.name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels))
        for family in FAMILIES.values()
    }

    assert expected == {row[:3] for row in find_rows("`milter_manager_")}


def test_flags() -> None:
    """
    The table has each flag with the values it takes, and no other.
    """
    flags = {f"--{flag.name} {flag.value}".rstrip() for flag in FLAGS}
    expected = {f"`{flag}`" for flag in flags} | {"`--version`, `--help`"}

    assert expected == {row[0] for row in find_rows("`--")}
