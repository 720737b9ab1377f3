"""
One run of journalctl: a child process whose output is read as it comes, never waited for.

Knows how to start and end it and what its complaints mean, not what it prints.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

from exporter.kernelpipe import waiting_bytes, widen

READ_BYTES = 1024 * 1024
COMPLAINT_BYTES = 4096
MOST_COMPLAINTS = 16
"""As many are heard at a time: some complain faster than anybody can listen."""
END_SECONDS = 1.0
REFUSALS = (b"insufficient permissions", b"not seeing messages from other users")
"""What journalctl says to who may not read the system's journal."""

IGNORING = b"ignoring file"
"""What it says, ending with status 0, of files that are damaged or of a later systemd."""


class Journalctl:
    """
    A child in a session of its own, so that all of it can be ended.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str]) -> None:
        """
        Start it; OSError when it cannot be run.
        """
        self._complaint = b""
        self._process = subprocess.Popen(  # noqa: S603 - no shell
            ["journalctl", *arguments],  # noqa: S607 - wherever the system has it
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**environ, "LC_ALL": "C"},
            start_new_session=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - asked for above
        assert self._process.stderr is not None  # noqa: S101 - asked for above
        self.descriptor = self._process.stdout.fileno()
        self._errors = self._process.stderr.fileno()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._errors, False)
        widen(self.descriptor)

    @property
    def unread_bytes(self) -> int:
        """
        Count the bytes that wait in the pipe.
        """
        return waiting_bytes(self.descriptor)

    @property
    def is_refused(self) -> bool:
        """
        Say whether it has complained that it may not read the journal.
        """
        return any(refusal in self._complaint for refusal in REFUSALS)

    @property
    def ignored(self) -> set[str]:
        """
        Give its own words about files that it leaves out: damaged ones, or of a later systemd.
        """
        lines = self._complaint.split(b"\n")[:-1]
        return {line.decode("utf-8", "replace") for line in lines if IGNORING in line}

    def read(self) -> bytes | None:
        """
        Read what it has printed; None when there is nothing yet, nothing at all at its end.
        """
        self._hear()
        try:
            return os.read(self.descriptor, READ_BYTES)
        except BlockingIOError:
            return None

    def end(self) -> str:
        """
        Close it, its output being at its end; give the reason, empty for a status of 0.
        """
        with suppress(subprocess.TimeoutExpired):  # it has nothing more to do, and leaves
            self._process.wait(END_SECONDS)
        self._hear()
        status = self._process.returncode
        self.kill()
        if self.is_refused:
            return "not permitted to read the journal"
        if status is None:
            return "journalctl closed its output"
        if status < 0:
            return f"journalctl was ended by signal {-status}"
        lines = self._complaint.decode("utf-8", "replace").splitlines()
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if status:
            return f"journalctl: {said}" if said else f"journalctl ended with status {status}"
        return ""

    def kill(self) -> None:
        """
        End it and whatever it has started, at once: it has nothing to save.
        """
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in filter(None, (self._process.stdout, self._process.stderr)):
            pipe.close()

    def _hear(self) -> None:
        """
        Keep the last of what it complains of, so that it never waits for somebody to listen.
        """
        with suppress(BlockingIOError):
            for _ in range(MOST_COMPLAINTS):
                heard = os.read(self._errors, COMPLAINT_BYTES)
                if not heard:
                    return
                self._complaint = (self._complaint + heard)[-COMPLAINT_BYTES:]
