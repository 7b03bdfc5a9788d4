"""The migrations on a server with objects of others: Supabase, a log with rows, no superuser."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors as sqlstate

from chat_telemetry._cli.migrations import apply_migrations, roll_back_last
from chat_telemetry._cli.postgres_cluster import PostgresCluster
from tests.conftest import CLUSTERS, Database, running_cluster
from tests.migrations.catalog import MIGRATIONS, snapshot

# As a Supabase project has it: three API roles, its own auth schema, and default privileges that grant all of public.
SUPABASE = """
do $$
begin
    if to_regrole('anon') is null then create role anon nologin; end if;
    if to_regrole('authenticated') is null then create role authenticated nologin; end if;
    if to_regrole('service_role') is null then create role service_role nologin bypassrls; end if;
end
$$;
create schema auth;
create table auth.users (id uuid primary key, email text, created_at timestamptz);
create table public.chat_conversations (
    conversation_id uuid primary key, user_id uuid not null references auth.users (id) on delete cascade, title text
);
grant usage on schema public, auth to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
alter default privileges grant all on schemas to anon, authenticated, service_role;
"""


@pytest.fixture
def supabase(empty_database: Database) -> Database:
    with empty_database.connect() as connection:
        connection.execute(SUPABASE)
    apply_migrations(empty_database.conninfo)
    return empty_database


FORBIDDEN_TO_API_ROLES = [
    "select * from public.chat_telemetry_log",
    "insert into public.chat_telemetry_log (user_id, user_question) values (gen_random_uuid(), '')",
    "update public.chat_telemetry_log set user_question = ''",
    "delete from public.chat_telemetry_log",
    "truncate public.chat_telemetry_log",
    "select public.chat_telemetry_sql_shape('select 1')",
    "create table chat_reports.mine (id integer)",
    "select * from chat_reports.off_topic",
    "select * from chat_prices.token_prices",
    "select * from chat_rollups.daily_users",
    "select * from public.chat_telemetry_changes",
    "insert into public.chat_telemetry_changes (sign) values (1)",
    "delete from public.chat_telemetry_changes",
    "truncate public.chat_telemetry_changes",
    "select public.chat_telemetry_feed_changes()",
    "select chat_rollups.forget_counted_changes()",
    "select * from chat_telemetry_migrations._yoyo_migration",
]


@pytest.mark.parametrize("role", ["service_role", "telemetry_writer"])
def test_supabase_gives_a_role_of_the_project_no_further_right_on_the_log_and_the_feed(
    supabase: Database, role: str
) -> None:
    with supabase.connect() as connection:
        granted = connection.execute(
            "select c.relname, array_agg(acl.privilege_type order by acl.privilege_type) from pg_class as c,"
            " aclexplode(c.relacl) as acl where acl.grantee = %s::regrole"
            " and c.relname in ('chat_telemetry_log', 'chat_telemetry_changes') group by c.relname",
            [role],
        )
        expected = ["INSERT"] if role == "telemetry_writer" else ["DELETE", "INSERT", "SELECT"]
        assert dict(granted.fetchall()) == {"chat_telemetry_log": expected}


def test_row_level_security_is_on_wherever_a_user_has_rows(database: Database) -> None:
    """Default privileges of a database may grant a table to everybody; then the policies have to hold."""
    with database.connect() as connection:
        secured = connection.execute("select relname from pg_class where relrowsecurity order by 1").fetchall()
    assert {"chat_telemetry_log", "chat_telemetry_changes"} <= {name for (name,) in secured}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_supabase_api_roles_reach_nothing(supabase: Database, role: str) -> None:
    with supabase.connect() as connection:
        connection.execute("create materialized view chat_reports.off_topic as select 1 as n")
        connection.execute("create table chat_prices.token_prices (model text)")
    with supabase.as_role(role) as connection:
        for statement in FORBIDDEN_TO_API_ROLES:
            with pytest.raises(sqlstate.InsufficientPrivilege):
                connection.execute(statement)


def test_supabase_keeps_what_is_its_own_when_all_is_rolled_back(supabase: Database) -> None:
    while roll_back_last(supabase.conninfo):
        pass
    with supabase.connect() as connection:
        tables = connection.execute(
            "select to_regclass('auth.users'), to_regclass('public.chat_conversations'),"
            " to_regclass('public.chat_telemetry_log')"
        )
        assert tables.fetchone() == ("auth.users", "chat_conversations", None)


def test_a_log_with_rows_is_adopted_and_its_fingerprints_are_corrected(
    empty_database: Database, database: Database
) -> None:
    log_ids = [uuid.uuid4(), uuid.uuid4()]
    with empty_database.connect() as connection:
        connection.execute("create schema auth")
        connection.execute("create table auth.users (id uuid primary key default gen_random_uuid())")
        connection.execute("create table public.chat_conversations (conversation_id uuid primary key)")
        (path,) = [path for path in MIGRATIONS if path.name.endswith("_create_chat_telemetry_log.sql")]
        connection.execute(path.read_text())
        connection.execute(
            "with u as (insert into auth.users default values returning id)"
            " insert into public.chat_telemetry_log (log_id, user_id, user_question, generated_sql, sql_fingerprint)"
            " select log_id, id, 'How many?', 'SELECT  1', fingerprint"
            " from u cross join unnest(%s::uuid[], array['of the client', null]) as sent (log_id, fingerprint)",
            [log_ids],
        )
        apply_migrations(empty_database.conninfo)
        rows = connection.execute("select log_id, sql_fingerprint = md5('select 1') from public.chat_telemetry_log")
        assert dict(rows.fetchall()) == dict.fromkeys(log_ids, True)
        with database.connect() as fresh:
            assert log_of(snapshot(connection)) == log_of(snapshot(fresh))


(CREATE_ROLES,) = (path for path in MIGRATIONS if path.name.endswith("_create_roles.sql"))


@pytest.fixture(params=CLUSTERS)
def server_of_its_own(request: pytest.FixtureRequest) -> Iterator[PostgresCluster]:
    """A cluster in which no migration has created roles yet."""
    with running_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture
def administrator(server_of_its_own: PostgresCluster) -> str:
    """The connection string of the owner of a database, who may create roles and is no superuser."""
    with psycopg.connect(server_of_its_own.conninfo(), autocommit=True) as connection:
        connection.execute("create role administrator login createrole")
        connection.execute("create database chat owner administrator")
    return server_of_its_own.conninfo("chat", "administrator")


def test_an_administrator_who_is_no_superuser_can_migrate(administrator: str) -> None:
    names = apply_migrations(administrator)
    with psycopg.connect(administrator) as connection:
        migrated = snapshot(connection)
    while roll_back_last(administrator):
        pass
    assert apply_migrations(administrator) == names
    with psycopg.connect(administrator) as connection:
        assert snapshot(connection) == migrated


# PostgreSQL 15 has no options of a membership, and there everybody who may create roles may grant them.
MEMBERS = """
select
    member::regrole::text, grantor::regrole::text, admin_option,
    (to_jsonb(m) ->> 'inherit_option')::boolean, (to_jsonb(m) ->> 'set_option')::boolean
