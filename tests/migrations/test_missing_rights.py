"""What a role lacks to migrate is named before anything changes, with the statement that gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from chat_telemetry._cli.errors import DatabaseFailed
from chat_telemetry._cli.migrations import (
    Listener,
    MigrationFailed,
    apply_migrations,
    hand_over,
    migration_status,
    roll_back_last,
)
from chat_telemetry._cli.migrations.lock import ADVISORY_LOCK
from chat_telemetry._cli.postgres_cluster import PostgresCluster
from tests.conftest import CLUSTERS, running_cluster
from tests.loader.conftest import wait_until
from tests.migrations.catalog import MIGRATIONS, snapshot
from tests.migrations.existing_log import create_log

# As an application may have it: its own users and conversations, which belong to other roles.
APPLICATION = """
create role application;
create schema auth authorization application;
create table auth.users (id uuid primary key);
alter table auth.users owner to application;
create table public.chat_conversations (conversation_id uuid primary key);
alter table public.chat_conversations owner to application;
revoke create on schema public from public;
"""


@pytest.fixture(scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[PostgresCluster]:
    """A cluster in which no migration has created roles yet."""
    with running_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture
def administrator(cluster: PostgresCluster) -> Iterator[psycopg.Connection]:
    """A superuser in a database in which the login `deployer` has no rights."""
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute("create database chat")
        connection.execute("create role deployer login")
    with psycopg.connect(cluster.conninfo("chat"), autocommit=True) as connection:
        yield connection
    with psycopg.connect(cluster.conninfo("chat"), autocommit=True) as connection:
        connection.execute("reassign owned by deployer to postgres; drop owned by deployer cascade")
    with psycopg.connect(cluster.conninfo(), autocommit=True) as connection:
        connection.execute("drop database chat with (force)")
        for role in ("deployer", "application", "stranger"):
            connection.execute(f"drop role if exists {role}")


def statements(conninfo: str) -> list[str]:
    """The statements that the refusal of a migration asks for."""
    with pytest.raises(MigrationFailed) as failure:
        apply_migrations(conninfo)
    assert "\n" not in str(failure.value)
    assert str(failure.value).startswith("nothing was changed: ")
    return re.findall(r"`([^`]*)`", str(failure.value))


def test_the_statements_of_one_refusal_are_all_that_is_missing(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute(APPLICATION)
    administrator.execute("revoke usage on schema auth from application")
    before = snapshot(administrator)
    advice = statements(cluster.conninfo("chat", "deployer"))
    assert advice == [
        "alter role deployer createrole",
        "grant create on database chat to deployer",
        "grant create on schema public to deployer",
        "grant usage on schema auth to deployer",
        "grant references on table auth.users to deployer",
        "grant usage on schema auth to application",
        "grant references, select on table public.chat_conversations to deployer with grant option",
    ]
    assert snapshot(administrator) == before
    for statement in advice:
        administrator.execute(statement)
    assert len(apply_migrations(cluster.conninfo("chat", "deployer"))) == len(MIGRATIONS)


@pytest.mark.parametrize("key", ["id bigint", "key uuid"])
def test_users_to_which_a_log_cannot_refer_are_named(
    cluster: PostgresCluster, administrator: psycopg.Connection, key: str
) -> None:
    administrator.execute(f"create schema auth; create table auth.users ({key} primary key)")
    before = snapshot(administrator)
    with pytest.raises(MigrationFailed, match=r"nothing was changed: auth\.users has no column id of the type uuid"):
        apply_migrations(cluster.conninfo("chat"))
    assert snapshot(administrator) == before


def test_a_schema_of_users_in_which_nothing_may_be_created_is_named(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    administrator.execute("create schema auth; grant usage on schema auth to deployer")
    assert statements(cluster.conninfo("chat", "deployer")) == ["grant create on schema auth to deployer"]


def test_a_right_that_is_no_longer_needed_is_not_asked_for(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    assert apply_migrations(cluster.conninfo("chat", "deployer"))
    administrator.execute("alter role deployer nocreaterole; revoke create on schema public from public")
    assert apply_migrations(cluster.conninfo("chat", "deployer")) == []


def test_the_status_names_the_role_that_may_see_it(cluster: PostgresCluster, administrator: psycopg.Connection) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    apply_migrations(cluster.conninfo("chat", "deployer"))
    administrator.execute("create role stranger login")
    with pytest.raises(DatabaseFailed, match="connect as deployer if it migrates"):
        migration_status(cluster.conninfo("chat", "stranger"))
    with pytest.raises(DatabaseFailed, match="connect as deployer if it migrates"):
        apply_migrations(cluster.conninfo("chat", "stranger"))


FOREIGN = [
    "create table public.chat_telemetry_changes (log_id uuid)",
    "create view public.chat_telemetry_erased_users as select 1 as n",
    "create function public.compute_sql_fingerprint() returns trigger language plpgsql as 'begin return new; end'",
    "create function public.chat_telemetry_feed_changes() returns trigger language plpgsql as 'begin return null; end'",
    "create function public.chat_telemetry_note_erased_users() returns trigger language plpgsql"
    " as 'begin return null; end'",
    "create function public.chat_telemetry_sql_shape(query text) returns text language sql immutable as 'select query'",
    "create schema chat_rollups",
    "create schema chat_telemetry_migrations",
    "create schema auth",
]
# Code of a stranger where the marks are read.
LURE = """
create schema chat_telemetry_migrations;
create function chat_telemetry_migrations.lure() returns text language plpgsql immutable as $$
begin
    if current_user <> 'stranger' then
        raise exception 'code of the stranger was run by %', current_user;
    end if;
    return 'x';
