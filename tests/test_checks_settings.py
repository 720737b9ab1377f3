"""
What the daemon would be told.
"""

from pathlib import Path

import pytest
from machine import Machine, keys

from exporter.logtool.checks.settings import SERVICE_FILE, find_settings, read_config
from exporter.logtool.terminal import UsageError

FILE = "MILTER_MANAGER_EXPORTER_INPUT_FILE"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """
    A machine whose service follows /b, to be read from a shell that says nothing.
    """
    return Machine(tmp_path, {FILE: ""})


@pytest.mark.parametrize(
    ("service", "shell", "arguments", "expected"),
    [
        ("", "", (), ()),
        (f"{FILE}=/a\n", "", (), ("/a",)),
        (f"# x\nPATH=/bin\n\n{FILE}='/a b'\n", "", (), ("/a b",)),
        ('MILTER_MANAGER_EXPORTER_OPTS="--input.file /a"\n', "", (), ("/a",)),
        (f"{FILE}=/a\n", "/b", (), ("/b",)),
        (f"{FILE}=/a\n", "/b", ("--input.file=/c",), ("/c",)),
        ('MILTER_MANAGER_EXPORTER_OPTS="--input.file /a"\n', "", ("--input.file=/c",), ("/c",)),
        (f"{FILE}='unclosed\n", "", (), ()),
    ],
)
def test_layers(
    service: str, shell: str, arguments: tuple[str, ...], expected: tuple[str, ...], tmp_path: Path
) -> None:
    """
    The command line is over the environment, that over what the service reads.
    """
    machine = Machine(tmp_path, {FILE: shell})
    machine.put(SERVICE_FILE, service.encode())

    config = read_config(arguments, machine.system)

    assert expected == tuple(map(str, config.input_files))


def test_exclusive(machine: Machine) -> None:
    """
    Of two that exclude each other the one given takes the place of the service's.
    """
    machine.put(SERVICE_FILE, b"MILTER_MANAGER_EXPORTER_OPTS='--state.file /a --log.level=warn'\n")

    assert Path("/a") == read_config((), machine.system).state_file
    assert None is read_config(["--no-state"], machine.system).state_file


@pytest.mark.parametrize("argument", ["--no-such", "--web.listen-address=x"])
def test_wrong(argument: str, machine: Machine) -> None:
    """
    What the daemon refuses is refused here.
    """
    with pytest.raises(UsageError):
        read_config([argument], machine.system)


def test_told(machine: Machine) -> None:
    """
    It is told where settings come from that were not given.
    """
    assert [] == keys(find_settings(machine.system))

    machine.put(SERVICE_FILE, b"MILTER_MANAGER_EXPORTER_OPTS=\n")

    assert [] == keys(find_settings(machine.system))

    machine.put(SERVICE_FILE, b"MILTER_MANAGER_EXPORTER_OPTS=--no-state\n")

    assert ["settings"] == keys(find_settings(machine.system))
