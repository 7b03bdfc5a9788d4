"""A chart that is a table: rows of a report as they are, or groups of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.superset.chart import Chart
from tools.superset.metrics import format_of
from tools.superset.relations import type_of


@dataclass(frozen=True)
class Table(Chart):
    """Has either `columns`, or `group_by` and `metrics`. `formats` are those of columns, in d3's notation."""

    columns: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)
    order: tuple[tuple[str, bool], ...] = ()  # column or metric, and whether it ascends
    limit: int = 1000
    page_length: int = 0

    viz_type = "table"

    def controls(self) -> dict[str, Any]:
        return self._rows() | {
            "row_limit": self.limit,
            "page_length": self.page_length,
            "include_search": False,
            "show_cell_bars": False,
            "color_pn": False,
            "table_timestamp_format": "%Y-%m-%d %H:%M",
            "column_config": {name: look(name, self.formats.get(name)) for name in (*self.columns, *self.formats)},
        }

    def _rows(self) -> dict[str, Any]:
        if self.columns:
            order = [json.dumps(list(by)) for by in self.order]
            return {"query_mode": "raw", "all_columns": list(self.columns), "order_by_cols": order}
        [(metric, ascending)] = self.order
        return {
            "query_mode": "aggregate",
            "groupby": list(self.group_by),
            "metrics": list(self.metrics),
            "timeseries_limit_metric": metric,
            "order_desc": not ascending,
        }

    def query(self) -> dict[str, Any]:
        selected = (
            {"columns": list(self.columns)}
            if self.columns
            else {"columns": list(self.group_by), "metrics": list(self.metrics)}
        )
        return {**selected, "orderby": [list(by) for by in self.order], "row_limit": self.limit}


def look(column: str, format_: str | None) -> dict[str, str]:
    """How a column of a report is written. Metrics have their own format in the dataset."""
    type_ = type_of(column)
    if type_ == "DATE":
        return {"d3TimeFormat": "%Y-%m-%d"}
    return {} if type_ == "TEXT" else {"d3NumberFormat": format_ or format_of(column)}
