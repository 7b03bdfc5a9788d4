"""What an attacker tried on the database, each with the rights that it would have had."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors as sqlstate

from chat_telemetry._cli.migrations import apply_migrations
from tests.conftest import Database
from tests.migrations.existing_log import value
from tests.migrations.test_existing_objects import SUPABASE

TRIGGER_FUNCTIONS = [
    "compute_sql_fingerprint",
    "chat_telemetry_feed_changes",
    "chat_telemetry_note_erased_users",
    "chat_telemetry_refuse_truncate",
]
FORGE = """
create temporary table forged (like public.chat_telemetry_changes);
create trigger forges after insert on forged referencing new table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes();
insert into forged (log_id, sign, is_off_topic, created_at, user_id, sql_model)
select gen_random_uuid(), 1, false, now(), gen_random_uuid(), 'FORGED' from generate_series(1, 5000);
"""
FORGE_ERASED = """
create temporary table forged (id uuid);
create trigger forges after delete on forged referencing old table as removed
for each statement execute function public.chat_telemetry_note_erased_users();
insert into forged values (gen_random_uuid());
delete from forged;
"""
# What Supabase has, and a role of an analyst that gets each new object by default.
GENEROUS = """
do $$ begin if to_regrole('analyst') is null then create role analyst; end if; end $$;
alter default privileges grant all on tables to analyst;
alter default privileges grant all on functions to analyst;
alter default privileges grant all on sequences to analyst;
alter default privileges grant all on schemas to analyst with grant option;
"""
RIGHTS_OF = """
select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
where (n.nspname like 'chat\\_%%' or (n.nspname = 'public' and c.relname like 'chat\\_telemetry\\_%%'))
    and exists (select from aclexplode(c.relacl) where grantee = %(role)s::regrole)
union all
select p.oid::regprocedure::text from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid
where (n.nspname like 'chat\\_%%' or (n.nspname = 'public' and p.proname ~ 'chat_telemetry|fingerprint'))
    and has_function_privilege(%(role)s, p.oid, 'execute')
union all
select n.nspname from pg_namespace as n
where n.nspname like 'chat\\_%%' and has_schema_privilege(%(role)s, n.oid, 'usage')
"""


@pytest.fixture
def generous(empty_database: Database) -> Iterator[psycopg.Connection]:
    """A database shaped like Supabase's, whose default privileges give everything away."""
    with empty_database.connect() as connection:
        connection.execute(SUPABASE)
        connection.execute(GENEROUS)
        apply_migrations(empty_database.conninfo)
        yield connection


def test_default_privileges_give_no_role_a_right_on_an_object_of_the_project(generous: psycopg.Connection) -> None:
    for role in ("analyst", "anon", "authenticated"):
        assert generous.execute(RIGHTS_OF, {"role": role}).fetchall() == []


@pytest.mark.parametrize("function", TRIGGER_FUNCTIONS)
def test_no_role_may_execute_a_trigger_function(generous: psycopg.Connection, function: str) -> None:
    query = """
        select array_agg(rolname::text) from pg_roles as r, pg_proc as p
        where p.oid = %s::regproc and has_function_privilege(r.oid, p.oid, 'execute')
            and not r.rolsuper and not pg_has_role(r.oid, p.proowner, 'usage')
    """
    assert value(generous, query, f"public.{function}") is None


@pytest.mark.parametrize("role", ["service_role", "telemetry_writer", "analyst"])
def test_nobody_can_forge_changes(generous: psycopg.Connection, empty_database: Database, role: str) -> None:
    with empty_database.as_role(role) as attacker, pytest.raises(sqlstate.InsufficientPrivilege):
        attacker.execute(FORGE)
    assert value(generous, "select count(*) from public.chat_telemetry_changes") == 0


@pytest.mark.parametrize(
    ("attack", "function"),
    [(FORGE, "chat_telemetry_feed_changes"), (FORGE_ERASED, "chat_telemetry_note_erased_users")],
)
def test_a_grant_by_mistake_opens_neither_the_feed_nor_the_erased_users(
    generous: psycopg.Connection, empty_database: Database, attack: str, function: str
) -> None:
    generous.execute(f"grant execute on function public.{function}() to service_role")
    generous.execute("grant select on public.chat_telemetry_changes to service_role")
    with (
        empty_database.as_role("service_role") as attacker,
        pytest.raises(sqlstate.RaiseException, match="is the trigger function of"),
    ):
        attacker.execute(attack)
    for table in ("chat_telemetry_changes", "chat_telemetry_erased_users"):
        assert value(generous, f"select count(*) from public.{table}") == 0


