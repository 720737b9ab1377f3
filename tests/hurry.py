"""
Configurations of Prometheus and Alertmanager whose clock goes faster: a minute is a second.

What is changed is every span of time: windows in brackets, offsets, `for`, and the keys that
end in `interval` or `wait`.  What is not: seconds and hours that an expression writes as numbers
(`> 300`, `3600 *`), so alerts that stand on those cannot be tried this way; promtool tries them.

A scrape each minute, the slowest that the rules are made for, is one each second.  Prometheus'
start does not go faster: 5 s to the first scrape are five minutes of this clock, so that
MilterManagerExporterAbsent may be heard of.
"""

import re
from pathlib import Path

FASTER = 60
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
SPAN = re.compile(
    r"(?P<before>\[|\boffset |\bfor: |interval: |wait: )(?P<n>\d+)(?P<unit>[smhdw])\b"
)
LOOKBACK = f"--query.lookback-delta={5 * 60 * 1000 // FASTER}ms"
"""Prometheus' own five minutes, after which what is not heard of any more is gone."""


def hurry(config: str) -> str:
    """
    Shorten every span of time.
    """
    return SPAN.sub(
        lambda match: (
            f"{match['before']}{int(match['n']) * UNITS[match['unit']] * 1000 // FASTER}ms"
        ),
        config,
    )


def scraped_each_minute(config: str) -> str:
    """
    Make all intervals of a configuration of Prometheus the slowest advised one, and shorten it.
    """
    return hurry(re.sub(r"((?:scrape|evaluation)_interval: )\d+s", r"\g<1>1m", config))


def hurry_files(source: Path, target: Path) -> None:
    """
    Copy the YAML files of a directory, their spans shortened.
    """
    target.mkdir()
    for file in source.glob("*.yml"):
        (target / file.name).write_text(hurry(file.read_text()))
