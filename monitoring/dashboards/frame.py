"""
What every dashboard has around its panels: variables, links, time, and its form as a file.
"""

import json
from collections.abc import Sequence

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery as Annotation
from grafana_foundation_sdk.models.dashboard import Dashboard as Model
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    Panel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.facts import SOURCE
from dashboards.places import RUNBOOK, TAG, to_page

ALL = VariableOption(selected=True, text=["All"], value=["$__all"])
PRESENCE = "milter_manager_exporter_build_info"
"""There is one series of it for each exporter, whatever it reads."""


class AlertQuery(Annotation):
    """
    Marks the times at which alerts began to fire; without the alert rules there are none.
    """

    def to_json(self) -> dict[str, object]:
        """
        Add the words of a mark, which the SDK's type lacks.
        """
        words = {"titleFormat": "{{alertname}}", "textFormat": "{{instance}} {{milter}}"}
        return super().to_json() | words


class Alerts(Builder[Annotation]):
    """
    Makes such a query, the same for every dashboard.
    """

    def build(self) -> Annotation:
        """
        Make it.
        """
        return AlertQuery(
            name="Alerts",
            datasource=SOURCE,
            icon_color="red",
            expr='ALERTS{alertstate="firing",alertname=~"MilterManager.+"}',
        )


def frame(uid: str, title: str, description: str) -> Dashboard:
    """
    Begin a dashboard.
    """
    between = DashboardLink("milter-manager").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return (
        Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("1m")
        .editable()
        .link(
            between.as_dropdown(as_dropdown=False)
            .include_vars(include_vars=True)
            .keep_time(keep_time=True)
        )
        .link(to_page("Runbook", RUNBOOK))
        .annotation(Alerts())
        .with_variable(DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(variable("job", "Job", f"label_values({PRESENCE}, job)"))
        # As ".*", a hundred hosts need no pattern of a hundred names.
        .with_variable(
            variable(
                "instance", "Instance", f'label_values({PRESENCE}{{job=~"$job"}}, instance)'
            ).all_value(".*")
        )
    )


def variable(name: str, label: str, query: str) -> QueryVariable:
    """
    Make a variable whose values Prometheus knows: any of them, or all.
    """
    return (
        QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_CASE_INSENSITIVE_ASC)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(ALL)
    )


def add(dashboard: Dashboard, id_: int, title: str, panels: Sequence[Builder[Panel]]) -> Dashboard:
    """
    Add a row of panels, from left to right; the SDK begins another line when one is full.
    """
    dashboard = dashboard.with_row(Row(title).id(id_))
    for panel in panels:
        dashboard = dashboard.with_panel(panel)
    return dashboard


def render(dashboard: Builder[Model]) -> str:
    """
    Write a dashboard as the text of its file.
    """
    return json.dumps(dashboard.build(), cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"
