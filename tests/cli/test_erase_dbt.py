"""`chat-telemetry erase` with dbt: what it checks first, what it runs, and that it can be killed at any point."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chat_telemetry._cli import dbt_runner
from chat_telemetry._cli.erase import reports
from chat_telemetry._cli.migrations import apply_migrations
from tests.cli.conftest import Cli, Outcome, count
from tests.cli.test_erase import ASK, ERASED, execute, left_in, query
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices
from tests.migrations.test_existing_objects import SUPABASE
from tests.reports.scenes import holding, wait_until_waiting
from tests.reports.test_erasure import places_of as places_with

# Most of the time goes into dbt, so one server is enough; tests/reports/test_erasure.py takes both.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

TIMEZONE = "Pacific/Chatham"


@pytest.fixture(scope="module")
def built(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database with two users and reports of today, in a time zone of its own."""
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        for user in database.add_users(2):
            with database.connect() as connection:
                connection.execute(ASK, {"user": user, "conversation": None, "rows": 20})
        DbtProject(database, tmp_path_factory.mktemp("built")).run("run", report_timezone=TIMEZONE)
        yield database


@pytest.fixture
def project(postgres: Server, built: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DbtProject]:
    """A copy of the database, and the variables of dbt in the environment."""
    with copy_of(postgres, built.name) as database:
        project = DbtProject(database, tmp_path)
        for variable, value in project.environment().items():
            monkeypatch.setenv(variable, value)
        yield project


