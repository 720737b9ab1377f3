"""
Where the state is kept.
"""

from collections.abc import Iterator, MutableMapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter import place
from exporter.config import Config, StartError
from exporter.place import acquire_state_file, default_state_files
from exporter.state import StateFile

Said = list[MutableMapping[str, object]]


@pytest.fixture
def said() -> Iterator[Said]:
    """
    The exporter's own log.
    """
    with capture_logs() as said:
        yield said


@pytest.fixture(autouse=True)
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """
    Put the system's place where the test may write.
    """
    directory = tmp_path / "lib" / "milter-manager-exporter"
    monkeypatch.setattr(place, "SYSTEM_DIRECTORY", directory)
    return directory


def block(directory: Path) -> None:
    """
    Make a directory impossible, for root too.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    directory.write_bytes(b"")


def acquire(config: Config, environ: dict[str, str]) -> Path | None:
    """
    Get hold of the state file, and let go of it; give where it is.
    """
    file = acquire_state_file(config, environ)
    if file is None:
        return None
    assert file.path.with_name(f"{file.path.name}.lock").exists()
    file.release()
    return file.path


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ["/var/lib/milter-manager-exporter/state", "/.local/state/{}/state"]),
        (
            {"HOME": "/home/a"},
            ["/var/lib/milter-manager-exporter/state", "/home/a/.local/state/{}/state"],
        ),
        (
            {"HOME": "/home/a", "XDG_STATE_HOME": "/x"},
            ["/var/lib/milter-manager-exporter/state", "/x/{}/state"],
        ),
        (
            {"HOME": "/home/a", "XDG_STATE_HOME": "x", "STATE_DIRECTORY": ""},
            ["/var/lib/milter-manager-exporter/state", "/home/a/.local/state/{}/state"],
        ),
        (
            {"HOME": "/root", "STATE_DIRECTORY": "/var/lib/private/mme:/other"},
            ["/var/lib/private/mme/state", "/root/.local/state/{}/state"],
        ),
    ],
)
def test_defaults(
    environ: dict[str, str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It is systemd's place, else the system's, then the user's.
    """
    monkeypatch.undo()  # nothing is written

    assert [
        Path(path.format("milter-manager-exporter")) for path in expected
    ] == default_state_files(environ)


def test_system(system: Path, said: Said) -> None:
    """
    By default the state is in the system's place, and the log says so.
    """
    assert system / "state" == acquire(Config(), {})
    assert [
        {"event": "keeping the state", "log_level": "info", "file": str(system / "state")}
    ] == said


def test_fallback(tmp_path: Path, system: Path, said: Said) -> None:
    """
    Where that cannot be written it is in the user's place, and the log says why.
    """
    block(system)
    environ = {"HOME": str(tmp_path / "home")}
    expected = tmp_path / "home" / ".local" / "state" / "milter-manager-exporter" / "state"

    assert expected == acquire(Config(), environ)
    assert ["trying another place for the state", "keeping the state"] == [
        line["event"] for line in said
    ]
    assert f"cannot keep the state in {system / 'state'}: Not a directory" == said[0]["reason"]
    assert str(expected) == said[1]["file"]


def test_nowhere(tmp_path: Path, system: Path, said: Said) -> None:
    """
    Where neither can be it runs all the same, and the log says what that means.
    """
    block(system)
    block(tmp_path / "home")

    assert acquire(Config(), {"HOME": str(tmp_path / "home")}) is None
    assert "nowhere to keep the state: a restart will start at 0" == said[-1]["event"]
    assert "error" == said[-1]["log_level"]


def test_explicit(tmp_path: Path, system: Path, said: Said) -> None:
    """
    A place that was asked for is taken, and no other is touched.
    """
    path = tmp_path / "mine" / "s"

    assert path == acquire(Config(state_file=path), {"STATE_DIRECTORY": str(system)})
    assert not system.exists()
    assert [] == said


def test_explicit_that_cannot_be(tmp_path: Path, system: Path) -> None:
    """
    If it cannot be used that is an error, and no reason to look elsewhere.
    """
    block(tmp_path / "mine")
    with pytest.raises(StartError, match="cannot keep the state in"):
        acquire(Config(state_file=tmp_path / "mine" / "s"), {})

    assert not system.exists()


def test_no_state(system: Path, said: Said) -> None:
    """
    With --no-state nothing is opened at all.
    """
    assert acquire(Config(keep_state=False), {"STATE_DIRECTORY": str(system)}) is None
    assert not system.exists()
    assert [] == said


def test_in_use(tmp_path: Path, system: Path) -> None:
    """
    A default that another exporter uses is an error too: two would count everything twice.
    """
    first = StateFile(system / "state")
    first.acquire()
    with pytest.raises(StartError, match="another exporter uses the state file"):
        acquire(Config(), {"HOME": str(tmp_path / "home")})
    first.release()

    assert not (tmp_path / "home").exists()
