"""
What several tests start and have ended for them.
"""

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from running import Exporter, Program, Prometheus, require

from exporter.ownlog import Bridge

StartExporter = Callable[..., Exporter]
StartPrometheus = Callable[[Exporter], Prometheus]

# Hypothesis has a profile of its own for CI.  Elsewhere too the machine may be slow, not the code.
settings.register_profile(
    "slow machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
if os.environ.get("CI") != "true":
    settings.load_profile("slow machine")


@pytest.fixture
def _restored_log() -> Iterator[None]:
    """
    Leave the exporter's own log as it was.
    """
    root = logging.getLogger()
    level = root.level
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    for handler in root.handlers:
        if isinstance(handler, Bridge):
            root.removeHandler(handler)
    logging.getLogger("tornado").setLevel(logging.NOTSET)
    logging.getLogger("tornado.access").disabled = False


@pytest.fixture(scope="module")
def _unmeasured_module() -> Iterator[None]:
    """
    Start the programs of a file of tests without coverage.

    It adds 0.4 s of processor time to each start and doubles what counting takes.  For tests that
    start many or give them much to read; what they cover is covered by others.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Do so for one test.
    """
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    """
    The programs of a test, which do not outlive it.
    """
    started: list[Program] = []
    yield started
    for program in reversed(started):
        program.kill()


@pytest.fixture
def start_exporter(programs: list[Program], tmp_path: Path) -> StartExporter:
    """
    Start the exporter with some flags.
    """

    def start(
        *arguments: str,
        address: str = "127.0.0.1:0",
        standard_input: int = subprocess.DEVNULL,
    ) -> Exporter:
        exporter = Exporter(tmp_path, *arguments, address=address, standard_input=standard_input)
        programs.append(exporter)
        return exporter

    return start


@pytest.fixture
def start_prometheus(
    programs: list[Program], tmp_path_factory: pytest.TempPathFactory
) -> StartPrometheus:
    """
    Start a Prometheus that scrapes an exporter.
    """

    def start(exporter: Exporter) -> Prometheus:
        prometheus = Prometheus(tmp_path_factory.mktemp("prometheus"), exporter)
        programs.append(prometheus)
        return prometheus

    return start


@pytest.fixture
def journal_directory(tmp_path: Path) -> Path:
    """
    Where a journal's files may be put.
    """
    require("journalctl", "systemd")
    directory = tmp_path / "journal"
    directory.mkdir()
    return directory
