"""
The wiring: inputs, tally, HTTP and the loop that reads, counts and waits.

The main thread reads and counts; watchdog's thread only rings; the HTTP thread only takes copies.
Environment and clocks are dealt with here and nowhere deeper; signals come by way of `lifecycle`.
"""

import errno
import gc
import math
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import structlog

from exporter import __version__
from exporter.catalogue import load_catalogue
from exporter.checkpoint import Checkpoints
from exporter.collector import new_registry
from exporter.config import STANDARD_INPUT, Config, StartError
from exporter.counters import zero_counters, zero_histograms
from exporter.counting import Counting
from exporter.earlier import Earlier
from exporter.input import Input, name_of
from exporter.journal import Journal
from exporter.lifecycle import Lifecycle, Waker
from exporter.logfile import LogFile, Register
from exporter.milters import MilterNames
from exporter.pipe import Pipe, is_pipe
from exporter.place import acquire_state_file
from exporter.recognise import Recogniser
from exporter.record import Grammar
from exporter.state import State
from exporter.status import InputStatus, Status
from exporter.statusline import write_status
from exporter.systemd import Notifier, take_sockets
from exporter.tally import Tally
from exporter.watch import Watch
from exporter.web import WebServer
from exporter.websettings import WebSettings

POLL_SECONDS = 1.0
"""How long the reader sleeps when nothing wakes it: what events miss is found within this time."""

AWAY_SECONDS = 60.0
"""How long the journal does not replace a log that was followed: it may be away for a rotation."""

PIPE_REST_SECONDS = 0.02
"""Between two looks at a pipe that had something: else each line would take a turn."""

