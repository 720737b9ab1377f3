"""
What the daemon is told: its flags and environment as given here, over what its unit reads.

The service's own settings stand in a file that systemd reads and a shell does not.
"""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from exporter import cli
from exporter.config import Config
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import System
from exporter.logtool.terminal import UsageError

SERVICE_FILE = "/etc/default/milter-manager-exporter"
OPTIONS_VARIABLE = f"{cli.PREFIX}OPTS"


def read_config(arguments: Sequence[str], system: System) -> Config:
    """
    Put the layers together; UsageError where one of them is wrong.
    """
    service = read_service(system)
    try:
        base = vars(cli.read_options(service.get(OPTIONS_VARIABLE, "").split(), service))
        given = vars(cli.read_options(arguments, system.environ))
    except cli.UsageError as error:
        raise UsageError(str(error)) from error
    for pair in cli.EXCLUSIVE:
        if any(name in given for name in pair):
            base = {name: value for name, value in base.items() if name not in pair}
    return cli.build_config(cli.Options(**(base | given)))


def read_service(system: System) -> Mapping[str, str]:
    """
    Read the service's variables, as systemd does (systemd.exec(5), EnvironmentFile=).
    """
    return dict(_read_service(system.text(SERVICE_FILE)))


def _read_service(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and name.startswith(cli.PREFIX):
            try:
                words = shlex.split(value)
            except ValueError:
                continue
            yield name, " ".join(words)


def find_settings(system: System) -> Iterator[Finding]:
    """
    Say where settings come from that were not given here.
    """
    if any(read_service(system).values()):
        yield Finding("settings", {"file": SERVICE_FILE})
