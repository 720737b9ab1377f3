"""
What the reader says of itself once a second: frozen, so that any thread may look at it.

Holds no numbers of the tally, and reads nothing: the inputs and the daemon fill it in.
"""

from dataclasses import dataclass

from exporter.remedy import Remedy


@dataclass(frozen=True, slots=True)
class InputStatus:
    """
    One log, as it stood at one moment.
    """

    name: str
    kind: str = "file"
    """file, fifo, stdin or journal."""
    present: bool = True
    """Whether a file is open."""
    ended: bool = False
    """Whether nothing will come any more."""
    problem: str = ""
    """Why it cannot be read."""
    remedy: Remedy | None = None
    form: str = ""
    """The format of journalctl that it is in, if it is one that has no lines of a log."""
    dialects: tuple[str, ...] = ()
    """Those of milter-manager's lines in this run, sorted."""
    position: int = 0
    """The byte reached in the newest file."""
    unread_bytes: int = 0
    rotations: int = 0
    truncations: int = 0
    read_errors: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """
    The exporter, as it stood at one moment.
    """

    taken: float
    """Seconds since the epoch."""
    inputs: tuple[InputStatus, ...] = ()
    looked_for: tuple[str, ...] = ()
    """The logs that would be taken, where none is there."""
    journal: InputStatus | None = None
    """The one that would be taken then, if it cannot be read."""
    watching: bool = True
    """Whether file events arrive."""
    state_file: str = ""
    """Empty where no state is kept."""
    state_problem: str = ""
    """Why the state cannot be saved."""
    unknown_tags: tuple[tuple[str, int], ...] = ()
    """Runs of tags that the catalogue lacks, the most frequent first."""
    unlisted_tags: int = 0
    """Lines with more such runs than are remembered."""
