"""
What the kernel does for the reader of a pipe: it tells how much waits, and holds more if asked to.
"""

import fcntl
import sys
import termios
from contextlib import suppress

MOST_BYTES = 1024 * 1024
"""As many as Linux lets any process ask for (fs.pipe-max-size); by default a pipe holds 64 KiB."""


def waiting_bytes(descriptor: int) -> int:
    """
    Count the bytes that wait; none in what is no pipe and may not tell.
    """
    waiting = bytearray(4)
    with suppress(OSError):
        fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
    return int.from_bytes(waiting, sys.byteorder)


def widen(descriptor: int) -> None:
    """
    Let a pipe hold more, so that its writer need not wait for each turn of the reader.
    """
    # It may be no pipe, or its user's share of memory for pipes be used up; then it is slower.
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, MOST_BYTES)