# Every role may create these. PostgreSQL looks up the names of types in pg_temp first, unless a search_path names it.
TYPES_OF_AN_ATTACKER = """
create function pg_temp.catch() returns boolean language plpgsql as $$
begin
    raise exception 'a type of the attacker was used by %', current_user;
end $$;
do $$
declare
    name text;
begin
    for name in
        select typname from pg_type
        where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typelem = 0
    loop
        execute format('create domain pg_temp.%1$I as pg_catalog.%1$I check (pg_temp.catch())', name);
    end loop;
end $$;
"""


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (
            "telemetry_writer",
            "insert into public.chat_telemetry_log (user_id, user_question, generated_sql)"
            " values (%s, 'q', 'SELECT 1')",
        ),
        ("service_role", "delete from public.chat_telemetry_log where user_id = %s"),
        ("service_role", "delete from auth.users where id = %s"),
        ("telemetry_reader", "select pending_changes from chat_reports.report_freshness where %s is not null"),
        ("telemetry_transformer", "select public.chat_telemetry_sql_shape('select 1 -- ' || %s)"),
    ],
)
def test_no_function_uses_a_type_of_its_caller(database: Database, role: str, statement: str) -> None:
    (user,) = database.add_users()
    with database.as_role(role) as attacker:
        attacker.execute(TYPES_OF_AN_ATTACKER)
        with pytest.raises(sqlstate.RaiseException, match="was used by"):
            attacker.execute("select '1'::regclass")
        attacker.execute(statement, [user])


FORGED_ROW = {
    "chat_telemetry_log": "(user_id, user_question) values (gen_random_uuid(), 'Forged')",
    "chat_telemetry_changes": "(log_id, sign, is_off_topic, created_at, user_id)"
    " values (gen_random_uuid(), 1, false, now(), gen_random_uuid())",
    "chat_telemetry_erased_users": "values ('forged')",
}
BLANKET = "grant all on all tables in schema public to anon, authenticated"


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize("table", FORGED_ROW)
def test_after_a_grant_on_all_tables_api_roles_still_reach_no_row(
    generous: psycopg.Connection, empty_database: Database, role: str, table: str
) -> None:
    generous.execute("insert into auth.users values (gen_random_uuid())")
    generous.execute(
        "insert into public.chat_telemetry_log (user_id, user_question) select id, 'How many?' from auth.users"
    )
    generous.execute("insert into public.chat_telemetry_erased_users values ('x')")
    generous.execute(BLANKET)
    with empty_database.as_role(role) as attacker:
        assert attacker.execute(f"select * from public.{table}").fetchall() == []
        assert attacker.execute(f"delete from public.{table}").rowcount == 0
        with pytest.raises(sqlstate.RaiseException, match="cannot be truncated"):
            attacker.execute(f"truncate public.{table}")
        with pytest.raises(sqlstate.InsufficientPrivilege, match="row-level security"):
            attacker.execute(f"insert into public.{table} {FORGED_ROW[table]}")
    assert value(generous, f"select count(*) from public.{table}") == 1


def test_conversations_that_the_migrations_make_are_closed_to_api_roles(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute(SUPABASE)
        connection.execute("drop table public.chat_conversations")
        apply_migrations(empty_database.conninfo)
        connection.execute("insert into auth.users values (gen_random_uuid())")
        connection.execute("insert into public.chat_conversations (user_id) select id from auth.users")
        with empty_database.as_role("anon") as attacker, pytest.raises(sqlstate.InsufficientPrivilege):
            attacker.execute("select * from public.chat_conversations")
        connection.execute(BLANKET)
        with empty_database.as_role("anon") as attacker:
            assert attacker.execute("delete from public.chat_conversations").rowcount == 0
        with empty_database.as_role("telemetry_writer") as writer:
            assert writer.execute("select conversation_id from public.chat_conversations").rowcount == 1


def test_dbt_cannot_let_others_create_in_the_schema_of_the_reports(database: Database) -> None:
    with database.as_role("telemetry_transformer") as connection:
        connection.execute("grant create on schema chat_reports to public")  # a warning: no grant option
    with database.connect() as connection:
        allowed = "select has_schema_privilege('telemetry_reader', 'chat_reports', 'create')"
        assert value(connection, allowed) is False
