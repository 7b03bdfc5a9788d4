"""A log that existed before the project, with rows and statistics."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from chat_telemetry._cli.migrations import apply_migrations
from tests.conftest import Database
from tests.migrations.catalog import MIGRATIONS

SURROUNDINGS = """
create schema auth;
create table auth.users (id uuid primary key default gen_random_uuid());
create table public.chat_conversations (conversation_id uuid primary key);
"""
ROWS = """
with person as (insert into auth.users default values returning id)
insert into public.chat_telemetry_log (user_id, user_question, generated_sql)
select id, 'the secret of one person', 'select secret' from person cross join generate_series(1, 50)
"""
FILE_NODE = "select pg_relation_filenode('public.chat_telemetry_log')"


@pytest.fixture
def adopted(empty_database: Database) -> Iterator[psycopg.Connection]:
    """A log with fifty rows, analysed with PostgreSQL's default statistics targets, without migrations."""
    with empty_database.connect() as connection:
        connection.execute(SURROUNDINGS)
        (path,) = [path for path in MIGRATIONS if path.name.endswith("_create_chat_telemetry_log.sql")]
        connection.execute(path.read_text())
        for column in ("user_id", "user_question", "generated_sql"):
            connection.execute(f"alter table public.chat_telemetry_log alter {column} set statistics -1")
        connection.execute(ROWS)
        connection.execute("analyze public.chat_telemetry_log")
        assert "the secret of one person" in statistics(connection)
        yield connection


def statistics(connection: psycopg.Connection) -> str:
    rows = connection.execute("select s::text from pg_stats as s where tablename = 'chat_telemetry_log'").fetchall()
    return "\n".join(row for (row,) in rows)


def test_statistics_of_ids_and_texts_go_and_do_not_come_back(
    adopted: psycopg.Connection, empty_database: Database
) -> None:
    before = adopted.execute(FILE_NODE).fetchone()
    apply_migrations(empty_database.conninfo)
    adopted.execute("analyze public.chat_telemetry_log")
    user = adopted.execute("select user_id::text from public.chat_telemetry_log limit 1").fetchone()
    assert user
    assert "secret" not in statistics(adopted)
    assert user[0] not in statistics(adopted)
    assert adopted.execute(FILE_NODE).fetchone() == before, "the table was rewritten"


def test_a_view_of_the_log_is_kept_and_named(adopted: psycopg.Connection, empty_database: Database) -> None:
    adopted.execute("create view public.mine as select user_question from public.chat_telemetry_log")
    apply_migrations(empty_database.conninfo)
    assert adopted.execute("select count(*) from public.mine").fetchone() == (50,)
