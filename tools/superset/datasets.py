"""The database and the datasets of the bundle. A dataset is a relation of chat_reports as it is, not a query."""

from __future__ import annotations

from typing import Any

from tools.superset.identity import uuid_of
from tools.superset.metrics import METRICS, Metric
from tools.superset.relations import Column, Relation

SCHEMA = "chat_reports"
DATABASE_NAME = "chat_telemetry"
DATABASE_FILE = f"databases/{DATABASE_NAME}.yaml"
# Ten X are Superset's sign for a password that is not in the file. The form for an import then asks for it.
URI = "postgresql+psycopg2://telemetry_reader:XXXXXXXXXX@db.example.com:5432/app?sslmode=verify-full"
# The column that a filter on days uses.
TIME_COLUMNS = {
    "latency": "period_start",
    "model_comparison": None,
    "open_alerts": "began_at",
    "report_freshness": "refreshed_at",
    "sql_patterns": "last_seen_on",
    "user_usage": "last_active_on",
}
# Superset's filter `contains` is an ILIKE, which PostgreSQL does not have for a uuid.
USER_TEXT = Column("user_id_text", "TEXT", "user_id as text, for filters that search in it.")


def database(uri: str = URI) -> dict[str, Any]:
    """The database, for readers only: no CREATE TABLE AS, no uploads, no changes of rows."""
    # Superset shows times in UTC, and PostgreSQL truncates a date at the midnight of the session's time zone.
    connect = {"options": "-c timezone=UTC", "application_name": "superset"}
    return {
        "database_name": DATABASE_NAME,
        "sqlalchemy_uri": uri,
        "cache_timeout": None,
        "expose_in_sqllab": True,
        "allow_run_async": False,
        "allow_ctas": False,
        "allow_cvas": False,
        "allow_dml": False,
        "allow_csv_upload": False,
        "extra": {
            "metadata_params": {},
            "engine_params": {"connect_args": connect},
            "metadata_cache_timeout": {},
            "schemas_allowed_for_csv_upload": [],
        },
        "uuid": uuid_of("database", DATABASE_NAME),
        "version": "1.0.0",
    }


def dataset(relation: Relation) -> dict[str, Any]:
    columns = [column_entry(column) for column in relation.columns]
    if relation.name == "user_usage":
        columns.append({**column_entry(USER_TEXT), "expression": "user_id::text"})
    return {
        "table_name": relation.name,
        "main_dttm_col": TIME_COLUMNS.get(relation.name, "day"),
        "description": relation.description,
        "cache_timeout": None,
        "schema": SCHEMA,
        "sql": None,
        "filter_select_enabled": True,
        "uuid": uuid_of("dataset", relation.name),
        "metrics": [metric_entry(metric) for metric in METRICS.get(relation.name, ())],
        "columns": columns,
        "version": "1.0.0",
        "database_uuid": uuid_of("database", DATABASE_NAME),
    }


def column_entry(column: Column) -> dict[str, Any]:
    return {
        "column_name": column.name,
        "verbose_name": None,
        "is_dttm": column.is_temporal,
        "is_active": True,
        "type": column.type,
        "groupby": column.is_dimension,
        "filterable": True,
        "expression": None,
        "description": column.description,
    }


def metric_entry(metric: Metric) -> dict[str, Any]:
    return {
        "metric_name": metric.name,
        "verbose_name": metric.title,
        "metric_type": "expression",
        "expression": metric.expression,
        "description": metric.description,
        "d3format": metric.format,
        "warning_text": None,
    }
