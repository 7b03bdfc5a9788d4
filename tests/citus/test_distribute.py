"""distribute.sql and its rollback: what they keep, what they refuse, and what can be done in between."""

from __future__ import annotations

import datetime as dt
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chat_telemetry import TelemetryClient
from chat_telemetry._cli.migrations import apply_migrations, roll_back_last
from tests.citus.conftest import ON_CITUS, give_to_owner, schema
from tests.citus.feed import differences
from tests.citus.server import DISTRIBUTE, GO_BACK, CitusServer, distribute, go_back, run_psql
from tests.conftest import Database
from tests.loader.conftest import record, wait_until
from tests.reports.random_log import fill

pytestmark = ON_CITUS

TABLES = {
    "auth.users": "reference",
    "chat_conversations": "reference",
    "chat_telemetry_changes": "distributed",
    "chat_telemetry_erased_users": "reference",
    "chat_telemetry_log": "distributed",
}
LOG = "select l::text from public.chat_telemetry_log as l order by 1"
FEED = "select c::text from public.chat_telemetry_changes as c order by 1"
LOCAL_BYTES = "select sum(pg_relation_size(logicalrelid)) from pg_dist_partition"


FUNCTIONS_OF_ALL = """
select tgfoid::regproc from pg_trigger
where
    not tgisinternal and tgrelid::regclass::text like 'chat_telemetry_%'
    and has_function_privilege('public', tgfoid, 'execute')
"""
WAITS = """
select count(*) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%lock table%'
"""


def assert_refused(file: Path, database: Database, *expected: str, login: str | None = None) -> None:
    """The file says what is expected, and changes nothing."""
    before = schema(database)
    outcome = run_psql(file, database.conninfo_as(login) if login else database.conninfo)
    assert outcome.returncode == 3
    for text in expected:
        assert text in outcome.stderr
    assert schema(database) == before


def without_the_rights_for_citus(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    return [
        (kind, name, text.replace("service_role=rw/", "service_role=r/").replace("writer=rw/", "writer=r/"))
        if name == "public.chat_telemetry_erased_users"
        else (kind, name, text.replace("telemetry_writer=aD/", "telemetry_writer=a/"))
        for kind, name, text in rows
    ]


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("requests", [0, 3_000])
def test_there_and_back_keep_every_row_change_right_and_comment(migrated: Database, requests: int) -> None:
    if requests:
        fill(migrated, 1, requests, dt.date(2026, 11, 22), "UTC")
    before, log, feed = schema(migrated), rows(migrated, LOG), rows(migrated, FEED)
    assert len(feed) == requests
    said = distribute(migrated.conninfo)
    assert "chat code waits about" in said
    assert dict(rows(migrated, "select table_name::text, citus_table_type from citus_tables")) == TABLES
    assert schema(migrated) != before
    assert without_the_rights_for_citus(schema(migrated)) == before
    assert (rows(migrated, LOG), rows(migrated, FEED)) == (log, feed)
    assert rows(migrated, LOCAL_BYTES) == [(0,)]
    assert "chat code waits about" in go_back(migrated.conninfo)
    assert rows(migrated, "select from citus_tables") == []
    assert schema(migrated) == before
    assert (rows(migrated, LOG), rows(migrated, FEED)) == (log, feed)


def test_chat_goes_on_while_the_log_is_distributed_and_comes_back(migrated: Database, logins: dict[str, str]) -> None:
    (user,) = migrated.add_users()
    stop, accepted = threading.Event(), []

    def chat() -> None:
        with TelemetryClient(migrated.conninfo_as(logins["service_role"]), max_batch_age=0.01) as client:
            while not stop.wait(0.002):
                request = record(user_id=user)
                if client.persist(request):
                    accepted.append(request.log_id)
            wait_until(lambda: client.stats().pending == 0, timeout=60)
            assert client.stats().rejected == 0

    thread = threading.Thread(target=chat)
    thread.start()
    for step in (distribute, go_back, distribute):
        time.sleep(1)
        step(migrated.conninfo)
    time.sleep(1)
    stop.set()
    thread.join()
    assert len(accepted) > 500
    stored = rows(migrated, "select log_id from public.chat_telemetry_log")
    assert sorted(log_id for (log_id,) in stored) == sorted(accepted)
    assert differences(migrated) == []


def test_there_is_one_shard_a_worker(database: Database) -> None:
    nodes = "select count(*) from pg_dist_node where shouldhaveshards"
    shards = "select shard_count from citus_tables where table_name = 'public.chat_telemetry_log'::regclass"
    assert rows(database, shards) == rows(database, nodes)


def test_the_owner_distributes_them_without_being_a_superuser(migrated: Database, logins: dict[str, str]) -> None:
    assert logins
    own = give_to_owner(migrated)
    before = schema(migrated)
    distribute(own)
    assert dict(rows(migrated, "select table_name::text, citus_table_type from citus_tables")) == TABLES
    go_back(own)
    assert schema(migrated) == before


def test_the_owner_distributes_a_log_that_is_older_than_the_cluster(
    cluster: CitusServer, logins: dict[str, str]
) -> None:
    database = cluster.create_plain_database()
    apply_migrations(database.conninfo)
    own = give_to_owner(database)
    fill(database, 1, 100, dt.date(2026, 11, 22), "UTC")
    cluster.add_nodes(database.name)
    distribute(own)
    with psycopg.connect(cluster.nodes(database.name, logins["service_role"])[-1]) as chat:
        chat.execute(
            "insert into public.chat_telemetry_log (user_id, user_question)"
            " select user_id, 'q' from public.chat_telemetry_log"
            " on conflict do nothing"
        )
    assert rows(database, "select count(*) from public.chat_telemetry_log") == [(200,)]
    assert differences(database) == []
    for node in cluster.nodes(database.name):
        with psycopg.connect(node) as connection:
            assert connection.execute(FUNCTIONS_OF_ALL).fetchall() == []
    cluster.drop_database(database.name)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ("drop extension citus cascade", "has no extension citus"),
        ("update pg_dist_local_group set groupid = 7", "this server is a worker"),
        ("delete from pg_dist_node where groupid = 0", "the coordinator is no node of the cluster yet"),
        ("update pg_dist_node set shouldhaveshards = false", "no node of the cluster takes rows"),
        ("drop table public.chat_telemetry_changes cascade", "missing: public.chat_telemetry_changes"),
        (
            "create trigger mine before update on public.chat_telemetry_log for each row"
            " execute function suppress_redundant_updates_trigger()",
            "triggers that are not as the migrations make them: mine on public.chat_telemetry_log",
        ),
        (
            "alter table public.chat_telemetry_log disable trigger trg_feed_deletes",
            "triggers that are not as the migrations make them: trg_feed_deletes on public.chat_telemetry_log",
        ),
        (
            "select create_reference_table('public.chat_telemetry_erased_users')",
            "distributed already: public.chat_telemetry_era",
        ),
        (
            "create table mine (user_id uuid references auth.users (id))",
            "foreign keys between tables of the log and others: mine_user_id_fkey on public.mine",
        ),
        (
            "create table mine (id uuid primary key);"
            " alter table auth.users add constraint its foreign key (id) references mine",
            "foreign keys between tables of the log and others: its on auth.users",
        ),
        (
            "alter table auth.users add number bigint generated always as identity",
            "identity columns: number of auth.users",
        ),
        ("update pg_dist_node set metadatasynced = false", "without the metadata of the cluster"),
    ],
)
def test_it_refuses_in_one_line_and_changes_nothing(migrated: Database, spoil: str, expected: str) -> None:
    with migrated.connect() as connection:
        connection.execute("set citus.enable_unsafe_triggers = on")
        connection.execute(spoil)
    assert_refused(DISTRIBUTE, migrated, expected)


