"""
What the kernel tells of a pipe.
"""

import fcntl
import os

from exporter.kernelpipe import MOST_BYTES, waiting_bytes, widen


def test_pipe() -> None:
    """
    What waits in a pipe is counted, and a wider one holds a megabyte.
    """
    reading, writing = os.pipe()
    widen(reading)
    os.write(writing, bytes(MOST_BYTES))

    assert MOST_BYTES == waiting_bytes(reading)
    assert MOST_BYTES == fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ)

    os.close(reading)
    os.close(writing)


def test_no_pipe() -> None:
    """
    What is no pipe has nothing waiting, and stays as it is.
    """
    descriptor = os.open("/dev/null", os.O_RDONLY)
    widen(descriptor)

    assert 0 == waiting_bytes(descriptor)

    os.close(descriptor)
