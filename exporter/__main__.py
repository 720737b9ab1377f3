"""
`python -m exporter`: the same as the command `milter-manager-exporter`.
"""

from exporter.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