def test_it_refuses_a_login_that_is_not_the_owner(migrated: Database, logins: dict[str, str]) -> None:
    owned = "citus_test_chat is not the owner of auth.users, public.chat_conversations"
    assert_refused(DISTRIBUTE, migrated, owned, "the database", login=logins["service_role"])


@pytest.mark.parametrize(
    ("made", "named"),
    [
        ("create function f(auth.users) returns text language sql return 'x'", "function public.f(auth.users)"),
        (
            "create function f() returns setof public.chat_conversations language sql as 'table x'",
            "function public.f()",
        ),
        (
            "create table docs (id uuid);"
            " create policy mine on docs using (exists (select from auth.users as u where u.id = docs.id))",
            "policy mine on table public.docs",
        ),
        ("create table orders (user_id uuid references auth.users (id))", "constraint orders_user_id_fkey on table"),
        ("create publication p for table public.chat_telemetry_log", "in publication p"),
        ("create materialized view days as select max(created_at) from public.chat_telemetry_log", ": public.days"),
        (
            "create view v as select * from public.chat_conversations; create trigger mine instead of delete on v"
            " for each row execute function suppress_redundant_updates_trigger()",
            "trigger mine on view public.v",
        ),
    ],
)
def test_the_way_back_refuses_to_drop_what_depends_on_the_tables(database: Database, made: str, named: str) -> None:
    with database.connect() as connection:
        connection.execute("set check_function_bodies = off")
        connection.execute("set citus.enable_ddl_propagation = off")
        connection.execute(made)
    assert_refused(GO_BACK, database, named)


def test_views_of_the_application_keep_their_comments_and_grants(migrated: Database) -> None:
    with migrated.connect() as connection:
        connection.execute("create view mine as select log_id, created_at from public.chat_telemetry_log")
        connection.execute("create view of_mine as select max(created_at) as newest from mine")
        connection.execute("comment on view mine is 'mine'")
        connection.execute("comment on column of_mine.newest is 'newest'")
        connection.execute("grant select on mine, of_mine to public")
    before = schema(migrated)
    distribute(migrated.conninfo)
    go_back(migrated.conninfo)
    assert schema(migrated) == before


