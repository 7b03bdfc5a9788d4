"""The table of rights in docs/security.md is what the catalog says, so a new object fails until it is named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from chat_telemetry._cli.migrations import apply_migrations
from tests.conftest import Server
from tests.dbt_project import DbtProject
from tests.migrations.test_attacks import BLANKET, GENEROUS
from tests.migrations.test_existing_objects import SUPABASE
from tests.reports.access_table import NOTHING, access, documented, markdown

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
ROLES_OF_OTHERS = """
do $$ begin
    if to_regrole('stranger') is null then create role stranger; end if;
    if to_regrole('anon') is null then create role anon; end if;
    if to_regrole('authenticated') is null then create role authenticated; end if;
end $$
"""
# What each table of public still has against a role that was granted everything on it.
PROTECTION = """
select
    format('public.%s', c.relname),
    c.relrowsecurity,
    (
        select count(*) from pg_policy as p
        where p.polrelid = c.oid and exists (
            select from unnest(p.polroles) as r where r = 0 or pg_has_role('anon', r, 'usage')
        )
    ),
    exists (select from pg_trigger as t where t.tgrelid = c.oid and t.tgname = 'trg_refuse_truncate')
from pg_class as c
where c.relnamespace = 'public'::regnamespace and c.relname like 'chat\\_telemetry\\_%' and c.relkind = 'r'
order by 1
"""


@pytest.fixture(scope="module")
def connection(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    """A database in which dbt has run and whose default privileges grant each new object to everybody."""
    database = postgres.create_database()
    with database.connect() as connection:
        connection.execute(ROLES_OF_OTHERS)
        connection.execute(SUPABASE.split("create schema auth;")[0])
        for line in [*SUPABASE.splitlines(), *GENEROUS.splitlines()]:
            if line.startswith("alter default privileges"):
                connection.execute(line.replace(" to analyst", " to stranger"))
        apply_migrations(database.conninfo)
        project = DbtProject(database, tmp_path_factory.mktemp("dbt"))
        project.run("seed")
        project.run("run")
        yield connection
    postgres.drop_database(database.name)


def test_the_table_names_each_object_with_the_rights_of_each_role(connection: psycopg.Connection) -> None:
    actual = access(connection)
    assert documented(PAGE.read_text(encoding="utf-8")) == actual, "\n".join(["the rows are:", *markdown(actual)])
    assert {by_role["others"] for by_role in actual.values()} == {NOTHING}


def test_a_grant_on_all_tables_is_held_by_row_level_security_and_triggers(connection: psycopg.Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute(BLANKET)
        protection = connection.execute(PROTECTION).fetchall()
    assert [name for name, *_ in protection] == [
        "public.chat_telemetry_changes",
        "public.chat_telemetry_erased_users",
        "public.chat_telemetry_log",
    ]
    assert {tuple(rest) for _, *rest in protection} == {(True, 0, True)}