@pytest.fixture
def parsed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for the files of dbt that all tests share, so that dbt need not parse the project in each of them."""
    directory = tmp_path_factory.getbasetemp() / "parsed"
    directory.mkdir(exist_ok=True)
    monkeypatch.setattr(reports, "TemporaryDirectory", lambda prefix: nullcontext(str(directory)))
    return directory


@pytest.fixture
def database(project: DbtProject) -> Database:
    return project.database


@pytest.fixture
def users(database: Database) -> list[uuid.UUID]:
    return [user for (user,) in query(database, "select id from auth.users order by id")]


def erase(cli: Cli, database: Database, *arguments: object) -> Outcome:
    return cli("erase", *map(str, arguments), "--yes", database=database)


def freshness(database: Database) -> list[tuple[Any, ...]]:
    return query(database, "select distinct as_of, report_timezone, pending_changes from chat_reports.report_freshness")


def assert_untouched(database: Database) -> None:
    assert count(database) == 40
    assert query(database, ERASED, "") == []


def test_one_command_leaves_nothing_and_the_same_command_again_verifies(
    cli: Cli, database: Database, users: list[uuid.UUID], tmp_path: Path
) -> None:
    outcome = erase(cli, database, users[0])
    assert outcome.code == 0
    assert outcome.out.startswith(
        f"{users[0]}: 20 rows of the log, the row of auth.users deleted\ndbt run: 14 models\nnothing is left in the log"
    )
    for relation in ("chat_rollups.daily_users", "chat_reports.user_usage", "public.chat_telemetry_log"):
        assert query(database, f"select distinct user_id from {relation}") == [(users[1],)]
    # As the schedule counts: in its time zone, and today.
    assert freshness(database) == [(dt.datetime.now(ZoneInfo(TIMEZONE)).date(), TIMEZONE, 0)]
    assert {path.name for path in tmp_path.iterdir()} == set()
    again = erase(cli, database, users[0], "--json", "--no-dbt")
    summary = json.loads(again.out)
    assert (again.code, summary["users"][0]["log_rows"], summary["dbt_models"], summary["left"]) == (0, 0, None, [])


@pytest.mark.usefixtures("parsed")
def test_a_last_day_that_the_schedule_names_stays(
    cli: Cli, project: DbtProject, database: Database, users: list[uuid.UUID]
) -> None:
    project.run("run", report_timezone=TIMEZONE, report_as_of="2026-11-22")
    assert erase(cli, database, users[0]).code == 0
    assert freshness(database) == [(dt.date(2026, 11, 22), TIMEZONE, 0)]


def test_without_dbt_the_command_says_what_is_left_until_the_next_run(
    cli: Cli, project: DbtProject, database: Database, users: list[uuid.UUID]
) -> None:
    outcome = erase(cli, database, users[0], "--no-dbt")
    assert outcome.code == 1
    assert left_in(outcome) == [
        *("public.chat_telemetry_changes (20 rows)", "chat_rollups.daily_users (1 row)", "chat_reports.user_usage"),
    ]
    project.run("run", "--select", "drained_changes", report_timezone=TIMEZONE)
    part_of_a_run = left_in(erase(cli, database, users[0], "--no-dbt"))
    assert part_of_a_run[:2] == ["chat_rollups.drained_changes (20 rows)", "chat_rollups.daily_users (1 row)"]
    assert "chat_reports.sql_patterns" in part_of_a_run
    project.run("run", report_timezone=TIMEZONE)
    verified = erase(cli, database, users[0], "--no-dbt")
    assert (verified.code, left_in(verified)) == (0, [])


@pytest.mark.usefixtures("parsed")
def test_a_report_that_the_installed_project_does_not_make_is_named(
    cli: Cli, database: Database, users: list[uuid.UUID]
) -> None:
    execute(
        database,
        "create materialized view chat_reports.of_another_project as select * from chat_rollups.daily_users;"
        "alter materialized view chat_reports.of_another_project owner to telemetry_transformer",
    )
    outcome = erase(cli, database, users[0])
    assert left_in(outcome) == [
        *("chat_reports.of_another_project", "statistics of chat_reports.of_another_project.user_id"),
    ]
    assert "the installed dbt project did not refresh it" in outcome.out


REFUSALS = {
    "no dbt": (4, "dbt is not installed here: pip install 'chat-telemetry[cli,dbt]', or add --no-dbt"),
    "no host": (
        4,
        "not known: set CHAT_TELEMETRY_DBT_URL, or CHAT_TELEMETRY_DBT_HOST, or add --no-dbt",
    ),
    "no password": (4, "set CHAT_TELEMETRY_DBT_URL, or DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD, or add --no-dbt"),
    "no server": (3, "the variables CHAT_TELEMETRY_DBT_* do not connect dbt: "),
    "another database": (3, "the variables CHAT_TELEMETRY_DBT_* do not lead to the database of --database-url"),
    "another schema": (4, 'belong to the dbt target schema "chat_telemetry", not to "ci"'),
    "another role": (4, "cannot read every row of public.chat_telemetry_log"),
    "no prices": (4, "the table chat_prices.token_prices does not exist: run dbt seed"),
    "never ran": (4, "dbt never ran here, so its variables are not known: run `dbt seed` and `dbt run` once"),
    "dbt stops": (1, "dbt parse failed: "),
}


@pytest.mark.parametrize("arrange", REFUSALS)
@pytest.mark.usefixtures("parsed")
def test_what_would_stop_dbt_is_an_error_before_anything_is_deleted(
    cli: Cli, database: Database, users: list[uuid.UUID], monkeypatch: pytest.MonkeyPatch, arrange: str
) -> None:
    match arrange:
        case "no dbt":
            monkeypatch.setattr(dbt_runner, "is_installed", lambda: False)
        case "no host":
            monkeypatch.delenv("CHAT_TELEMETRY_DBT_HOST")
        case "no password":
            monkeypatch.delenv("DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD")
        case "no server":
            monkeypatch.setenv("CHAT_TELEMETRY_DBT_PORT", "1")
            monkeypatch.setenv("CHAT_TELEMETRY_DBT_HOST", "127.0.0.1")
        case "another database":
            monkeypatch.setenv("CHAT_TELEMETRY_DBT_DATABASE", "postgres")
        case "another schema":
            monkeypatch.setenv("CHAT_TELEMETRY_DBT_SCHEMA", "ci")
        case "another role":
            execute(database, "drop policy telemetry_transformer_selects on public.chat_telemetry_log")
        case "no prices":
            execute(database, "alter table chat_prices.token_prices rename to other_prices")
        case "never ran":
            execute(database, "update chat_rollups.progress set report_timezone = null")
        case "dbt stops":
            monkeypatch.setenv("CHAT_TELEMETRY_DBT_THREADS", "many")
    outcome = erase(cli, database, users[0])
    code, message = REFUSALS[arrange]
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (code, "", 1)
    assert message in outcome.err
    assert_untouched(database)


def test_a_run_that_fails_says_what_is_done_and_the_same_command_continues(
    cli: Cli, project: DbtProject, database: Database, users: list[uuid.UUID], parsed: Path
) -> None:
    with holding(project, "lock table chat_rollups.daily_users in share mode"):
        failed = erase(cli, database, users[0])
    assert (failed.code, failed.out) == (1, "")
    line = failed.err.splitlines()[-1]
    assert line.startswith("error: dbt run failed: ")
    assert "lock timeout" in line
    messages = [path for path in parsed.rglob("*") if path.is_file() and b"lock timeout" in path.read_bytes()]
    assert messages == []  # a message of the server can quote values
    assert line.endswith(
        ". Done: 20 rows of the log and 0 lines of files deleted. Run the same command again, it continues"
    )
    assert erase(cli, database, users[0]).code == 0


STAGES = [
    *("log.Log.note", "journals.CleanedDirectory.clean", "log.transaction", "statistics._vacuum"),
    *("remains._in_tables", "reports.Reports.run"),
]
# After the checks, the note and two batches.
BEFORE = {"log.transaction": 6}
ROWS_AT = {"log.Log.note": 40, "journals.CleanedDirectory.clean": 40, "log.transaction": 30}
KILLED = """
import contextlib, os, signal, sys
from chat_telemetry._cli import erase, main
from chat_telemetry._cli.erase import journals, log, remains, reports, statistics
reports.TemporaryDirectory = lambda prefix: contextlib.nullcontext({parsed!r})
log.BATCH_ROWS = 5
calls = []
original = {stage}
def kill(*arguments, **options):
    calls.append(1)
    if len(calls) > {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **options)
{stage} = kill
main()
"""


def test_the_command_can_be_killed_in_each_stage_and_run_again(
    cli: Cli, database: Database, users: list[uuid.UUID], tmp_path: Path, parsed: Path
) -> None:
    journal = tmp_path / "journal"
    journal.mkdir(mode=0o700)
    (journal / "dead-letters.jsonl").write_text(json.dumps({"record": {"user_id": str(users[0])}}))
    arguments = ["erase", str(users[0]), "--yes", "--journal-dir", str(journal), "--database-url", database.conninfo]
    for stage in STAGES:
        program = KILLED.format(stage=stage, parsed=str(parsed), before=BEFORE.get(stage, 0))
        options = [] if stage == "reports.Reports.run" else ["--no-dbt"]
        command = [sys.executable, "-c", program, *arguments, *options]
        killed = subprocess.run(command, check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert count(database) == ROWS_AT.get(stage, 20)
    outcome = cli(*arguments)
    assert (outcome.code, left_in(outcome)) == (0, [])
    assert list(journal.iterdir()) == []
    assert places_of(database, str(users[0])) == []


def test_the_command_can_be_killed_while_dbt_runs(
    cli: Cli, project: DbtProject, database: Database, users: list[uuid.UUID], parsed: Path
) -> None:
    program = KILLED.format(stage="reports.Reports.run", parsed=str(parsed), before=1)
    arguments = ["erase", str(users[0]), "--yes", "--database-url", database.conninfo]
    with (
        holding(project, "lock table chat_rollups.daily_users in share mode", lock_timeout="2min"),
        subprocess.Popen([sys.executable, "-c", program, *arguments], text=True) as erasing,
    ):
        wait_until_waiting(project, 1, erasing)
        erasing.kill()
    outcome = cli(*arguments)
    assert (outcome.code, left_in(outcome)) == (0, [])


def places_of(database: Database, text: str) -> list[str]:
    with database.connect() as connection:
        return places_with(connection, text)


@pytest.mark.usefixtures("parsed")
def test_an_owner_without_superuser_can_erase_on_supabase(
    cli: Cli, empty_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"administrator_{empty_database.name}"
    execute(empty_database, SUPABASE)
    execute(
        empty_database,
        f"create role {name} login password 'secret'; alter database {empty_database.name} owner to {name};"
        f"grant usage on schema auth to {name}; grant select, references on auth.users to {name};"
        f"alter table public.chat_conversations owner to {name}; grant create on schema public to {name}",
    )
    conninfo = f"{empty_database.conninfo_as(name)} password=secret"
    apply_migrations(conninfo)
    project = DbtProject(empty_database, tmp_path)
    for variable, value in project.environment().items():
        monkeypatch.setenv(variable, value)
    victim, other = uuid.uuid4(), uuid.uuid4()
    query(empty_database, "insert into auth.users (id) values (%s), (%s) returning 1", victim, other)
    for user in (victim, other):
        with empty_database.connect() as connection:
            connection.execute(ASK, {"user": user, "conversation": None, "rows": 5})
    project.run("seed")
    project.run("run")
    outcome = cli("erase", str(victim), "--yes", "--database-url", conninfo)
    assert (outcome.code, left_in(outcome)) == (0, [])
    assert "auth.users belongs to your application" in outcome.out
    assert places_of(empty_database, str(victim)) == ["auth.users"]
    assert query(empty_database, "select user_id from chat_reports.user_usage") == [(other,)]
    execute(empty_database, f"drop owned by {name} cascade")


def test_options_of_dbt_in_the_environment_change_nothing(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DBT_EMPTY", "DBT_TARGET", "DBT_FULL_REFRESH", "DBT_VARS"):
        monkeypatch.setenv(variable, "1")
    monkeypatch.setenv("DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD", "secret")
    left = {name for name in dbt_runner.own_environment() if name.startswith("DBT_")}
    assert left == {"DBT_ENV_SECRET_CHAT_TELEMETRY_PASSWORD"}
