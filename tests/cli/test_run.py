"""`chat-telemetry run`: its steps, its lock, its exit codes, and what stays between two cycles."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest

from chat_telemetry._cli import dbt_runner, dbt_settings
from chat_telemetry._cli.dbt_runner import DbtFailed, DbtProcess
from chat_telemetry._cli.errors import ExitCode
from chat_telemetry._cli.run import lock, run_until_stopped
from chat_telemetry._cli.run.step_log import LogFormat, StepLog
from chat_telemetry._cli.run.stopping import Stop
from chat_telemetry._cli.sql_project import project_directory
from tests.cli.conftest import Cli, Outcome
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices
from tests.loader.conftest import wait_until
from tests.reports.scenes import copy_project, holding, wait_until_waiting

# Most of the time goes into dbt, so one server is enough.
pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

ASK = "insert into public.chat_telemetry_log (user_id, user_question) values (%s, 'How many orders?')"
# The same in each test, because dbt parses the whole project again if a variable differs.
VARIABLES = "{alert_hours_without_request: 1}"


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    """With one request, which no run has counted."""
    with copy_of(postgres, template_with_prices(postgres)) as database:
        ask(database)
        yield database


@pytest.fixture(autouse=True)
def project(
    database: Database, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> DbtProject:
    """The variables of dbt, and a directory for its files that all tests share, so that it parses once."""
    return project_of_the_environment(database, tmp_path, tmp_path_factory, monkeypatch)


def project_of_the_environment(
    database: Database, scratch: Path, factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> DbtProject:
    """A project whose settings are in the environment of the commands."""
    project = DbtProject(database, scratch)
    files = {"CHAT_TELEMETRY_DBT_FILES": str(factory.getbasetemp() / "files"), "CHAT_TELEMETRY_DBT_VARS": VARIABLES}
    for variable, value in {**project.environment(), **files}.items():
        monkeypatch.setenv(variable, value)
    return project


def lines(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """The JSON lines of a run by their step."""
    return {line["step"]: line for line in map(json.loads, outcome.out.splitlines())}


def outcomes(outcome: Outcome) -> dict[str, Any]:
    return {step: line.get("outcome", line.get("exit_code")) for step, line in lines(outcome).items()}


def execute(database: Database, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
    with database.connect() as connection:
        cursor = connection.execute(statement.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def ask(database: Database) -> None:
    execute(database, ASK, database.add_users()[0])


def requests_in_report(database: Database) -> int:
    return int(execute(database, "select coalesce(sum(request_count), 0) from chat_reports.off_topic")[0][0])


def test_a_run_does_each_step_and_says_so(cli: Cli, database: Database) -> None:
    execute(database, "delete from chat_prices.token_prices where model = 'gpt-4o'")
    first = cli("run", "--log-format", "json")
    assert outcomes(first) == {
        **dict.fromkeys(("migrations", "seeds", "dbt run", "freshness", "alerts"), "ok"),
        "end": 0,
    }, first
    details = {step: str(line.get("detail")) for step, line in lines(first).items()}
    assert details["migrations"] == "all applied"
    assert details["seeds"] == "2 lists loaded"
    assert details["dbt run"] == "14 models, 1 changes drained"
    assert details["freshness"].startswith("7 reports, the newest request is from ")
    assert details["alerts"] == "1 alert, 0 over the bound"
    assert (first.code, requests_in_report(database)) == (0, 1)
    second = cli("run", "--dashboard", "page.html")
    assert (second.code, second.err) == (0, "")
    assert [line.split()[1:3] for line in second.out.splitlines()] == [
        *(["migrations", "ok"], ["seeds", "ok"], ["dbt", "run"], ["freshness", "ok"], ["alerts", "ok"]),
        ["dashboard", "ok"],
    ]
    assert Path("page.html").read_text(encoding="utf-8").endswith("</html>\n")
    assert "up to date" in second.out.splitlines()[1]


def test_a_run_writes_only_into_the_directory_for_its_files(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CHAT_TELEMETRY_DBT_FILES")
    before = {path: path.stat().st_mtime_ns for path in project_directory().iterdir()}
    assert cli("run", "--quiet") == Outcome(0, "", "")
    assert {path: path.stat().st_mtime_ns for path in project_directory().iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    files = tmp_path / "cache" / "chat-telemetry"
    assert sorted(path.name for path in files.iterdir()) == ["logs", "target"]
    assert files.stat().st_mode & 0o777 == 0o700


def test_a_place_that_cannot_have_files_is_an_error_or_a_temporary_directory(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_FILES", str(tmp_path / "file"))
    outcome = cli("run")
    assert (outcome.code, outcome.err) == (2, f"error: {tmp_path / 'file'} is not a directory\n")
    monkeypatch.delenv("CHAT_TELEMETRY_DBT_FILES")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with dbt_settings.DbtSettings.from_environment(None) as settings:
        assert settings.files.is_dir()
    assert not settings.files.exists()


def test_pending_migrations_stop_a_run_before_dbt(cli: Cli, database: Database) -> None:
    execute(
        database,
        "delete from chat_telemetry_migrations._yoyo_migration where migration_id like '%create_alerts'",
    )
    outcome = cli("run")
    assert (outcome.code, outcome.out) == (4, "")
    assert outcome.err == "error: migrations: 1 migration pending: run `chat-telemetry migrate`\n"


def test_migrations_of_another_tool_are_accepted_and_missing_ones_are_not(
    cli: Cli, database: Database, empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(database, "drop schema chat_telemetry_migrations cascade")
    outcome = cli("run", "--log-format", "json")
    assert (outcome.code, lines(outcome)["migrations"]["detail"]) == (0, "another tool applied them")
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_DATABASE", empty_database.name)
    outcome = cli("run")
    assert (outcome.code, outcome.err) == (
        4,
        f"error: migrations: {len(list((project_directory() / 'migrations').glob('*.sql'))) // 2} migrations pending: "
        "run `chat-telemetry migrate`\n",
    )


@contextmanager
def running(project: DbtProject) -> Iterator[psycopg.Connection]:
    """Another run that holds the lock."""
    conninfo = project.database.conninfo_as("telemetry_transformer")
    with psycopg.connect(conninfo, autocommit=True) as connection, lock.only_one(connection):
        yield connection


def test_a_kept_dbt_begins_again_after_many_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "project"
    copy_project(project_directory(), copy)
    monkeypatch.setattr(dbt_runner, "project_directory", lambda: copy)
    monkeypatch.setattr(dbt_runner, "COMMANDS_OF_A_CHILD", 2)
    with DbtProcess(tmp_path / "files") as dbt:
        dbt.run("parse")
        (copy / "dbt_project.yml").write_text("[")
        dbt.run("parse")
        with pytest.raises(DbtFailed, match="Syntax error"):
            dbt.run("parse")


def test_a_second_run_ends_with_a_code_of_its_own_and_names_the_first(cli: Cli, project: DbtProject) -> None:
    with running(project) as other:
        pid = other.info.backend_pid
        outcome = cli("run")
        # The idle transaction holds nothing that vacuum or an index would wait for.
        with project.database.connect() as connection:
            idle = connection.execute(
                "select backend_xid, backend_xmin from pg_stat_activity where pid = %s", [pid]
            ).fetchone()
    assert outcome.code == 5
    assert f"another run is in progress: pid {pid} (role telemetry_transformer)" in outcome.out
    assert idle == (None, None)


def test_a_run_that_hangs_for_an_hour_is_an_error(
    cli: Cli, project: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "HOLDERS", lock.HOLDERS.replace("'1 hour'", "'0 hours'"))
    with running(project):
        outcome = cli("run", "--quiet")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith("error: lock: another run has been in progress for more than an hour: pid ")


def test_a_failed_step_does_not_stop_the_next_ones_and_the_worst_code_is_the_result(
    cli: Cli, database: Database
) -> None:
    execute(database, "revoke execute on function chat_rollups.make_report from telemetry_transformer")
    ask(database)
    outcome = cli("run", "--log-format", "json", "--dashboard", "page.html")
    assert outcomes(outcome) == {
        "migrations": "ok",
        "seeds": "ok",
        "dbt run": "failed",
        "freshness": "failed",
        "alerts": "ok",
        "dashboard": "failed",
        "end": 4,
    }
    assert "permission denied for function make_report" in lines(outcome)["dbt run"]["detail"]
    assert lines(outcome)["dashboard"]["detail"].startswith("the reports are not built: ")
    assert lines(outcome)["freshness"]["detail"] == "not refreshed: any report"
    quiet = cli("run", "--quiet")
    assert quiet.out == ""
    assert [line.split(": ")[1] for line in quiet.err.splitlines() if line.startswith("error")] == [
        *("dbt run", "freshness"),
    ]


@contextmanager
def webhook(answer: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The URL of a webhook, and the messages that it gets."""
    messages: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            messages.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(answer)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/secret", messages
        finally:
            server.shutdown()
            thread.join()