def test_the_way_back_sees_what_is_committed_while_it_waits(database: Database) -> None:
    """Also where transactions see one snapshot only by default."""
    (user,) = database.add_users()
    with database.connect() as connection:
        connection.execute(f"alter database {database.name} set default_transaction_isolation = 'repeatable read'")
    with database.connect() as writer, writer.transaction():
        writer.execute("insert into public.chat_telemetry_log (user_id, user_question) values (%s, 'q')", [user])
        thread = threading.Thread(target=go_back, args=[database.conninfo])
        thread.start()
        with database.connect() as watcher:
            wait_until(lambda: watcher.execute(WAITS).fetchone() == (1,))
    thread.join()
    assert rows(database, "select count(*) from public.chat_telemetry_log") == [(1,)]
    assert rows(database, "select count(*) from public.chat_telemetry_changes") == [(1,)]


def test_the_way_back_refuses_a_database_that_is_not_distributed(migrated: Database) -> None:
    assert_refused(GO_BACK, migrated, "is not distributed")


def test_a_writer_that_holds_the_log_is_not_waited_for_longer_than_five_seconds(
    cluster: CitusServer, migrated: Database
) -> None:
    with migrated.connect() as writer, writer.transaction():
        writer.execute("lock table public.chat_telemetry_log in row exclusive mode")
        outcome = run_psql(DISTRIBUTE, migrated.conninfo)
    assert (outcome.returncode, "lock timeout" in outcome.stderr) == (3, True)
    distribute(migrated.conninfo)
    for node in (0, -1):
        with psycopg.connect(cluster.nodes(migrated.name)[node]) as reader:
            reader.execute("select count(*) from public.chat_telemetry_log")
            outcome = run_psql(GO_BACK, migrated.conninfo)
        assert (outcome.returncode, "lock timeout" in outcome.stderr) == (3, True)


def test_migrations_can_be_rolled_back_and_applied_while_the_log_is_distributed(database: Database) -> None:
    before = schema(database)
    while roll_back_last(database.conninfo) != "20261123001100_create_rollups":
        pass
    apply_migrations(database.conninfo)
    assert schema(database) == before


def test_a_later_migration_can_replace_each_function_and_trigger_of_the_distributed_tables(database: Database) -> None:
    before = schema(database)
    with database.connect() as connection:
        functions = connection.execute(
            "select distinct tgfoid, pg_get_functiondef(tgfoid) from pg_trigger where not tgisinternal"
            " and tgrelid::regclass::text = any(%s)",
            [list(TABLES)],
        ).fetchall()
        assert len(functions) == 4
        for _, definition in functions:
            connection.execute(definition)
        triggers = connection.execute(
            "select replace(pg_get_triggerdef(oid), 'CREATE TRIGGER', 'CREATE OR REPLACE TRIGGER') from pg_trigger"
            " where not tgisinternal and tgrelid::regclass::text = any(%s)",
            [list(TABLES)],
        ).fetchall()
        assert len(triggers) == 9
        for (definition,) in triggers:
            connection.execute(definition)
    assert schema(database) == before


FORBIDDEN = [
    "truncate auth.users",
    "truncate auth.users cascade",
    "delete from auth.users where true",
    "update auth.users set id = '00000000-0000-0000-0000-000000000000'",
    "truncate public.chat_telemetry_erased_users",
    "delete from public.chat_telemetry_erased_users where true",
]


@pytest.mark.parametrize("node", [0, -1], ids=["coordinator", "worker"])
def test_what_citus_needs_lets_a_writer_change_no_user(
    cluster: CitusServer, database: Database, logins: dict[str, str], node: int
) -> None:
    database.add_users(3)
    with database.connect() as connection:
        connection.execute("delete from auth.users where id = (select id from auth.users limit 1)")
    writer = cluster.nodes(database.name, logins["telemetry_writer"])[node]
    with psycopg.connect(writer, autocommit=True) as connection:
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.Error):
                connection.execute(statement)
        changed = connection.execute("update public.chat_telemetry_erased_users set erased_at = '-infinity'").rowcount
        assert changed == 0
        shards = connection.execute(
            "select shardid from pg_dist_shard where logicalrelid = 'auth.users'::regclass"
        ).fetchall()
        connection.execute("set citus.enable_manual_changes_to_shards = on")
        for cascade in ("", "cascade"):
            with pytest.raises(psycopg.Error, match=r"permission denied|cannot truncate"):
                connection.execute(f"truncate auth.users_{shards[0][0]} {cascade}")
    assert rows(database, "select count(*) from auth.users") == [(2,)]


def test_the_parts_of_the_log_lie_beside_those_of_the_feed(database: Database) -> None:
    nodes = """
        select shardminvalue, nodename, nodeport
        from citus_shards inner join pg_dist_shard using (shardid)
        where table_name = 'public.{}'::regclass order by 1
    """
    assert rows(database, nodes.format("chat_telemetry_log")) == rows(database, nodes.format("chat_telemetry_changes"))
