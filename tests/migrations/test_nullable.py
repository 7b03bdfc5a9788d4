"""A column may be null only where a null means something."""

from __future__ import annotations

from tests.conftest import Database
from tests.migrations.test_apply import COLUMNS

NAMES = {"error_type", "failed_step", "sql_model", "response_model"}
NUMBERS = {
    *("nl_to_sql_duration_ms", "sql_execution_duration_ms", "response_generation_duration_ms", "ttfb_ms"),
    *("sql_input_tokens", "sql_output_tokens", "sql_cached_tokens"),
    *("response_input_tokens", "response_output_tokens", "response_cached_tokens"),
}
NULLABLE = {
    "public.chat_telemetry_log": set(COLUMNS) - {"log_id", "user_id", "created_at", "user_question", "is_off_topic"},
    "public.chat_telemetry_changes": NAMES | NUMBERS,
    "chat_rollups.progress": {"drain_number", "as_of", "report_timezone", "query_md5", "owner", "horizon"},
    "chat_rollups.alerts": {"value"},
    "chat_rollups.labels": {"name", "undated"},
    "chat_rollups.drained_changes": NUMBERS,
    "chat_rollups.daily_latency": {"avg_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"},
    "chat_rollups.own_prices": {"cached_input_usd_per_mtok"},
    "chat_rollups.report_state": {
        *("query_md5", "settings_md5", "made_from", "refreshed_at", "as_of", "report_timezone"),
        *("newest_request_at", "future_request_count", "left_out_count"),
    },
}
NULLABLE_COLUMNS = """
select c.oid::regclass::text, array_agg(a.attname::text)
from pg_class as c
inner join pg_attribute as a on c.oid = a.attrelid and a.attnum > 0
where
    c.relnamespace in ('auth'::regnamespace, 'public'::regnamespace, 'chat_rollups'::regnamespace)
    and c.relkind = 'r' and not a.attisdropped and not a.attnotnull
group by c.oid
"""


def test_only_these_columns_may_be_null(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("set search_path = pg_catalog")
        found = {table: set(columns) for table, columns in connection.execute(NULLABLE_COLUMNS)}
    assert found == NULLABLE
