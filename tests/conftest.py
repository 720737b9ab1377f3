"""
What several tests start and have ended for them.
"""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from running import Exporter, Program, Prometheus

from exporter.ownlog import Bridge

StartExporter = Callable[..., Exporter]
StartPrometheus = Callable[[Exporter], Prometheus]


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

    def start(*arguments: str, address: str = "127.0.0.1:0") -> Exporter:
        exporter = Exporter(tmp_path, *arguments, address=address)
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
