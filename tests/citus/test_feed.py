"""Whatever writes to a distributed log, on whatever node: the signed sum of the feed is the log."""

from __future__ import annotations

import datetime as dt
import uuid

import psycopg
import pytest
from psycopg import errors as sqlstate

from tests.citus.conftest import ON_CITUS
from tests.citus.feed import counts, differences
from tests.citus.server import CitusServer
from tests.conftest import Database
from tests.reports.random_log import fill

pytestmark = ON_CITUS

NEW = "insert into public.chat_telemetry_log (user_id, user_question, ttfb_ms, sql_model)"
STATEMENTS = {
    "insert of one row": f"{NEW} values ('{{user}}', 'How many?', 1, 'gpt-4o')",
    "insert of three rows": f"{NEW} values ('{{user}}', 'a', 1, null), "
    "('{user}', 'b', 2, ''), ('{user}', 'c', 3, 'x')",
    "insert of a query": f"{NEW} select '{{user}}', 'n', n, 'gpt-4o' from generate_series(1, 50) as n",
    "update of many": "update public.chat_telemetry_log set ttfb_ms = ttfb_ms / 2, error_type = 'unexpected'",
    "update of one": "update public.chat_telemetry_log set sql_model = 'other' where log_id = '{row}'",
    "update of nothing": "update public.chat_telemetry_log set sql_model = 'other' where false",
    "delete of some": "delete from public.chat_telemetry_log where ttfb_ms % 3 = 0",
    "delete of a conversation": "delete from public.chat_conversations where true",
    "erasure of a user": "delete from auth.users where id = '{user}'",
}


@pytest.fixture
def filled(database: Database) -> Database:
    fill(database, 1, 500, dt.date(2026, 11, 22), "UTC")
    return database


@pytest.mark.parametrize("node", [0, 1], ids=["by the coordinator", "by a worker"])
def test_each_statement_is_in_the_feed_once(cluster: CitusServer, filled: Database, node: int) -> None:
    if node >= len(cluster.nodes(filled.name)):
        pytest.skip("the cluster has no worker beside its coordinator")
    with psycopg.connect(cluster.nodes(filled.name)[node], autocommit=True) as connection:
        for name, statement in STATEMENTS.items():
            user = connection.execute("select user_id from public.chat_telemetry_log limit 1").fetchone()
            row = connection.execute("select log_id from public.chat_telemetry_log limit 1").fetchone()
            assert user
            assert row
            before = counts(filled)
            connection.execute(statement.format(user=user[0], row=row[0]))
            assert differences(filled) == [], name
            assert counts(filled)[0] == counts(filled)[1], name
            assert name.startswith(("update", "delete of a conv")) or counts(filled) != before, name


def test_a_deleted_conversation_leaves_its_requests_and_changes_them(filled: Database) -> None:
    had = "select count(conversation_id), count(*) from public.chat_telemetry_log"
    fed = "select count(*) from public.chat_telemetry_changes"
    with filled.connect() as connection:
        ((before, _),) = connection.execute(had).fetchall()
        assert before > 0
        connection.execute("delete from public.chat_conversations where true")
        assert connection.execute(had).fetchall() == [(0, 500)]
        assert connection.execute(fed).fetchall() == [(500 + 2 * before,)]
    assert differences(filled) == []


def test_copy_and_a_prepared_insert_are_in_the_feed_once(filled: Database) -> None:
    fill(filled, 2, 300, dt.date(2026, 11, 22), "UTC")
    (user,) = filled.add_users()
    with filled.connect() as connection:
        for n in range(12):
            connection.execute(f"{NEW} values (%s, 'How many?', %s, null)", [user, n], prepare=True)
    assert counts(filled) == (812, 812)
    assert differences(filled) == []


