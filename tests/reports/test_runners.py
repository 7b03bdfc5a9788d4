"""With each way to run dbt, the reports are exact, or the run stops and says why."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from tests.conftest import SERVERS
from tests.dbt_project import DbtProject, failures, results
from tests.reports.random_log import fill
from tests.reports.scenes import (
    AS_OF,
    DBT,
    assert_exact,
    assert_success,
    edit,
    execute,
    footprint,
    holding,
    run_alone,
    start,
    value,
    wait_until_waiting,
)

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

PENDING = "select count(*) from public.chat_telemetry_changes"
ADD_REQUESTS = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model, ttfb_ms, sql_input_tokens)
select u.id, 'How many?', timestamptz '2026-11-22 12:00+00' - n * interval '40 minutes', 'gpt-4o', n % 50, n
from generate_series(1, 1000) as n cross join (select id from auth.users limit 1) as u
"""


def use_autocommit(project: DbtProject) -> None:
    edit(project, "profiles.yml", "connect_timeout: 10\n", "connect_timeout: 10\n      autocommit: true\n")


def logged(project: DbtProject) -> str:
    return (project.scratch / "logs" / "dbt.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_model_that_fails_loses_nothing_in_either_transaction_mode(ours: DbtProject, autocommit: bool) -> None:
    if autocommit:
        use_autocommit(ours)
    execute(ours, ADD_REQUESTS)
    with holding(ours, "lock table chat_rollups.daily_durations in share mode"):
        outcome = ours.invoke("run", report_as_of=AS_OF)
    assert "daily_durations: error" in failures(outcome)
    assert "lock timeout" in failures(outcome)
    assert ("COMMIT" in logged(ours)) is not autocommit
    ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_another_target_is_refused_before_it_takes_anything(ours: DbtProject, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(ours, ADD_REQUESTS)
    edit(ours, "seeds/token_prices.csv", "openai,gpt-4o,", "openai,gpt-4o-of-ci,")
    before = footprint(ours)
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_SCHEMA", "ci_42")
    for arguments in (
        *(["run"], ["run", "--full-refresh"], ["run", "--select", "reports"], ["build"]),
        *(["seed"], ["seed", "--full-refresh"]),
    ):
        outcome = ours.invoke(*arguments, report_as_of=AS_OF)
        assert not outcome.success
        assert 'belong to the dbt target schema "chat_telemetry", not to "ci_42"' in failures(outcome)
        assert "Develop on another database" in failures(outcome)
        assert footprint(ours) == before
        assert value(ours, PENDING) == 1000
    monkeypatch.delenv("CHAT_TELEMETRY_DBT_SCHEMA")
    ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_the_feed_can_be_handed_to_another_target(ours: DbtProject, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(ours, "select chat_rollups.hand_over('new_home')")
    execute(ours, ADD_REQUESTS)
    assert 'belong to the dbt target schema "new_home"' in failures(ours.invoke("run", report_as_of=AS_OF))
    assert value(ours, PENDING) == 1000
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_SCHEMA", "new_home")
    ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_two_overlapping_first_runs_both_succeed(project: DbtProject) -> None:
    fill(project.database, 2, 500, dt.date.fromisoformat(AS_OF), "UTC")
    with holding(project, "lock table chat_rollups.progress in exclusive mode", lock_timeout="1min"):
        runs = [start(project, "run", target=str(number), report_as_of=AS_OF) for number in range(2)]
        # The drain of each run.
        wait_until_waiting(project, 2, *runs)
    assert_success(*runs)
    assert_exact(project)


def test_a_retry_counts_once_what_the_failed_run_did_not_count(ours: DbtProject) -> None:
    execute(ours, ADD_REQUESTS)
    with holding(ours, "lock table chat_rollups.daily_users in share mode"):
        failed = start(ours, "run", report_as_of=AS_OF)
        assert "lock timeout" in failed.communicate(timeout=240)[0]
    assert failed.returncode == 1
    assert_success(start(ours, "retry"))
    assert_exact(ours)


def test_commands_that_only_read_change_nothing(ours: DbtProject) -> None:
    execute(ours, ADD_REQUESTS)
    assert_success(start(ours, "parse", report_as_of=AS_OF))
    shutil.copytree(ours.scratch / "target", ours.directory / "state")
    before = footprint(ours)
    for arguments in (
        *(["run", "--empty"], ["run", "--empty", "--full-refresh"], ["run", "--empty", "--select", "token_cost"]),
        *(["show", "--select", name] for name in ("drained_changes", "daily_users", "window_durations", "errors")),
        *(["compile"], ["docs", "generate"], ["clone", "--state", str(ours.directory / "state")]),
    ):
        ours.run(*arguments, report_as_of=AS_OF)
        assert footprint(ours) == before, arguments
        assert value(ours, PENDING) == 1000
    ours.run("run", report_as_of=AS_OF)
    assert_exact(ours)


def test_a_sampled_run_counts_everything(ours: DbtProject) -> None:
    execute(ours, ADD_REQUESTS)
    ours.run("run", "--sample", "2 days", report_as_of=AS_OF)
    assert_exact(ours)


def test_show_shows_what_the_next_run_adds_to_a_rollup(ours: DbtProject) -> None:
    execute(ours, ADD_REQUESTS)
    ours.run("run", "--select", "drained_changes", report_as_of=AS_OF)
    outcome = ours.run("show", "--select", "daily_requests", "--limit", "-1", report_as_of=AS_OF)
    assert sum(results(outcome)[0].agate_table.columns["request_count"].values()) == 1000


def test_quiet_is_quiet(project: DbtProject) -> None:
    environment = {**project.environment(), "PYTHONWARNINGS": "default"}
    directory = str(project.directory)
    for arguments in (["seed"], ["run"], ["run"], ["run", "--full-refresh"], ["test", "--select", "tag:reconcile"]):
        command = [DBT, "-q", *arguments, "--project-dir", directory, "--profiles-dir", directory]
        outcome = run_alone(*command, environment=environment)
        assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", ""), arguments
        execute(project, "insert into auth.users default values")
        execute(project, ADD_REQUESTS)


@pytest.mark.parametrize(
    "missing",
    ["CHAT_TELEMETRY_DBT_HOST", "CHAT_TELEMETRY_DBT_DATABASE", "DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD"],
)
def test_a_missing_variable_is_named(project: DbtProject, missing: str) -> None:
    environment = project.environment()
    del environment[missing]
    outcome = run_alone(DBT, *project.command("run"), environment=environment)
    assert outcome.returncode == 2
    assert missing in outcome.stdout
    assert value(project, "select owner is null from chat_rollups.progress where name = 'drained_changes'")


def test_the_demo_has_its_own_target(tmp_path: Path, project: DbtProject) -> None:
    environment = {"DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path), "CHAT_TELEMETRY_DBT_PORT": "1"}
    outcome = run_alone(DBT, *project.command("debug", "--target", "demo"), environment=environment)
    assert "host: 127.0.0.1" in outcome.stdout
    assert "database: chat" in outcome.stdout
