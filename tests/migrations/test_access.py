"""Each role may do what it needs and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors as sqlstate
from psycopg import sql

from tests.conftest import Database

ACTIONS = {
    "select": "select * from public.chat_telemetry_log",
    "insert": "insert into public.chat_telemetry_log (user_id, user_question) select id, '' from pg_temp.known_user",
    "update": "update public.chat_telemetry_log set user_question = 'Changed'",
    "delete": "delete from public.chat_telemetry_log",
    "truncate": "truncate public.chat_telemetry_log",
    "use sql_shape": "select public.chat_telemetry_sql_shape('select 1')",
    "create in chat_reports": "create table chat_reports.mine ()",
    "create in chat_rollups": "create table chat_rollups.mine ()",
    "create in chat_prices": "create table chat_prices.mine ()",
    "read chat_reports": "select * from chat_reports.granted",
    "read chat_rollups": "select * from chat_rollups.granted",
    "read chat_prices": "select * from chat_prices.granted",
    "read the feed": "select * from public.chat_telemetry_changes",
    "add to the feed": "insert into public.chat_telemetry_changes select * from pg_temp.known_change",
    "change the feed": "update public.chat_telemetry_changes set sign = -sign",
    "drain the feed": "delete from public.chat_telemetry_changes",
    "truncate the feed": "truncate public.chat_telemetry_changes",
    "call the feed's function": "select public.chat_telemetry_feed_changes()",
    "call the fingerprint's function": "select public.compute_sql_fingerprint()",
    "call the function that refuses truncate": "select public.chat_telemetry_refuse_truncate()",
    "read the progress": "select * from chat_rollups.progress",
    "record progress": "update chat_rollups.progress set drain_number = drain_number + 1",
    "fill a rollup": "insert into chat_rollups.daily_latency (day, step, request_count) values ('2026-11-22', 1, 1)",
    "empty a rollup at once": "truncate chat_rollups.daily_latency",
    "drop a rollup": "drop table chat_rollups.daily_latency",
    "see own prices": "select count(*) from chat_rollups.own_prices",
    "set own prices": "insert into chat_rollups.own_prices values ('m', '2026-01-01', 1, 1, 1, 'contract')",
    "call a run function": "select chat_rollups.forget_counted_changes()",
    "hand the feed over": "select chat_rollups.hand_over('mine')",
    "announce an alert": "insert into chat_rollups.alerts (alert, subject, bound) values ('mine', '', 1)",
    "record a refresh": "insert into chat_rollups.report_state (report) values ('mine')",
    "read a question": "select user_question from public.chat_telemetry_log",
    "read what models read": "select log_id, user_id, generated_sql, sql_model from public.chat_telemetry_log",
    "insert as the loader does": (
        "insert into public.chat_telemetry_log (user_id, user_question) select id, '' from pg_temp.known_user"
        " on conflict do nothing returning true"
    ),
    "see which conversations exist": "select count(conversation_id) from public.chat_conversations",
    "see whose conversations exist": "select count(user_id) from public.chat_conversations",
    "add a user": "insert into auth.users default values",
    "read report_freshness": "select count(*) from chat_reports.report_freshness",
    "read the migrations": "select * from chat_telemetry_migrations._yoyo_migration",
}
ALLOWED = {
    "service_role": {
        "select",
        "insert",
        "insert as the loader does",
        "delete",
        "read a question",
        "read what models read",
        "see which conversations exist",
        "see whose conversations exist",
        "add a user",
    },
    "telemetry_writer": {"insert", "insert as the loader does", "see which conversations exist", "add a user"},
    "telemetry_transformer": {
        "use sql_shape",
        "create in chat_reports",
        "create in chat_prices",
        "read chat_reports",
        "read chat_rollups",
        "read chat_prices",
        "read what models read",
        "read the feed",
        "drain the feed",
        "read the progress",
        "record progress",
        "fill a rollup",
        "see own prices",
        "call a run function",
        "record a refresh",
        "announce an alert",
        "read the migrations",
        "read report_freshness",
    },
    "telemetry_reader": {"read chat_reports", "read report_freshness"},
    "somebody_else": set(),
}


@pytest.fixture
def with_a_row(database: Database) -> Database:
    """A log with one row, and in each schema a table granted to public, so that only the schema denies access."""
    with database.connect() as connection:
        connection.execute(
            "do $$ begin if to_regrole('somebody_else') is null then create role somebody_else; end if; end $$"
        )
        connection.execute("insert into auth.users default values")
        connection.execute(
            "insert into public.chat_telemetry_log (user_id, user_question) select id, 'How many?' from auth.users"
        )
        for schema in ("chat_reports", "chat_rollups", "chat_prices"):
            connection.execute(
                sql.SQL("create table {0}.granted as select 1 as n; grant select on {0}.granted to public").format(
                    sql.Identifier(schema)
                )
            )
    return database


@pytest.fixture
def login(with_a_row: Database, role: str) -> Iterator[str]:
    """A login that is a member of the role, as an operator creates one."""
    name = f"login_{with_a_row.name}"
    with with_a_row.connect() as connection:
        connection.execute(f"create role {name} login in role {role}")
        yield name
        connection.execute(f"drop owned by {name}; drop role {name}")


@pytest.mark.parametrize("role", ALLOWED)
@pytest.mark.parametrize("is_member", [False, True])
def test_a_role_may_do_what_it_needs_and_nothing_else(
    with_a_row: Database, role: str, login: str, is_member: bool
) -> None:
    with with_a_row.connect() as connection:
        connection.execute("create temporary table known_user as select id from auth.users")
        connection.execute("create temporary table known_change as select * from public.chat_telemetry_changes")
        connection.execute("grant select on pg_temp.known_user, pg_temp.known_change to public")
        user = login if is_member else role
        connection.execute(sql.SQL("set session authorization {}").format(sql.Identifier(user)))
        assert {action for action, statement in ACTIONS.items() if succeeds(connection, statement)} == ALLOWED[role]


def succeeds(connection: psycopg.Connection, statement: str) -> bool:
    """Whether the statement is allowed and, where row level security applies, sees the row."""
    try:
        with connection.transaction(force_rollback=True):
            return connection.execute(statement).statusmessage not in {"SELECT 0", "DELETE 0"}
    except sqlstate.InsufficientPrivilege:
        return False


def test_without_its_policy_a_role_with_the_grant_sees_no_rows(with_a_row: Database) -> None:
    with with_a_row.connect() as connection:
        connection.execute("drop policy telemetry_transformer_selects on public.chat_telemetry_log")
        connection.execute("set session authorization telemetry_transformer")
        assert connection.execute("select log_id from public.chat_telemetry_log").fetchall() == []


def test_a_deleted_user_loses_their_log_and_a_deleted_conversation_keeps_it(database: Database) -> None:
    users = database.add_users(2)
    conversations = database.add_conversations(users)
    with database.connect() as connection:
        connection.cursor().executemany(
            "insert into chat_telemetry_log (user_id, conversation_id, user_question) values (%s, %s, 'How many?')",
            list(zip(users, conversations, strict=True)),
        )
        connection.execute("delete from chat_conversations where conversation_id = %s", [conversations[0]])
        connection.execute("delete from auth.users where id = %s", [users[1]])
        rows = connection.execute("select user_id, conversation_id from chat_telemetry_log").fetchall()
    assert rows == [(users[0], None)]
