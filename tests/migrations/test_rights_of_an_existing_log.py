"""The grants and policies of a log that existed before: they are listed, then removed or kept."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors as sqlstate

from chat_telemetry._cli.migrations import Listener, apply_migrations
from chat_telemetry._cli.migrations.rights import lost_rights
from tests.conftest import Database
from tests.migrations.existing_log import create_log, value
from tests.migrations.test_existing_objects import SUPABASE

ROLES = ("anon", "authenticated", "service_role", "chat_backend", "analyst")
OWN = "create policy own on public.chat_telemetry_log for select to authenticated using (user_id is not null)"
POLICIES = "select array_agg(polname::text order by polname) from pg_policy where polrelid = %s::regclass"
GRANTEES = """
select coalesce(array_agg(distinct grantee::regrole::text), '{}')
from pg_class, aclexplode(relacl) where oid = 'public.chat_telemetry_log'::regclass and grantee <> relowner
"""
UPDATE = "update public.chat_telemetry_log set user_question = 'Changed'"
READ = "select user_question from public.chat_telemetry_log"


@pytest.fixture
def connection(empty_database: Database) -> Iterator[psycopg.Connection]:
    """A log with one row, which a backend updates and an analyst reads in part."""
    with empty_database.connect() as connection:
        for role in ROLES:
            connection.execute(f"do $$ begin if to_regrole('{role}') is null then create role {role}; end if; end $$")
        create_log(connection, 1)
        connection.execute("grant select, insert, update on public.chat_telemetry_log to chat_backend, service_role")
        connection.execute("grant select (user_question) on public.chat_telemetry_log to analyst")
        yield connection


def test_they_are_listed_before_they_are_removed(connection: psycopg.Connection, empty_database: Database) -> None:
    connection.execute("alter table public.chat_telemetry_log enable row level security")
    connection.execute("grant all on public.chat_telemetry_log to authenticated")
    connection.execute(OWN)
    listed = lost_rights(empty_database.conninfo)
    maintain = "maintain, " if connection.info.server_version >= 170_000 else ""
    assert sorted(listed) == [
        "analyst: select (user_question)",
        f"authenticated: delete, insert, {maintain}references, select, trigger, truncate, update",
        "chat_backend: insert, select, update",
        "policy own: permissive for select to authenticated using ((user_id IS NOT NULL))",
        "service_role: update",
    ]
    apply_migrations(empty_database.conninfo)
    assert value(connection, GRANTEES) == ["service_role", "telemetry_writer"]
    assert value(connection, POLICIES, "public.chat_telemetry_log") == [
        *("service_role_deletes", "service_role_inserts", "service_role_selects"),
        *("telemetry_transformer_selects", "telemetry_writer_inserts"),
    ]


def test_a_log_without_grants_loses_nothing(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        create_log(connection, 1)
    assert lost_rights(empty_database.conninfo) == []


def succeeds(database: Database, role: str, statement: str) -> bool:
    with database.as_role(role) as connection:
        try:
            return connection.execute(statement).rowcount == 1
        except sqlstate.InsufficientPrivilege:
            return False


@pytest.mark.parametrize("keep", [True, False])
def test_kept_rights_have_the_same_effect_as_before(
    connection: psycopg.Connection, empty_database: Database, keep: bool
) -> None:
    """Row level security was off. It is on after the migration, also if rights are kept."""
    apply_migrations(empty_database.conninfo, keep_rights=keep)
    effects = [
        succeeds(empty_database, "chat_backend", UPDATE),
        succeeds(empty_database, "service_role", UPDATE),
        succeeds(empty_database, "analyst", READ),
        succeeds(empty_database, "authenticated", READ),
    ]
    assert effects == [keep, keep, keep, False]
    assert succeeds(empty_database, "telemetry_transformer", "select log_id from public.chat_telemetry_log")


def test_kept_policies_keep_what_they_restrict(connection: psycopg.Connection, empty_database: Database) -> None:
    connection.execute("alter table public.chat_telemetry_log enable row level security")
    connection.execute("grant select on public.chat_telemetry_log to authenticated")
    connection.execute(OWN)
    apply_migrations(empty_database.conninfo, keep_rights=True)
    assert succeeds(empty_database, "authenticated", READ)
    assert not succeeds(empty_database, "chat_backend", READ), "it had no policy before"
    names = value(connection, POLICIES, "public.chat_telemetry_log")
    assert isinstance(names, list)
    assert "own" in names
    assert "kept_rights" not in names


def test_what_had_no_effect_has_none_afterwards(connection: psycopg.Connection, empty_database: Database) -> None:
    """A restrictive policy while row level security is off."""
    connection.execute("create policy nobody on public.chat_telemetry_log as restrictive using (false)")
    notes: list[str] = []
    apply_migrations(empty_database.conninfo, Listener(note=notes.append), keep_rights=True)
    assert any("policy nobody of public.chat_telemetry_log was dropped: it had no effect" in note for note in notes)
    assert succeeds(empty_database, "chat_backend", UPDATE)


@pytest.mark.parametrize("keep", [True, False])
def test_a_role_that_reads_all_data_is_listed_and_can_be_kept(
    connection: psycopg.Connection, empty_database: Database, keep: bool
) -> None:
    connection.execute("grant pg_read_all_data to analyst")
    connection.execute("revoke select (user_question) on public.chat_telemetry_log from analyst")
    try:
        assert "analyst: read, as a member of pg_read_all_data" in lost_rights(empty_database.conninfo)
        apply_migrations(empty_database.conninfo, keep_rights=keep)
        assert succeeds(empty_database, "analyst", READ) is keep
    finally:
        connection.execute("revoke pg_read_all_data from analyst")


def test_a_new_log_has_no_rights_to_keep(empty_database: Database) -> None:
    with empty_database.connect() as connection:
        connection.execute(SUPABASE)
    apply_migrations(empty_database.conninfo, keep_rights=True)
    with empty_database.connect() as connection:
        assert value(connection, GRANTEES) == ["service_role", "telemetry_writer"]
        assert value(connection, "select count(*) from pg_policy where polname = 'kept_rights'") == 0


def test_files_that_are_applied_again_take_no_right_back(
    connection: psycopg.Connection, empty_database: Database
) -> None:
    """As after applying them with psql: `migrate` has no marks of them."""
    apply_migrations(empty_database.conninfo, keep_rights=True)
    connection.execute("grant usage on schema chat_reports to analyst")
    connection.execute("drop schema chat_telemetry_migrations cascade")
    assert lost_rights(empty_database.conninfo) == []
    apply_migrations(empty_database.conninfo)
    assert succeeds(empty_database, "chat_backend", UPDATE)
    assert value(connection, "select has_schema_privilege('analyst', 'chat_reports', 'usage')") is True
