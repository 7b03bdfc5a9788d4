"""The migrations on a plain database: forward and back, twice, by psql, and by two deployments at once."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from chat_telemetry._cli.migrations import MigrationFailed, apply_migrations, lock, migration_status, roll_back_last
from tests.conftest import Database
from tests.dbt_project import DbtProject
from tests.migrations.catalog import MIGRATIONS, snapshot

COLUMNS = [
    "log_id",
    "user_id",
    "conversation_id",
    "response_id",
    "created_at",
    "user_question",
    "ai_response",
    "generated_sql",
    "sql_fingerprint",
    "result_row_count",
    "follow_up_suggestions",
    "error_type",
    "error_message",
    "failed_step",
    "is_off_topic",
    "sql_model",
    "response_model",
    "nl_to_sql_duration_ms",
    "sql_execution_duration_ms",
    "response_generation_duration_ms",
    "ttfb_ms",
    "sql_input_tokens",
    "sql_output_tokens",
    "sql_cached_tokens",
    "response_input_tokens",
    "response_output_tokens",
    "response_cached_tokens",
]
INDEXES = {
    "chat_telemetry_log_pkey": "(log_id)",
    "idx_chat_telemetry_created_at": "(created_at DESC)",
    "idx_chat_telemetry_error": "(error_type) WHERE (error_type IS NOT NULL)",
    "idx_chat_telemetry_fingerprint": "(sql_fingerprint) WHERE (sql_fingerprint IS NOT NULL)",
    "idx_chat_telemetry_user_id": "(user_id, created_at DESC)",
}


def roll_back_all(conninfo: str) -> list[str]:
    names = []
    while (name := roll_back_last(conninfo)) is not None:
        names.append(name)
    return names


def test_the_log_has_its_columns_and_indexes_and_a_comment_on_each_column(database: Database) -> None:
    with database.connect() as connection:
        columns = connection.execute(
            "select attname, col_description(attrelid, attnum) from pg_attribute"
            " where attrelid = 'public.chat_telemetry_log'::regclass and attnum > 0 order by attnum"
        ).fetchall()
        indexes = connection.execute(
            "select indexname, split_part(indexdef, ' USING btree ', 2) from pg_indexes"
            " where schemaname = 'public' and tablename = 'chat_telemetry_log'"
        )
        assert dict(indexes.fetchall()) == INDEXES
    assert [name for name, _ in columns] == COLUMNS
    assert all(comment for _, comment in columns)


def test_each_migration_has_a_rollback() -> None:
    assert MIGRATIONS
    assert [path.name for path in MIGRATIONS if not path.with_suffix(".rollback.sql").exists()] == []


def test_forward_back_and_forward_again_gives_the_same_schema(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        untouched = snapshot(connection)
        names = apply_migrations(empty_database.conninfo)
        migrated = snapshot(connection)
        assert roll_back_all(empty_database.conninfo) == names[::-1]
        assert snapshot(connection) == untouched
        assert apply_migrations(empty_database.conninfo) == names
        assert snapshot(connection) == migrated


def test_each_rollback_undoes_its_own_migration_and_no_other(empty_database: Database) -> None:
    def objects() -> list[tuple[str, str, str]]:
        """After the first grant the rights of the owner are written down. That is no difference here."""
        of_the_owner = re.compile(r"^r \{(\w+)=\w+/\1\} ")
        return [(kind, name, of_the_owner.sub("r  ", definition)) for kind, name, definition in snapshot(connection)]

    with empty_database.connect() as connection:
        before = []
        for path in MIGRATIONS:
            before.append(objects())
            connection.execute(path.read_bytes())
        for path in reversed(MIGRATIONS):
            connection.execute(path.with_suffix(".rollback.sql").read_bytes())
            assert objects() == before.pop(), path.name


def test_a_second_run_has_nothing_to_do(database: Database) -> None:
    assert apply_migrations(database.conninfo) == []


def test_a_run_that_was_killed_before_its_marks_can_be_repeated(database: Database) -> None:
    with database.connect() as connection:
        before = snapshot(connection)
        connection.execute("delete from chat_telemetry_migrations._yoyo_migration")
        assert len(apply_migrations(database.conninfo)) == len(MIGRATIONS)
        assert snapshot(connection) == before


def test_the_lock_of_a_killed_process_does_not_stop_the_next_process(database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "insert into chat_telemetry_migrations.yoyo_lock (locked, ctime, pid)"
            " values (1, now() at time zone 'UTC', 1)"
        )
    assert roll_back_last(database.conninfo) is not None
    assert len(apply_migrations(database.conninfo)) == 1


def test_two_deployments_at_once_apply_each_file_once(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "WAIT_S", 120)  # all migrations of the other, on a slow machine
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(apply_migrations, [empty_database.conninfo] * 2)
    assert sorted(first + second) == [path.stem for path in MIGRATIONS]


def test_psql_can_apply_the_same_files(empty_database: Database, database: Database) -> None:
    psql = "psql"
    if empty_database.server.cluster:
        psql = str(empty_database.server.cluster.bin_path / "psql")
    for path in MIGRATIONS:
        command = [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(path), empty_database.conninfo]
        subprocess.run(command, check=True, capture_output=True)
    with empty_database.connect() as by_hand, database.connect() as by_runner:
        assert snapshot(by_hand) == snapshot(by_runner)


def test_the_status_writes_nothing(empty_database: Database) -> None:
    assert [status.applied for status in migration_status(empty_database.conninfo)] == [False] * len(MIGRATIONS)
    with empty_database.connect() as connection:
        assert connection.execute("select to_regnamespace('chat_telemetry_migrations')").fetchone() == (None,)
    apply_migrations(empty_database.conninfo)
    roll_back_last(empty_database.conninfo)
    assert [status.applied for status in migration_status(empty_database.conninfo)] == [True] * (
        len(MIGRATIONS) - 1
    ) + [False]


def test_a_rollback_never_destroys_rows(database: Database) -> None:
    (user,) = database.add_users()
    with database.connect() as connection:
        connection.execute("insert into chat_telemetry_log (user_id, user_question) values (%s, 'How many?')", [user])
        with pytest.raises(MigrationFailed, match="does not delete them"):
            roll_back_all(database.conninfo)
        assert connection.execute("select user_question from chat_telemetry_log").fetchall() == [("How many?",)]
        apply_migrations(database.conninfo)
        assert connection.execute("select user_question from chat_telemetry_log").fetchall() == [("How many?",)]


def test_a_rollback_names_the_views_that_depend_on_the_reports(database: Database) -> None:
    with database.connect() as connection:
        connection.execute("create materialized view chat_reports.off_topic as select 1 as request_count")
        connection.execute("create view public.my_dashboard as select request_count from chat_reports.off_topic")
        with pytest.raises(MigrationFailed, match="my_dashboard"):
            roll_back_all(database.conninfo)
        assert connection.execute("select request_count from public.my_dashboard").fetchone() == (1,)


def test_a_failed_migration_changes_nothing(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute("create table public.chat_telemetry_log (log_id uuid primary key, user_id text not null)")
        with pytest.raises(MigrationFailed, match=r"without: user_id uuid not null; .*ALTER TABLE"):
            apply_migrations(empty_database.conninfo)
        assert connection.execute("select count(*) from pg_policies").fetchone() == (0,)


def test_an_unreachable_server_is_an_operational_error() -> None:
    with pytest.raises(psycopg.OperationalError):
        apply_migrations("host=127.0.0.1 port=1 dbname=nowhere")


def test_each_rollback_works_after_dbt_has_run(empty_database: Database, tmp_path: Path) -> None:
    names = apply_migrations(empty_database.conninfo)
    project = DbtProject(empty_database, tmp_path)
    project.run("seed")
    project.run("run")
    assert roll_back_all(empty_database.conninfo) == names[::-1]
    assert apply_migrations(empty_database.conninfo) == names
    project.run("seed")
    project.run("run")


def test_a_rollback_with_a_view_on_a_report_drops_nothing(empty_database: Database, tmp_path: Path) -> None:
    apply_migrations(empty_database.conninfo)
    project = DbtProject(empty_database, tmp_path)
    project.run("seed")
    project.run("run")
    with empty_database.connect() as connection:
        connection.execute("create view public.my_dashboard as select request_count from chat_reports.off_topic")
        before = snapshot(connection)
        with pytest.raises(MigrationFailed, match="my_dashboard"):
            roll_back_all(empty_database.conninfo)
        assert snapshot(connection) == before


def test_reports_that_read_each_other_go_and_tables_of_others_stay(empty_database: Database) -> None:
    apply_migrations(empty_database.conninfo)
    with empty_database.connect() as connection:
        connection.execute(
            "create materialized view chat_reports.a as select 1 as n;"
            "create materialized view chat_reports.b as select n from chat_reports.a;"
            "create table chat_reports.targets (month date)"
        )
        with pytest.raises(
            MigrationFailed, match=r"create_schemas: .* more than its own tables: chat_reports\.targets"
        ):
            roll_back_all(empty_database.conninfo)
        assert connection.execute("select to_regclass('chat_reports.b')").fetchone() == (None,)
        connection.execute(
            "drop table chat_reports.targets;"
            "create domain chat_prices.usd as numeric; create table public.mine (amount chat_prices.usd)"
        )
        with pytest.raises(MigrationFailed, match="create_schemas: cannot drop schema chat_prices"):
            roll_back_all(empty_database.conninfo)
        assert connection.execute("select attname from pg_attribute where attname = 'amount'").rowcount == 1
        connection.execute("drop table public.mine; drop domain chat_prices.usd")
        roll_back_all(empty_database.conninfo)
