"""After a user is erased, one whole run removes everything of them from tables, reports and statistics."""

from __future__ import annotations

import datetime as dt
import uuid

import psycopg

from tests.dbt_project import DbtProject
from tests.reports.random_log import fill

AS_OF = dt.date(2026, 11, 22)
TEXT = "the secret of one person"
# Enough rows to be among the most common values of each column that has statistics.
ASK = f"""
    insert into public.chat_telemetry_log (
        user_id, conversation_id, response_id, created_at, user_question, ai_response, generated_sql, error_message,
        follow_up_suggestions, ttfb_ms, sql_model
    )
    select
        %(user)s, %(conversation)s, '{TEXT}', timestamptz '2026-11-20 12:00:00+00' - number * interval '1 minute',
        '{TEXT}', '{TEXT}', 'select ''{TEXT}''', '{TEXT}', '["{TEXT}"]', number, 'gpt-4o-mini'
    from generate_series(1, 200) as number
"""
TABLES = """
    select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
    union all
    select 'pg_catalog.pg_stats'
"""
# Columns that hold ids or texts of users: they have no statistics in any table or report.
PERSONAL = {
    ("auth", "users"): {"id"},
    ("public", "chat_conversations"): {"conversation_id", "user_id"},
    ("public", "chat_telemetry_log"): {
        *["log_id", "user_id", "conversation_id", "response_id", "user_question", "ai_response", "generated_sql"],
        *["sql_fingerprint", "follow_up_suggestions", "error_message"],
    },
    ("public", "chat_telemetry_changes"): {"log_id", "user_id"},
    ("chat_rollups", "drained_changes"): {"user_id"},
    ("chat_rollups", "daily_users"): {"user_id"},
    ("chat_reports", "user_usage"): {"user_id"},
    ("chat_reports", "sql_patterns"): {"sql_fingerprint", "example_sql", "sql_shape"},
}


def places_of(connection: psycopg.Connection, text: str) -> list[str]:
    """The tables, reports and statistics that hold the text."""
    tables = [name for (name,) in connection.execute(TABLES)]
    return [
        name
        for name in tables
        if connection.execute(f"select from {name} as row where strpos(row::text, %s) > 0 limit 1", [text]).rowcount
    ]


def test_one_run_after_a_user_is_erased_nothing_of_them_is_left(project: DbtProject) -> None:
    (user,) = project.database.add_users()
    (conversation,) = project.database.add_conversations([user])
    fill(project.database, 1, 300, AS_OF, "UTC")
    with project.database.connect() as connection:
        connection.execute(ASK, {"user": user, "conversation": conversation})
        project.seed_and_run(report_as_of=AS_OF.isoformat())
        connection.execute("analyze")
        assert {"chat_rollups.daily_users", "chat_reports.user_usage"} < set(places_of(connection, str(user)))
        assert "chat_reports.sql_patterns" in places_of(connection, TEXT)
        assert "pg_catalog.pg_stats" not in places_of(connection, str(user)) + places_of(connection, TEXT)

        connection.execute("delete from auth.users where id = %s", [user])
        project.run("run", report_as_of=AS_OF.isoformat())
        for trace in (str(user), str(conversation), TEXT):
            assert places_of(connection, trace) == []


def test_columns_that_hold_ids_or_texts_of_users_have_no_statistics(project: DbtProject) -> None:
    fill(project.database, 1, 2_000, AS_OF, "UTC")
    (user,) = project.database.add_users()
    with project.database.connect() as connection:
        project.seed_and_run(report_as_of=AS_OF.isoformat())
        connection.execute(ASK, {"user": user, "conversation": None})
        connection.execute(
            "insert into chat_rollups.drained_changes (drain_number, sign, is_off_topic, error_type, failed_step,"
            " sql_model, response_model, created_at, user_id) values (0, 1, false, 0, 0, 0, 0, now(), %s)",
            [uuid.uuid4()],
        )
        connection.execute("analyze")
        for (schema, table), columns in PERSONAL.items():
            known = connection.execute(
                "select attname from pg_stats where schemaname = %s and tablename = %s", [schema, table]
            ).fetchall()
            assert {name for (name,) in known} & columns == set(), table
            typed = connection.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
                " and (atttypid = 'uuid'::regtype or attname = any(%s))",
                [f"{schema}.{table}", list(columns)],
            ).fetchall()
            assert {name for (name,) in typed} == columns, table
        others = connection.execute(
            "select c.relname, a.attname from pg_attribute as a inner join pg_class as c on a.attrelid = c.oid"
            " inner join pg_namespace as n on c.relnamespace = n.oid"
            " where a.atttypid = 'uuid'::regtype and c.relkind in ('r', 'm') and a.attnum > 0"
            " and n.nspname in ('auth', 'public', 'chat_reports', 'chat_rollups', 'chat_prices')"
        ).fetchall()
        assert set(others) <= {(table, column) for (_, table), columns in PERSONAL.items() for column in columns}