def test_an_alert_is_announced_once_and_its_end_once(cli: Cli, database: Database) -> None:
    execute(database, "delete from public.chat_telemetry_log")
    with webhook(302) as (url, messages):
        refused = cli("run", "--webhook", url)
    assert refused.code == 1
    assert refused.err == (
        "error: alerts: hours_without_request: nothing to compare with the bound 1;"
        " the webhook did not accept the message: HTTP status 302\n"
    )
    assert len(messages) == 1
    with webhook() as (url, messages):
        began = cli("run", "--quiet", "--webhook", url)
        assert (began.code, began.out) == (6, "")
        assert began.err == "alerts: hours_without_request: nothing to compare with the bound 1\n"
        again = cli("run", "--webhook", url)
        assert (again.code, again.err) == (0, "")
        assert "1 alert, 1 over the bound" in again.out
        ask(database)
        ended = cli("run", "--quiet", "--webhook", url)
        assert (ended.code, ended.err) == (0, "alerts: hours_without_request: ended\n")
        assert cli("run", "--quiet", "--webhook", url) == Outcome(0, "", "")
    assert [(len(m["began"]), len(m["ended"]), m["database"]) for m in messages] == [
        *((1, 0, database.name), (0, 1, database.name)),
    ]
    assert messages[0]["text"] == (
        f"chat-telemetry, database {database.name}\nhours_without_request: nothing to compare with the bound 1"
    )


