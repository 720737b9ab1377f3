"""
The file of --web.config.file and those it names: who may read them, and whether they are accepted.

The exporter's own reader and its own handshake judge them.  No key and no password is shown.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from exporter.config import Config
from exporter.logtool.checks.access import Person, find_refusal
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import System
from exporter.tls import build_context, find_complaint
from exporter.webconfig import WebConfigError, read_file, read_web_config


def check_web_file(config: Config, person: Person, system: System) -> Iterator[Finding]:
    """
    Say whether the exporter would start with its web configuration.
    """
    path = config.web_config_file
    if path is None:
        return
    files: list[Path] = []
    reason = complaint = ""

    def read(file: Path) -> bytes:
        files.append(system.at(file))
        return read_file(files[-1])

    try:
        tls = read_web_config(path, read).tls
        if tls:
            build_context(tls)
            complaint = find_complaint(tls)
    except WebConfigError as error:
        reason = str(error)
    present = [file for file in files if os.path.lexists(file)]
    unseen = [file for file in present if not os.access(file, os.R_OK)]
    refusals = [find_refusal(person, file, system.at("/")) for file in present]
    refused = [one for one in refusals if one and one.kind != "unseen"]
    values = {"file": str(path), "user": person.name}
    if refused:
        yield Finding("web_file_unreadable", {**values, "path": str(refused[0].path)})
    elif unseen and not person.itself:
        yield Finding("web_file_unseen", values)
    elif reason:
        yield Finding("web_file_refused", {**values, "reason": reason})
    elif complaint:
        yield Finding("web_file_complaint", {**values, "reason": complaint})
    else:
        yield Finding("web_file", values)
