"""
What a panel says, whatever it looks like: its words, its queries, its unit and its limits.

Knows no kind of panel; `panels` draws them.
"""
# ruff: noqa: D102 - the methods of AnyPanel are the SDK's, which documents them

from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from grafana_foundation_sdk.builders.dashboard import DashboardLink, ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery as AnyQuery
from grafana_foundation_sdk.models.dashboard import (
    DashboardLink as Link,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.dashboard import (
    ThresholdsConfig as Thresholds,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

from dashboards.palette import NEUTRAL, steps

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
"""The data source is a variable: nothing of one Grafana is in the files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """
    One question to Prometheus.
    """

    expr: str
    legend: str = ""
    instant: bool = False
    """Only the present value, as for a number that covers the whole time range."""
    format: PromQueryFormat = PromQueryFormat.TIME_SERIES
    exemplars: bool = False

    def build(self, ref_id: str) -> Dataquery:
        """
        Make it Grafana's.
        """
        query = (
            Dataquery()
            .ref_id(ref_id)
            .datasource(SOURCE)
            .expr(self.expr)
            .legend_format(self.legend)
            .format(self.format)
            .editor_mode(QueryEditorMode.CODE)
            .exemplar(self.exemplars)
        )
        return query.instant() if self.instant else query.range()


def listed(expr: str) -> Query:
    """
    Ask for the rows of a table: each series once, with its present value.
    """
    return Query(expr=expr, instant=True, format=PromQueryFormat.TABLE)


def buckets(expr: str) -> Query:
    """
    Ask for a histogram's buckets, by their upper bounds, and for its exemplars.
    """
    return Query(expr=expr, legend="{{le}}", format=PromQueryFormat.HEATMAP, exemplars=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """
    What a panel says.
    """

    id: int
    """Never another panel's, and never changed: addresses of single panels go by it."""
    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str
    width: int
    """In 24ths of the page."""
    height: int = 8
    decimals: int | None = None
    thresholds: tuple[Threshold, ...] = steps(NEUTRAL)
    links: tuple[DashboardLink, ...] = ()


class AnyPanel(Protocol):
    """
    What all builders of panels have in common; the SDK has no name for it.
    """

    def id(self, id_val: int, /) -> Self: ...
    def title(self, title: str, /) -> Self: ...
    def description(self, description: str, /) -> Self: ...
    def datasource(self, datasource: DataSourceRef, /) -> Self: ...
    def span(self, w: int, /) -> Self: ...
    def height(self, h: int, /) -> Self: ...
    def unit(self, unit: str, /) -> Self: ...
    def decimals(self, decimals: float, /) -> Self: ...
    def thresholds(self, thresholds: Builder[Thresholds], /) -> Self: ...
    def links(self, links: list[Builder[Link]], /) -> Self: ...
    def with_target(self, target: Builder[AnyQuery], /) -> Self: ...


PanelT = TypeVar("PanelT", bound=AnyPanel)


def state(panel: PanelT, facts: Facts) -> PanelT:
    """
    Write the facts into a panel of any kind.
    """
    bounds = ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(list(facts.thresholds))
    panel = (
        panel.id(facts.id)
        .title(facts.title)
        .description(facts.description)
        .datasource(SOURCE)
        .span(facts.width)
        .height(facts.height)
        .unit(facts.unit)
        .thresholds(bounds)
        .links(list(facts.links))
    )
    if facts.decimals is not None:
        panel = panel.decimals(facts.decimals)
    for letter, query in zip("ABCDEFGH", facts.queries, strict=False):
        panel = panel.with_target(query.build(letter))
    return panel
