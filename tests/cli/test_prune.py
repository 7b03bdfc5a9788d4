"""`chat-telemetry prune`: what it refuses, what it deletes, and what stays counted."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from chat_telemetry._cli import prune
from tests.cli.conftest import Cli, Outcome, count
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, failures, results, template_with_prices

# Most of the time goes into dbt, so one server is enough; the random histories prune on each one.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

# A time zone in which no new day begins before these tests end.
TIMEZONE = next(
    zone for zone in ("Pacific/Chatham", "Asia/Kathmandu") if dt.datetime.now(ZoneInfo(zone)).hour in range(1, 21)
)
TODAY = f"(now() at time zone '{TIMEZONE}')::date"
# One request at each end of a day, on each of 500 days.
ASK = f"""
insert into public.chat_telemetry_log (
    user_id, user_question, created_at, ai_response, generated_sql, error_message, follow_up_suggestions, sql_model,
    sql_input_tokens
)
select
    %s, 'How many?', ({TODAY} - day + part)::timestamp at time zone '{TIMEZONE}', 'Many.', 'select ' || day, 'slow',
    '["And now?"]', 'gpt-4o-mini', 1000
from generate_series(0, 499) as day
cross join (values (interval '0'), (interval '23:59:59.999999')) as parts (part)
"""
TEXTS = """
select count(*) from public.chat_telemetry_log
where user_question <> '' and num_nonnulls(ai_response, generated_sql, error_message, follow_up_suggestions) = 4
"""
REPORT = "select day, sum(call_count), sum(cost_usd) from chat_reports.token_cost group by day order by day"


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        with database.connect() as connection:
            connection.execute(ASK, [database.add_users()[0]])
        DbtProject(database, tmp_path_factory.mktemp("built")).run("run", report_timezone=TIMEZONE)
        yield database


@pytest.fixture
def project(postgres: Server, built: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    with copy_of(postgres, built.name) as database:
        yield DbtProject(database, tmp_path_factory.getbasetemp())


@pytest.fixture
def database(project: DbtProject) -> Database:
    return project.database


def query(database: Database, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def horizon(database: Database) -> tuple[int | None, int]:
    """How many days before today the horizon is, and how many changes were discarded behind it."""
    statement = f"select {TODAY} - horizon, discarded_changes from chat_rollups.progress where name = 'drained_changes'"
    ((days, discarded),) = query(database, statement)
    return days, discarded


def run_prune(cli: Cli, database: Database, *arguments: str) -> Outcome:
    return cli("prune", "--yes", *arguments, database=database)


def test_old_rows_are_deleted_and_stay_counted(
    cli: Cli, project: DbtProject, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH_ROWS", 7)
    # A request of an old day that no run has counted yet.
    query(
        database,
        "insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model, sql_input_tokens)"
        f" values (%s, 'late', {TODAY} - 450, 'gpt-4o-mini', 1000)",
        database.add_users()[0],
    )
    before = query(database, REPORT)
    outcome = run_prune(cli, database, "--older-than", "400d")
    (day,) = query(database, f"select {TODAY} - 400")[0]
    assert outcome == Outcome(0, f"199 rows deleted; from {day} on, the reports equal the log\n", "")
    assert (count(database), horizon(database)) == (802, (400, 199))
    # A rebuild reads the log from the horizon on, and keeps what was drained before.
    project.run("run", "--full-refresh", report_timezone=TIMEZONE)
    after = query(database, REPORT)
    assert (len(before), sum(calls for _, calls, _ in before)) == (500, 1000)
    assert (len(after), sum(calls for _, calls, _ in after)) == (500, 1001)
    project.run("run", "--full-refresh", report_timezone=TIMEZONE)
    assert query(database, REPORT) == after
    assert query(database, "select count(*) from chat_rollups.daily_users where day < %s", day) == [(0,)]
    reconciled = project.run("test", "--select", "tag:reconcile", report_timezone=TIMEZONE, reconcile_all=True)
    assert {result.status for result in results(reconciled)} == {"pass"}
    # The horizon never moves back; what is older than 450 days is gone already.
    outcome = run_prune(cli, database, "--older-than", "450d")
    assert outcome.out == f"0 rows deleted; from {day} on, the reports equal the log\n"
    assert horizon(database) == (400, 199)


def test_behind_the_horizon_late_rows_and_erasures_change_no_count(
    cli: Cli, project: DbtProject, database: Database
) -> None:
    run_prune(cli, database, "--older-than", "100d")
    before = query(database, REPORT)
    user = database.add_users()[0]
    late = (
        f"insert into public.chat_telemetry_log (user_id, user_question, created_at) values (%s, 'late', {TODAY} - %s)"
    )
    query(database, late, user, 101)
    query(database, late, user, 90)
    project.run("run", report_timezone=TIMEZONE)
    assert query(database, "select request_count from chat_reports.errors where day = " + f"{TODAY} - 90") == [(3,)]
    assert horizon(database)[1] == 800 - 2 + 1
    # The report has no row for the late request, because a call without a model and tokens is none.
    assert query(database, REPORT) == before
    query(database, "delete from auth.users where id <> %s", user)
    project.run("run", report_timezone=TIMEZONE)
    left = query(database, REPORT)
    assert left == [row for row in before if row[0] < dt.date.today() - dt.timedelta(days=99)][: len(left)]
    assert len(left) == 399


def test_runs_go_on_after_a_change_of_the_time_zone_and_a_prune(
    cli: Cli, project: DbtProject, database: Database
) -> None:
    project.run("run", "--full-refresh", report_timezone="Europe/Berlin")
    run_prune(cli, database, "--older-than", "100d")
    for arguments in (["run"], ["run", "--full-refresh"]):
        project.run(*arguments, report_timezone="Europe/Berlin")


def test_another_time_zone_and_an_earlier_last_day_are_refused_from_then_on(
    cli: Cli, project: DbtProject, database: Database
) -> None:
    run_prune(cli, database, "--older-than", "60d")
    for arguments in (["run"], ["run", "--full-refresh"]):
        outcome = project.invoke(*arguments, report_timezone="UTC")
        assert not outcome.success
        assert f"Set report_timezone to {TIMEZONE}: the log was pruned." in failures(outcome)
    (day,) = query(database, f"select {TODAY} - 31")[0]
    outcome = project.invoke("run", report_timezone=TIMEZONE, report_as_of=day.isoformat())
    assert "which were pruned" in failures(outcome)
    project.run("run", report_timezone=TIMEZONE, report_as_of=(day + dt.timedelta(days=1)).isoformat())


def test_only_texts_are_removed_and_no_count_changes(
    cli: Cli, project: DbtProject, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH_ROWS", 33)
    before = query(database, REPORT)
    outcome = run_prune(cli, database, "--older-than", "8d", "--texts-only")
    assert outcome == Outcome(0, "the texts of 982 rows removed, nothing else changed\n", "")
    assert query(database, TEXTS) == [(18,)]
    patterns = query(database, "select * from chat_reports.sql_patterns order by sql_fingerprint")
    project.run("run", report_timezone=TIMEZONE)
    assert query(database, REPORT) == before
    assert query(database, "select * from chat_reports.sql_patterns order by sql_fingerprint") == patterns
    assert (count(database), horizon(database)) == (1000, (None, 0))
    assert run_prune(cli, database, "--older-than", "8d", "--texts-only").out.startswith("the texts of 0 rows")


def test_what_would_be_wrong_is_refused_before_anything_changes(cli: Cli, database: Database) -> None:
    refusals = {
        ("--older-than", "59d"): "--older-than must be whole days, at least 60d",
        ("--older-than", "1441h"): "--older-than must be whole days, at least 60d",
        ("--older-than", "7d", "--texts-only"): "--older-than must be whole days, at least 8d",
        ("--older-than", "many"): "expected a number and a unit",
    }
    for arguments, message in refusals.items():
        outcome = run_prune(cli, database, *arguments)
        assert (outcome.code, message in outcome.err) == (2, True), outcome
    assert cli("prune", "--older-than", "60d", database=database).code == 2  # it asks, and there is no terminal
    query(
        database,
        "create table public.feedback (log_id uuid constraint to_log references public.chat_telemetry_log"
        " on delete cascade)",
    )
    outcome = run_prune(cli, database, "--older-than", "60d")
    assert outcome.code == 1
    assert "rows of public.feedback (to_log) would be deleted or changed with those of the log" in outcome.err
    query(database, "drop table public.feedback")
    query(database, "update chat_rollups.progress set drain_number = null where name = 'daily_users'")
    outcome = run_prune(cli, database, "--older-than", "60d")
    assert (outcome.code, outcome.err) == (
        4,
        "error: the log is not counted yet (Run dbt, then prune again.) Nothing was changed\n",
    )
    query(database, "update chat_rollups.progress set drain_number = 1")
    for call, message in (
        (f"{TODAY} - 59, '{TIMEZONE}'", "the reports need the last 60 days up to"),
        (f"{TODAY} - 60, 'UTC'", "the days of the rollups are not all those of the time zone UTC"),
    ):
        with pytest.raises(psycopg.errors.RaiseException, match=message):
            query(database, f"select chat_rollups.set_horizon({call})")
    assert (count(database), horizon(database)) == (1000, (None, 0))


def test_only_the_owner_may_prune(cli: Cli, database: Database, empty_database: Database) -> None:
    for role in ("service_role", "telemetry_transformer"):
        query(database, f"alter role {role} login")
        outcome = cli("prune", "--yes", "--older-than", "60d", "--database-url", database.conninfo_as(role))
        assert (outcome.code, "connect as the role that migrates" in outcome.err) == (3, True), outcome
    outcome = run_prune(cli, empty_database, "--older-than", "60d")
    assert (outcome.code, "run `chat-telemetry migrate`" in outcome.err) == (4, True)


def test_a_lock_ends_it_with_how_far_it_came(cli: Cli, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "BATCH_ROWS", 100)
    monkeypatch.setattr(prune, "SETTINGS", "set local lock_timeout = '50ms'")
    with database.connect() as other, other.transaction():
        other.execute(
            f"select from public.chat_telemetry_log where created_at > {TODAY} - 435"
            " order by created_at limit 1 for update"
        )
        outcome = run_prune(cli, database, "--older-than", "400d")
    assert outcome.code == 1
    assert outcome.err == (
        "error: canceling statement due to lock timeout. 100 rows done. Run the same command again, it continues\n"
    )
    assert run_prune(cli, database, "--older-than", "400d").out.startswith("98 rows deleted")


def test_a_trigger_that_keeps_rows_is_named_and_ends_the_command(cli: Cli, database: Database) -> None:
    query(
        database,
        "create function public.keep() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger keep before delete on public.chat_telemetry_log for each row execute function public.keep()",
    )
    outcome = run_prune(cli, database, "--older-than", "400d")
    assert (outcome.code, outcome.err) == (
        1,
        "error: 198 rows left, for example because a trigger of the log keeps them. 0 rows done. Run the same command"
        " again, it continues\n",
    )
    query(
        database,
        "create function public.mark() returns trigger language plpgsql as"
        " $$ begin new.user_question := '[removed]'; return new; end $$;"
        "create trigger mark before update on public.chat_telemetry_log for each row execute function public.mark()",
    )
    outcome = run_prune(cli, database, "--older-than", "400d", "--texts-only")
    assert outcome.err == ""
    assert outcome.out.startswith("the texts of 198 rows removed")


def test_the_question_names_rows_day_and_time_zone(database: Database) -> None:
    import pty  # noqa: PLC0415  # Windows has none

    terminal, other = pty.openpty()
    program = [sys.executable, "-c", "from chat_telemetry._cli import main; main()", "prune", "--older-than", "400d"]
    command = [*program, "--database-url", database.conninfo]
    with subprocess.Popen(command, stdin=other, stderr=subprocess.PIPE, text=True) as process:
        os.write(terminal, b"n\n")
        _, said = process.communicate()
    os.close(terminal)
    os.close(other)
    assert process.returncode == 1
    assert f"({TIMEZONE})? [y/N]" in said
    assert "Delete 198 rows of the log before " in said
    assert said.endswith("error: nothing was changed\n")
    assert count(database) == 1000
