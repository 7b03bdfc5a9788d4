"""dbt on a distributed log: every command, a full refresh beside writers, and what each role may read."""

from __future__ import annotations

import datetime as dt
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import errors as sqlstate

from tests.citus.conftest import ON_CITUS, give_to_owner, schema
from tests.citus.server import CitusServer, distribute, go_back
from tests.dbt_project import DbtProject, results
from tests.reports.contract import COLUMNS, differences
from tests.reports.random_log import fill
from tests.reports.scenes import AS_OF, assert_exact, execute, value

pytestmark = [*ON_CITUS, pytest.mark.timeout(900)]
ASK = """
insert into public.chat_telemetry_log (
    user_id, user_question, created_at, ttfb_ms, sql_model, generated_sql, error_type
)
select
    %s, 'How many?', timestamptz '2026-11-22 12:00:00+00' - make_interval(hours => n * 7), n * %s, 'gpt-4o-' || n %% 5,
    'select ' || n, case when n %% 9 = 0 then 'unexpected' end
from generate_series(1, 60) as n
"""
LAST_DAY = dt.date.fromisoformat(AS_OF)


@contextmanager
def three_writers(cluster: CitusServer, project: DbtProject) -> Iterator[list[int]]:
    """Until the block ends: they insert, change and delete rows, each by another node. Yields how many times."""
    stop = threading.Event()
    writes = [0, 0, 0]
    failures: list[BaseException] = []
    nodes = cluster.nodes(project.database.name)
    users = project.database.add_users(3)

    def write(place: int) -> None:
        rng = random.Random(place)  # noqa: S311
        try:
            with psycopg.connect(nodes[place % len(nodes)], autocommit=True) as connection:
                while not stop.is_set():
                    connection.execute(ASK, [users[place], rng.randrange(1, 400)])
                    if writes[place] % 5 == 4:
                        connection.execute(
                            "update public.chat_telemetry_log set ttfb_ms = %s, sql_model = 'changed'"
                            " where user_id = %s and ttfb_ms %% 3 = 0",
                            [rng.randrange(400), users[place]],
                        )
                    if writes[place] % 7 == 6:
                        connection.execute(
                            "delete from public.chat_telemetry_log where user_id = %s and ttfb_ms %% 5 = 0",
                            [users[place]],
                        )
                    writes[place] += 1
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=write, args=[place]) for place in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield writes
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_build_succeeds_with_every_test(project: DbtProject) -> None:
    fill(project.database, 1, 2_000, LAST_DAY, "UTC")
    outcome = project.run("build", report_as_of=AS_OF)
    assert len(results(outcome)) > 200
    assert_exact(project)


@pytest.mark.parametrize("first", [True, False], ids=["first run", "full refresh"])
def test_a_count_of_the_log_beside_three_writers_is_exact(
    cluster: CitusServer, project: DbtProject, first: bool
) -> None:
    fill(project.database, 1, 2_000, LAST_DAY, "UTC")
    if not first:
        project.run("run", report_as_of=AS_OF)
    with three_writers(cluster, project) as writes:
        for _ in range(1 if first else 4):
            before = sum(writes)
            project.run("run", "--full-refresh", report_as_of=AS_OF)
            assert sum(writes) > before
            project.run("run", report_as_of=AS_OF)
    project.run("run", report_as_of=AS_OF)
    assert_exact(project)
    outcome = project.run("test", "--select", "tag:reconcile", report_as_of=AS_OF, reconcile_all=True)
    assert len(results(outcome)) > 2
    print(f"{sum(writes)} writes beside the runs")  # noqa: T201


def test_one_rollup_counts_the_log_in_one_snapshot(cluster: CitusServer, project: DbtProject) -> None:
    """The requests of all days, as one statement counts them, many times: each time those that were drained."""
    fill(project.database, 1, 2_000, LAST_DAY, "UTC")
    project.run("run", report_as_of=AS_OF)
    drained = value(project, "select sum(request_count) from chat_rollups.daily_requests")
    with three_writers(cluster, project) as writes, project.database.connect() as connection:
        for _ in range(30):
            row = connection.execute("select sum(sign) from chat_rollups.log_as_drained").fetchone()
            assert row == (drained,), f"after {sum(writes)} writes"
    assert sum(writes) > 30


def test_the_log_is_counted_where_it_lies(project: DbtProject) -> None:
    """No row of the log goes to the coordinator, only counts: each node groups the rows of both tables."""
    with project.database.connect() as connection:
        plan = "\n".join(
            line
            for (line,) in connection.execute(
                "explain (costs off) select created_at::date, sql_model, sum(sign)"
                " from chat_rollups.log_as_drained group by 1, 2"
            )
        )
    (counting,) = [part for part in plan.split("Distributed Subplan") if "chat_telemetry_log_" in part]
    assert "chat_telemetry_changes_" in counting
    assert counting.index("HashAggregate", counting.index("->  Task")) < counting.index("chat_telemetry_log_")


