"""A chart: its controls, which the browser turns into a query, and the same query for the API and for alerts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tools.superset.filters import Filter
from tools.superset.identity import uuid_of


@dataclass(frozen=True)
class Chart:
    """What all kinds of charts have. `dataset` is the name of a relation in chat_reports."""

    name: str
    title: str
    dataset: str
    description: str
    filters: tuple[Filter, ...] = ()

    viz_type = ""

    @property
    def uuid(self) -> str:
        return uuid_of("chart", self.name)

    def controls(self) -> dict[str, Any]:
        raise NotImplementedError

    def query(self) -> dict[str, Any]:
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """The file of the chart. An import writes the number of the dataset into it."""
        params = {"viz_type": self.viz_type, "adhoc_filters": [one.control() for one in self.filters]}
        return {
            "slice_name": self.title,
            "description": self.description,
            "certified_by": None,
            "certification_details": None,
            "viz_type": self.viz_type,
            "params": params | self.controls(),
            "query_context": json.dumps(self.query_context()),
            "cache_timeout": None,
            "uuid": self.uuid,
            "version": "1.0.0",
            "dataset_uuid": uuid_of("dataset", self.dataset),
        }

    def query_context(self) -> dict[str, Any]:
        query = {"filters": [one.condition() for one in self.filters], "extras": {"having": "", "where": ""}}
        return {
            "datasource": {"id": 0, "type": "table"},
            "force": False,
            "queries": [query | self.query()],
            "result_format": "json",
            "result_type": "full",
        }


@dataclass(frozen=True)
class BigNumber(Chart):
    metric: str = ""
    format: str = ",d"

    viz_type = "big_number_total"

    def controls(self) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "subtitle": self.description,
            "y_axis_format": self.format,
            "header_font_size": 0.4,
            "subtitle_font_size": 0.15,
        }

    def query(self) -> dict[str, Any]:
        return {"columns": [], "metrics": [self.metric]}


@dataclass(frozen=True)
class Series(Chart):
    """Metrics by day: stacked bars, or lines. There is no time grain, because the reports have days already."""

    x: str = "day"
    metrics: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    format: str = ",d"
    stacked_bars: bool = False

    @property
    def viz_type(self) -> str:  # type: ignore[override]
        return "echarts_timeseries_bar" if self.stacked_bars else "echarts_timeseries_line"

    def controls(self) -> dict[str, Any]:
        looks: dict[str, Any] = {"stack": "Stack"} if self.stacked_bars else {"markerEnabled": True, "markerSize": 5}
        return {
            "x_axis": self.x,
            "time_grain_sqla": None,
            "x_axis_time_format": "%b %d",
            "x_axis_sort_asc": True,
            "metrics": list(self.metrics),
            "groupby": list(self.group_by),
            "row_limit": 10000,
            "truncate_metric": True,
            "show_empty_columns": True,
            "show_legend": bool(self.group_by) or len(self.metrics) > 1,
            "legendType": "scroll",
            "legendOrientation": "top",
            "rich_tooltip": True,
            "tooltipTimeFormat": "%Y-%m-%d",
            "y_axis_format": self.format,
            **looks,
        }

    def query(self) -> dict[str, Any]:
        axis = {"columnType": "BASE_AXIS", "expressionType": "SQL", "label": self.x, "sqlExpression": self.x}
        return {
            "columns": [axis, *self.group_by],
            "metrics": list(self.metrics),
            "orderby": [[self.metrics[0], False]],
            "row_limit": 10000,
            "series_columns": list(self.group_by),
            "post_processing": self._post_processing(),
        }

    def _post_processing(self) -> list[dict[str, Any]]:
        """A row per day, as the browser asks for it. The name of a single metric is left out of the columns."""
        aggregates = {metric: {"operator": "mean"} for metric in self.metrics}
        pivot = {"index": [self.x], "columns": list(self.group_by), "aggregates": aggregates}
        steps: list[dict[str, Any]] = [
            {"operation": "pivot", "options": pivot | {"drop_missing_columns": False}},
            {"operation": "flatten"},
        ]
        if self.group_by and len(self.metrics) == 1:
            options = {"columns": {self.metrics[0]: None}, "level": 0, "inplace": True}
            steps.insert(1, {"operation": "rename", "options": options})
        return steps
