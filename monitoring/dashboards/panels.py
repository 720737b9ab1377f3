"""
The four kinds of panels, each drawn the same way wherever it stands.

A kind decides on looks alone; what is said comes in as facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from grafana_foundation_sdk.builders import heatmap as heatmaps
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.builders import timeseries as graphs
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    TableSortByFieldState,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphTresholdsStyleMode,
    HeatmapCellLayout,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    ValueMap,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale

from dashboards.facts import Facts, state


def number(facts: Facts, *, none: str = "no data", named: bool = False) -> stats.Panel:
    """
    Draw one large number, in the colour of its threshold, over its course.
    """
    ranges = any(not query.instant for query in facts.queries)
    return (
        state(stats.Panel(), facts)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(values=False))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA if ranges else BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.VALUE_AND_NAME if named else BigValueTextMode.AUTO)
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .no_value(none)
    )


def graph(
    facts: Facts,
    *,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    limits: bool = False,
) -> graphs.Panel:
    """
    Draw values over time; series that have a colour of their own keep it everywhere.
    """
    panel = (
        state(graphs.Panel(), facts)
        .color_scheme(FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .min(0)
        .line_width(1)
        .fill_opacity(70 if stacked else 10)
        .show_points(VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(show_legend=True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
    )
    if stacked:
        panel = panel.stacking(StackingConfig().mode(StackingMode.NORMAL).group("A"))
    if limits:
        style = GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(style)
    for name, colour in (colours or {}).items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(name, [DynamicConfigValue("color", fixed)])
    return panel


def heat(facts: Facts) -> heatmaps.Panel:
    """
    Draw a histogram's buckets over time, with its exemplars on top.
    """
    colours = (
        heatmaps.HeatmapColorOptions()
        .mode(HeatmapColorMode.SCHEME)
        .scheme("Oranges")
        .scale(HeatmapColorScale.EXPONENTIAL)
        .exponent(0.5)
        .steps(64)
        .fill("dark-orange")
    )
    return (
        state(heatmaps.Panel(), facts)
        .calculate(calculate=False)
        .color(colours)
        .y_axis(heatmaps.YAxisConfig().unit("s"))
        .rows_frame(heatmaps.RowsHeatmapOptions().layout(HeatmapCellLayout.AUTO))
        .cell_values(heatmaps.CellValues().unit(facts.unit).decimals(1))
        # Cells in which nothing happened stay empty.
        .filter_values(heatmaps.FilterValueRange().le(1e-9))
        .cell_gap(1)
        .exemplars_color("rgba(255,0,255,0.7)")
        .show_legend()
        .show_tooltip()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """
    One column of a table.
    """

    field: str
    """What Prometheus calls it: a label, or "Value #A" for the first query's number."""
    title: str
    width: int | None = None
    """In pixels; without it the column shares what is left."""
    mappings: ValueMap | None = None
    link: Mapping[str, object] | None = None
    wrapped: bool = False
    unit: str = ""

    def properties(self) -> list[DynamicConfigValue]:
        """
        Say how it is shown.
        """
        found: list[DynamicConfigValue] = []
        if self.width is not None:
            found.append(DynamicConfigValue("custom.width", self.width))
        if self.mappings is not None:
            found.append(DynamicConfigValue("mappings", [self.mappings]))
        if self.link is not None:
            found.append(DynamicConfigValue("links", [self.link]))
        if self.unit:
            found.append(DynamicConfigValue("unit", self.unit))
        if self.wrapped:
            # Grafana 10 does not wrap: the cell can be opened there.
            cell = {"type": "auto", "wrapText": True}
            found.append(DynamicConfigValue("custom.cellOptions", cell))
            found.append(DynamicConfigValue("custom.inspect", value=True))
        return found


def table(facts: Facts, *columns: Column, hidden: tuple[str, ...] = ()) -> tables.Panel:
    """
    Draw labels and numbers in columns, the highest of the first number on top.
    """
    arrangement = {
        "excludeByName": dict.fromkeys(("Time", *hidden), True),
        "indexByName": {column.field: index for index, column in enumerate(columns)},
        "renameByName": {column.field: column.title for column in columns},
    }
    first = next(column.title for column in columns if column.field.startswith("Value"))
    panel = (
        state(tables.Panel(), facts)
        .with_transformation(DataTransformerConfig("merge", options={}))
        .with_transformation(DataTransformerConfig("organize", options=arrangement))
        .sort_by([TableSortByFieldState().display_name(first).desc(desc=True)])
        .color_scheme(FieldColor().mode(FieldColorModeId.THRESHOLDS))
        .no_value("none")
    )
    for column in columns:
        properties = column.properties()
        if column.field.startswith("Value") and len(facts.thresholds) > 1:
            properties.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
        if properties:
            panel = panel.override_by_name(column.title, properties)
    return panel
