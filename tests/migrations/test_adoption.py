"""A log that existed before the project, with rows and statistics."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from chat_telemetry._cli.migrations import Listener, MigrationFailed, apply_migrations
from tests.conftest import Database
from tests.migrations.existing_log import create_log

# A change that makes an existing log unfit, and what the refused migration says is missing.
UNFIT = {
    "alter created_at drop not null": "created_at timestamp with time zone not null",
    "alter result_row_count type bigint": "result_row_count integer",
    "drop column ttfb_ms": "ttfb_ms integer",
    "drop constraint {primary}": "primary key (log_id)",
    "drop constraint {primary}, add primary key (log_id, user_id)": "primary key (log_id)",
    "drop constraint {user_id}, add foreign key (user_id) references auth.users (id)": (
        "foreign key (user_id) references auth.users on delete cascade"
    ),
    "drop constraint {user_id}, add reviewer_id uuid references auth.users (id) on delete cascade": (
        "foreign key (user_id) references auth.users on delete cascade"
    ),
    "drop constraint {conversation_id}, add foreign key (conversation_id)"
    " references public.chat_conversations (conversation_id) on delete cascade": (
        "foreign key (conversation_id) references public.chat_conversations on delete set null"
    ),
}
# What makes an existing log useless although it has all columns and keys, and the beginning of what is said.
UNUSABLE = {
    "alter table {0} force row level security": "row level security is forced on its owner",
    "create table public.of_2026 () inherits ({0})": "tables inherit from it",
    "alter table {0} drop is_off_topic, add is_off_topic boolean not null generated always as (false) stored": (
        "the column is_off_topic is generated"
    ),
    "alter table {0} add tenant text not null default 'ours'; alter table {0} alter tenant drop default": (
        "the column tenant is required, has no default"
    ),
    "create function public.own() returns trigger language plpgsql as 'begin return new; end';"
    "create trigger trg_set_fingerprint before insert on {0} for each row execute function public.own()": (
        "the trigger trg_set_fingerprint runs after"
    ),
    "alter table {0} rename to old_log; create view {0} as select * from public.old_log": "it is no ordinary table",
}
CONSTRAINTS = """
select case contype when 'p' then 'primary' else attname end, conname from pg_constraint
inner join pg_attribute on conrelid = attrelid and attnum = conkey[1]
where conrelid = 'public.chat_telemetry_log'::regclass and contype in ('p', 'f')
"""
FILE_NODE = "select pg_relation_filenode('public.chat_telemetry_log')"


@pytest.fixture
def adopted(empty_database: Database) -> Iterator[psycopg.Connection]:
    """A log with fifty rows, analysed with PostgreSQL's default statistics targets, without migrations."""
    with empty_database.connect() as connection:
        create_log(connection, 50)
        for column in ("user_id", "user_question", "generated_sql"):
            connection.execute(f"alter table public.chat_telemetry_log alter {column} set statistics -1")
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


@pytest.mark.parametrize(("change", "missing"), UNFIT.items())
def test_a_log_that_lacks_something_is_not_adopted_and_the_message_names_it(
    adopted: psycopg.Connection, empty_database: Database, change: str, missing: str
) -> None:
    names: dict[str, str] = dict(adopted.execute(CONSTRAINTS).fetchall())
    adopted.execute("alter table public.chat_telemetry_log " + change.format(**names))
    with pytest.raises(MigrationFailed) as failure:
        apply_migrations(empty_database.conninfo)
    assert f"exists already, but without: {missing} (" in str(failure.value)
    assert adopted.execute("select count(*) from public.chat_telemetry_log").fetchone() == (50,)


@pytest.mark.parametrize(("change", "obstacle"), UNUSABLE.items())
def test_a_log_that_could_not_be_used_is_not_adopted(
    adopted: psycopg.Connection, empty_database: Database, change: str, obstacle: str
) -> None:
    adopted.execute(change.format("public.chat_telemetry_log"))
    with pytest.raises(MigrationFailed) as failure:
        apply_migrations(empty_database.conninfo)
    assert f"exists already and cannot be used: {obstacle}" in str(failure.value)
    assert adopted.execute("select count(*) from public.chat_telemetry_log").fetchone() == (50,)


def test_no_index_is_built_under_a_lock(adopted: psycopg.Connection, empty_database: Database) -> None:
    """Dropping the statistics of a column would build indexes with a condition or an expression again."""
    adopted.execute(
        "alter table public.chat_telemetry_log alter sql_fingerprint set statistics -1;"
        "create index idx_chat_telemetry_fingerprint on public.chat_telemetry_log (sql_fingerprint)"
        " where sql_fingerprint is not null;"
        "create index searched on public.chat_telemetry_log using gin (to_tsvector('simple', user_question));"
        "alter table public.chat_telemetry_log add constraint short check (length(generated_sql) < 1000);"
        "update public.chat_telemetry_log set sql_fingerprint = 'of the client';"
        "analyze public.chat_telemetry_log"
    )
    searched = "select pg_relation_filenode('public.searched')"
    before = adopted.execute(searched).fetchone()
    notes: list[str] = []
    apply_migrations(empty_database.conninfo, Listener(note=notes.append))
    assert adopted.execute(searched).fetchone() == before
    assert any("building the index idx_chat_telemetry_fingerprint" in note for note in notes)
    kept = [note for note in notes if note.startswith("warning: statistics of public.chat_telemetry_log.")]
    assert [note.split()[3].split(".")[-1] for note in kept] == ["user_question", "generated_sql"]
    assert "sql_fingerprint" not in {
        name for (name,) in adopted.execute("select attname from pg_stats where tablename = 'chat_telemetry_log'")
    }
