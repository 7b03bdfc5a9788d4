"""docs/upgrading.md, carried out: a column that daily_requests groups by is a migration and a plain `dbt run`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.conftest import Server, copy_of
from tests.dbt_project import DbtProject, failures, template_with_prices
from tests.reports.contract import COLUMNS, differences
from tests.reports.history.column import NAME, STATEMENTS, TABLES, project_with_column, statement_of
from tests.reports.random_log import fill

AS_OF = dt.date(2026, 11, 22)
ASK = f"""
    insert into public.chat_telemetry_log (user_id, user_question, created_at, {NAME})
    select id, 'How many?', '2026-11-21 12:00:00+00', %s from auth.users
"""
COUNTED = f"""
    select label, sum(request_count) from chat_rollups.daily_requests
    inner join chat_rollups.labels on {NAME} = id group by label
"""
LOGGED = f"select coalesce({NAME}, ''), count(*) from public.chat_telemetry_log group by 1"
WAITING = "select count(*) from public.chat_telemetry_changes"


@pytest.fixture
def counted(postgres: Server, tmp_path: Path) -> Iterator[DbtProject]:
    """A database of the previous version, with rows that it has counted."""
    with copy_of(postgres, template_with_prices(postgres)) as database:
        project = DbtProject(database, tmp_path)
        fill(database, 1, 300, AS_OF, "UTC")
        project.run("run", report_as_of=AS_OF.isoformat())
        yield project


def add_column(connection: psycopg.Connection) -> None:
    with connection.transaction():
        for statement in [TABLES, *(statement_of(*statement) for statement in STATEMENTS)]:
            connection.execute(statement)


def value(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query).fetchone()
    assert row
    return int(row[0])


def test_a_plain_run_counts_by_the_new_column(counted: DbtProject) -> None:
    upgraded = project_with_column(counted)
    with counted.database.connect() as connection, counted.database.connect() as chat:
        connection.execute(ASK.replace(f", {NAME})", ")").replace(", %s from", " from"))
        add_column(connection)
        connection.execute(ASK, ["v1"])
        with chat.transaction():
            chat.execute(ASK, ["v2"])
            upgraded.run("run", report_as_of=AS_OF.isoformat())
        upgraded.run("run", report_as_of=AS_OF.isoformat())
        assert sorted(connection.execute(COUNTED)) == sorted(connection.execute(LOGGED))
        assert [report for report in COLUMNS if differences(connection, report, AS_OF.isoformat())] == []
        connection.execute(f"delete from public.chat_telemetry_log where {NAME} = 'v2'")
        upgraded.run("run", report_as_of=AS_OF.isoformat())
        assert sorted(connection.execute(COUNTED)) == sorted(connection.execute(LOGGED))
        assert value(connection, "select count(*) from chat_rollups.daily_requests where request_count <= 0") == 0
        upgraded.run("test", "--select", "tag:reconcile", reconcile_all=True)


def test_the_old_project_on_the_new_database_stops_before_it_drains_anything(counted: DbtProject) -> None:
    with counted.database.connect() as connection:
        add_column(connection)
        connection.execute(ASK, ["v1"])
        waiting = value(connection, WAITING)
        outcome = counted.invoke("run", report_as_of=AS_OF.isoformat())
        assert f"column {NAME} is missing in the dbt project" in failures(outcome)
        assert value(connection, WAITING) == waiting > 0
        project_with_column(counted).run("run", report_as_of=AS_OF.isoformat())
        assert sorted(connection.execute(COUNTED)) == sorted(connection.execute(LOGGED))


def test_the_new_project_on_the_old_database_stops_before_it_drains_anything(counted: DbtProject) -> None:
    with counted.database.connect() as connection:
        connection.execute("delete from public.chat_telemetry_log where ttfb_ms is not null")
        waiting = value(connection, WAITING)
        outcome = project_with_column(counted).invoke("run", report_as_of=AS_OF.isoformat())
        assert f"column {NAME} is missing in the database" in failures(outcome)
        assert value(connection, WAITING) == waiting > 0


def test_a_column_that_only_the_feed_has_stops_the_drain(counted: DbtProject) -> None:
    with counted.database.connect() as connection:
        connection.execute(f"alter table public.chat_telemetry_changes add column {NAME} text")
        connection.execute("delete from public.chat_telemetry_log where ttfb_ms is not null")
        waiting = value(connection, WAITING)
        outcome = counted.invoke("run", report_as_of=AS_OF.isoformat())
        assert f"chat_telemetry_changes and the dbt project differ: column {NAME}" in failures(outcome)
        assert value(connection, WAITING) == waiting > 0
