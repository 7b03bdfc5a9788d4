"""`migrate` shares a database with others: other migrations, poolers, sessions with locks, odd settings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry._cli import migrations
from chat_telemetry._cli.migrations import Listener, MigrationFailed, adoption, apply_migrations, lock, roll_back_last
from chat_telemetry._cli.migrations.lock import ADVISORY_LOCK, LockedByAnother
from tests.conftest import Database
from tests.loader.conftest import wait_until
from tests.loader.faults.pgbouncer import pgbouncer
from tests.migrations.catalog import snapshot
from tests.migrations.existing_log import create_log, value

POOLED = {"user": "pooled", "password": "pooled"}
SESSIONS = 3
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and objid = %s"
SETTINGS = ["quote_all_identifiers = on", "standard_conforming_strings = off", "search_path = public, pg_catalog"]


@pytest.mark.parametrize("kind", ["", "_xact"])
def test_a_second_migrate_waits_for_a_bounded_time_and_names_the_first(
    database: Database, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(lock, "time", SimpleNamespace(monotonic=lambda: passed, sleep=sleep))
    notes: list[str] = []
    other = psycopg.connect(make_conninfo(database.conninfo, application_name="deploy 7"))
    with other:
        other.execute(f"select pg_advisory{kind}_lock(%s)", [ADVISORY_LOCK])
        with pytest.raises(LockedByAnother) as failure:
            apply_migrations(database.conninfo, Listener(note=notes.append))
        pid = other.info.backend_pid
    assert f"pid {pid} (role postgres, application deploy 7)" in str(failure.value)
    assert notes == [f"waiting for another session that migrates: pid {pid} (role postgres, application deploy 7)"]
    assert passed == pytest.approx(lock.WAIT_S, abs=2 * lock.LOOK_EVERY_S)
    monkeypatch.undo()
    assert apply_migrations(database.conninfo) == []


def test_a_second_migrate_continues_when_the_first_ends(empty_database: Database) -> None:
    notes: list[str] = []
    with ThreadPoolExecutor(1) as pool, empty_database.connect() as other:
        with other.transaction():
            other.execute("select pg_advisory_xact_lock(%s)", [ADVISORY_LOCK])
            second = pool.submit(apply_migrations, empty_database.conninfo, Listener(note=notes.append))
            wait_until(lambda: bool(notes))
        assert second.result(timeout=60)


def test_a_session_with_a_lock_is_named_and_nothing_is_half_done(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "LOCK_TRIES", 2)
    monkeypatch.setattr(migrations, "LOCK_PAUSE_S", 0)
    notes: list[str] = []
    with empty_database.connect() as connection:
        create_log(connection, 10)
        other = psycopg.connect(make_conninfo(empty_database.conninfo, application_name="long report"))
        with other:
            other.execute("lock table public.chat_telemetry_log in share mode")
            with pytest.raises(MigrationFailed, match="application long report"):
                apply_migrations(empty_database.conninfo, Listener(note=notes.append))
        assert any("waits for a lock" in note and "application long report" in note for note in notes)
        apply_migrations(empty_database.conninfo)
        assert value(connection, "select count(*) from public.chat_telemetry_log where sql_fingerprint is null") == 0


def test_nothing_stays_in_the_sessions_of_a_pooler(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "BATCH_ROWS", 1)  # psycopg prepares a statement that is executed often
    with empty_database.connect() as direct:
        create_log(direct, 10)
        direct.execute("create table public.orders (id integer)")
        direct.execute("drop role if exists pooled")
        direct.execute("create role pooled login superuser password 'pooled'")
        try:
            with pgbouncer(*empty_database.server.address(), pool_size=SESSIONS, **POOLED) as port:  # type: ignore[arg-type]
                pooled = make_conninfo(host="127.0.0.1", port=port, dbname=empty_database.name, **POOLED)
                names = apply_migrations(pooled)
                assert names
                assert roll_back_last(pooled) == names[-1]
                assert apply_migrations(pooled) == names[-1:]
                assert sessions_through(pooled) == {('"$user", public', "0", "read committed", "on", 0)}
                assert apply_migrations(empty_database.conninfo) == []
            assert value(direct, LOCKS, ADVISORY_LOCK) == 0
        finally:
            direct.execute("drop owned by pooled cascade")
            direct.execute("drop role pooled")


def sessions_through(conninfo: str) -> set[tuple[Any, ...]]:
    """The settings of each server session that the pooler lends, all at the same time."""
    query = """
        select current_setting('search_path'), current_setting('lock_timeout'),
            current_setting('transaction_isolation'), current_setting('standard_conforming_strings'),
            (select count(*) from pg_prepared_statements)
    """
    connections = [psycopg.connect(conninfo) for _ in range(SESSIONS)]
    try:
        return {connection.execute(query).fetchone() or () for connection in connections}
    finally:
        for connection in connections:
            connection.close()


def test_settings_of_the_database_change_nothing(empty_database: Database, database: Database) -> None:
    with empty_database.connect() as connection:
        for setting in [*SETTINGS, "default_transaction_isolation = serializable", "statement_timeout = '20s'"]:
            connection.execute(f"alter database {empty_database.name} set {setting}")
    apply_migrations(empty_database.conninfo)
    with empty_database.connect() as connection, database.connect() as plain:
        connection.execute(
            "set search_path = public; set quote_all_identifiers = off; set standard_conforming_strings = on"
        )
        plain.execute("set search_path = public")
        assert snapshot(connection) == snapshot(plain)
