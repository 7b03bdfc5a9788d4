"""What the sections of the pages promise. STAGES is the one list of them, in the order in which they are run.

Each has a function that prepares what the page takes for granted, yields while the section's commands are run, and then
looks at what they did. Inside a page the order is that of the page.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg import errors as sqlstate
from psycopg.conninfo import make_conninfo

from chat_telemetry._cli.migrations import apply_migrations, migration_status
from tests.docs.chat_code import persist
from tests.docs.site import DATABASE, OWNER, Site
from tests.migrations.catalog import snapshot
from tests.migrations.existing_log import WRONG, create_log
from tests.reports.contract import COLUMNS, differences

OPERATING = Path("docs/operating.md")
LOGINS = {"chat_app": "telemetry_writer", "chat_dbt": "telemetry_transformer", "grafana": "telemetry_reader"}
USERS = [f"0b9c1c1e-5a56-4f6c-9a55-2a3f1f1e8d0{number}" for number in range(4)]
OWN_MODEL = "our-model"
UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
OF_THE_LOGIN = """
select rolsuper or rolbypassrls or rolcreaterole or rolcreatedb, array_agg(m.roleid::regrole::text)
from pg_roles as r inner join pg_auth_members as m on r.oid = m.member
where r.rolname = current_user
group by 1
"""
OURS = """
select 'schema ' || nspname from pg_namespace
where nspname not in ('public', 'information_schema') and not starts_with(nspname, 'pg_')
union all
select 'relation ' || oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace
union all
select 'function ' || oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'default privilege ' || defaclacl::text from pg_default_acl
union all
select 'role ' || rolname from pg_roles
where not starts_with(rolname, 'pg_') and rolname not in ('postgres', 'app_owner')
"""
TABLES_WITH_USERS = """
select attrelid::regclass::text from pg_attribute
inner join pg_class as c on attrelid = c.oid
where attname = 'user_id' and c.relkind in ('r', 'm') and c.relnamespace::regnamespace::text not like 'pg_%'
"""


def a_database_with_an_owner(site: Site, commands: str) -> Iterator[None]:
    yield
    with site.connect(OWNER) as connection:
        rights = "select rolsuper, rolcreaterole from pg_roles where rolname = current_user"
        assert rows(connection, rights) == [(False, True)]
        owner = "select datdba::regrole::text from pg_database where datname = current_database()"
        assert rows(connection, owner) == [(OWNER,)]
    unencrypted = make_conninfo(site.url(OWNER), hostaddr="127.0.0.1", port=site.server.port, sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(unencrypted)


def migrations_that_the_owner_applies(site: Site, commands: str) -> Iterator[None]:
    yield
    migrations = migration_status(site.server.conninfo(DATABASE))
    assert [migration.name for migration in migrations if not migration.applied] == []
    for migration in migrations:
        assert f"applied {migration.name}\n" in site.output
        assert re.search(rf"^{migration.name} +applied$", site.output, re.MULTILINE)
    with site.as_administrator() as connection:
        owner = "select relowner::regrole::text from pg_class where relname = 'chat_telemetry_log'"
        assert rows(connection, owner) == [(OWNER,)]


def migrations_by_psql(site: Site, commands: str) -> Iterator[None]:
    with site.another_database() as kept:
        yield
        with site.as_administrator() as by_psql, site.as_administrator(kept) as by_command:
            expected = snapshot(by_command)
            assert snapshot(by_psql) == expected
            assert apply_migrations(site.server.conninfo(DATABASE, OWNER))
            assert snapshot(by_psql) == expected


def an_existing_log(site: Site, commands: str) -> Iterator[None]:
    """Of the owner, and with a grant."""
    with site.another_database():
        with site.as_administrator() as connection:
            connection.execute(f"set role {OWNER}")
            create_log(connection, 20)
            connection.execute("grant select on public.chat_telemetry_log to public")
        yield
        assert "`migrate` will remove, unless --keep-rights is given: public: select" in site.output
        with site.as_administrator() as connection:
            assert rows(connection, WRONG) == [(0,)]
            granted = "select has_table_privilege('public', 'public.chat_telemetry_log', 'select')"
            assert rows(connection, granted) == [(True,)]
        assert all(migration.applied for migration in migration_status(site.server.conninfo(DATABASE)))


def logins_that_may_do_their_work(site: Site, commands: str) -> Iterator[None]:
    yield
    for login, role in LOGINS.items():
        with site.connect(login) as connection:
            assert rows(connection, OF_THE_LOGIN) == [(False, [role])]
            with pytest.raises(sqlstate.InsufficientPrivilege):
                connection.execute("select user_question from public.chat_telemetry_log")
    assert site.url("chat_app") in (site.clone / OPERATING).read_text(encoding="utf-8")
    persist(site, USERS[0], 1, OWN_MODEL)


def a_schedule(site: Site, commands: str) -> Iterator[None]:
    for user in USERS:
        persist(site, user, 1)
    yield
    compare_reports(site)
    assert re.search(r"^\S+ dbt run +ok +\S+ s  14 models, \d+ changes drained$", site.output, re.MULTILINE)
    assert len(re.findall(r"^\S+ seeds +ok ", site.output, re.MULTILINE)) == 2  # --quiet prints none, --every one


def alerts_that_are_not_over(site: Site, commands: str) -> Iterator[None]:
    yield
    assert "3 alerts evaluated, none over its bound\n" in site.output


def faults_that_are_named(site: Site, commands: str) -> Iterator[None]:
    yield
    found = re.findall(r"^(\w+) +(\w+) .*$", site.output, re.MULTILINE)
    assert [finding for finding in found if finding[0] != "ok"] == [("fault", "prices")]
    assert f"calls without a price: {OWN_MODEL}. Fix: chat-telemetry prices\n" in site.output
    assert len(found) > 15


def an_old_request_that_is_pruned(site: Site, commands: str) -> Iterator[None]:
    into = "insert into public.chat_telemetry_log (user_id, user_question, created_at)"
    old = f"{into} select %s, 'old', now() - %s::interval"
    with site.as_administrator() as connection:
        for age in ("500 days", "100 days"):
            connection.execute(old, [USERS[0], age])
    yield
    assert "1 row deleted; from " in site.output
    assert "the texts of 1 row removed, nothing else changed\n" in site.output
    site.prepare("chat-telemetry run --quiet")
    with site.as_administrator() as connection:
        counted = "select count(*), sum(request_count) from chat_reports.off_topic where day < current_date - 90"
        assert rows(connection, counted) == [(2, 2)]
        # As it was before, for the next sections.
        connection.execute("delete from public.chat_telemetry_log where user_question = ''")
        connection.execute("update chat_rollups.progress set horizon = null")
    site.prepare("chat-telemetry dbt run --full-refresh")


def reports_that_equal_the_log(site: Site, commands: str) -> Iterator[None]:
    for user in USERS:
        persist(site, user, 10)
    yield
    compare_reports(site)
    with site.connect("grafana") as connection:
        for report, columns in COLUMNS.items():
            connection.execute(f"select {', '.join(columns)} from chat_reports.{report}".encode())
        assert rows(connection, "select count(*), sum(request_count) from chat_reports.user_usage") == [
            (len(USERS), 45)
        ]
    completed = len(re.findall(r"^(?:chat-telemetry )?dbt (?:build|run|test)\b", commands, re.MULTILINE))
    assert site.output.count("Completed successfully") == completed


def a_model_that_gets_a_price(site: Site, commands: str) -> Iterator[None]:
    editor = site.scratch / "editor"
    editor.write_text(f'#!/bin/sh\nsed -i "/^{OWN_MODEL},/ s/,,,,$/,1,0.5,2,contract/" "$1"\n')
    editor.chmod(0o755)
    site.environment["EDITOR"] = str(editor)
    yield
    compare_reports(site)
    with site.connect("grafana") as connection:
        cost = f"select cost_usd::text, unpriced_call_count from chat_reports.token_cost where model = '{OWN_MODEL}'"
        assert rows(connection, cost) == [("0.0009800000", 0)]


def a_user_who_is_erased(site: Site, commands: str) -> Iterator[None]:
    users = set(UUID.findall(commands))
    assert len(users) == 1, "the commands have to name one user, by a UUID"
    (user,) = users
    journal = site.scratch / "journal"
    journal.mkdir(mode=0o700)
    site.environment["CHAT_TELEMETRY_JOURNAL_DIR"] = str(journal)
    persist(site, user, 10)
    site.prepare("dbt run")
    places = {"chat_telemetry_log", "chat_rollups.daily_users", "chat_reports.user_usage"}
    assert traces_of(site, user) >= places
    yield
    assert traces_of(site, user) == set()
    compare_reports(site)
    with site.as_administrator() as connection:
        assert rows(connection, "select count(distinct user_id) from chat_telemetry_log") == [(len(USERS),)]


def a_database_as_it_was(site: Site, commands: str) -> Iterator[None]:
    yield
    with site.as_administrator() as connection:
        assert rows(connection, OURS) == []
    copied = (site.clone / "log.csv").read_text(encoding="utf-8")
    assert copied.count("How many orders?") == 45


class Stage(NamedTuple):
    """A section of a page, and what surrounds the run of its commands."""

    page: Path
    section: str
    surroundings: Callable[[Site, str], Iterator[None]]


STAGES = [
    Stage(OPERATING, "Database", a_database_with_an_owner),
    Stage(OPERATING, "Migrations", migrations_that_the_owner_applies),
    Stage(OPERATING, "Other tools", migrations_by_psql),
    Stage(OPERATING, "An existing log", an_existing_log),
    Stage(OPERATING, "Roles", logins_that_may_do_their_work),
    Stage(OPERATING, "Run it", a_schedule),
    Stage(OPERATING, "Alerts", alerts_that_are_not_over),
    Stage(OPERATING, "When something is wrong", faults_that_are_named),
    Stage(OPERATING, "dbt", reports_that_equal_the_log),
    Stage(OPERATING, "Prices", a_model_that_gets_a_price),
    Stage(OPERATING, "Retention", an_old_request_that_is_pruned),
    Stage(OPERATING, "Erase", a_user_who_is_erased),
    Stage(OPERATING, "Remove it", a_database_as_it_was),
]


def traces_of(site: Site, user: str) -> set[object]:
    """The tables and views that have a row of the user."""
    with site.as_administrator() as connection:
        tables = [name for (name,) in rows(connection, TABLES_WITH_USERS)]
        counted = {name: rows(connection, f"select count(*) from {name} where user_id = '{user}'") for name in tables}
    return {name for name, count in counted.items() if count != [(0,)]}


def compare_reports(site: Site) -> None:
    """Each report equals direct SQL on the log."""
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    with site.as_administrator() as connection:
        for report in COLUMNS:
            assert differences(connection, report, today) == [], report


def rows(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()
