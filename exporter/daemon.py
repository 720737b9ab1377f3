"""
The wiring: inputs, tally, HTTP and the loop that reads, counts and waits.

The main thread reads and counts; watchdog's thread only rings; the HTTP thread only takes copies.
Environment, signals and clocks are dealt with here and nowhere deeper.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import structlog

from exporter import __version__
from exporter.catalogue import load_catalogue
from exporter.collector import new_registry
from exporter.config import Config
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.input import Input
from exporter.logfile import LogFile
from exporter.milters import MilterNames
from exporter.page import render_page
from exporter.recognise import Recogniser
from exporter.record import Grammar
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
        self._recogniser = Recogniser(self._catalogue, MilterNames())
        self._inputs = [self._new_input(path) for path in config.input_files]
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
        Serve until told to stop; raise StartError when an address cannot be listened on.
        """
        self._web.start()
        log.info(
            "serving metrics",
            addresses=" ".join(map(str, self._web.bound)),
            path=self._config.telemetry_path,
            version=__version__,
        )
        for path in self._config.input_files:
            log.info("following a log", file=str(path), reason="given by --input.file")
        try:
            self._loop()
        finally:
            self._watch.stop()
            self._web.stop()
            for input_ in self._inputs:
                input_.logfile.close()
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
                input_.read(now, self._is_stopping)
            self._tally.set(("last_read",), time.time())
            if not self._is_stopping() and not self._ready.is_set():
                self._ready.set()
                log.info("ready")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _is_stopping(self) -> bool:
        return self._stopping

    def _new_input(self, path: Path, *, from_beginning: bool = False) -> Input:
        def new_counting() -> Counting:
            return Counting(str(path), self._grammar, self._recogniser, self._tally, time.time)

        logfile = LogFile(path, from_beginning or self._config.from_beginning)
        return Input(logfile, new_counting, self._tally)

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
                log.info("following a log", file=str(path), reason="the first that exists")
                self._inputs.append(self._new_input(path, from_beginning=waiting))
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
