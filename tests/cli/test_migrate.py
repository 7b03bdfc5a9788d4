"""`chat-telemetry migrate` applies, lists and rolls back migrations, and prints what it did."""

from __future__ import annotations

import io
import json

import pytest

from chat_telemetry._cli.migrations import migration_status
from tests.cli.conftest import Cli
from tests.conftest import Database
from tests.migrations.existing_log import create_log, value


def test_migrate_prints_each_migration_and_does_nothing_the_second_time(cli: Cli, empty_database: Database) -> None:
    names = [migration.name for migration in migration_status(empty_database.conninfo)]
    outcome = cli("migrate", database=empty_database)
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        *(f"applied {name}" for name in names),
        f"{len(names)} applied, the database is up to date",
    ]
    assert cli("migrate").out == "nothing to do: up to date\n"


def test_the_error_of_a_role_that_may_not_create_schemas_names_one_that_may(cli: Cli, empty_database: Database) -> None:
    role = f"nobody_{empty_database.name}"
    with empty_database.connect() as connection:
        connection.execute(f"create role {role} login password 'secret'")
    try:
        outcome = cli("migrate", "--database-url", f"{empty_database.conninfo_as(role)} password=secret")
    finally:
        with empty_database.connect() as connection:
            connection.execute(f"drop role {role}")
    assert outcome.code == 1
    assert "permission denied for database" in outcome.err
    assert "connect as the owner of the database with the privilege to create roles" in outcome.err


def test_status_changes_nothing_and_rollback_undoes_one_migration(cli: Cli, empty_database: Database) -> None:
    before = cli("migrate", "--status", database=empty_database)
    assert before.code == 4
    assert before.out.count("pending") == len(migration_status(empty_database.conninfo))
    cli("migrate")
    newest = migration_status(empty_database.conninfo)[-1].name
    assert cli("migrate", "--rollback", "--yes").out == f"rolled back {newest}\n"
    rows = [row.split() for row in cli("migrate", "--status").out.splitlines()[1:]]
    assert [name for name, state in rows if state == "pending"] == [newest]


def test_status_tells_programs_what_is_pending(cli: Cli, empty_database: Database) -> None:
    before = cli("migrate", "--status", "--json", database=empty_database)
    status = json.loads(before.out)
    names = [migration.name for migration in migration_status(empty_database.conninfo)]
    assert (before.code, status["pending"], status["rights_to_be_removed"]) == (4, len(names), [])
    assert status["migrations"] == [{"name": name, "applied": False} for name in names]
    cli("migrate")
    after = cli("migrate", "--status", "--json")
    assert (after.code, json.loads(after.out)["pending"]) == (0, 0)
    assert cli("migrate", "--json").code == 2


@pytest.fixture
def granted(empty_database: Database) -> Database:
    """A log that existed before, and which everybody may read."""
    with empty_database.connect() as connection:
        create_log(connection, 1)
        connection.execute("grant select on public.chat_telemetry_log to public")
    return empty_database


def is_public(database: Database) -> bool:
    with database.connect() as connection:
        return bool(value(connection, "select has_table_privilege('public', 'public.chat_telemetry_log', 'select')"))


def test_rights_of_an_existing_log_are_listed_before_they_are_removed(cli: Cli, granted: Database) -> None:
    status = cli("migrate", "--status", database=granted)
    assert "`migrate` will remove, unless --keep-rights is given: public: select" in status.err
    assert json.loads(cli("migrate", "--status", "--json").out)["rights_to_be_removed"] == ["public: select"]
    assert is_public(granted)
    outcome = cli("migrate")
    listed, *_ = outcome.err.split("--keep-rights keeps them")
    assert "public: select" in listed
    assert outcome.code == 0
    assert not is_public(granted)
    assert cli("migrate").err == ""


def test_rights_of_an_existing_log_can_be_kept(cli: Cli, granted: Database) -> None:
    assert cli("migrate", "--keep-rights", database=granted).err.count("public: select") == 0
    assert is_public(granted)


def test_on_a_terminal_migrate_asks_before_it_removes_rights(
    cli: Cli, granted: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    outcome = cli("migrate", database=granted)
    assert (outcome.code, outcome.err.splitlines()[-1]) == (1, "error: nothing was changed")
    assert is_public(granted)
    assert cli("migrate", "--yes").code == 0


def test_a_warning_of_the_server_is_shown(cli: Cli, granted: Database) -> None:
    with granted.connect() as connection:
        connection.execute("analyze public.chat_telemetry_log")
        connection.execute("alter table public.chat_telemetry_log alter user_question set statistics -1; analyze")
        connection.execute("create view public.mine as select user_question from public.chat_telemetry_log")
    assert "warning: statistics of public.chat_telemetry_log.user_question stay" in cli("migrate", database=granted).err


def test_rollback_asks_for_confirmation(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    unasked = cli("migrate", "--rollback", database=database)
    assert unasked.code == 2
    assert "add --yes" in unasked.err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert cli("migrate", "--rollback").err == "error: nothing was rolled back\n"
    assert all(migration.applied for migration in migration_status(database.conninfo))


def test_ctrl_d_at_the_question_changes_nothing(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    outcome = cli("migrate", "--rollback", database=database)
    assert (outcome.code, outcome.err.splitlines()[-1]) == (130, "error: interrupted")
    assert all(migration.applied for migration in migration_status(database.conninfo))


def test_a_rollback_that_fails_prints_the_reason_in_one_line(cli: Cli, database: Database) -> None:
    user = database.add_users(1)[0]
    with database.connect() as connection:
        connection.execute("insert into public.chat_telemetry_log (user_id, user_question) values (%s, 'q')", [user])
    outcomes = []
    while (outcome := cli("migrate", "--rollback", "--yes", database=database)).code == 0:
        outcomes.append(outcome)
    assert outcomes
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "create_chat_telemetry_log" in outcome.err


def test_without_applied_migrations_rollback_does_nothing(cli: Cli, empty_database: Database) -> None:
    outcome = cli("migrate", "--rollback", "--yes", database=empty_database)
    assert (outcome.code, outcome.out) == (0, "nothing to do: no migration is applied\n")


def test_status_and_rollback_exclude_each_other(cli: Cli, empty_database: Database) -> None:
    assert cli("migrate", "--status", "--rollback", database=empty_database).code == 2


def test_owner_hands_the_feed_over_to_another_schema(cli: Cli, database: Database, empty_database: Database) -> None:
    owner = "select owner from chat_rollups.progress where name = 'drained_changes'"
    outcome = cli("migrate", "--owner", "analytics", database=database)
    assert outcome.code == 0
    assert "the dbt target schema analytics owns the change feed" in outcome.out
    with database.connect() as connection:
        assert connection.execute(owner).fetchone() == ("analytics",)
    assert cli("migrate", "--owner", " ").code == 2
    assert cli("migrate", "--owner", "analytics", "--status").code == 2
    unready = cli("migrate", "--owner", "analytics", database=empty_database)
    assert unready.code == 1
    assert unready.err == "error: there is no change feed to hand over: run `chat-telemetry migrate` first\n"


def test_a_handover_waits_for_a_running_drain(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c lock_timeout=200ms")
    with database.connect() as draining, draining.transaction():
        draining.execute("select from chat_rollups.progress where name = 'drained_changes' for update")
        waiting = cli("migrate", "--owner", "analytics", database=database)
    assert "lock timeout" in waiting.err