from pg_auth_members as m where roleid = 'telemetry_reader'::regrole
"""


def has_options(connection: psycopg.Connection) -> bool:
    return connection.info.server_version >= 160_000


def test_the_role_that_migrates_may_set_the_role_of_readers(administrator: str) -> None:
    apply_migrations(administrator)
    with psycopg.connect(administrator, autocommit=True) as connection:
        members = connection.execute(MEMBERS).fetchall()
        options = (False, True) if has_options(connection) else (None, None)
        assert ("administrator", "administrator", False, *options) in members
        connection.execute(CREATE_ROLES.read_text())
        assert connection.execute(MEMBERS).fetchall() == members
        connection.execute("set role telemetry_reader")
        connection.execute("select from chat_reports.report_freshness")
        connection.execute("reset role")
        inherits = "select pg_has_role('telemetry_reader', 'usage')"
        assert connection.execute(inherits).fetchone() == (not has_options(connection),)
    while roll_back_last(administrator):
        pass
    with psycopg.connect(administrator, autocommit=True) as connection:
        assert connection.execute(MEMBERS).fetchall() == members
        connection.execute("drop role telemetry_writer, telemetry_transformer, telemetry_reader")


def test_a_superuser_needs_no_membership(server_of_its_own: PostgresCluster) -> None:
    apply_migrations(server_of_its_own.conninfo())
    with psycopg.connect(server_of_its_own.conninfo()) as connection:
        assert connection.execute(MEMBERS).fetchall() == []


def test_if_another_role_created_the_roles_a_warning_names_the_grant(
    server_of_its_own: PostgresCluster, administrator: str
) -> None:
    with psycopg.connect(server_of_its_own.conninfo(), autocommit=True) as connection:
        connection.execute(CREATE_ROLES.read_text())
        apply_migrations(administrator)
        if not has_options(connection):
            assert connection.execute(MEMBERS).fetchall() == [("administrator", "administrator", False, None, None)]
            return
        assert connection.execute(MEMBERS).fetchall() == []
        warnings: list[tuple[str | None, str | None, str | None]] = []
        with psycopg.connect(administrator, autocommit=True) as migrating:
            migrating.add_notice_handler(
                lambda found: warnings.append((found.severity, found.message_primary, found.message_hint))
            )
            migrating.execute(CREATE_ROLES.read_text())
        grant = "grant telemetry_reader to administrator with set true, inherit false;"
        assert warnings == [
            (
                "WARNING",
                "administrator may not read the reports as telemetry_reader",
                f"The creator of telemetry_reader, or a superuser, can allow it: {grant}",
            )
        ]
        connection.execute(grant)
    with psycopg.connect(administrator) as connection:
        connection.execute("set role telemetry_reader")


def log_of(objects: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [entry for entry in objects if "chat_telemetry" in entry[1]]
