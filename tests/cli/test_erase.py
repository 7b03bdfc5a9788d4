"""`chat-telemetry erase` without dbt: what it deletes from tables, what it refuses, and what it says is left."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chat_telemetry import TelemetryRecord, user_key
from chat_telemetry._cli import options
from chat_telemetry._cli.erase import log, statistics
from chat_telemetry._cli.migrations import apply_migrations
from chat_telemetry._cli.options import connect
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.cli.conftest import Cli, Outcome, count
from tests.conftest import Database
from tests.loader.conftest import wait_until
from tests.migrations.test_existing_objects import SUPABASE

ASK = """
insert into public.chat_telemetry_log (user_id, conversation_id, user_question, generated_sql, sql_model)
select %(user)s, %(conversation)s, 'How many?', 'select ' || n, 'gpt-4o' from generate_series(1, %(rows)s) as n
"""
ERASED = "select user_digest = sha256(convert_to(%s, 'UTF8')) from public.chat_telemetry_erased_users"


def ask(database: Database, user: uuid.UUID, rows: int = 3, conversation: uuid.UUID | None = None) -> None:
    with database.connect() as connection:
        connection.execute(ASK, {"user": user, "conversation": conversation, "rows": rows})


def query(database: Database, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(statement, parameters).fetchall()


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement)


def erase(cli: Cli, database: Database, *arguments: object) -> Outcome:
    return cli("erase", *map(str, arguments), "--no-dbt", "--yes", database=database)


def left_in(outcome: Outcome) -> list[str]:
    return [
        line.removeprefix("left: ").split(": ")[0] for line in outcome.out.splitlines() if line.startswith("left: ")
    ]


@pytest.fixture
def users(database: Database) -> list[uuid.UUID]:
    """Two users with rows and a conversation each. No change of theirs is in the feed, as after a run of dbt."""
    users = database.add_users(2)
    for user, conversation in zip(users, database.add_conversations(users), strict=True):
        ask(database, user, 7, conversation)
    execute(database, "delete from public.chat_telemetry_changes")
    return users


@pytest.fixture
def supabase(empty_database: Database) -> Database:
    execute(empty_database, SUPABASE)
    apply_migrations(empty_database.conninfo)
    return empty_database


def test_the_user_the_conversations_and_the_rows_go_and_only_those_of_the_user(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH_ROWS", 2)
    victim, other = users
    others = query(database, "select * from public.chat_telemetry_log where user_id = %s order by log_id", other)
    outcome = erase(cli, database, victim)
    assert outcome.out.startswith(f"{victim}: 7 rows of the log, 1 conversation, the row of auth.users deleted\n")
    assert query(database, "select * from public.chat_telemetry_log order by log_id") == others
    assert query(database, "select id from auth.users") == [(other,)]
    assert query(database, "select user_id from public.chat_conversations") == [(other,)]
    assert query(database, ERASED, str(victim)) == [(True,)]


def test_what_only_dbt_removes_is_named_until_it_ran(cli: Cli, database: Database, users: list[uuid.UUID]) -> None:
    first = erase(cli, database, users[0])
    assert first.code == 1
    assert (
        "left: public.chat_telemetry_changes (7 rows): "
        "the next whole `dbt run` removes it; run this command again after it\n" in first.out
    )
    assert "nothing is left" not in first.out
    execute(database, "delete from public.chat_telemetry_changes")
    second = erase(cli, database, users[0])
    assert second.code == 0
    assert second.out.startswith(f"{users[0]}: nothing was in the log\nnothing is left in the log, the change feed,")


def test_the_places_that_the_command_cannot_reach_are_named(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    outcome = erase(cli, database, users[0])
    for place in ("CHAT_TELEMETRY_JOURNAL_DIR", "--files-only", "*.rejected.jsonl", "backups", "server's log"):
        assert place in outcome.out.split("look also at:")[1]


def test_a_user_whom_nobody_knows_is_no_error(cli: Cli, database: Database, users: list[uuid.UUID]) -> None:
    unknown = uuid.uuid4()
    outcome = erase(cli, database, unknown)
    assert outcome.code == 0
    assert outcome.out.startswith(f"{unknown}: nothing was in the log\n")
    assert (count(database), query(database, ERASED, str(unknown))) == (14, [(True,)])


def test_several_users_are_erased_at_once_and_a_key_is_one(cli: Cli, database: Database) -> None:
    users = [user_key("alice@example.com"), user_key(42)]
    for user in users:
        query(database, "insert into auth.users values (%s) returning id", user)
        ask(database, user)
    outcome = erase(cli, database, "--key", "alice@example.com", "42", 42, "--json")
    summary = json.loads(outcome.out)
    assert summary["users"] == [
        {"user_id": str(user), "log_rows": 3, "conversations": 0, "auth_users": 1, "remains_in_auth_users": False}
        for user in users
    ]
    assert [left["place"] for left in summary["left"]] == ["public.chat_telemetry_changes (12 rows)"]
    assert (summary["journals"], summary["dbt_models"], len(summary["look_also_at"])) == ([], None, 3)
    assert count(database) == 0


def test_the_question_names_users_rows_and_database(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = cli("erase", str(users[0]), "--no-dbt", database=database)
    assert (refused.code, refused.out) == (2, "")
    assert "there is no terminal: add --yes" in refused.err
    questions = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, **_: questions.append(question))
    assert cli("erase", *map(str, users), "--no-dbt").err.endswith("error: nothing was erased\n")
    assert questions[0].startswith(f"Erase 2 users with 14 rows of the log of {database.name} on ")
    assert (count(database), query(database, ERASED, "")) == (14, [])


def test_a_batch_reads_only_its_own_rows_by_the_index(database: Database, users: list[uuid.UUID]) -> None:
    with database.connect() as connection:
        connection.execute(ASK, {"user": users[0], "conversation": None, "rows": 2000})
        connection.execute("vacuum analyze public.chat_telemetry_log")
        connection.execute(log.IN_ORDER.replace("local", ""))
        batch = {"user": users[0], "until": "infinity", "most": 10}
        plan = "\n".join(row for (row,) in connection.execute(f"explain (analyze) {log.DELETE_ROWS}", batch))
    assert re.search("Index Scan using idx_chat_telemetry_user_id .* rows=10", plan), plan
    assert "Sort" not in plan


def test_the_user_is_noted_and_journals_are_cleaned_before_a_row_is_deleted(
    cli: Cli, database: Database, users: list[uuid.UUID], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the loader could insert the user again, and a process could send the journal."""
    before: list[Any] = []

    def look(*_: Any) -> None:
        before.extend([query(database, ERASED, str(users[0])), [*directory.iterdir()]])

    directory = tmp_path / "journal"
    directory.mkdir(mode=0o700)
    (directory / "dead-letters.jsonl").write_text(f'{{"record":{{"user_id":"{users[0]}"}}}}\n')
    monkeypatch.setattr(log.Log, "delete", look)
    erase(cli, database, users[0], "--journal-dir", directory)
    assert before == [[(True,)], []]


