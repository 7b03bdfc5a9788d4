"""What each chart has to show: SQL in expected/*.sql, written by hand and without Superset's metrics, and its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

DIRECTORY = Path(__file__).with_name("expected")
Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """The columns that identify a row, and those by which the rows are in order. Equal ones can be in any order."""

    key: tuple[str, ...] = ()
    order: tuple[str, ...] = ()


SERIES = Shape(("day", "series"), ("day",))
SHAPES = {
    "cost_30_days": Shape(),
    "requests_30_days": Shape(),
    "error_rate_30_days": Shape(),
    "off_topic_rate_30_days": Shape(),
    "cost_by_day_and_model": SERIES,
    "cost_by_model": Shape(("model",), ("total_call_count",)),
    "time_to_first_byte_by_day": Shape(("period_start",), ("period_start",)),
    "latency_by_step": Shape(("step", "period"), ("step", "period")),
    "errors_by_day_and_type": SERIES,
    "off_topic_rate_by_day": Shape(("day",), ("day",)),
    "model_pairs": Shape(("sql_model", "response_model"), ("request_count", "sql_model", "response_model")),
    "top_users": Shape(("user_id_text",), ("request_count", "user_id_text")),
    "top_sql_shapes": Shape(("sql_shape",), ("total_occurrence_count",)),
    "freshness": Shape(("report",), ("report",)),
}


def expected_rows(connection: psycopg.Connection[Any], name: str) -> list[Row]:
    """The rows that psql shows for the chart."""
    query = (DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


def as_series(rows: list[Row], x: str) -> list[Row]:
    """The rows of a chart with a column per series, as one row per series. A missing value is no bar."""
    return [
        {x: row[x], "series": series, "value": value}
        for row in rows
        for series, value in row.items()
        if series != x and value is not None
    ]
