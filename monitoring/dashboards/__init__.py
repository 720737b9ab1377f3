"""
The Grafana dashboards as code: promql > panels > overview, milters, health > the *.json beside it.

    ./dev docs

Builds files and nothing else: no Grafana is asked, and none of it is part of the exporter.
"""

from dashboards.health import health
from dashboards.milters import milters
from dashboards.overview import overview

DASHBOARDS = {
    "overview.json": overview,
    "milters.json": milters,
    "exporter.json": health,
}
"""What makes each of the files."""