@pytest.mark.parametrize("part", ["all of it", "a savepoint"])
def test_what_is_rolled_back_is_not_in_the_feed(filled: Database, part: str) -> None:
    with filled.connect() as connection, connection.transaction(force_rollback=part == "all of it"):
        with connection.transaction(force_rollback=True):
            connection.execute("delete from public.chat_telemetry_log where true")
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 7 where true")
    assert counts(filled) == (500, 500)
    assert differences(filled) == []


def test_a_statement_that_fails_on_one_node_is_on_no_node(filled: Database) -> None:
    (user,) = filled.add_users()
    rows = f"{NEW} select case n when 60 then %s else %s end, 'n', n, null from generate_series(1, 100) as n"
    with filled.connect() as connection, pytest.raises(psycopg.Error, match="violates foreign key constraint"):
        connection.execute(rows, [uuid.uuid4(), user])
    assert counts(filled) == (500, 500)
    assert differences(filled) == []


@pytest.mark.parametrize("table", ["public.chat_telemetry_log", "public.chat_telemetry_changes", "auth.users cascade"])
def test_truncate_is_refused(filled: Database, table: str) -> None:
    with filled.connect() as connection, pytest.raises(psycopg.Error, match="cannot be truncated"):
        connection.execute(f"truncate {table}")
    assert counts(filled) == (500, 500)


def test_each_node_notes_an_erased_user_at_the_same_time(cluster: CitusServer, filled: Database) -> None:
    with filled.connect() as connection:
        connection.execute("delete from auth.users where true")
    noted = [set(read(node, "select * from public.chat_telemetry_erased_users")) for node in cluster.nodes(filled.name)]
    assert len(noted[0]) == 12
    for node, text in zip(cluster.nodes(filled.name), noted, strict=True):
        assert text == noted[0], node
    copies = "select result from run_command_on_placements('public.chat_telemetry_erased_users', %s) order by 1"
    of_each = "select string_agg(e::text, ' ' order by user_digest) from %s as e"
    with filled.connect() as connection:
        results = connection.execute(copies, [of_each]).fetchall()
    assert len(results) == len(noted)
    assert len(set(results)) == 1


def read(conninfo: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(conninfo) as connection:
        return connection.execute(query).fetchall()


ELSEWHERE = """
select shardid from pg_dist_shard inner join pg_dist_placement using (shardid)
where
    logicalrelid = 'public.chat_telemetry_log'::regclass
    and groupid <> (select groupid from pg_dist_local_group)
limit 1
"""
# What the name of the table ends with, and why nothing is written.
FORGED = {
    "a table of its own": ("select 'forged'", "trigger function of"),
    "named like a part of another table": (
        "select shardid from pg_dist_shard where logicalrelid = 'auth.users'::regclass",
        "trigger function of",
    ),
    "named like a part of the log on another node": (ELSEWHERE, 'relation "public.chat_telemetry_changes_'),
}
FORGE = """
create table public.{table} (like public.chat_telemetry_changes);
create trigger forge after insert on public.{table} referencing new table as changed_rows
for each statement execute function public.chat_telemetry_feed_changes();
"""


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("place", [0, -1], ids=["coordinator", "worker"])
def test_the_function_of_the_feed_writes_for_the_parts_of_the_log_only(
    cluster: CitusServer, filled: Database, name: str, place: int
) -> None:
    query, reason = FORGED[name]
    with psycopg.connect(cluster.nodes(filled.name)[place], autocommit=True) as connection:
        ending = connection.execute(query).fetchone()
        if ending is None:
            pytest.skip("the cluster has no other node")
        table = f"chat_telemetry_log_{ending[0]}"
        connection.execute("set citus.enable_ddl_propagation = off")
        connection.execute("set citus.override_table_visibility = off")
        connection.execute(FORGE.format(table=table))
        with pytest.raises((sqlstate.RaiseException, sqlstate.UndefinedTable), match=reason):
            connection.execute(
                f"insert into public.{table} (log_id, sign, is_off_topic, created_at, user_id)"
                " values (gen_random_uuid(), 1, false, now(), gen_random_uuid())"
            )
    assert counts(filled) == (500, 500)
