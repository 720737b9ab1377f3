"""
The subcommand `check`: says whether the exporter can follow this machine's log, and what mends it.

It goes through what `exporter.logtool.checks` looks at and has the findings written.  Changes
nothing, starts nothing but journalctl, and asks nobody but this machine.
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence

from exporter.config import Config
from exporter.logtool.checks.access import Person, find_person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.inotify import check_inotify
from exporter.logtool.checks.journal import check_journal
from exporter.logtool.checks.lines import (
    check_lines,
    check_neighbours,
    name_query,
    take_sample,
)
from exporter.logtool.checks.logs import check_logs, check_pipe, find_logs
from exporter.logtool.checks.port import check_ports
from exporter.logtool.checks.program import check_program
from exporter.logtool.checks.report import Words, report
from exporter.logtool.checks.rotation import check_generations, check_rotation, check_writers
from exporter.logtool.checks.settings import find_settings, read_config
from exporter.logtool.checks.statefile import check_state
from exporter.logtool.checks.system import System
from exporter.logtool.checks.webfile import check_web_file
from exporter.logtool.terminal import CommonOptions, Terminal

EPILOG = """\
The exporter's own flags and environment variables are taken too, as
--input.file PATH, --input.program NAME, --state.file PATH,
--web.listen-address ADDRESS and --web.config.file PATH: give those that the
exporter is started with.
What is not given is taken from /etc/default/milter-manager-exporter.

Exit status: 0 all is well, 1 there are problems, 2 it cannot be told.
"""


class Options(CommonOptions):
    """
    What the command line says.
    """

    json: bool = False
    user: str = ""
    group: Sequence[str] | None = None


def run(parser: argparse.ArgumentParser, arguments: Sequence[str], terminal: Terminal) -> int:
    """
    Run the subcommand and return its exit status.
    """
    return check(parser, arguments, terminal, System())


def check(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str],
    terminal: Terminal,
    system: System,
) -> int:
    """
    Check a machine and return the exit status.
    """
    parser.epilog = EPILOG
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument(
        "--user", metavar="NAME", help="who is to read the log (default: who runs this)"
    )
    parser.add_argument(
        "--group",
        metavar="NAME",
        action="append",
        help="a further group of the user's; without --user, of the service's own user, "
        "which has no others; repeatable",
    )
    options, rest = parser.parse_known_args(arguments, Options())
    config = read_config(rest, system)
    person = find_person(options.user, options.group or ())
    again = shlex.join(["milter-manager-logtool", "check", *rest])
    findings = list(examine(config, person, system, again))
    words = Words(options.lang, system.now())
    return report(findings, person.name, words, terminal, as_json=options.json)


def examine(config: Config, person: Person, system: System, again: str) -> Iterator[Finding]:
    """
    Go through everything there is to look at; `again` is the command that does so once more.
    """
    yield from find_settings(system)
    if person.itself and person.uid == 0:
        yield Finding("as_root", {"again": again})
    logs = find_logs(config, system)
    journal = list(check_journal(config, person, system, alone=not (logs.given or logs.present)))
    followed = any(finding.key == "journal_followed" for finding in journal)
    query = name_query(config)
    yield from check_logs(logs, person, system, journal=followed, query=query)
    own: list[str] = []
    for path in logs.present:
        try:
            if not system.at(path).is_file():
                continue
            sample = take_sample(path, config, system)
        except OSError as error:
            if not person.itself:
                yield Finding("lines_unseen", {"file": str(path), "reason": error.strerror or ""})
            continue
        if "own" in sample.dialects:
            own.append(str(path))
        yield from check_lines(path, sample, config, system.now())
    descriptors = list(system.descriptors())
    for path in logs.pipes:
        yield from check_pipe(path, person, descriptors, system)
    yield from check_neighbours(logs.present, system)
    yield from check_program(logs.present, own, system)
    for path in logs.present:
        yield from check_rotation(path, system)
        yield from check_generations(path, person, system)
        yield from check_writers(path, descriptors, system)
    yield from journal
    yield from check_inotify(person, descriptors, system)
    yield from check_state(config, person, system)
    yield from check_ports(config, person, descriptors, system)
    yield from check_web_file(config, person, system)
