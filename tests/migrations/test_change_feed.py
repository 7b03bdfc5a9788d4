"""The feed has a signed row per changed row, in the same transaction, and no text of a user or a model."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest
from psycopg import errors as sqlstate

from tests.conftest import Database
from tests.reports.random_log import fill

FEED = "select sign, ttfb_ms from public.chat_telemetry_changes"


def ask(connection: psycopg.Connection, ttfb_ms: int) -> None:
    connection.execute(
        "insert into public.chat_telemetry_log (user_id, user_question, ttfb_ms) select id, 'How many?', %s"
        " from auth.users",
        [ttfb_ms],
    )


def columns_of(connection: psycopg.Connection, relation: str) -> set[str]:
    header = connection.execute(f"select * from {relation} limit 0").description
    return {column.name for column in header or []}


def test_each_statement_writes_the_old_rows_and_the_new_rows(database: Database) -> None:
    database.add_users()
    with database.connect() as connection:

        def drained() -> list[tuple[int, int]]:
            rows = connection.execute("delete from public.chat_telemetry_changes returning sign, ttfb_ms").fetchall()
            return sorted(rows)

        ask(connection, 1)
        assert drained() == [(1, 1)]
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 2")
        assert drained() == [(-1, 1), (1, 2)]
        connection.execute("delete from auth.users")
        assert drained() == [(-1, 2)]


def test_the_feed_has_each_counted_column_with_the_value_of_the_log(database: Database) -> None:
    fill(database, 1, 200, dt.date(2026, 11, 22), "UTC")
    with database.connect() as connection:
        columns = ", ".join(columns_of(connection, "public.chat_telemetry_changes") - {"sign"})
        fed = (
            f"select f::text from (select {columns} from public.chat_telemetry_changes where sign = %s) as f order by 1"
        )
        logged = f"select l::text from (select {columns} from public.chat_telemetry_log) as l order by 1"
        before = connection.execute(logged).fetchall()
        assert connection.execute(fed, [1]).fetchall() == before
        connection.execute("delete from public.chat_telemetry_changes")
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 7, sql_model = 'other'")
        assert connection.execute(fed, [-1]).fetchall() == before
        assert connection.execute(fed, [1]).fetchall() == connection.execute(logged).fetchall() != before


def test_the_counted_columns_are_the_same_in_each_list(database: Database) -> None:
    """The feed, the drained changes, what a rebuild counts, and what dbt's role may read."""
    with database.connect() as connection:
        counted = columns_of(connection, "public.chat_telemetry_changes") - {"sign", "log_id"}
        drained = columns_of(connection, "chat_rollups.drained_changes")
        assert drained - {"drain_number", "sign"} == counted
        assert columns_of(connection, "chat_rollups.log_as_drained") - {"log_id", "sign"} == counted
        readable = connection.execute(
            "select attname from pg_attribute where attrelid = 'public.chat_telemetry_log'::regclass and attnum > 0"
            " and has_column_privilege('telemetry_transformer', attrelid, attnum, 'select')"
        )
        shown_by_sql_patterns = {"generated_sql", "sql_fingerprint", "result_row_count"}
        assert {name for (name,) in readable} - {"log_id", *shown_by_sql_patterns} == counted


def test_a_statement_that_changes_no_row_writes_nothing(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 2")
        connection.execute("delete from public.chat_telemetry_log")
        assert connection.execute(FEED).fetchall() == []


def test_a_change_that_is_rolled_back_is_not_in_the_feed(database: Database) -> None:
    database.add_users()
    with database.connect() as connection:
        with connection.transaction():
            ask(connection, 1)
            with connection.transaction(force_rollback=True):
                ask(connection, 2)
        with connection.transaction(force_rollback=True):
            ask(connection, 3)
        assert connection.execute(FEED).fetchall() == [(1, 1)]


def test_the_feed_has_no_text_of_a_user_or_a_model(database: Database) -> None:
    with database.connect() as connection:
        texts = connection.execute(
            "select attname from pg_attribute where attrelid = 'public.chat_telemetry_changes'::regclass and attnum > 0"
            " and atttypid not in ('smallint'::regtype, 'integer'::regtype, 'boolean'::regtype, 'uuid'::regtype,"
            " 'timestamptz'::regtype)"
        ).fetchall()
    assert {name for (name,) in texts} == {"error_type", "failed_step", "sql_model", "response_model"}


@pytest.mark.parametrize("table", ["public.chat_telemetry_log", "auth.users cascade"])
def test_truncate_of_the_log_is_refused_with_a_hint(database: Database, table: str) -> None:
    with database.connect() as connection, pytest.raises(sqlstate.RaiseException) as refusal:
        connection.execute(f"truncate {table}")
    assert "public.chat_telemetry_log cannot be truncated" in str(refusal.value)
    assert "Use DELETE" in str(refusal.value)
