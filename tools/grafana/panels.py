"""Statistics, tables and charts by day, in Grafana's JSON without an id and a place."""

from __future__ import annotations

from typing import Any

from tools.grafana.queries import Query

Panel = dict[str, Any]
# The variable of the dashboard: each Grafana gives its data source a uid of its own.
SOURCE = {"type": "grafana-postgresql-datasource", "uid": "${datasource}"}
# Units by the names of columns, which say the unit.
UNITS = {
    "/_usd$/": "currencyUSD",
    "/_ms$/": "ms",
    "/_rate$|^share_|^change$/": "percentunit",
    "/_on$|^as_of$/": "time:YYYY-MM-DD",
}


def stat(title: str, query: Query, warn_from: int | None = None) -> Panel:
    """The only row of the query: each column is a number. From `warn_from` on a number is orange."""
    options = {
        "colorMode": "value",
        "graphMode": "none",
        "textMode": "value_and_name",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    }
    steps = [{"color": "text", "value": None}] + ([{"color": "orange", "value": warn_from}] if warn_from else [])
    return _panel("stat", title, query, options, {"thresholds": {"mode": "absolute", "steps": steps}})


def table(title: str, query: Query) -> Panel:
    return _panel("table", title, query, {"showHeader": True}, {})


def chart(title: str, query: Query, unit: str, *, stacked: bool = False) -> Panel:
    """A chart by day: stacked bars, each as wide as its day, or lines."""
    bars = {"drawStyle": "bars", "barAlignment": 1, "fillOpacity": 80, "stacking": {"mode": "normal", "group": "A"}}
    custom = bars if stacked else {"drawStyle": "line", "showPoints": "always"}
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, query, options, {"unit": unit, "min": 0, "custom": custom})


def _panel(kind: str, title: str, query: Query, options: Panel, defaults: Panel) -> Panel:
    target = {"refId": "A", "datasource": SOURCE, "editorMode": "code", "rawQuery": True}
    units = [
        {"matcher": {"id": "byRegexp", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in UNITS.items()
    ]
    return {
        "type": kind,
        "title": title,
        "description": query.description,
        "datasource": SOURCE,
        "targets": [target | {"format": query.format, "rawSql": query.sql}],
        "options": options,
        "fieldConfig": {"defaults": defaults, "overrides": [] if kind == "timeseries" else units},
    }
