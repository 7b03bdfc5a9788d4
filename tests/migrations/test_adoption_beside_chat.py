"""An existing log is adopted while the chat application writes to it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.migrations import Listener, adoption, apply_migrations
from tests.conftest import Database
from tests.loader.conftest import wait_until
from tests.migrations.existing_log import WRITE, WRONG, create_log, value

ROWS = 400
WAITS = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like %s and datname = %s"
INDEXES = """
select array_agg(indexrelid::regclass::text order by indexrelid::regclass::text) from pg_index
where indrelid = 'public.chat_telemetry_log'::regclass and indisvalid
"""
FIRST_ROWS = "select log_id from public.chat_telemetry_log order by log_id limit 10 for update"


@pytest.fixture
def connection(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """A session that sees a log with rows, of which none has its fingerprint."""
    monkeypatch.setattr(adoption, "BATCH_ROWS", 100)
    with empty_database.connect() as connection:
        create_log(connection, ROWS)
        yield connection


def is_waiting(connection: psycopg.Connection, database: Database, query: str) -> bool:
    return value(connection, WAITS, f"%{query}%", database.name) == 1


def write(database: Database) -> None:
    """A chat request, which fails if it has to wait."""
    with database.connect() as chat:
        chat.execute("set lock_timeout = '500ms'")
        chat.execute(WRITE)


def test_chat_requests_go_on_while_fingerprints_are_corrected(
    connection: psycopg.Connection, empty_database: Database
) -> None:
    with ThreadPoolExecutor(1) as pool, empty_database.connect() as other:
        with other.transaction():
            other.execute(FIRST_ROWS)
            migrating = pool.submit(apply_migrations, empty_database.conninfo)
            wait_until(lambda: is_waiting(connection, empty_database, "correct_fingerprints"))
            write(empty_database)
        assert "20261123000550_correct_fingerprints" in migrating.result(timeout=60)
    assert value(connection, WRONG) == 0
    assert value(connection, "select count(*) from public.chat_telemetry_log") == ROWS + 1


def test_chat_requests_go_on_while_an_index_is_built(connection: psycopg.Connection, empty_database: Database) -> None:
    with ThreadPoolExecutor(1) as pool, empty_database.connect() as chat:
        with chat.transaction():
            chat.execute(WRITE)
            migrating = pool.submit(apply_migrations, empty_database.conninfo)
            wait_until(lambda: is_waiting(connection, empty_database, "create index concurrently"))
            write(empty_database)
        migrating.result(timeout=60)
    assert value(connection, INDEXES) == [
        "chat_telemetry_log_pkey",
        *(f"idx_chat_telemetry_{name}" for name in ("created_at", "error", "fingerprint", "user_id")),
    ]


def test_a_killed_migrate_goes_on_where_it_was(connection: psycopg.Connection, empty_database: Database) -> None:
    code = "from chat_telemetry._cli import main; main()"
    command = [sys.executable, "-c", code, "migrate", "--database-url", empty_database.conninfo]
    with empty_database.connect() as other, other.transaction():
        other.execute(FIRST_ROWS)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)
        wait_until(lambda: is_waiting(connection, empty_database, "correct_fingerprints"))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    names = apply_migrations(empty_database.conninfo)
    assert names[0] == "20261123000550_correct_fingerprints"
    assert value(connection, WRONG) == 0


def test_the_progress_of_a_long_correction_is_shown(
    connection: psycopg.Connection, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "NOTE_EVERY_ROWS", 200)
    connection.execute("analyze public.chat_telemetry_log")
    notes: list[str] = []
    apply_migrations(empty_database.conninfo, Listener(note=notes.append))
    assert [note for note in notes if "sql_fingerprint" in note] == [
        "sql_fingerprint: 200 of about 400 rows checked, 200 corrected",
        "sql_fingerprint: 400 of about 400 rows checked, 400 corrected",
    ]


def test_an_index_that_could_not_be_built_is_built_again(
    connection: psycopg.Connection, empty_database: Database
) -> None:
    connection.execute("create index idx_chat_telemetry_error on public.chat_telemetry_log (error_type)")
    connection.execute(
        "update pg_index set indisvalid = false where indexrelid = 'public.idx_chat_telemetry_error'::regclass"
    )
    apply_migrations(empty_database.conninfo)
    definition = value(connection, "select pg_get_indexdef('public.idx_chat_telemetry_error'::regclass)")
    assert "WHERE (error_type IS NOT NULL)" in str(definition)


def test_transactions_for_which_an_index_waits_are_named(
    connection: psycopg.Connection, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "LOOK_EVERY_S", 0.1)
    notes: list[str] = []
    with ThreadPoolExecutor(1) as pool, empty_database.connect() as other:
        with other.transaction():
            other.execute("set application_name = 'old report'")
            other.execute(WRITE)
            pid = other.info.backend_pid
            migrating = pool.submit(apply_migrations, empty_database.conninfo, Listener(note=notes.append))
            wait_until(lambda: any("waits for transactions to end" in note for note in notes))
            write(empty_database)
        migrating.result(timeout=60)
    assert f"pid {pid} (role postgres, application old report)" in "".join(notes)


@pytest.mark.usefixtures("connection")
def test_a_time_limit_that_stops_an_index_is_named_with_what_to_do(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = adoption._build

    def build_within_the_limit(building: psycopg.Connection, name: str, statement: str) -> None:
        building.execute("set statement_timeout = '500ms'")
        build(building, name, statement)

    monkeypatch.setattr(adoption, "_build", build_within_the_limit)
    with empty_database.connect() as other, other.transaction():
        other.execute(WRITE)
        with pytest.raises(
            CommandError, match=r"was not built: .*statement timeout.*PGOPTIONS='-c statement_timeout=0'"
        ):
            apply_migrations(empty_database.conninfo)
    monkeypatch.undo()
    assert apply_migrations(empty_database.conninfo)
