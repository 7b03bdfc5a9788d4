"""The data tests pass with rows, and those tagged `reconcile` see a tally that drifts from the log."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import Any

import pytest

from chat_telemetry.cli.demo.generator import generate
from chat_telemetry.record import encode
from chat_telemetry.store import Store
from tests.conftest import SERVERS
from tests.dbt_project import DbtProject, failures
from tests.reports.random_log import fill

TALLIES = ["daily_requests", "daily_users", "daily_latency"]
EVERY_TEST = {f"{tally}_equals_the_log" for tally in TALLIES}
RECONCILE = ["test", "--select", "tag:reconcile"]


@pytest.fixture
def counted(project: DbtProject) -> DbtProject:
    """A database of a random log that the tallies have counted."""
    fill(project.database, 1, 600, dt.date(2026, 11, 22), "UTC")
    project.run("run", "--select", "drained_changes", *TALLIES)
    return project


# dbt's own tests are what takes the time here: one server will do.
@pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")
def test_a_build_with_rows_passes_every_test_again_and_again(project: DbtProject) -> None:
    records = list(generate(1_000, dt.datetime.now(dt.UTC)))
    with project.database.connect() as connection:
        users = {record.user_id for record in records}
        connection.cursor().executemany("insert into auth.users (id) values (%s)", [[user] for user in users])
        conversations = {(record.conversation_id, record.user_id) for record in records if record.conversation_id}
        connection.cursor().executemany(
            "insert into public.chat_conversations (conversation_id, user_id) values (%s, %s) on conflict do nothing",
            list(conversations),
        )
    with closing(Store(project.database.conninfo)) as store:
        assert store.insert([encode(record) for record in records]).stored == len(records)
    project.run("build", reconcile_all=True)
    project.run("build", "--full-refresh", reconcile_all=True)


def test_the_tallies_equal_the_log_while_changes_wait_in_feed_and_batches(counted: DbtProject) -> None:
    with counted.database.connect() as connection, counted.database.connect() as other:
        connection.execute(
            "update public.chat_telemetry_log set created_at = created_at - interval '1 day', ttfb_ms = 5"
        )
        counted.run("run", "--select", "drained_changes", "daily_users")
        connection.execute("delete from auth.users where id in (select id from auth.users limit 3)")
        with other.transaction():
            other.execute("delete from public.chat_telemetry_log")
            counted.run(*RECONCILE, reconcile_all=True)
        counted.run(*RECONCILE, reconcile_all=True)
        counted.run(*RECONCILE, reconcile_days=2)


def test_a_count_that_is_off_by_one_is_found_in_each_tally(counted: DbtProject) -> None:
    with counted.database.connect() as connection:
        for tally in TALLIES:
            connection.execute(
                f"update chat_tallies.{tally} set request_count = request_count + 1"
                f" where ctid = (select min(ctid) from chat_tallies.{tally})"
            )
    assert failing(counted, reconcile_all=True) == EVERY_TEST


def test_a_few_days_are_taken_from_those_of_the_log_and_from_those_of_the_tally(counted: DbtProject) -> None:
    with counted.database.connect() as connection:
        connection.execute("alter table public.chat_telemetry_log disable trigger user")
        connection.execute("create table lost as select * from public.chat_telemetry_log")
        connection.execute("delete from public.chat_telemetry_log")
        assert failing(counted, reconcile_days=1) == EVERY_TEST
        connection.execute("insert into public.chat_telemetry_log select * from lost where ttfb_ms is not null")
        for tally in TALLIES:
            connection.execute(f"delete from chat_tallies.{tally}")
        assert failing(counted, reconcile_days=5) == EVERY_TEST


def test_an_empty_log_equals_empty_tallies(project: DbtProject) -> None:
    project.run("run", "--select", "drained_changes", *TALLIES)
    project.run(*RECONCILE)
    project.run(*RECONCILE, reconcile_all=True)


def failing(project: DbtProject, **variables: Any) -> set[str]:
    """The reconciling tests that fail."""
    outcome = project.invoke(*RECONCILE, **variables)
    return {line.split(":")[0] for line in failures(outcome).splitlines()}