end $$;
grant usage on schema chat_telemetry_migrations to public;
"""
LURES = {
    "a view": "create view chat_telemetry_migrations._yoyo_migration as"
    " select chat_telemetry_migrations.lure() as migration_hash;"
    "grant select on chat_telemetry_migrations._yoyo_migration to public",
    # The planner computes what it takes for a constant.
    "statistics": "create table chat_telemetry_migrations._yoyo_migration (migration_hash text);"
    "create statistics chat_telemetry_migrations.s on (chat_telemetry_migrations.lure()), (lower(migration_hash))"
    " from chat_telemetry_migrations._yoyo_migration;"
    "grant select on chat_telemetry_migrations._yoyo_migration to public",
    "a policy": "create table chat_telemetry_migrations._yoyo_migration (migration_hash text);"
    "insert into chat_telemetry_migrations._yoyo_migration values ('forged');"
    "alter table chat_telemetry_migrations._yoyo_migration enable row level security;"
    "create policy lure on chat_telemetry_migrations._yoyo_migration"
    " using (chat_telemetry_migrations.lure() is not null);"
    "grant select on chat_telemetry_migrations._yoyo_migration to public",
}
HAND_OVER = """
create schema chat_rollups;
create function chat_rollups.hand_over(owner text) returns void language plpgsql as $$
begin
    raise exception 'code of the stranger was run by %', current_user;
