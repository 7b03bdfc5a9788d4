"""The data tests pass with rows, and those tagged `reconcile` find a rollup that differs from the log."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from chat_telemetry._cli.demo.generator import generate
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from tests.conftest import SERVERS, Database
from tests.dbt_project import NO_UNIT_TESTS, DbtProject, failures
from tests.reports.scenes import AS_OF

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

OF_THE_LOG = ["daily_requests", "daily_users", "daily_durations"]
OF_THE_DAYS = ["window_durations", "daily_latency"]
TEST = {
    **{rollup: f"equals_the_log_{rollup}_" for rollup in OF_THE_LOG},
    "window_durations": "window_durations_equal_the_days",
    "daily_latency": "daily_latency_equals_the_days",
}
TESTS_OF_THE_DAYS = [TEST[rollup] for rollup in OF_THE_DAYS]
# Times of a wrong clock, and values that only plain SQL can write.
ODD_ROWS = """
insert into public.chat_telemetry_log (
    user_id, created_at, user_question, is_off_topic, generated_sql, error_type, failed_step, sql_model, response_model,
    sql_input_tokens, sql_cached_tokens, sql_output_tokens, response_input_tokens, response_cached_tokens,
    response_output_tokens, nl_to_sql_duration_ms, sql_execution_duration_ms, response_generation_duration_ms, ttfb_ms,
    result_row_count
)
select
    %s, moments.created_at, '', false, outcomes.generated_sql, outcomes.error_type, outcomes.failed_step,
    outcomes.model, outcomes.model, 3, 7917, 442, -5, -5, -5, -1, -2147483648, 2147483647, -7, -3
