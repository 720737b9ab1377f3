"""
When the state is saved, and what is said and counted of it.

A checkpoint is taken between two chunks, when every line behind the positions is counted and none
before them is.  Knows the state file, not how the state comes about.
"""

import time
from collections.abc import Callable

import structlog

from exporter.state import State, StateFile
from exporter.tally import Tally

SAVE_SECONDS = 1.0

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Checkpoints:
    """
    Saves the state at most once in `SAVE_SECONDS`, and only when something changed.
    """

    def __init__(self, file: StateFile | None, tally: Tally) -> None:
        self._file = file
        self._tally = tally
        self._saved_at = float("-inf")
        self._saved: object = None
        self.problem = ""
        """Why the state cannot be saved at the moment; empty when it can."""
        for name in ("state_saves", "state_errors"):
            tally.count((name,), 0)

    def load(self) -> State | None:
        """
        Give the state of the last run; what is wrong with it is said, and what that means.
        """
        if self._file is None:
            return None
        file = str(self._file.path)
        state, notes = self._file.load()
        for note in notes:
            self._tally.count(("state_errors",))
            log.error("damaged state, set aside", reason=note)
        if state:
            # The one that is loaded was not counted before it was saved.
            self._tally.count(("state_saves",))
            log.info("going on from the saved state", file=file)
        elif notes:
            log.error(
                "state lost: counters start at 0, logs are read as on a first start", file=file
            )
        else:
            log.info("no saved state: counters start at 0", file=file)
        return state

    def keep(self, version: object, now: float, export: Callable[[], State]) -> None:
        """
        Save the state if it is due; `version` changes whenever the state does.
        """
        if now - self._saved_at >= SAVE_SECONDS:
            self.save(version, now, export)

    def save(self, version: object, now: float, export: Callable[[], State]) -> None:
        """
        Save the state unless this version is saved already; the next try is `SAVE_SECONDS` away.
        """
        if self._file is None or version == self._saved:
            return
        self._saved_at = now
        try:
            self._file.save(export())
        except OSError as error:
            self._tally.count(("state_errors",))
            self._tell(error.strerror or str(error))
            return
        self._saved = version
        self._tally.count(("state_saves",))
        self._tally.set(("state_last_save",), time.time())
        self._tell("")

    def close(self) -> None:
        """
        Let another daemon use the state file.
        """
        if self._file:
            self._file.release()

    def _tell(self, problem: str) -> None:
        if problem == self.problem:
            return
        if problem:
            log.error("cannot save the state, trying again", reason=problem)
        else:
            log.info("the state is saved again")
        self.problem = problem
