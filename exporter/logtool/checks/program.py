"""
What milter-manager's own configuration says of its log.

The configuration is a Ruby program: only plain assignments are read, the last one counts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.logs import names_of
from exporter.logtool.checks.system import System

CONFIGURATION = (
    "/etc/milter-manager/milter-manager.conf",
    "/etc/milter-manager/milter-manager.local.conf",
)
"""In the order in which milter-manager reads them."""
ASSIGNMENT = re.compile(
    r"^[ \t]*(log\.path|log\.use_syslog|manager\.n_workers)[ \t]*=[ \t]*[\"']?([^\"'#\n]+)",
    re.MULTILINE,
)


def read_configuration(system: System) -> Mapping[str, str]:
    """
    Give the assignments that concern the log; none where the files may not be read.
    """
    found: dict[str, str] = {}
    for file in CONFIGURATION:
        for name, value in ASSIGNMENT.findall(system.text(file)):
            found[name] = value.strip()
    return found


def check_program(logs: Sequence[Path], own: Sequence[str], system: System) -> Iterator[Finding]:
    """
    Say what does not go together; `own` are the logs in the format of the program's own file.
    """
    settings = read_configuration(system)
    path = settings.get("log.path", "nil")
    to_file = path.startswith("/")
    if to_file and not any(path in names_of(log, system) for log in logs):
        silent = settings.get("log.use_syslog") == "false"
        yield Finding("log_path_only" if silent else "log_path", {"path": path})
    workers = settings.get("manager.n_workers", "")
    if own and workers.isdecimal() and int(workers) > 0:
        yield Finding("own_file_workers", {"file": own[0], "workers": int(workers)})