# Requests that are not in a report.
BEHIND = """
select (select count(*) from public.chat_telemetry_log) - (select sum(request_count) from chat_reports.off_topic)
"""
PROGRAM = [sys.executable, "-c", "from chat_telemetry._cli import main; main()", "run", "--every", "1s"]


@contextmanager
def resident(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str], step: str, outcome: str = "ok") -> dict[str, Any]:
    """The next JSON line of this step with this outcome."""
    assert process.stdout
    for line in process.stdout:
        found: dict[str, Any] = json.loads(line)
        if (found["step"], found["outcome"]) == (step, outcome):
            return found
    raise AssertionError(process.stderr and process.stderr.read())


def refreshed_at(database: Database) -> object:
    return execute(database, "select min(refreshed_at) from chat_reports.report_freshness")[0][0]


def test_a_resident_run_does_what_changed_and_ends_after_its_step(project: DbtProject, tmp_path: Path) -> None:
    database, page = project.database, tmp_path / "page.html"
    with resident("--log-format", "json", "--dashboard", str(page)) as process:
        assert next_line(process, "dashboard")["detail"].startswith(f"{page}, ")
        # Nothing changed: the reports are confirmed, the dashboard is written, and nothing is printed.
        before, written = refreshed_at(database), page.stat().st_mtime_ns
        wait_until(lambda: refreshed_at(database) != before, timeout=240)
        wait_until(lambda: page.stat().st_mtime_ns != written, timeout=240)
        ask(database)
        assert next_line(process, "dbt run")["detail"] == "14 models, 1 changes drained"
        # The kept dbt survives a lost connection; own prices are a change too, and so is what another run counts.
        execute(database, "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'dbt'")
        execute(
            database,
            "insert into chat_rollups.own_prices (model, valid_from, input_usd_per_mtok, output_usd_per_mtok, source)"
            " values ('m', '2026-01-01', 1, 2, 'contract')",
        )
        assert next_line(process, "dbt run")["detail"] == "14 models, 0 changes drained"
        for part in ([], ["--select", "drained_changes"], ["--select", "rollups"]):
            ask(database)
            project.run("run", *part)
            wait_until(lambda: execute(database, BEHIND) == [(0,)], timeout=240)
        # Reports that nobody can read, as after a restore, are a change.
        execute(database, "refresh materialized view chat_reports.errors with no data")
        populated = "select ispopulated from pg_matviews where matviewname = 'errors'"
        wait_until(lambda: execute(database, populated)[0][0], timeout=240)
        execute(database, "alter table chat_rollups.labels rename to elsewhere")
        ask(database)
        assert "relation" in next_line(process, "dbt run", "failed")["detail"]
        execute(database, "alter table chat_rollups.elsewhere rename to labels")
        assert next_line(process, "dbt run")
        process.send_signal(signal.SIGTERM)
        assert process.wait(240) == 0
    assert requests_in_report(database) == 6


