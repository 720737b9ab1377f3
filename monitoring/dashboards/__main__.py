"""
Write the dashboards beside the code that makes them.
"""

from pathlib import Path

from dashboards import DASHBOARDS
from dashboards.frame import render

HERE = Path(__file__).parent


def main() -> None:
    """
    Write every file anew.
    """
    for name, make in DASHBOARDS.items():
        (HERE / name).write_text(render(make()))


if __name__ == "__main__":
    main()
