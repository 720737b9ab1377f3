"""
docs/migrate.md: its commands are taken, its queries draw something, its table says what is counted.
"""

import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from backfilled import TARGET, History, imported, run_tool

DOCUMENT = (Path(__file__).parents[1] / "docs" / "migrate.md").read_text()
QUERIES = re.findall(r"^```promql\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^# (milter-manager-logtool backfill .*)$", re.MULTILINE)
IMPORT = re.compile(r"^# sudo -u prometheus (promtool .*)$", re.MULTILINE)
ROW = re.compile(r"^\| ([\w-]+) \| `([\w-]+)`.* \| `([\w-]+)` \|$", re.MULTILINE)

BEGIN = int(datetime(2025, 11, 3, tzinfo=UTC).timestamp())
MINUTES = 24 * 60

# One header of each row of the table, as the filter writes it.
HEADERS = {
    "spam": "<X-Spam-Flag>=<YES>",
    "virus": "<X-Virus-Status>=<Infected (Eicar-Test-Signature)>",
    "uribl": "<X-Spam-Status>=<Yes, score=7.9 required=5.0 tests=BAYES_99,URIBL_DBL_SPAM>",
    "greylisting-pass": "<X-Greylist>=<Delayed for 00:05:02 by milter-greylist-4.6.4>",
    "tarpit-pass": "<X-Greylist>=<Message whitelisted by tarpit 85s>",
    "spf-pass": "<Authentication-Results>=<mail; spf=pass smtp.mailfrom=a@example.net>",
    "spf-fail": "<Authentication-Results>=<mail; spf=fail smtp.mailfrom=a@example.net>",
    "sender-id-pass": "<Authentication-Results>=<mail; sender-id=pass>",
    "sender-id-fail": "<Authentication-Results>=<mail; sender-id=fail>",
    "dkim-pass": "<Authentication-Results>=<mail; dkim=pass header.d=example.net>",
    "dkim-fail": "<Authentication-Results>=<mail; dkim=fail header.d=example.net>",
}
MESSAGES = (
    "[statistics] [sessions][finished] 29(+2) 3",
    "[statistics] [session][end][end-of-message][reject][0.056374](1)",
    "[statistics] [session][disconnected][0.5](2)",
    "[statistics] [reply][end-of-message][quarantine](3)",
    "[statistics] [milter][end][connect][stop][0.00118282](4): milter-greylist",
    "[1] [children][timeout][reading][connect][accept] [5] raw-mute",
    *(f"[statistics] [milter][header][add](6): {header}: policy" for header in HEADERS.values()),
)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """
    Import a day in which everything happens once a minute.
    """
    directory = tmp_path_factory.mktemp("history")
    log = directory / "mail.log"
    with log.open("w") as file:
        for minute in range(MINUTES):
            stamp = datetime.fromtimestamp(BEGIN + 60 * minute, UTC).isoformat()
            for message in MESSAGES:
                file.write(f"{stamp} mail milter-manager[7]: {message}\n")
    output = directory / "history.om"

    assert 0 == run_tool("backfill", f"--output={output}", *TARGET, log).status

    with imported(output, directory) as server:
        yield server


@pytest.mark.parametrize("query", QUERIES)
def test_queries(query: str, history: History) -> None:
    """
    Each query draws a line that is not 0.
    """
    found = history.at(query, BEGIN + 60 * MINUTES)

    assert found
    assert all(value > 0 for _, value in found)


def test_rates(history: History) -> None:
    """
    What happens twice a minute is drawn as 2.
    """
    assert [2.0] == [round(v, 6) for _, v in history.at(QUERIES[0], BEGIN + 60 * MINUTES)]


def test_report(history: History) -> None:
    """
    Each row of the report's table is a series, and means the header that log-analyzer looked for.
    """
    rows = ROW.findall(DOCUMENT)
    counted = {
        (labels["check"], labels["result"])
        for labels, _ in history.at("milter_manager_mail_checks_total", BEGIN + 60 * MINUTES)
    }

    assert list(HEADERS) == [row[0] for row in rows]
    assert {(check, result) for _, check, result in rows} <= counted


def test_command(tmp_path: Path) -> None:
    """
    The tool takes the document's command line, with other files.
    """
    ((command),) = COMMAND.findall(DOCUMENT)
    log = tmp_path / "mail.log"
    log.write_text(
        "2025-11-03T00:00:00Z mail milter-manager[7]: [session][end][quit][pass][1](1)\n"
    )
    _, *arguments = shlex.split(command)
    places = {"/var/tmp/history.om": tmp_path / "out", "/var/log/mail.log*": log}  # noqa: S108 - a name
    result = run_tool(*(places.get(one, one) for one in arguments))

    assert 0 == result.status
    assert (tmp_path / "out").exists()
    assert "note" not in result.error


def test_import() -> None:
    """
    The tests import as the document says.
    """
    ((command),) = IMPORT.findall(DOCUMENT)

    assert [
        "promtool", "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=500h",
    ] == shlex.split(command)[:-2]  # fmt: skip
