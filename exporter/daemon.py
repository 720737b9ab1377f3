"""
The wiring: inputs, tally, HTTP and the loop that reads, counts and waits.

The main thread reads and counts; watchdog's thread only rings; the HTTP thread only takes copies.
Environment, signals and clocks are dealt with here and nowhere deeper.
"""

import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

import structlog

from exporter import __version__
from exporter.catalogue import load_catalogue
from exporter.checkpoint import Checkpoints
from exporter.collector import new_registry
from exporter.config import Config
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.earlier import Earlier
from exporter.input import Input, name_of
from exporter.logfile import LogFile, Register
from exporter.milters import MilterNames
from exporter.page import render_page
from exporter.place import acquire_state_file
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.state import State
from exporter.tally import Tally
from exporter.watch import Watch
from exporter.web import WebServer

POLL_SECONDS = 1.0
"""How long the reader sleeps when nothing wakes it: what events miss is found within this time."""

CANDIDATES = (
    Path("/var/log/mail.log"),
    Path("/var/log/maillog"),
    Path("/var/log/milter-manager.log"),
)
"""Where milter-manager's log goes: Debian's rsyslog, Red Hat's, the program's own file."""

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()


class Daemon:
    """
    The exporter, from its configuration to its end.
    """

    def __init__(self, config: Config) -> None:
        """
        Wire everything up; nothing is opened yet.
        """
        self._config = config
        self._wake = threading.Event()
        self._stopping = False
        self._ready = threading.Event()
        self._catalogue = load_catalogue()
        self._tally = Tally(config.buckets, zero_counters(self._catalogue), zero_histograms())
        self._grammar = Grammar(config.input_programs)
        self._names = MilterNames()
        self._recogniser = Recogniser(self._catalogue, self._names)
        self._register = Register()
        self._checkpoints = Checkpoints(None, self._tally)
        self._earlier = Earlier(self._tally)
        self._inputs: list[Input] = []
        self._watch = Watch(self._wake)
        self._watching: bool | None = None
        self._web = WebServer(
            addresses=config.listen_addresses,
            telemetry_path=config.telemetry_path,
            registry=new_registry(self._tally),
            ready=self._ready.is_set,
            page=self._page,
        )

    def run(self) -> int:
        """
        Serve until told to stop; StartError when an address or the state file cannot be had.
        """
        self._checkpoints = Checkpoints(acquire_state_file(self._config, os.environ), self._tally)
        try:
            self._web.start()
            log.info(
                "serving metrics",
                addresses=" ".join(map(str, self._web.bound)),
                path=self._config.telemetry_path,
                version=__version__,
            )
            self._restore()
            if self._config.input_files:
                self._follow(self._config.input_files, "given by --input.file")
            self._loop()
            self._checkpoints.save(self._version(), time.monotonic(), self._export)
        finally:
            self._watch.stop()
            self._web.stop()
            for input_ in self._inputs:
                input_.logfile.close()
            self._checkpoints.close()
        log.info("stopped")
        return 0

    def stop(self, *_: int | FrameType | None) -> None:
        """
        Ask the loop to end, within `POLL_SECONDS`; a signal handler.

        It takes no lock, `Event.set` would: the thread that it interrupts may hold that very one.
        """
        self._stopping = True

    def _loop(self) -> None:
        looked = float("-inf")
        while not self._is_stopping():
            now = time.monotonic()
            if now - looked >= POLL_SECONDS:
                looked = now
                self._look_for_a_log()
                self._watch_inputs()
            for input_ in self._inputs:
                input_.read(now, self._keep_and_ask)
            self._keep_and_ask()
            self._tally.set(("last_read",), time.time())
            self._tell_ready()
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _is_stopping(self) -> bool:
        return self._stopping

    def _tell_ready(self) -> None:
        """
        Show the numbers from when they are those of the earlier run or more: once.
        """
        if self._ready.is_set() or self._stopping:
            return
        if not any(input_.is_behind for input_ in self._inputs):
            self._ready.set()
            log.info("ready")

    def _keep_and_ask(self) -> bool:
        """
        Save the state if it is due, and say whether to stop: asked between two chunks.
        """
        self._checkpoints.keep(self._version(), time.monotonic(), self._export)
        return self._stopping

    def _version(self) -> list[tuple[object, ...]]:
        """
        Give what changes whenever the state does.
        """
        return [input_.version for input_ in self._inputs]

    def _export(self) -> State:
        """
        Give all that a restart needs.
        """
        # The logs first: a file that was left has its last lines counted by that.
        logs = [input_.export() for input_ in self._inputs] + self._earlier.logs
        return State(self._tally.export(), list(self._names), logs, self._register.left)

    def _restore(self) -> None:
        state = self._checkpoints.load()
        if state:
            self._earlier.restore(state, self._names, self._register)

    def _follow(self, paths: Iterable[Path], reason: str, *, from_beginning: bool = False) -> None:
        """
        Begin with logs, where an earlier run was in them; those of it that are left are done with.
        """
        for path in paths:
            log.info("following a log", file=str(path), reason=reason)
            self._inputs.append(self._new_input(path, from_beginning=from_beginning))
        self._earlier.drop_logs()

    def _new_input(self, path: Path, *, from_beginning: bool) -> Input:
        name = os.fsencode(path)

        def new_counting() -> Counting:
            return Counting(name_of(name), self._grammar, self._recogniser, self._tally, time.time)

        logfile = LogFile(path, from_beginning or self._config.from_beginning, self._register)
        input_ = Input(logfile, new_counting, self._tally)
        earlier = self._earlier.take_log(name)
        if earlier:
            input_.resume(earlier)
        return input_

    def _look_for_a_log(self) -> None:
        """
        Without a log by name take the first that exists; one that appears later is read whole.
        """
        if self._inputs:
            return
        waiting = self._watching is not None
        for path in CANDIDATES:
            # Path.exists would raise where the directory may not be searched.
            if os.path.exists(path):  # noqa: PTH110
                self._follow([path], "the first that exists", from_beginning=waiting)
                return
        if not waiting:
            paths = " ".join(map(str, CANDIDATES))
            log.warning("no log found, waiting for one to appear", looked_for=paths)

    def _watch_inputs(self) -> None:
        watching = self._watch.ensure(list(self._watched_paths()))
        self._tally.set(("watcher_up",), 1.0 if watching else 0.0)
        if watching != self._watching and (self._watching is not None or not watching):
            if watching:
                log.info("file events arrive again")
            else:
                log.warning("no file events, only the timer wakes the reader: numbers come later")
        self._watching = watching

    def _watched_paths(self) -> Iterator[Path]:
        if self._inputs:
            return (input_.logfile.path for input_ in self._inputs)
        return iter(CANDIDATES)

    def _page(self) -> bytes:
        names = [input_.name for input_ in self._inputs]
        return render_page(__version__, self._config.telemetry_path, names)


def run(config: Config) -> int:
    """
    Run the daemon until SIGTERM or SIGINT; give its exit status.
    """
    daemon = Daemon(config)
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        signal.signal(number, daemon.stop)
    return daemon.run()
