"""
All benchmarks of speed and size, short: each figure beside its aim.

    python benchmarks/aims.py

Takes three minutes.  A missed aim is only said: the machine may be slow or busy.  The exit status
is 1 when a figure is beyond what any machine excuses, which only ratios within one run and memory
can be; see `figures`.
"""

import time

import live
import memory
import scrape
import soak
import start
import throughput
from figures import Figure, show
from subject import has_mtail


def run_all() -> list[Figure]:
    """
    Run one after the other.
    """
    return [
        *show(start.figures(rounds=3)),
        *show(throughput.figures(rounds=2)),
        *show(live.figures(seconds=3)),
        *show(scrape.figures(scrapes=100, backlog=1)),
        *show(memory.figures(share=0.02)),
        *show(soak.figures(minutes=0.5)),
    ]


def main() -> int:
    """
    Print all, and judge.
    """
    began = time.monotonic()
    figures = run_all()
    missed = [figure for figure in figures if figure.is_missed]
    gross = [figure for figure in figures if figure.is_gross]
    print(f"{len(figures)} figures in {time.monotonic() - began:.0f} s, {len(missed)} aims missed")
    if not has_mtail():
        print("mtail is not installed: no figure was compared with its own")
    for figure in gross:
        print(f"beyond any noise: {figure}")
    return 1 if gross else 0


if __name__ == "__main__":
    raise SystemExit(main())