from unnest(array[
    '-infinity', '4713-01-01 00:00:00+00 BC', '0001-01-01 00:00:00+00', '1999-12-31 23:59:59+00',
    '2026-11-22 12:00:00+00', '2099-01-01 00:00:00+00', '294276-12-31 23:59:59+00', 'infinity'
]::timestamptz[]) as moments (created_at)
cross join (
    values
    (null, null, null, null),
    ('', '', '', ''),
    (' ', 'cancelled', 'response', 'none'),
    ('select 1', 'none', 'none', 'unknown'),
    ('select 2', 'not one of the six', 'not one of the three', repeat('long', 2000)),
    (repeat('select 3 ', 2000), repeat('錯誤', 500), repeat('錯誤', 500), 'gpt-4o-mini')
) as outcomes (generated_sql, error_type, failed_step, model)
"""


def store_odd_rows(database: Database) -> None:
    """Every odd outcome at every odd time that plain SQL can write to the log."""
    (user,) = database.add_users()
    with database.connect() as connection:
        connection.execute(ODD_ROWS, [user])


def failing(project: DbtProject, *selection: str, **variables: Any) -> set[str]:
    """The data tests that fail, of those tagged `reconcile` if nothing else is selected."""
    outcome = project.invoke("test", "--select", *(selection or ["tag:reconcile"]), **variables)
    return {line.split(":")[0] for line in failures(outcome).splitlines()}


def take_one(connection: psycopg.Connection, rollup: str, column: str) -> None:
    """Subtract one from the first row of the rollup, which is of its first day."""
    connection.execute(
        f"update chat_rollups.{rollup} set {column} = {column} - 1"
        f" where ctid = (select ctid from chat_rollups.{rollup} order by {rollup} limit 1)"
    )


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
    project.run("build", *NO_UNIT_TESTS, reconcile_all=True)
    project.run("build", "--full-refresh", *NO_UNIT_TESTS, reconcile_all=True)


def test_a_build_with_odd_rows_passes_every_test_east_and_west(project: DbtProject) -> None:
    store_odd_rows(project.database)
    # One of the odd times is on a day that counts. Which one depends on the time zone.
    for timezone, day in [("Etc/GMT+12", AS_OF), ("Pacific/Kiritimati", "2000-01-01")]:
        variables = {"reconcile_all": True, "report_timezone": timezone, "report_as_of": AS_OF}
        project.run("build", "--full-refresh", *NO_UNIT_TESTS, **variables)
        with project.database.connect() as connection:
            counted = connection.execute(
                "select sum(request_count), min(day)::text, max(day)::text from chat_reports.off_topic"
            )
            assert counted.fetchone() == (6, day, day)


def test_the_rollups_equal_the_log_while_there_are_changes_in_the_feed_and_in_drained_changes(ours: DbtProject) -> None:
    with ours.database.connect() as connection, ours.database.connect() as other:
        connection.execute(
            "update public.chat_telemetry_log set created_at = created_at - interval '1 day', ttfb_ms = 5"
        )
        store_odd_rows(ours.database)
        ours.run("run", "--select", "drained_changes", "daily_users", report_as_of=AS_OF)
        connection.execute("delete from auth.users where id in (select id from auth.users limit 3)")
        assert connection.execute("select count(*) > 500 from chat_rollups.drained_changes").fetchone() == (True,)
        assert connection.execute("select count(*) > 20 from public.chat_telemetry_changes").fetchone() == (True,)
        with other.transaction():
            other.execute("delete from public.chat_telemetry_log")
            assert failing(ours, reconcile_all=True) == set()
        assert failing(ours, reconcile_all=True) == set()
        assert failing(ours, reconcile_days=2) == set()


def test_the_periods_are_not_compared_with_days_that_they_have_not_counted_yet(ours: DbtProject) -> None:
    with ours.database.connect() as connection:
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 70000 where error_type is null")
        ours.run("run", "--select", "drained_changes", "daily_durations", report_as_of=AS_OF)
        assert failing(ours, reconcile_all=True) == set()
        ours.run("run", "--select", *OF_THE_DAYS)
        # The same drains, counted again by the days of another time zone.
        ours.run("run", "--full-refresh", "--select", "daily_durations", report_timezone="Asia/Kolkata")
        assert failing(ours, *TESTS_OF_THE_DAYS) == set()
        ours.run("run", "--select", *OF_THE_DAYS, report_timezone="Asia/Kolkata")
        assert failing(ours, *TESTS_OF_THE_DAYS) == set()
        connection.execute("update chat_rollups.daily_durations set request_count = request_count + 1")
        assert failing(ours, *TESTS_OF_THE_DAYS) == set(TESTS_OF_THE_DAYS)


def test_a_count_that_is_off_by_one_is_found_in_each_rollup(ours: DbtProject) -> None:
    for off in [
        {"daily_requests": "request_count", "daily_users": "request_count", "daily_durations": "request_count"},
        {"window_durations": "last_7_days", "daily_latency": "request_count", "daily_users": "error_count"},
        {"window_durations": "last_30_days", "daily_latency": "avg_ms", "daily_requests": "sql_cached_tokens"},
        {"window_durations": "last_7_complete_days", "daily_latency": "max_ms", "daily_users": "off_topic_count"},
        {"window_durations": "previous_7_complete_days", "daily_requests": "response_bounded_call_count"},
    ]:
        with ours.database.connect() as connection:
            for rollup in off:
                connection.execute(f"create table kept_{rollup} as table chat_rollups.{rollup}")
                take_one(connection, rollup, off[rollup])
            assert failing(ours, reconcile_all=True) == {TEST[rollup] for rollup in off}
            for rollup in off:
                connection.execute(f"delete from chat_rollups.{rollup}")
                connection.execute(f"insert into chat_rollups.{rollup} table kept_{rollup}")
                connection.execute(f"drop table kept_{rollup}")
    assert failing(ours, reconcile_all=True) == set()


def test_a_missing_row_and_a_surplus_row_are_found_in_each_rollup(ours: DbtProject) -> None:
    with ours.database.connect() as connection:
        for rollup in TEST:
            connection.execute(f"create table kept_{rollup} as table chat_rollups.{rollup}")
            connection.execute(
                f"delete from chat_rollups.{rollup}"
                f" where ctid = (select ctid from chat_rollups.{rollup} order by {rollup} limit 1)"
            )
        assert failing(ours, reconcile_all=True) == set(TEST.values())
        for rollup in TEST:
            other: dict[str, object] = (
                {"duration_ms": 77_777} if rollup == "window_durations" else {"day": "2025-01-01"}
            )
            connection.execute(f"delete from chat_rollups.{rollup}")
            connection.execute(f"insert into chat_rollups.{rollup} table kept_{rollup}")
            connection.execute(
                f"insert into chat_rollups.{rollup}"
                f" select (jsonb_populate_record(kept, %s)).* from kept_{rollup} as kept limit 1",
                [Jsonb(other)],
            )
        assert failing(ours, reconcile_all=True) == set(TEST.values())


def test_random_days_are_chosen_from_those_of_the_log_and_of_the_rollup(ours: DbtProject) -> None:
    of_the_log = {TEST[rollup] for rollup in OF_THE_LOG}
    with ours.database.connect() as connection:
        connection.execute("alter table public.chat_telemetry_log disable trigger user")
        # Without the days that are always included.
        connection.execute("delete from public.chat_telemetry_log where created_at not between '2000-01-01' and now()")
        for rollup in OF_THE_LOG:
            connection.execute(f"delete from chat_rollups.{rollup} where day not between '2000-01-01' and now()")
        connection.execute("create table lost as table public.chat_telemetry_log")
        connection.execute("delete from public.chat_telemetry_log")
        assert failing(ours, reconcile_days=500) == of_the_log
        connection.execute("insert into public.chat_telemetry_log table lost")
        for rollup in TEST:
            connection.execute(f"delete from chat_rollups.{rollup}")
        assert failing(ours, reconcile_days=500) == of_the_log


def test_days_of_a_wrong_clock_are_always_included(ours: DbtProject) -> None:
    store_odd_rows(ours.database)
    ours.run("run", "--select", "drained_changes", *OF_THE_LOG, *OF_THE_DAYS, report_as_of=AS_OF)
    assert failing(ours, reconcile_days=1) == set()
    with ours.database.connect() as connection:
        connection.execute("delete from chat_rollups.daily_requests where day = '1999-12-30'")
        connection.execute("delete from chat_rollups.daily_durations where day = '2099-01-01'")
        connection.execute(
            "insert into chat_rollups.daily_users select (jsonb_populate_record(daily_users, %s)).*"
            " from chat_rollups.daily_users limit 1",
            [Jsonb({"day": "1998-01-01"})],
        )
    assert failing(ours, reconcile_days=1) == {TEST[rollup] for rollup in OF_THE_LOG}


def test_an_empty_log_equals_empty_rollups(project: DbtProject) -> None:
    project.run("run", "--select", "drained_changes", *OF_THE_LOG, *OF_THE_DAYS)
    assert failing(project) == set()
    assert failing(project, reconcile_all=True) == set()
