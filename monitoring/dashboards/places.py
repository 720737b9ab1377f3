"""
Where a reader may go from a panel: to another dashboard, or to the runbook.
"""

from grafana_foundation_sdk.builders.dashboard import DashboardLink
from grafana_foundation_sdk.models.dashboard import DashboardLinkType

OVERVIEW, MILTERS, HEALTH = (
    "milter-manager-overview",
    "milter-manager-milters",
    "milter-manager-exporter",
)
"""The dashboards' uids: links and bookmarks hold on to them."""
TAG = "milter-manager"
RUNBOOK = "https://milter-manager-exporter.example/runbook"
"""Stands for the place where you publish docs/runbook.md, as in the alert rules."""


def runbook(alert: str) -> str:
    """
    Give the address of an alert's section.
    """
    return f"{RUNBOOK}#{alert.lower()}"


def to_runbook(alert: str) -> DashboardLink:
    """
    Link a panel to what to do about it.
    """
    return to_page(f"Runbook: {alert}", runbook(alert))


def to_messages() -> DashboardLink:
    """
    Link a panel to the runbook's index of messages.
    """
    return to_page("Runbook: all messages", f"{RUNBOOK}#index")


def to_page(title: str, url: str) -> DashboardLink:
    """
    Link to a page outside Grafana.
    """
    return (
        DashboardLink(title).type(DashboardLinkType.LINK).url(url).target_blank(target_blank=True)
    )


def to_dashboard(title: str, uid: str) -> DashboardLink:
    """
    Link a panel to another dashboard, which keeps the time and the variables.
    """
    url = f"/d/{uid}?${{__url_time_range}}&${{datasource:queryparam}}&${{job:queryparam}}"
    return DashboardLink(title).type(DashboardLinkType.LINK).url(f"{url}&${{instance:queryparam}}")


def to_milter() -> dict[str, object]:
    """
    Link the name of a milter, in a table, to its own numbers.
    """
    url = f"/d/{MILTERS}?${{__url_time_range}}&${{datasource:queryparam}}&${{job:queryparam}}"
    return {
        "title": "${__value.text}: what it did",
        "url": f"{url}&${{instance:queryparam}}&var-milter=${{__value.raw:percentencode}}",
    }
