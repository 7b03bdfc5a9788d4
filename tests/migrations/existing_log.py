"""A log that existed before the project, with rows that have no fingerprint."""

from __future__ import annotations

import psycopg

from tests.migrations.catalog import MIGRATIONS

SURROUNDINGS = """
create schema auth;
create table auth.users (id uuid primary key default gen_random_uuid());
create table public.chat_conversations (conversation_id uuid primary key);
"""
ROWS = """
with person as (insert into auth.users default values returning id)
insert into public.chat_telemetry_log (user_id, user_question, generated_sql)
select id, 'the secret of one person', 'select secret' from person cross join generate_series(1, %s)
"""
WRITE = "insert into public.chat_telemetry_log (user_id, user_question) select id, 'How many?' from auth.users limit 1"
WRONG = """
select count(*) from public.chat_telemetry_log
where generated_sql is not null and sql_fingerprint is distinct from md5('select secret')
"""


def create_log(connection: psycopg.Connection, rows: int) -> None:
    """The log as the project would create it, without a migration."""
    connection.execute(SURROUNDINGS)
    (path,) = [path for path in MIGRATIONS if path.name.endswith("_create_chat_telemetry_log.sql")]
    connection.execute(path.read_bytes())
    connection.execute(ROWS, [rows])


def value(connection: psycopg.Connection, query: str, *parameters: object) -> object:
    row = connection.execute(query, parameters).fetchone()
    assert row
    return row[0]
