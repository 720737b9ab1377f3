"""
Where the state is kept: as the flags say, else in the first usual place that can be written.

Never looks into the state file.
"""

from collections.abc import Mapping
from pathlib import Path

import structlog

from exporter.config import Config
from exporter.state import StateFile, UnusableStateError

SYSTEM_DIRECTORY = Path("/var/lib/milter-manager-exporter")
NAME = "milter-manager-exporter"

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


def acquire_state_file(config: Config, environ: Mapping[str, str]) -> StateFile | None:
    """
    Get hold of the state file; StartError when it is in use, or was asked for and cannot be used.
    """
    if not config.keep_state:
        return None
    if config.state_file:
        file = StateFile(config.state_file)
        file.acquire()
        return file
    for path in default_state_files(environ):
        file = StateFile(path)
        try:
            file.acquire()
        except UnusableStateError as error:
            log.warning("trying another place for the state", reason=str(error))
            continue
        log.info("keeping the state", file=str(path))
        return file
    log.error("nowhere to keep the state: a restart will start at 0")
    return None


def default_state_files(environ: Mapping[str, str]) -> list[Path]:
    """
    List where the state may be kept: where systemd says, else the system's place; then the user's.
    """
    # systemd.exec(5): several directories are separated by colons.
    system = environ.get("STATE_DIRECTORY", "").split(":")[0] or SYSTEM_DIRECTORY
    # XDG Base Directory Specification: a path that is not absolute is to be ignored.
    user = Path(environ.get("XDG_STATE_HOME", ""))
    if not user.is_absolute():
        user = Path(environ.get("HOME", "/"), ".local", "state")
    return [Path(system, "state"), user / NAME / "state"]