end $$;
grant usage on schema chat_rollups to public;
"""


def as_stranger(administrator: psycopg.Connection, statement: str) -> None:
    """Run the statement as a role that may create, but is nobody to the project."""
    administrator.execute("create role stranger")
    administrator.execute("grant create on database chat to stranger; grant create on schema public to stranger")
    administrator.execute("set role stranger")
    administrator.execute(statement)
    administrator.execute("reset role")


@pytest.mark.parametrize("object_of_a_stranger", FOREIGN)
@pytest.mark.parametrize("role", ["postgres", "deployer"])
def test_an_object_that_a_stranger_made_before_is_refused(
    cluster: PostgresCluster, administrator: psycopg.Connection, object_of_a_stranger: str, role: str
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    as_stranger(administrator, object_of_a_stranger)
    with pytest.raises((MigrationFailed, DatabaseFailed), match="belongs to another role, stranger"):
        apply_migrations(cluster.conninfo("chat", role))
    assert administrator.execute("select to_regclass('public.chat_telemetry_log')").fetchone() == (None,)


@pytest.mark.parametrize("lure", LURES)
@pytest.mark.parametrize("operation", [migration_status, apply_migrations, roll_back_last])
@pytest.mark.parametrize("role", ["postgres", "deployer"])
def test_code_of_a_stranger_is_not_run_before_it_is_refused(
    cluster: PostgresCluster,
    administrator: psycopg.Connection,
    operation: Callable[[str], object],
    lure: str,
    role: str,
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    as_stranger(administrator, LURE + LURES[lure])
    with pytest.raises((MigrationFailed, DatabaseFailed), match="belongs to another role, stranger"):
        operation(cluster.conninfo("chat", role))


def test_a_schema_that_is_made_while_migrate_waits_is_refused(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute(f"select pg_advisory_lock({ADVISORY_LOCK})")
    as_stranger(administrator, "select 1")
    administrator.execute("reset role")
    with ThreadPoolExecutor(1) as pool:
        notes: list[str] = []
        migrating = pool.submit(apply_migrations, cluster.conninfo("chat"), Listener(note=notes.append))
        wait_until(lambda: any("waiting for another session" in note for note in notes))
        administrator.execute("set role stranger")
        administrator.execute("create schema chat_telemetry_migrations")
        administrator.execute("reset role")
        administrator.execute(f"select pg_advisory_unlock({ADVISORY_LOCK})")
        with pytest.raises(MigrationFailed, match="chat_telemetry_migrations belongs to another role, stranger"):
            migrating.result(timeout=60)


def test_a_feed_of_a_stranger_is_not_handed_over(cluster: PostgresCluster, administrator: psycopg.Connection) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    as_stranger(administrator, HAND_OVER)
    with pytest.raises(MigrationFailed, match="the schema chat_rollups belongs to another role, stranger"):
        hand_over(cluster.conninfo("chat", "deployer"), "chat_telemetry")


def test_a_trigger_of_a_stranger_on_the_log_is_refused(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    administrator.execute("grant create on schema public to deployer; set role deployer")
    create_log(administrator, 1)
    administrator.execute("reset role")
    administrator.execute("create role stranger; grant create on schema public to stranger")
    administrator.execute("grant trigger on public.chat_telemetry_log to stranger; set role stranger")
    administrator.execute(
        "create function public.spy() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger spies before update on public.chat_telemetry_log for each row execute function public.spy()"
    )
    administrator.execute("reset role")
    administrator.execute(
        "create function public.trusted() returns trigger language plpgsql as 'begin return new; end';"
        "create trigger before_all before update on public.chat_telemetry_log"
        " for each row execute function public.trusted()"
    )
    with pytest.raises(psycopg.errors.RaiseException, match=r"function (public\.)?spy\(\) exists already and belongs"):
        apply_all(administrator)
    assert statements(cluster.conninfo("chat", "deployer")) == ["drop trigger spies on public.chat_telemetry_log"]
    administrator.execute("drop trigger spies on public.chat_telemetry_log")
    assert apply_migrations(cluster.conninfo("chat", "deployer"))


@pytest.mark.parametrize(
    "use",
    [
        "alter table {0} add check (public.spy(user_question))",
        "alter table {0} add extra boolean default public.spy('')",
        "create index on {0} (public.spy(user_question))",
        "create statistics public.s on (public.spy('')), (lower(user_question)) from {0}",
        "create policy mine on {0} using (public.spy(user_question))",
    ],
)
def test_a_log_that_uses_a_function_of_a_stranger_is_refused(
    cluster: PostgresCluster, administrator: psycopg.Connection, use: str
) -> None:
    administrator.execute("alter role deployer createrole; alter database chat owner to deployer")
    administrator.execute("grant create on schema public to deployer; set role deployer")
    create_log(administrator, 1)
    administrator.execute("reset role; create role stranger; grant create on schema public to stranger")
    administrator.execute(
        "set role stranger; create function public.spy(q text) returns boolean immutable language sql as 'select true'"
    )
    administrator.execute("set role deployer; " + use.format("public.chat_telemetry_log") + "; reset role")
    assert statements(cluster.conninfo("chat", "deployer")) == ["alter function public.spy(text) owner to deployer"]


def apply_all(administrator: psycopg.Connection) -> None:
    for path in MIGRATIONS:
        administrator.execute(path.read_bytes())


@pytest.mark.parametrize("object_of_a_stranger", FOREIGN[:-2])
def test_the_files_themselves_refuse_it_too(
    cluster: PostgresCluster, administrator: psycopg.Connection, object_of_a_stranger: str
) -> None:
    """As psql or another tool applies them, as a superuser, who may replace everything."""
    as_stranger(administrator, object_of_a_stranger)
    with pytest.raises(psycopg.errors.RaiseException, match=r"belongs? to another role"):
        apply_all(administrator)


def test_a_log_of_the_owner_of_the_database_is_adopted_by_a_superuser(
    cluster: PostgresCluster, administrator: psycopg.Connection
) -> None:
    administrator.execute("alter database chat owner to deployer; grant create on schema public to deployer")
    (path,) = [path for path in MIGRATIONS if path.name.endswith("_create_chat_telemetry_log.sql")]
    administrator.execute(
        "create schema auth; create table auth.users (id uuid primary key);"
        "create table public.chat_conversations (conversation_id uuid primary key);"
    )
    administrator.execute(path.read_bytes())
    administrator.execute("alter table public.chat_telemetry_log owner to deployer")
    assert apply_migrations(cluster.conninfo("chat"))
