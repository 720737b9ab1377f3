"""
How the daemon is, in the one line that `systemctl status` shows.

It never tells anybody, that is `systemd`, and never finds anything out by itself.
"""

from collections.abc import Sequence

from exporter.input import Input


def write_status(
    inputs: Sequence[Input], recognised: int, *, ready: bool, state_problem: str
) -> str:
    """
    Write what hinders it, what it follows, and how far it has come.
    """
    problems = [
        f"cannot read {one.name}: {one.problem}, trying again" for one in inputs if one.problem
    ]
    if state_problem:
        problems.append(f"cannot save the state: {state_problem}, trying again")
    if not inputs:
        return "; ".join([*problems, "no log found, waiting for one to appear"])
    names = ", ".join(one.name for one in inputs)
    doing = f"following {names}" if ready else f"reading the backlog of {names}"
    unread = sum(one.logfile.unread_bytes for one in inputs)
    return "; ".join(
        [*problems, f"{doing}: {recognised:,} lines recognised, {unread:,} bytes unread"]
    )