def test_ctrl_c_ends_a_run_after_its_step_and_leaves_no_dbt(project: DbtProject) -> None:
    command = [*PROGRAM[:4], "--log-format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        with holding(project, "lock table chat_rollups.daily_users in share mode", lock_timeout="2min"):
            wait_until_waiting(project, 1, process)
            os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=240)
    steps = {line["step"]: line for line in map(json.loads, out.splitlines())}
    assert list(steps) == ["migrations", "seeds", "dbt run", "end"]
    assert steps["dbt run"]["outcome"] == "ok"
    assert process.returncode == 130


@pytest.mark.usefixtures("postgres")
def test_the_pause_doubles_after_failures_and_is_short_again_after_a_success() -> None:
    log, stop = StepLog(LogFormat.TEXT, quiet=True), Stop()
    codes = iter([3, 1, 4, 5, 3, *[1] * 8, 0, 6])
    waits: list[int] = []

    class Cycles:
        def run(self) -> None:
            log.note(ExitCode(next(codes)))

    def wait(seconds: float) -> None:
        waits.append(round(seconds))
        if len(waits) == 15:
            stop.request()

    stop.wait = wait  # type: ignore[method-assign]
    run_until_stopped(Cycles(), log, stop, 10)  # type: ignore[arg-type]
    assert waits == [20, 40, 80, 10, 20, 40, 80, 160, 320, 640, 900, 900, 900, 10, 10]


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("text", ["{nonsense", "[1]", "5", "{report_as_of: 2026-13-45}", "{\x1b[31m: "])
def test_variables_that_are_no_mapping_are_a_usage_error_of_one_line(cli: Cli, command: str, text: str) -> None:
    outcome = cli(command, "--vars", text)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: --vars (or CHAT_TELEMETRY_DBT_VARS) needs a YAML mapping, for example")
    assert outcome.err.count("\n") == 1
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize("text", ["0s", "5", "1.5h", "h", "-1m", ""])
def test_a_time_without_a_unit_is_a_usage_error(cli: Cli, text: str) -> None:
    outcome = cli("run", "--every", text)
    assert outcome.code == 2
    assert "expected a number and a unit, for example 30s, 5m, 2h or 400d" in outcome.err


BAD_URLS = [
    *("ftp://h/x", "hooks.example.com", "http:///x", "https://h:x/", "http://h/a b", "http://h/\u00e9"),
    *("https://user:s3cret@h/x", "https://:t0ken@h", f"https://{'h' * 70}/", "https://h..example/"),
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_webhook_that_is_no_url_is_a_usage_error_that_does_not_show_it(cli: Cli, url: str) -> None:
    outcome = cli("run", "--webhook", url)
    assert outcome.code == 2
    assert "expected an ASCII URL that begins with https:// or http://, without a user" in outcome.err
    assert url not in outcome.err


def test_without_a_connection_the_error_names_the_url(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith(("CHAT_TELEMETRY_DBT_", "DBT_ENV_"))]:
        monkeypatch.delenv(variable)
    for command in ("run", "check", "dbt"):
        outcome = cli(command)
        assert (outcome.code, outcome.out) == (4, "")
        assert "set CHAT_TELEMETRY_DBT_URL, or CHAT_TELEMETRY_DBT_DATABASE" in outcome.err


def test_a_server_that_does_not_answer_is_an_error_of_the_connection(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DBT_URL", "postgresql://127.0.0.1:1/app")
    outcome = cli("run")
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (3, "", 1)
    assert outcome.err.startswith("error: connection: CHAT_TELEMETRY_DBT_URL does not connect dbt: ")
    assert "--database-url" not in outcome.err
