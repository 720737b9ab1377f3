"""
A machine made of a directory: what `check` looks at, as a test wants it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.logtool.checks.access import Person
from exporter.logtool.checks.finding import Finding
from exporter.logtool.checks.system import System

NOW = 1_795_392_000.0
"""2026-11-23 00:00 UTC."""

STATISTIC = (
    b"2026-11-22T23:59:30+00:00 mail milter-manager[509]: [statistics] "
    b"[session][end][end-of-message][reject][0.056374](1)\n"
)
ERROR = (
    b"2026-11-22T23:59:31+00:00 mail milter-manager[509]: "
    b"[1] [children][timeout][reading][negotiate][accept] [5] raw-mute\n"
)
FOREIGN = b"2026-11-22T23:59:29+00:00 mail postfix/smtpd[4]: connect from a.example[192.0.2.1]\n"

NOBODYS = 2**31 - 7
"""A number that no user and no group has."""
STRANGER = Person("stranger", NOBODYS, frozenset((NOBODYS,)))
SERVICE = Person("", None, frozenset((4,)))


@dataclass(frozen=True, slots=True)
class Machine:
    """
    Files below a directory that stands for the root.
    """

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def system(self) -> System:
        """
        Give it as `check` sees it.
        """
        return System(self.root, self.environ, lambda: NOW)

    def put(self, path: str, content: bytes = b"") -> Path:
        """
        Make a file; give where it is.
        """
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def open(self, pid: int, name: str, target: str, flags: int = 0o1) -> None:
        """
        Make a process that has something open.
        """
        self.put(f"/proc/{pid}/comm", f"{name}\n".encode())
        self.put(f"/proc/{pid}/fdinfo/3", f"pos:\t0\nflags:\t{flags:07o}\n".encode())
        link = self.root / f"proc/{pid}/fd/3"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target)


def keys(findings: Iterable[Finding]) -> list[str]:
    """
    Give the keys of findings.
    """
    return [finding.key for finding in findings]
