"""The dashboard: its panels row by row, its variable and its time range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.grafana import queries as sql
from tools.grafana.panels import SOURCE, Panel, chart, stat, table
from tools.grafana.queries import Queries, Query

WIDTH = 24
Row = tuple[int, Sequence[Panel]]  # its height, and its panels, which are equally wide


def numbers(queries: Queries) -> Row:
    return 4, [
        stat("Cost", queries.headline("cost_usd", change=True)),
        stat("Requests", queries.headline("request_count", change=True)),
        stat("Error rate", queries.headline("error_rate")),
        stat("Off-topic rate", queries.headline("off_topic_rate")),
        stat("p95 of the first byte", queries.headline("p95_ttfb_ms", change=True)),
        stat("Calls without a price", queries.headline("unpriced_call_count"), warn_from=1),
    ]


def series() -> Iterator[Row]:
    def by_day(text: str, description: str, **values: str) -> Query:
        return Query(text.format(**values), description, "time_series")

    costs = by_day(sql.COST_BY_DAY, "In US dollars. Calls without a price are in no cost.")
    errors = by_day(sql.ERRORS_BY_DAY, "Failed requests. A cancelled request did not fail.")
    off_topic = by_day(sql.OFF_TOPIC_BY_DAY, "The share of requests that the data cannot answer.")
    yield 8, [chart("Cost by day and model", costs, "currencyUSD", stacked=True)]
    late = "Successful requests of the last 30 days, whatever the time range. Percentiles of days cannot be combined."
    steps = {"ttfb": "First byte", "nl_to_sql": "Question to SQL", "sql_execution": "SQL execution"}
    steps["response_generation"] = "Response generation"
    yield 7, [chart(title, by_day(sql.LATENCY_BY_DAY, late, step=step), "ms") for step, title in steps.items()]
    yield (
        8,
        [
            chart("Errors by day and type", errors, "short", stacked=True),
            chart("Off-topic rate by day", off_topic, "percentunit"),
        ],
    )


def tables(queries: Queries) -> Iterator[Row]:
    freshness = Query(sql.FRESHNESS, "pending_changes and future_request_count are the same in every row.")
    yield 8, [table("Cost by model", queries.rows("cost_by_model"))]
    yield 8, [table("Top users", queries.rows("top_users", limit=20))]
    yield 10, [table("SQL shapes", queries.rows("sql_shapes", limit=20))]
    yield 9, [table("Freshness", freshness)]
    yield 6, [table("Open alerts", Query(sql.OPEN_ALERTS, "What was over its bound when dbt last ran the alerts."))]


def placed(rows: Sequence[Row]) -> Iterator[Panel]:
    number, top = 0, 0
    for height, panels in rows:
        width = WIDTH // len(panels)
        for index, panel in enumerate(panels):
            number += 1
            yield {"id": number, "gridPos": {"x": index * width, "y": top, "w": width, "h": height}} | panel
        top += height


def dashboard(root: Path) -> dict[str, Any]:
    queries = Queries(root)
    variable = {"type": "datasource", "name": "datasource", "label": "Data source", "query": SOURCE["type"]}
    return {
        "uid": "chat_telemetry",
        "title": "Chat telemetry",
        "description": "The reports of chat-telemetry. The project validates this file, but never ran it in Grafana.",
        "tags": ["chat-telemetry"],
        "timezone": "utc",  # a day is a date, which Grafana takes as its midnight in UTC
        "time": {"from": "now-29d/d", "to": "now/d"},
        "refresh": "5m",
        "schemaVersion": 39,  # of Grafana 11.0; later versions convert it
        "templating": {"list": [variable | {"refresh": 1, "current": {}, "hide": 0}]},
        "annotations": {"list": []},
        "panels": list(placed([numbers(queries), *series(), *tables(queries)])),
    }
