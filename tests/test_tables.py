"""
A report on a terminal.
"""

import io
import os
from dataclasses import replace

import pytest
from rich.console import Console
from summing import NOW, TROUBLED, log_of, report_of

from exporter.logtool.phrases import Phrases
from exporter.logtool.report import Report
from exporter.logtool.tables import show
from exporter.logtool.terminal import LANGUAGES, PLAIN_COLUMNS

LINE = b"Nov 22 %s:33 vm milter-manager[7]: [session][end][quit][pass][0.1](1)\n"
REPORT = report_of(log_of(*TROUBLED))


def printed(
    report: Report, width: int = PLAIN_COLUMNS, language: str = "en", encoding: str = "utf-8"
) -> list[str]:
    """
    Give the lines that are printed.
    """
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    console = Console(file=stream, width=width, markup=False, highlight=False, emoji=False)
    show(report, Phrases(language), console)
    stream.flush()
    return raw.getvalue().decode(encoding).splitlines()


def row(lines: list[str], start: str) -> list[str]:
    """
    Give the words of the first line that begins so.
    """
    return next(line for line in lines if line.startswith(start)).split()


def test_tables() -> None:
    """
    Every table has its numbers.
    """
    lines = printed(REPORT)

    assert ["pass", "2", "50.0%", "quit", "2"] == row(lines, "pass ")
    assert ["disconnected", "1", "25.0%"] == row(lines, "disconnected")
    assert ["session,", "reject", "1"] == row(lines, "session, reject")[:3]
    assert ["session", "until", "the", "client", "disconnected", "1"] == row(
        lines, "session until"
    )[:6]
    assert "Quarantines: 1" in lines
    assert ["slow", "reading", "1"] == row(lines, "slow ")[:3]
    assert ["dead", "0", "1"] == row(lines, "dead")
    assert ["spam-flag", "slow", "yes", "1"] == row(lines, "spam-flag")
    assert ["passed", "to", "the", "MTA", "1", "X-Spam-Flag", "1"] == row(lines, "passed to")
    assert "Beside these, 1 lines that a healthy server writes too." in lines


def test_nothing() -> None:
    """
    Where there is nothing, one line says so.
    """
    lines = printed(report_of(b"Nov 22 22:07:33 vm milter-manager[7]: x\n"))

    assert {"No session ended.", "No errors.", "No milter had trouble."} <= set(lines)
    assert not any("quantile" in line or "p95" in line for line in lines)


def test_without_times() -> None:
    """
    A log without times has no chart.
    """
    lines = printed(report_of(b"[session][end][quit][pass][0.1](1)\n"))

    assert "The log has no times." == lines[0]
    assert not any("Activity" in line for line in lines)


def test_left_out() -> None:
    """
    What --since and --until left out is said.
    """
    assert "7 lines outside --since and --until left out" in printed(replace(REPORT, left_out=7))


def test_unknown_error() -> None:
    """
    An error without an entry in the catalogue is shown all the same.
    """
    fault = replace(REPORT.faults[0], message=None)
    lines = printed(replace(REPORT, faults=(fault,)))

    assert any(fault.tags in line for line in lines)
    assert any("No explanation." in line for line in lines)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [20, 40, 80, 120])
def test_width(width: int, language: str) -> None:
    """
    No line is wider than the terminal, in either language.
    """
    console = Console(width=width)

    assert all(
        console.render_str(line).cell_len <= width for line in printed(REPORT, width, language)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_unescaped(language: str) -> None:
    """
    No control character and no mark of direction of the log reaches the terminal.
    """
    text = "".join(printed(REPORT, 80, language))

    assert text.isprintable()


def test_chart() -> None:
    """
    A bar is as wide as there is room, and each row has its own scale.
    """
    log = b"".join(LINE % b"22:07" for _ in range(8)) + LINE % b"22:08"
    lines = printed(report_of(log), 120)
    at = next(i for i, line in enumerate(lines) if line.startswith("Activity"))

    assert "Activity  (each column 1 minute)" == lines[at]
    assert ["Sessions", "████████▁▁▁▁▁▁▁▁", "8"] == lines[at + 2].split()
    assert ["pass", "████████▁▁▁▁▁▁▁▁", "8"] == lines[at + 3].split()
    assert ["22:07", "22:08"] == lines[at + 4].split()


def test_long_chart() -> None:
    """
    A log of many hours is folded into what fits.
    """
    log = b"".join(LINE % f"{hour:02}:07".encode() for hour in range(23))
    for width in (30, 80, 200):
        lines = printed(report_of(log), width)
        bars = next(line for line in lines if line.startswith("Sessions ") and "█" in line)

        assert 0 < bars.count("█") <= 72


def test_plain_blocks() -> None:
    """
    Where the encoding has no blocks, other signs stand for them.
    """
    lines = printed(report_of(LINE % b"22:07"), 80, encoding="ascii")

    assert any("@@@@" in line for line in lines)
    assert not any("\\u" in line for line in lines)


def test_piped_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What goes into a pipe has no colours and no broken lines.
    """
    monkeypatch.setattr(os, "environ", {**os.environ, "TERM": "xterm-256color"})
    lines = printed(report_of(log_of(*TROUBLED), NOW))
    meaning = REPORT.faults[0].message

    assert meaning is not None
    assert any(meaning.en in line for line in lines)
    assert not any("\x1b" in line for line in lines)
