"""
A Prometheus exporter that follows milter-manager's log.

The data flows one way: disk > logfile > record > catalogue > recognise > tally > collector > web.
`logfile` hands over chunks of complete lines as bytes, `record` finds the bytes of a line that
matter, `catalogue` knows every message the program can write and `recognise` which of them a line
is, `tally` keeps the plain numbers behind one lock, `collector` turns a copy of them into metric
families at scrape, and `web` serves those.
"""

import sys

# structlog imports rich where it is installed, for tracebacks in colours.  It is, for
# milter-manager-logtool, which imports it itself; the exporter would pay 4 MB of memory and a
# seventh of its start for nothing.
if "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]  # Python's way to say: not there
    import structlog  # noqa: F401  for the effect

    del sys.modules["rich"]

__version__ = "0.1.0"

REVISION = "unknown"