def test_a_loader_at_work_does_not_bring_the_user_back(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH_ROWS", 5)
    victim, other, stop = uuid.uuid4(), uuid.uuid4(), threading.Event()

    def load() -> None:
        store = Store(database.conninfo)
        while not stop.is_set():
            store.insert([encode(TelemetryRecord(user_id=user, user_question="q")) for user in (victim, other)])
        store.close()

    with ThreadPoolExecutor(2) as pool:
        loaders = [pool.submit(load) for _ in range(2)]
        try:
            wait_until(lambda: count(database) > 50)
            erase(cli, database, victim)
            rows = count(database)
            wait_until(lambda: count(database) > rows + 50)
        finally:
            stop.set()
        for loader in loaders:
            loader.result()
    assert query(database, "select distinct user_id from public.chat_telemetry_log") == [(other,)]
    assert query(database, "select id from auth.users") == [(other,)]


def test_a_statement_of_the_loader_that_began_before_the_user_was_noted_is_awaited(
    cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, noted = uuid.uuid4(), threading.Event()
    delete = log.Log.delete

    def delete_later(*arguments: Any) -> None:
        noted.set()
        delete(*arguments)

    monkeypatch.setattr(log.Log, "delete", delete_later)
    monkeypatch.setattr(options, "OWN_SETTINGS", options.OWN_SETTINGS.replace("'10s'", "'120s'"))
    with database.connect() as loader, ThreadPoolExecutor(1) as pool:
        loader.execute("begin")
        loader.execute("insert into auth.users values (%s)", [victim])
        loader.execute(ASK, {"user": victim, "conversation": None, "rows": 1})
        erasing = pool.submit(erase, cli, database, victim)
        assert noted.wait(30)
        waiting = "select from pg_locks where not granted and relation = 'auth.users'::regclass"
        wait_until(lambda: query(database, waiting))
        loader.execute("commit")
        assert erasing.result().code == 1
    assert count(database) == 0
    assert query(database, "select id from auth.users") == []


def test_a_lock_that_is_held_for_long_ends_the_command_with_what_is_done(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat_telemetry._cli.options.OWN_SETTINGS", "set local lock_timeout = '50ms'")
    with database.connect() as other, other.transaction():
        other.execute("lock table auth.users in share mode")
        outcome = erase(cli, database, users[0])
    assert outcome.code == 3
    assert outcome.err.splitlines()[-1] == (
        "error: canceling statement due to lock timeout: another session holds the lock. Done: 7 rows of the log and 0 "
        "lines of files deleted. Run the same command again, it continues"
    )
    again = erase(cli, database, users[0])
    assert again.out.startswith(f"{users[0]}: the row of auth.users deleted\n")


def test_on_supabase_only_the_log_is_changed_and_the_rest_is_left_to_the_application(
    cli: Cli, supabase: Database
) -> None:
    victim, other, conversation = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    query(supabase, "insert into auth.users (id, email) values (%s, 'a'), (%s, 'b') returning 1", victim, other)
    query(supabase, "insert into public.chat_conversations values (%s, %s, 't') returning 1", conversation, victim)
    ask(supabase, victim, 3, conversation)
    ask(supabase, other)
    execute(supabase, "delete from public.chat_telemetry_changes")
    application = "select u.*, c.* from auth.users as u left join public.chat_conversations as c on c.user_id = u.id"
    before = query(supabase, application)
    outcome = erase(cli, supabase, victim)
    assert left_in(outcome) == ["public.chat_telemetry_changes (3 rows)"]
    assert (
        f"{victim}: 3 rows of the log deleted\n"
        f"{victim}: auth.users belongs to your application: delete the user there, too, otherwise new requests"
    ) in outcome.out
    assert query(supabase, application) == before
    assert query(supabase, "select distinct user_id from public.chat_telemetry_log") == [(other,)]
    execute(supabase, f"delete from auth.users where id = '{victim}'; delete from public.chat_telemetry_changes")
    store = Store(supabase.conninfo)
    late = TelemetryRecord(user_id=victim, user_question="q", created_at=datetime(2026, 11, 23, tzinfo=UTC))
    (rejection,) = store.insert([encode(late)]).rejected
    store.close()
    assert not rejection.may_be_kept
    again = erase(cli, supabase, victim)
    assert (again.code, "auth.users" in again.out) == (0, False)


@pytest.fixture
def owner(database: Database, users: list[uuid.UUID]) -> Iterator[str]:
    """The connection string of a role that owns the tables, and neither the database nor the reports."""
    name = f"owner_{database.name}"
    execute(database, f"create role {name} login password 'secret'; grant usage on schema chat_rollups to {name}")
    for table in (*log.TABLES, log.CONVERSATIONS):
        execute(database, f"alter table {table} owner to {name}")
    yield f"{database.conninfo_as(name)} password=secret"
    execute(database, f"drop owned by {name} cascade; drop role {name}")


def test_an_owner_who_may_not_see_the_users_of_the_application_says_that_they_are_not_its_own(
    cli: Cli, database: Database, users: list[uuid.UUID], owner: str
) -> None:
    database.let_the_application_own_users()
    outcome = cli("erase", str(users[0]), "--no-dbt", "--yes", "--database-url", owner)
    assert outcome.out.startswith(
        f"{users[0]}: 7 rows of the log, 1 conversation deleted\n{users[0]}: auth.users belongs to your application"
    )


def test_rows_of_an_application_that_a_policy_hides_are_not_changed_and_its_code_is_not_run(
    cli: Cli, database: Database, users: list[uuid.UUID], owner: str
) -> None:
    database.let_the_application_own_users()
    execute(
        database,
        "create schema app;"
        "create table app.feedback (log_id uuid references public.chat_telemetry_log on delete cascade);"
        "alter table app.feedback enable row level security;"
        "create function app.visible() returns boolean language plpgsql as 'begin raise exception ''run''; end';"
        "create policy hides on app.feedback using (app.visible());"
        "grant usage on schema app to public; grant select on app.feedback to public;"
        "insert into app.feedback select log_id from public.chat_telemetry_log",
    )
    outcome = cli("erase", str(users[0]), "--no-dbt", "--yes", "--database-url", owner)
    assert (outcome.code, outcome.out) == (1, "")
    assert "app.feedback refers to chat_telemetry_log, and this role may not see all of its rows (" in outcome.err
    assert query(database, "select count(*) from app.feedback") == [(14,)]


def test_a_report_that_the_owner_may_not_vacuum_is_named(
    cli: Cli, database: Database, users: list[uuid.UUID], owner: str
) -> None:
    database.let_the_application_own_users()
    execute(database, "create materialized view chat_reports.numbers as select 1 as n")
    outcome = cli("erase", str(users[0]), "--no-dbt", "--yes", "--database-url", owner)
    assert (
        "left: dead rows and statistics of chat_reports.numbers: this role may not vacuum it: "
        "run `vacuum (analyze) chat_reports.numbers` as its owner\n" in outcome.out
    )


def test_a_table_on_which_another_session_works_is_named(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "LOCK_PAUSE_S", 0.01)
    with database.connect() as other, other.transaction():
        other.execute("lock table chat_rollups.daily_users in share update exclusive mode")
        outcome = erase(cli, database, users[0])
    assert "left: dead rows and statistics of chat_rollups.daily_users: another session works on it: run" in outcome.out
    assert "daily_users" not in erase(cli, database, users[0]).out


def test_a_vacuum_that_the_role_may_not_finish_is_named(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    vacuum = statistics._vacuum

    def with_timeout(_: psycopg.Connection, table: Any) -> str | None:
        with database.connect() as limited:  # the command's other statements have no limit
            limited.execute("set statement_timeout = '1ms'")
            return vacuum(limited, table)

    monkeypatch.setattr(statistics, "_vacuum", with_timeout)
    monkeypatch.setattr(statistics, "_refresh_stale", lambda *_: [])
    monkeypatch.setattr("chat_telemetry._cli.erase.find_remains", lambda *_: [])
    with database.connect() as connection:
        connection.execute(ASK, {"user": users[1], "conversation": None, "rows": 20_000})
    outcome = erase(cli, database, users[0])
    assert (
        "left: dead rows and statistics of public.chat_telemetry_log: canceling statement due to statement timeout: run"
        in outcome.out
    )


def test_dead_rows_and_old_statistics_of_every_table_and_report_go(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(database, "create materialized view chat_reports.numbers as select 1 as n")
    erase(cli, database, users[0])
    cleaned = (
        "select schemaname || '.' || relname from pg_stat_user_tables"
        " where last_vacuum is not null and last_analyze is not null"
    )
    assert {name for (name,) in query(database, cleaned)} == {
        *("public.chat_telemetry_log", "public.chat_telemetry_changes", "public.chat_conversations", "auth.users"),
        *("chat_rollups.drained_changes", "chat_rollups.daily_users", "chat_reports.numbers"),
    }


@pytest.mark.parametrize("may_read", [True, False])
def test_a_report_that_has_the_id_is_named_if_the_owner_may_become_the_reader(
    cli: Cli, database: Database, users: list[uuid.UUID], owner: str, may_read: bool
) -> None:
    database.let_the_application_own_users()
    execute(database, "create materialized view chat_reports.mine as select id, id::text as name from auth.users")
    execute(database, "grant select on chat_reports.mine to telemetry_reader")
    if may_read:
        execute(database, f"grant telemetry_reader to owner_{database.name}")
    outcome = cli("erase", str(users[0]), "--no-dbt", "--yes", "--database-url", owner)
    assert "chat_reports.mine" in left_in(outcome)
    assert ("chat_reports.mine: telemetry_reader may not read it, so nobody knows" in outcome.out) is not may_read


def test_ids_in_whatever_somebody_put_beside_the_reports_are_found(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(
        database,
        "create table chat_reports.teams as select array_agg(id) as members from auth.users;"
        "create materialized view chat_reports.links as select '/users/' || id as link from auth.users;"
        "create materialized view chat_reports.clean as select 1 as n;"
        "create materialized view chat_reports.secret as select id from auth.users;"
        "grant select on chat_reports.teams, chat_reports.links, chat_reports.clean to telemetry_reader",
    )
    outcome = erase(cli, database, users[0], "--no-dbt")
    found = [place for place in left_in(outcome) if place.startswith("chat_reports.")]
    assert found == ["chat_reports.links", "chat_reports.secret", "chat_reports.teams"]
    assert "chat_reports.secret: telemetry_reader may not read it" in outcome.out


# The planner computes it, with the rights of the role that reads the table.
CODE_OF_AN_APPLICATION = """
create schema app;
create function app.constant() returns text language plpgsql immutable as $$
begin
    if current_user = {reader} then return 'x'; end if;
    raise exception 'code of the application was run by %', current_user;
end $$;
grant usage on schema app to public;
"""


def test_code_of_tables_and_reports_is_not_run_with_the_rights_of_the_command(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(database, "create role application; grant references on auth.users to application")
    try:
        execute(database, CODE_OF_AN_APPLICATION.format(reader="any(array['application', 'telemetry_reader'])"))
        execute(
            database,
            "create table app.profile (id uuid references auth.users);"
            "grant create on schema app to application; grant usage on schema chat_reports to application;"
            "alter table app.profile owner to application;"
            "create materialized view chat_reports.mine as select 'x'::text as n;"
            "alter materialized view chat_reports.mine owner to application;"
            "grant select on chat_reports.mine to telemetry_reader; set role application;"
            "create statistics app.s on (app.constant()), (id::text) from app.profile;"
            "create statistics app.t on (app.constant()), (lower(n)) from chat_reports.mine; reset role",
        )
        outcome = erase(cli, database, users[0], "--no-dbt")
        assert "code of the application" not in outcome.err + outcome.out
    finally:
        execute(database, "drop owned by application cascade; drop role application")


def test_an_interrupted_command_says_what_is_done(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(log.Log, "_delete_conversations", interrupt)
    outcome = erase(cli, database, users[0])
    assert (outcome.code, outcome.out) == (130, "")
    assert outcome.err.splitlines()[-1] == (
        "error: interrupted. Done: 7 rows of the log and 0 lines of files deleted. "
        "Run the same command again, it continues"
    )


def test_nothing_of_the_command_stays_in_the_session_of_a_pooler(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler in transaction mode would give this session to another client next."""
    monkeypatch.setattr(log, "BATCH_ROWS", 1)
    state = (
        "select name, setting from pg_settings union all select 'role', current_user"
        " union all select 'prepared', name from pg_prepared_statements"
        " union all select 'lock', locktype from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'"
    )
    with connect(database.conninfo) as session:
        session.execute("do $$ begin end $$")  # loads the settings of plpgsql
        before = {*session.execute(state)}
        monkeypatch.setattr("chat_telemetry._cli.erase.connect", lambda conninfo: nullcontext(session))
        assert "7 rows of the log" in erase(cli, database, users[0]).out
        assert {*session.execute(state)} == before


def test_own_conversations_go_although_the_users_are_the_applications(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "BATCH_CONVERSATIONS", 2)
    database.let_the_application_own_users()
    database.add_conversations([users[0]] * 4)
    outcome = erase(cli, database, users[0])
    assert outcome.out.startswith(f"{users[0]}: 7 rows of the log, 5 conversations deleted\n")
    assert query(database, "select user_id from public.chat_conversations") == [(users[1],)]
    assert len(query(database, "select from auth.users")) == 2


@pytest.mark.parametrize(
    "table",
    [
        "app.orders (owner uuid references auth.users (id) on delete cascade)",
        "app.orders (owner uuid references auth.users (id) on delete set null)",
        "app.orders (owner uuid references auth.users (id))",
        "app.orders (owner uuid references public.chat_conversations (conversation_id) on delete cascade)",
    ],
)
def test_rows_of_an_application_that_refer_to_the_user_are_neither_deleted_nor_changed(
    cli: Cli, database: Database, users: list[uuid.UUID], table: str
) -> None:
    execute(database, f"create schema app; create table {table}")
    id_of = "select id from auth.users where id = %s"
    if "conversations" in table:
        id_of = "select conversation_id from public.chat_conversations where user_id = %s"
    query(database, f"insert into app.orders {id_of} returning 1", users[0])
    outcome = erase(cli, database, users[0])
    assert (outcome.code, outcome.out) == (1, "")
    assert "error: rows of app.orders refer to the user, and only tables of chat-telemetry are changed" in outcome.err
    assert (count(database), query(database, ERASED, "")) == (14, [])
    assert erase(cli, database, users[1]).out.startswith(f"{users[1]}: 7 rows of the log, 1 conversation, the row of")


@pytest.mark.parametrize(
    ("tables", "row"),
    [
        (
            "create table app.feedback (log_id uuid references public.chat_telemetry_log on delete cascade)",
            "insert into app.feedback select log_id from public.chat_telemetry_log"
            " where user_id = %s limit 1 returning 1",
        ),
        (
            "create table app.feedback (log_id uuid references public.chat_telemetry_log)",
            "insert into app.feedback select log_id from public.chat_telemetry_log"
            " where user_id = %s limit 1 returning 1",
        ),
        (
            "alter table auth.users add email text unique; update auth.users set email = id || '@example.com';"
            "create table app.feedback (email text references auth.users (email) on delete cascade)",
            "insert into app.feedback select email from auth.users where id = %s returning 1",
        ),
    ],
)
def test_rows_that_refer_to_the_log_or_by_another_key_are_not_changed_either(
    cli: Cli, database: Database, users: list[uuid.UUID], tables: str, row: str
) -> None:
    execute(database, f"create schema app; {tables}")
    query(database, row, users[0])
    outcome = erase(cli, database, users[0])
    assert (outcome.code, outcome.out) == (1, "")
    assert "error: rows of app.feedback refer to the user, and only tables of chat-telemetry" in outcome.err
    assert query(database, "select count(*) from app.feedback") == [(1,)]
    assert (count(database), query(database, ERASED, "")) == (14, [])


def test_rows_that_are_added_while_the_command_deletes_are_not_changed_either(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, "create schema app; create table app.profile (id uuid references auth.users on delete cascade)")
    delete_rows = log.Log._delete_rows

    def add_and_delete(self: log.Log, user: log.ErasedUser, show: log.Show) -> None:
        query(database, "insert into app.profile values (%s) returning 1", users[0])
        delete_rows(self, user, show)

    monkeypatch.setattr(log.Log, "_delete_rows", add_and_delete)
    outcome = erase(cli, database, users[0])
    assert outcome.code == 1
    assert "rows of app.profile refer to the user" in outcome.err
    assert query(database, "select distinct id from app.profile") == [(users[0],)]


def test_a_trigger_that_keeps_the_rows_ends_the_command(cli: Cli, database: Database, users: list[uuid.UUID]) -> None:
    execute(
        database,
        "create function public.keep() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger keeps before delete on public.chat_telemetry_log for each row execute function public.keep()",
    )
    outcome = erase(cli, database, users[0])
    assert outcome.code == 1
    assert "a trigger of public.chat_telemetry_log prevents it" in outcome.err
    assert count(database) == 14


def test_a_database_without_migrations_and_a_role_that_does_not_own_the_log_are_refused(
    cli: Cli, database: Database, empty_database: Database, users: list[uuid.UUID]
) -> None:
    outcome = erase(cli, empty_database, users[0])
    assert (outcome.code, outcome.err) == (
        4,
        "error: the database has no public.chat_telemetry_log: run `chat-telemetry migrate`\n",
    )
    execute(database, "alter role service_role login password 'secret'")
    options = ["--no-dbt", "--yes", "--database-url", f"{database.conninfo_as('service_role')} password=secret"]
    outcome = cli("erase", str(users[0]), *options)
    assert (outcome.code, outcome.err.count("\n")) == (3, 1)
    assert "this role does not own public.chat_telemetry_log: connect as the role that migrates" in outcome.err
    assert count(database) == 14


def test_names_are_not_resolved_in_public(cli: Cli, database: Database, users: list[uuid.UUID]) -> None:
    hostile = Path(__file__).parents[1] / "reports" / "hostile_public.sql"
    execute(database, hostile.read_text(encoding="utf-8"))
    execute(database, f"alter database {database.name} set search_path = public, pg_catalog")
    outcome = erase(cli, database, users[0])
    assert left_in(outcome) == ["public.chat_telemetry_changes (7 rows)"]


STATISTICS_OF_ADOPTED_LOG = """
insert into public.chat_telemetry_log (user_id, user_question)
select id, 'of ' || id from auth.users cross join generate_series(1, 4);
alter table public.chat_telemetry_log alter user_id set statistics 100, alter user_question set statistics 100;
create statistics public.pairs (mcv) on user_id, user_question from public.chat_telemetry_log;
create statistics public.words on (pg_catalog.lower(user_question)) from public.chat_telemetry_log;
create index on public.chat_telemetry_log (pg_catalog.lower(user_question));
analyze public.chat_telemetry_log;
alter table public.chat_telemetry_log alter user_id set statistics 0, alter user_question set statistics 0;
"""

EVERY_STATISTIC = """
select s::text from pg_stats as s union all select s::text from pg_stats_ext as s
union all select s::text from pg_stats_ext_exprs as s
"""


def test_old_statistics_of_an_adopted_log_and_those_that_somebody_created_lose_the_user(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(database, "delete from public.chat_telemetry_log")
    execute(database, STATISTICS_OF_ADOPTED_LOG)
    victim, other = users

    def statistics_of(user: uuid.UUID) -> int:
        with database.connect() as connection:
            kept = connection.execute(EVERY_STATISTIC).fetchall()
            return sum(str(user) in text for (text,) in kept)

    assert statistics_of(victim) > 2
    targets = "select attstattarget from pg_attribute where attname in ('user_id', 'user_question')"
    before = query(database, targets)
    assert not [place for place in left_in(erase(cli, database, victim)) if place.startswith("statistics")]
    assert (statistics_of(victim), statistics_of(other) > 2) == (0, True)
    assert query(database, targets) == before
    erase(cli, database, other)
    assert "statistics of public.chat_telemetry_log (user_id, user_question)" in left_in(erase(cli, database, other))


def test_statistics_of_what_an_application_added_are_named_if_the_log_is_empty(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(
        database,
        "alter table public.chat_telemetry_log add user_email text;"
        "update public.chat_telemetry_log set user_email = user_id || '@example.com';"
        "create index on public.chat_telemetry_log (lower(user_question));"
        "create statistics public.by_case on (upper(user_question)), error_type from public.chat_telemetry_log;"
        "analyze public.chat_telemetry_log",
    )
    assert not any("statistics" in place for place in left_in(erase(cli, database, users[0], "--no-dbt")))
    left = left_in(erase(cli, database, users[1], "--no-dbt"))
    assert (
        "statistics of public.chat_telemetry_log (by_case, chat_telemetry_log.user_email,"
        " chat_telemetry_log_lower_idx.lower)"
    ) in left
