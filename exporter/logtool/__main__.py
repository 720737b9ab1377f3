"""
`python -m exporter.logtool`: the same as the command `milter-manager-logtool`.
"""

from exporter.logtool.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
