"""`chat-telemetry check` and `chat-telemetry dbt`: both on the installed project, with its own directory for files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, process
from tests.cli.test_run import project_of_the_environment, webhook
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

OVER = {"alert": "hours_without_request", "subject": "", "value": None, "bound": 1.0}


@pytest.fixture
def database(postgres: Server) -> Iterator[Database]:
    with copy_of(postgres, template_with_prices(postgres)) as copy:
        yield copy


@pytest.fixture(autouse=True)
def project(
    database: Database, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> DbtProject:
    return project_of_the_environment(database, tmp_path, tmp_path_factory, monkeypatch)


def test_a_check_prints_what_is_over_each_time(cli: Cli) -> None:
    with webhook() as (url, messages):
        for _ in range(2):
            outcome = cli("check", "--webhook", url)
            assert (outcome.code, outcome.err) == (6, "")
            assert outcome.out == "hours_without_request: nothing to compare with the bound 1\n"
    assert [message["began"] for message in messages] == [[OVER], [OVER]]
    with_json = cli("check", "--json")
    assert (with_json.code, json.loads(with_json.out)) == (
        6,
        {"over": [OVER], "evaluated": ["hours_without_request"], "not_evaluated": []},
    )


def test_a_check_in_which_nothing_is_over_says_so_on_stderr(cli: Cli, database: Database) -> None:
    with database.connect() as connection:
        connection.execute(
            "insert into public.chat_telemetry_log (user_id, user_question) values (%s, '?')", database.add_users()
        )
    outcome = cli("check")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "1 alert evaluated, none over its bound\n")
    with database.connect() as connection:
        connection.execute("revoke select on public.chat_telemetry_log from telemetry_transformer")
    outcome = cli("check")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err == (
        "error: not evaluated: hours_without_request: permission denied for table chat_telemetry_log\n"
    )


def test_without_a_bound_a_check_says_how_to_set_one(cli: Cli) -> None:
    outcome = cli("check", "--vars", "{}")
    assert (outcome.code, outcome.out) == (0, "")
    assert "no alert is switched on: --vars sets their bounds" in outcome.err


def test_dbt_runs_any_command_on_the_installed_project(tmp_path: Path) -> None:
    listed = process("dbt", "ls", "--select", "tag:reconcile", "tag:alert", "--quiet", cwd=tmp_path, environment={})
    assert listed.code == 0, listed.err
    names = listed.out.split()
    assert "chat_telemetry.alerts.alert_hours_without_request" in names  # a variable switches it on
    assert len(names) > 5
    # Before the command, too.
    global_first = process("dbt", "--quiet", "ls", "--select", "tag:alert", cwd=tmp_path, environment={})
    assert "alert_hours_without_request" in global_first.out
    assert list(tmp_path.iterdir()) == []


def test_dbt_has_its_own_help_and_its_own_exit_codes(tmp_path: Path) -> None:
    version = process("dbt", "--version", cwd=tmp_path, environment={})
    assert (version.code, "postgres:" in version.out) == (0, True)
    for arguments in ((), ("--help",)):
        assert "Usage: dbt [OPTIONS]" in process("dbt", *arguments, cwd=tmp_path, environment={}).out
    failed = process("dbt", "run", "--select", "nothing", "--vars", "[", cwd=tmp_path, environment={})
    assert failed.code == 2
    assert "--vars" in failed.out + failed.err
