"""The dashboard: its rows of charts, and the filters on days and users."""

from __future__ import annotations

from typing import Any

from tools.superset.chart import Chart
from tools.superset.charts import CHARTS
from tools.superset.identity import uuid_of

TITLE = "Chat telemetry"
COLUMNS = 12
# The rows: height in units of 8 pixels, then the charts, each with its width of 12 columns.
ROWS: list[tuple[int, list[tuple[str, int]]]] = [
    (18, [("cost_30_days", 3), ("requests_30_days", 3), ("error_rate_30_days", 3), ("off_topic_rate_30_days", 3)]),
    (40, [("cost_by_day_and_model", 6), ("cost_by_model", 6)]),
    (44, [("time_to_first_byte_by_day", 5), ("latency_by_step", 7)]),
    (38, [("errors_by_day_and_type", 6), ("off_topic_rate_by_day", 6)]),
    (58, [("model_pairs", 12)]),
    (60, [("top_users", 12)]),
    (74, [("top_sql_shapes", 12)]),
    (42, [("freshness", 12)]),
]
CHART = {chart.name: chart for chart in CHARTS}
# The numbers of the charts in the file. An import replaces them, here and in the filters.
NUMBERS = {chart.name: number for number, chart in enumerate(CHARTS, start=1)}


def dashboard() -> dict[str, Any]:
    return {
        "dashboard_title": TITLE,
        "description": "What chat requests cost, how fast they were, what failed and who asked.",
        "css": "",
        "slug": "chat-telemetry",
        "certified_by": None,
        "certification_details": None,
        "published": True,
        "uuid": uuid_of("dashboard", TITLE),
        "position": position(),
        "metadata": {
            "color_scheme": "supersetColors",
            "cross_filters_enabled": False,
            "refresh_frequency": 0,
            "timed_refresh_immune_slices": [],
            "expanded_slices": {},
            "label_colors": {},
            "native_filter_configuration": [days_filter(), users_filter()],
        },
        "version": "1.0.0",
    }


def position() -> dict[str, Any]:
    rows = [f"ROW-{number}" for number, _ in enumerate(ROWS, start=1)]
    layout: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"children": ["GRID_ID"], "id": "ROOT_ID", "type": "ROOT"},
        "GRID_ID": {"children": rows, "id": "GRID_ID", "parents": ["ROOT_ID"], "type": "GRID"},
        "HEADER_ID": {"id": "HEADER_ID", "meta": {"text": TITLE}, "type": "HEADER"},
    }
    for row, (height, charts) in zip(rows, ROWS, strict=True):
        layout[row] = {
            "children": [f"CHART-{name}" for name, _ in charts],
            "id": row,
            "meta": {"background": "BACKGROUND_TRANSPARENT"},
            "parents": ["ROOT_ID", "GRID_ID"],
            "type": "ROW",
        }
        layout |= {f"CHART-{name}": place(CHART[name], row, width, height) for name, width in charts}
    return layout


def place(chart: Chart, row: str, width: int, height: int) -> dict[str, Any]:
    return {
        "children": [],
        "id": f"CHART-{chart.name}",
        "meta": {
            "chartId": NUMBERS[chart.name],
            "height": height,
            "sliceName": chart.title,
            "uuid": chart.uuid,
            "width": width,
        },
        "parents": ["ROOT_ID", "GRID_ID", row],
        "type": "CHART",
    }


def days_filter() -> dict[str, Any]:
    """Another range of days than the 30 of the charts. Reports of fixed periods have no column that it could filter."""
    by_day = {chart.name for chart in CHARTS if any(one.operator == "TEMPORAL_RANGE" for one in chart.filters)}
    return native_filter("days", "Days", "filter_time", [{}], by_day) | {
        "description": "For the charts by day, and the cost by model. The other charts have periods of their own."
    }


def users_filter() -> dict[str, Any]:
    target = {"column": {"name": "user_id_text"}, "datasetUuid": uuid_of("dataset", "user_usage")}
    return native_filter("users", "User", "filter_select", [target], {"top_users"}) | {
        "description": "For the table of users."
    }


def native_filter(name: str, title: str, kind: str, targets: list[Any], charts: set[str]) -> dict[str, Any]:
    """A filter of the dashboard that applies to these charts only. It filters nothing until someone sets it."""
    return {
        "id": f"NATIVE_FILTER-{name}",
        "name": title,
        "filterType": kind,
        "type": "NATIVE_FILTER",
        "targets": targets,
        "controlValues": {"enableEmptyFilter": False, "multiSelect": True, "searchAllOptions": True},
        "defaultDataMask": {"extraFormData": {}, "filterState": {}, "ownState": {}},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": [NUMBERS[n] for n in NUMBERS if n not in charts]},
    }