def test_runs_are_incremental_and_exact_after_each_kind_of_change(project: DbtProject) -> None:
    fill(project.database, 1, 1_000, LAST_DAY, "UTC")
    project.run("run", report_as_of=AS_OF)
    changes = [
        "delete from auth.users where id = (select user_id from public.chat_telemetry_log limit 1)",
        "update public.chat_telemetry_log set sql_model = 'a new name', ttfb_ms = 9 where is_off_topic",
        "delete from public.chat_telemetry_log where created_at < '2026-11-01'",
    ]
    for change in changes:
        row = value(project, "select user_id from public.chat_telemetry_log limit 1")
        execute(project, change.replace("(select user_id from public.chat_telemetry_log limit 1)", f"'{row}'"))
        assert value(project, "select count(*) from public.chat_telemetry_changes") > 0
        project.run("run", report_as_of=AS_OF)
        assert_exact(project)


def test_each_role_reads_what_it_may_by_any_login(
    cluster: CitusServer, project: DbtProject, logins: dict[str, str]
) -> None:
    fill(project.database, 1, 300, LAST_DAY, "UTC")
    project.run("run", report_as_of=AS_OF)
    name = project.database.name
    (user,) = project.database.add_users()
    execute(project, f"insert into public.chat_telemetry_log (user_id, user_question) values ('{user}', 'q')")
    with psycopg.connect(cluster.conninfo(name, logins["telemetry_reader"]), autocommit=True) as reader:
        for report in COLUMNS:
            reader.execute(f"select * from chat_reports.{report}")
        freshness = reader.execute("select distinct pending_changes from chat_reports.report_freshness").fetchall()
        assert freshness == [(1,)]
        refused(reader, "select from public.chat_telemetry_log", "select from public.chat_telemetry_changes")
    for node in cluster.nodes(name, logins["telemetry_reader"]):
        with psycopg.connect(node, autocommit=True) as reader:
            refused(
                reader, "select from public.chat_telemetry_log", "delete from public.chat_telemetry_changes where true"
            )
    for node in cluster.nodes(name, logins["telemetry_writer"]):
        with psycopg.connect(node, autocommit=True) as writer:
            refused(writer, "select from public.chat_telemetry_log", "delete from public.chat_telemetry_log where true")
    for node in cluster.nodes(name, logins["service_role"]):
        with psycopg.connect(node, autocommit=True) as chat:
            assert chat.execute("select count(*) from public.chat_telemetry_log").fetchone() == (301,)
            refused(
                chat, "select from public.chat_telemetry_changes", "update public.chat_telemetry_log set ttfb_ms = 1"
            )
    with psycopg.connect(cluster.conninfo(name, logins["telemetry_transformer"]), autocommit=True) as transformer:
        assert transformer.execute("select count(*) from public.chat_telemetry_changes").fetchone() == (1,)
        refused(
            transformer,
            "select user_question from public.chat_telemetry_log",
            "insert into public.chat_telemetry_changes (log_id, sign, is_off_topic, created_at, user_id)"
            " values (gen_random_uuid(), 1, false, now(), gen_random_uuid())",
        )


def refused(connection: psycopg.Connection, *statements: str) -> None:
    for statement in statements:
        with pytest.raises(sqlstate.InsufficientPrivilege):
            connection.execute(statement)


def test_the_reports_are_as_before_when_the_log_came_back(project: DbtProject, logins: dict[str, str]) -> None:
    """Except that sql_patterns, which reads the log, is there again after the next run."""
    assert logins
    go_back(project.database.conninfo)
    fill(project.database, 1, 500, LAST_DAY, "UTC")
    project.run("run", report_as_of=AS_OF)
    own = give_to_owner(project.database)
    before = schema(project.database)
    distribute(own)
    project.run("run", report_as_of=AS_OF)
    stay = [report for report in COLUMNS if report != "sql_patterns"]
    counted = [value(project, f"select count(*) from chat_reports.{report}") for report in stay]
    said = go_back(own)
    assert [value(project, f"select count(*) from chat_reports.{report}") for report in stay] == counted
    assert "dropped chat_reports.sql_patterns: the next run of dbt makes it again" in said
    fill(project.database, 2, 100, LAST_DAY, "UTC")
    project.run("run", report_as_of=AS_OF)
    assert_exact(project)
    assert schema(project.database) == before
    with project.database.connect() as connection:
        assert [differences(connection, report, AS_OF, "UTC") for report in COLUMNS] == [[]] * len(COLUMNS)