SWITCH_SECONDS = 0.0005
"""How long a scrape may compute while the reader waits, each time that one of its system calls
returns; with Python's 5 ms a scrape of 30 milters stalled the reader for 42 ms."""

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
        Wire everything up; StartError if the web configuration is bad, or the state file in use.
        """
        if STANDARD_INPUT in config.input_files and sys.stdin is None:
            raise StartError("--input.file -: standard input is closed")
        self._config = config
        self._wake = Waker()
        self.lifecycle = Lifecycle(self._wake)
        self._notifier = Notifier(os.environ)
        self._ready = threading.Event()
        self._catalogue = load_catalogue()
        self._tally = Tally(config.buckets, zero_counters(self._catalogue), zero_histograms())
        self._grammar = Grammar(config.input_programs)
        self._names = MilterNames()
        self._recogniser = Recogniser(self._catalogue, self._names)
        self._register = Register()
        self._earlier = Earlier(self._tally)
        self._inputs: list[Input] = []
        self._journal = self._new_journal()
        """The one that is or may be followed."""
        self._watch = Watch(self._wake)
        self._watching: bool | None = None
        self._told = False
        self._slept_at = 0
        self._started, self._began = time.time(), time.monotonic()
        self._ended: float | None = None
        self._barred: InputStatus | None = None
        # What the page shows of the reader: replaced as a whole, for the HTTP thread to look at.
        self._shown = Status(self._started)
        self._shown_at = float("-inf")
        self._web_settings = WebSettings(config.web_config_file)
        self._web = WebServer(
            addresses=config.listen_addresses,
            telemetry_path=config.telemetry_path,
            registry=new_registry(self._tally),
            ready=self._ready.is_set,
            page=self._page,
            settings=self._web_settings,
        )
        # The last thing, since nobody lets go of it before `run`.
        state_file = acquire_state_file(config, os.environ)
        self._checkpoints = Checkpoints(state_file, self._tally)
        self._state_path = name_of(os.fsencode(state_file.path)) if state_file else ""

    def run(self) -> int:
        """
        Serve until told to stop; StartError when an address cannot be had.
        """
        try:
            self._web.start(take_sockets(os.environ) if self._config.systemd_socket else ())
            log.info(
                "serving metrics",
                addresses=" ".join(self._web.listening),
                path=self._config.telemetry_path,
                version=__version__,
            )
            self._restore()
            if self._config.input_files:
                self._follow(self._config.input_files, "given by --input.file")
            if self._config.journal:
                self._follow_journal("given by --input.journal")
            # Not when the backlog is read: that may take longer than systemd waits for a start, and
            # /-/ready tells who has to know.
            self._notifier.ready()
            self._loop()
            self._notifier.stopping()
            self._checkpoints.save(self._version(), time.monotonic(), self._export)
        finally:
            self._watch.stop()
            self._web.stop()
            for input_ in self._inputs:
                input_.logfile.close()
            self._journal.close()
            self._checkpoints.close()
        log.info("stopped")
        return 0

    def _loop(self) -> None:
        looked = float("-inf")
        while not self.lifecycle.stopping:
            now = time.monotonic()
            if self.lifecycle.take_reload(now):
                self._reload()
                looked = float("-inf")
            if now - looked >= POLL_SECONDS or self._has_news():
                looked = now
                self._look_for_a_log(now)
                self._watch_inputs()
            for input_ in self._inputs:
                if input_.is_other:
                    self._exchange(input_, now)
                input_.read(now, self._keep_and_ask)
            self._keep_and_ask()
            self._watch.pace(self._read_bytes(), now)
            self._tally.set(("last_read",), time.time())
            self._tell_ready()
            rest = self._rest(time.monotonic())
            if rest <= 0:
                break
            self._sleep(min(POLL_SECONDS, self._notifier.ping_seconds, rest))

    def _sleep(self, seconds: float) -> None:
        """
        Wait for something to do; where a pipe had lines just now, for more of them than the next.
        """
        awaited, before, self._slept_at = self._awaited(), self._slept_at, self._read_bytes()
        if awaited and before != self._slept_at:
            self._wake.wait(min(PIPE_REST_SECONDS, seconds))
        else:
            self._wake.wait(seconds, awaited)

    def _has_news(self) -> bool:
        """
        Say whether to look for logs at once: the journal may be answering, or a log be renamed.
        """
        asked = not self._inputs and self._awaited()
        return bool(asked) or self._watch.is_stale

    def _read_bytes(self) -> int:
        return sum(input_.logfile.statistics.read_bytes for input_ in self._inputs)

    def _rest(self, now: float) -> float:
        """
        Give how long there is something to do: standard input may have been all, and have ended.
        """
        if not self._inputs or not all(input_.has_ended for input_ in self._inputs):
            return math.inf
        if self._ended is None:
            self._ended = now
            log.info("end of input", lingering=f"{self._config.linger_seconds:g}s")
        return self._ended + self._config.linger_seconds - now

    def _awaited(self) -> list[int]:
        """
        Give the descriptors that tell of new lines.
        """
        descriptors = [input_.descriptor for input_ in self._inputs]
        if not descriptors:
            descriptors = [self._journal.descriptor]
        return [descriptor for descriptor in descriptors if descriptor is not None]

    @property
    def _is_asking(self) -> bool:
        """
        Say whether it is not known yet if there is a log to follow.
        """
        asking = not self._inputs and self._journal.found is None
        return asking and not self._is_away(time.monotonic())

    def _is_away(self, now: float) -> bool:
        """
        Say whether the log of before may come again: then its place is not given up yet.
        """
        places = {os.fsdecode(one.path) for one in self._earlier.logs}
        return now - self._began < AWAY_SECONDS and not places.isdisjoint(map(str, CANDIDATES))

    def _reload(self) -> None:
        """
        Open the logs anew, and watch them anew with the look that follows at once.
        """
        log.info("reloading")
        self._notifier.reloading()
        self._web_settings.reload()
        for input_ in self._inputs:
            input_.logfile.reopen()
        self._watch.stop()
        self._notifier.ready()

    def _tell_ready(self) -> None:
        """
        Show the numbers from when they are those of the earlier run or more: once.
        """
        # Reading may have been broken off.
        if self._ready.is_set() or self.lifecycle.is_asked(time.monotonic()):
            return
        if self._is_asking:
            return  # the journal may have been followed before
        if not any(input_.is_behind for input_ in self._inputs):
            self._ready.set()
            log.info("ready")
            if self._config.journal and not (self._journal.found or self._journal.problem):
                programs = " ".join(self._config.input_programs)
                log.warning("the journal has no entries of the program yet", programs=programs)

    def _keep_and_ask(self) -> bool:
        """
        Save the state if it is due, and say whether to stop reading: asked between two chunks.

        Here and in `_search_on` the watchdog is told that the reader gets on, and nowhere else.
        """
        self._checkpoints.keep(self._version(), time.monotonic(), self._export)
        now = time.monotonic()
        self._notifier.alive(now)
        if self._notifier.is_due(now):
            self._notifier.status(self._status(), now)
        if now - self._shown_at >= POLL_SECONDS:
            self._shown, self._shown_at = self._show(), now
        return self.lifecycle.is_asked(now)

    def _search_on(self) -> None:
        """
        Go on looking for a place in a compressed log, or InterruptedError when it is to stop.

        A reload waits: what was found by then would have to be found again.
        """
        self._notifier.alive(time.monotonic())
        if self.lifecycle.stopping:
            raise InterruptedError(errno.EINTR, os.strerror(errno.EINTR))

    def _show(self) -> Status:
        tags = self._recogniser.unknown_tags
        return Status(
            taken=time.time(),
            inputs=tuple(input_.status() for input_ in self._inputs),
            looked_for=tuple(map(str, CANDIDATES)),
            journal=self._show_journal(),
            watching=bool(self._watching),
            state_file=self._state_path,
            state_problem=self._checkpoints.problem,
            unknown_tags=tags.ranked(),
            unlisted_tags=tags.unlisted,
        )

    def _show_journal(self) -> InputStatus | None:
        """
        Say why the journal, which nobody follows yet, cannot be read.
        """
        problem = "" if self._inputs else self._journal.problem
        if not problem:
            self._barred = None
        elif self._barred is None or self._barred.problem != problem:
            # Only once: to name users and groups may mean to ask a server.
            remedy = self._journal.remedy()
            name = name_of(os.fsencode(self._journal.path))
            self._barred = InputStatus(
                name, "journal", present=False, problem=problem, remedy=remedy
            )
        return self._barred

    def _status(self) -> str:
        return write_status(
            self._inputs,
            self._tally.snapshot().counts["lines", "recognised"],
            ready=self._ready.is_set(),
            state_problem=self._checkpoints.problem,
        )

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
        self._journal.close()  # it may have been asked
        for path in paths:
            log.info("following a log", file=str(path), reason=reason)
            self._inputs.append(self._new_input(path, from_beginning=from_beginning))
        self._earlier.drop_logs()

    def _new_input(self, path: Path, *, from_beginning: bool) -> Input:
        return self._resumed(self._new_logfile(path, from_beginning=from_beginning))

    def _new_logfile(self, path: Path, *, from_beginning: bool) -> LogFile | Pipe:
        if is_pipe(path):
            return Pipe(path)
        from_beginning = from_beginning or self._config.from_beginning
        return LogFile(path, from_beginning, self._register, between=self._search_on)

    def _exchange(self, input_: Input, now: float) -> None:
        """
        Follow a FIFO where there was a file or nothing, or the reverse: the names are the same.
        """
        path = input_.logfile.path
        log.info("the log is another kind of file now", file=input_.name)
        input_.exchange(
            lambda: self._new_logfile(path, from_beginning=True), now, self._keep_and_ask
        )

    def _resumed(self, logfile: LogFile | Pipe | Journal) -> Input:
        """
        Make the input of a log, where an earlier run was in it.
        """
        name = os.fsencode(logfile.path)

        def new_counting() -> Counting:
            return Counting(name_of(name), self._grammar, self._recogniser, self._tally, time.time)

        input_ = Input(logfile, new_counting, self._tally)
        earlier = self._earlier.take_log(name)
        if earlier:
            input_.resume(earlier)
        return input_

    def _new_journal(self) -> Journal:
        config = self._config
        return Journal(
            config.input_programs, config.from_beginning, os.environ, config.journal_directory
        )

    def _follow_journal(self, reason: str) -> None:
        log.info("following the systemd journal", reason=reason)
        self._inputs.append(self._resumed(self._journal))
        self._earlier.drop_logs()

    def _look_for_a_log(self, now: float) -> None:
        """
        Without a log by name take the first that exists; one that appears later is read whole.

        The journal is the last choice, and only if it has entries of the program.
        """
        if self._inputs:
            return
        waiting = self._watching is not None
        for path in CANDIDATES:
            # Path.exists would raise where the directory may not be searched.
            if os.path.exists(path):  # noqa: PTH110
                self._follow([path], "the first that exists", from_beginning=waiting)
                return
        away = self._is_away(now)
        if not away and self._journal.look(now):
            self._follow_journal("no log file exists")
        elif not self._is_asking and not self._told:
            self._told = True
            paths = " ".join(map(str, CANDIDATES))
            reason = "not yet, the log of before may come again" if away else self._journal.problem
            log.warning(
                "no log found, waiting for one to appear",
                looked_for=f"{paths} journal",
                journal=reason or "no entries of the program",
            )
        errors = self._journal.statistics.read_errors
        if errors and not self._inputs:
            self._tally.set(("read_errors", str(self._journal.path)), float(errors))

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
            files = (one.logfile for one in self._inputs if isinstance(one.logfile, LogFile))
            return (logfile.path for logfile in files)
        return iter(CANDIDATES)

    def _page(self, language: str) -> bytes:
        """
        Write the landing page; in the HTTP thread.
        """
        # Its template engine takes 0.1 s and some megabytes, and nobody may ever look.
        from exporter.page import View, render_page  # noqa: PLC0415

        view = View(
            version=__version__,
            telemetry_path=self._config.telemetry_path,
            started=self._started,
            now=time.time(),
            ready=self._ready.is_set(),
            status=self._shown,
            snapshot=self._tally.snapshot(),
            catalogue=self._catalogue,
        )
        return render_page(view, language)


def run(config: Config) -> int:
    """
    Run the daemon until SIGTERM or SIGINT; give its exit status.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    daemon = Daemon(config)
    # What is there by now stays: looking through it for garbage takes 10 ms, in midst of a scrape.
    gc.freeze()
    with daemon.lifecycle.handled():
        return daemon.run()
