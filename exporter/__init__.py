"""
A Prometheus exporter that follows milter-manager's log.

The data flows one way: disk > logfile > record > catalogue > recognise > tally > collector > web.
`logfile` hands over chunks of complete lines as bytes, `record` finds the bytes of a line that
matter, `catalogue` knows every message the program can write and `recognise` which of them a line
is, `tally` keeps the plain numbers behind one lock, `collector` turns a copy of them into metric
families at scrape, and `web` serves those.
"""

__version__ = "0.1.0"

REVISION = "unknown"
