"""The reports as their readers know them: name, grain, columns. A renamed column breaks a dashboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

TOKENS = ["input_tokens", "cached_input_tokens", "output_tokens"]
UNCERTAIN = ["unpriced_call_count", "bounded_call_count"]
GRAIN = {
    "token_cost": ["day", "step", "model"],
    "latency": ["period", "period_start", "step"],
    "errors": ["day", "error_type", "failed_step"],
    "user_usage": ["user_id"],
    "sql_patterns": ["sql_fingerprint"],
    "off_topic": ["day"],
    "model_comparison": ["period", "sql_model", "response_model"],
}
MEASURES = {
    "token_cost": ["call_count", *TOKENS, "cost_usd", "cache_savings_usd", *UNCERTAIN, "price_match"],
    "latency": ["request_count", "avg_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"],
    "errors": ["request_count", "day_request_count", "share_of_requests"],
    "user_usage": [
        *["request_count", "active_days", *TOKENS, "error_count", "off_topic_count"],
        *["cost_usd", *UNCERTAIN, "last_active_on"],
    ],
    "sql_patterns": [
        *["occurrence_count", "error_count", "example_sql", "sql_shape", "avg_execution_ms", "p95_execution_ms"],
        *["avg_row_count", "max_row_count", "last_seen_on"],
    ],
    "off_topic": ["request_count", "off_topic_count", "off_topic_rate"],
    "model_comparison": [
        *["request_count", "error_count", "error_rate", "avg_nl_to_sql_ms", "p95_nl_to_sql_ms"],
        *["avg_sql_execution_ms", "p95_sql_execution_ms", "avg_response_generation_ms", "p95_response_generation_ms"],
        *["avg_ttfb_ms", "p95_ttfb_ms", *TOKENS, "cost_usd", "cost_per_request_usd", *UNCERTAIN],
    ],
}
COLUMNS = {report: GRAIN[report] + MEASURES[report] for report in GRAIN}

LOG = "public.chat_telemetry_log"
REFERENCE = Path(__file__).parent / "reference"
COMPARISON = """
with {calls},

reported as (select {columns} from chat_reports.{report}),

counted as (select {columns} from ({reference}) as reference),

surplus as (select {columns} from reported except all select {columns} from counted),

missing as (select {columns} from counted except all select {columns} from reported)

select 'only in the report' as side, surplus.* from surplus
union all
select 'only by direct SQL', missing.* from missing
order by 2, 3, 1
limit 20
"""


def differences(
    connection: psycopg.Connection, report: str, report_as_of: str, report_timezone: str = "UTC", log: str = LOG
) -> list[tuple[Any, ...]]:
    """Up to 20 rows that only the report has, or only direct SQL on the log, or on another relation like it."""
    statement = COMPARISON.format(
        calls=(REFERENCE / "priced_calls.sql").read_text().replace(LOG, log),
        columns=", ".join(COLUMNS[report]),
        report=report,
        reference=(REFERENCE / f"{report}.sql").read_text(),
    )
    parameters = {"report_as_of": report_as_of, "report_timezone": report_timezone}
    with connection.transaction():
        # The planner estimates one row for each of these conditions, and would compare all rows with all rows.
        connection.execute("set local enable_nestloop = off")
        return connection.execute(statement, parameters).fetchall()
