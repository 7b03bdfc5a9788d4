"""The feed has a signed row per changed row, in the same transaction, and no text of a user or a model."""

from __future__ import annotations

import psycopg
import pytest

from tests.conftest import Database

FEED = "select sign, ttfb_ms from public.chat_telemetry_changes"


def ask(connection: psycopg.Connection, ttfb_ms: int) -> None:
    connection.execute(
        "insert into public.chat_telemetry_log (user_id, user_question, ttfb_ms) select id, 'How many?', %s"
        " from auth.users",
        [ttfb_ms],
    )


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
    with database.connect() as connection, pytest.raises(psycopg.errors.RaiseException) as refusal:
        connection.execute(f"truncate {table}")
    assert "public.chat_telemetry_log cannot be truncated" in str(refusal.value)
    assert "Use DELETE" in str(refusal.value)
