"""
Numbers that more than one dashboard begins with: can the others be believed at all.

Each dashboard says what the number means to it; query, colours and runbook are the same.
"""

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from dashboards.facts import Facts, Query
from dashboards.palette import BAD, GOOD, ODD, WARNING, steps
from dashboards.panels import number
from dashboards.places import to_runbook
from dashboards.promql import series, total

LAST_LINE = "milter_manager_exporter_last_line_timestamp_seconds"
HEIGHT = 5
"""Of every large number, so that a row of them has no hole."""


def exporters_down(
    id_: int, description: str, *, width: int, links: tuple[DashboardLink, ...] = ()
) -> Builder[Panel]:
    """
    Count the exporters that cannot be scraped.
    """
    return number(
        Facts(
            id=id_,
            title="Exporters down",
            description=f"Exporters of the chosen job and instances that Prometheus cannot scrape"
            f" now. {description}",
            queries=(
                Query(expr=f"count({series('up')}) - {total('', series('up'))}", legend="down"),
            ),
            unit="none",
            width=width,
            height=HEIGHT,
            thresholds=steps(GOOD, (1, BAD)),
            links=(to_runbook("MilterManagerExporterDown"), *links),
        )
    )


def log_silent(id_: int, description: str, *, width: int) -> Builder[Panel]:
    """
    Tell how long milter-manager has written nothing.
    """
    return number(
        Facts(
            id=id_,
            title="Log silent for",
            description="Time since milter-manager's newest line, by the log's own clock: the most"
            f" silent of the chosen hosts. {description} The colours change after 15 minutes and an"
            " hour.",
            queries=(Query(expr=f"max(time() - {series(LAST_LINE)})", legend="silent"),),
            unit="s",
            width=width,
            height=HEIGHT,
            decimals=0,
            thresholds=steps(GOOD, (900, ODD), (3600, WARNING)),
            links=(to_runbook("MilterManagerLogSilent"),),
        )
    )
