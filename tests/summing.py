"""
Logs summed up, for the tests of what `summary` is made of.
"""

import io
import json
import lzma
from collections.abc import Mapping
from pathlib import Path

from dialects import DATA

from exporter.logtool.cli import build_command_parser
from exporter.logtool.phrases import Phrases
from exporter.logtool.report import Report
from exporter.logtool.slices import Period
from exporter.logtool.summary import Options, Summary, run
from exporter.logtool.terminal import Terminal, UsageError

NOW = 1795390000.0
"""22 November 2026, 23:26:40 UTC: just after the captures were made."""
HEAD = b"Nov 22 22:07:33 vm milter-manager[7]: "
HOSTILE = "<b>\x1b[31m&\u202eevil"
TROUBLED = (
    b"[statistics] [session][end][quit][pass][0.1](1)",
    b"[statistics] [session][end][quit][pass][0.3](2)",
    b"[statistics] [session][end][helo][reject][0.2](3)",
    b"[statistics] [session][disconnected][2.5](4)",
    b"[statistics] [sessions][finished] 4(+4) 3",
    b"[statistics] [milter][end][quit][pass][0.01](5): " + HOSTILE.encode(),
    b"[statistics] [reply][end-of-message][quarantine](2)",
    b"[1] [children][timeout][reading][body][accept] [5] slow",
    b"[1] [children][error][body][accept] [5] broken: slow",
    b"[2] [children][error][connection] [6] Connection refused: dead",
    b"[2] [leader][error] invalid state to reply: connect-replied: continue",
    b"[5] [server][error][accept][state][invalid][helo] [slow] should not",
    b"[statistics] [milter][header][add](5): <X-Spam-Flag>=<YES>: slow",
    b"[statistics] [session][header][add](1): <X-Spam-Flag>=<YES>",
)


class Screen(io.StringIO):
    """
    A terminal that somebody sits at.
    """

    def isatty(self) -> bool:
        """
        Say so.
        """
        return True


def volume(directory: Path) -> Path:
    """
    Unpack the capture of twenty thousand connections.
    """
    path = directory / "volume.log"
    path.write_bytes(lzma.decompress((DATA / "volume.log.xz").read_bytes()))
    return path


def log_of(*messages: bytes) -> bytes:
    """
    Write messages as a log.
    """
    return b"".join(HEAD + message + b"\n" for message in messages)


def report_of(log: bytes, now: float = NOW) -> Report:
    """
    Sum a log up.
    """
    summary = Summary(Options(files=["-"]), Period(), Phrases("en"), now)
    summary.read(Terminal(io.BytesIO(log), io.StringIO(), io.StringIO()))
    return summary.report()


def call(*arguments: str, data: bytes = b"", lang: str = "en") -> tuple[int, str, str]:
    """
    Run the subcommand; give its exit status, what it printed and what it said went wrong.
    """
    terminal = Terminal(io.BytesIO(data), io.StringIO(), io.StringIO())
    parser = build_command_parser("summary", lang)
    try:
        status = run(parser, arguments, terminal)
    except UsageError as error:
        terminal.warn(f"error: {error}")
        status = 2
    assert isinstance(terminal.output, io.StringIO)
    assert isinstance(terminal.error, io.StringIO)
    return status, terminal.output.getvalue(), terminal.error.getvalue()


def metrics(*arguments: str, data: bytes = b"") -> Mapping[str, Mapping[tuple[str, ...], float]]:
    """
    Give the numbers that --json prints: name -> label values -> value, of a histogram its count.
    """
    status, out, _ = call("--json", *arguments, data=data)
    assert status == 0
    return {
        name: {
            tuple(one["labels"].values()): one["value"] if "value" in one else one["count"]
            for one in series
        }
        for name, series in json.loads(out)["metrics"].items()
    }
