"""
A file to be written: there whole in the end, or not at all.

Never writes over a file unless told to, and never replaces what is no regular file: /dev/null and
pipes are written to.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".part"


class ExistsError(Exception):
    """
    The file is there already.
    """


@contextmanager
def new_file(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """
    Open a file to write to, which takes its name when all is written; ExistsError if it is taken.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    if path.exists() and not force:
        raise ExistsError(f"{path} exists: --force writes over it")
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
