"""The files in deploy/: their commands exist, and what reads them accepts them, as far as this machine can tell."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from chat_telemetry._cli.dbt_connection import DbtConnection
from tools.check_docs.commands import command_problems, read_makefile

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
ENVIRONMENT = DEPLOY / "chat-telemetry.env"
INSTALLED = "/opt/chat-telemetry/bin/"
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


def commands(text: str) -> list[str]:
    """The calls of chat-telemetry in a file."""
    text = text.replace(INSTALLED, "").replace(
        '["chat-telemetry", "run", "--log-format", "json"]', '"chat-telemetry run"'
    )
    return re.findall(r"^[^#\n]*?\b(chat-telemetry (?:run|dbt|check)\b[^\"\n]*)", text, re.MULTILINE)


def test_every_command_and_option_exists() -> None:
    makefile = read_makefile(ROOT)
    found = {path.name: commands(path.read_text(encoding="utf-8")) for path in FILES}
    assert {name for name, calls in found.items() if calls} == {
        *("crontab", "chat-telemetry.service", "chat-telemetry-every.service", "github-actions.yml"),
        *("airflow_dag.py", "dagster_definitions.py"),
    }
    problems = [p for calls in found.values() for call in calls for _, p in command_problems(call, makefile)]
    assert problems == []


def test_the_settings_connect_dbt_and_set_known_variables() -> None:
    shell = ["sh", "-c", f"set -a; . {ENVIRONMENT}; env"]
    printed = subprocess.run(shell, env={}, capture_output=True, text=True, check=True).stdout
    settings = dict(line.split("=", 1) for line in printed.splitlines())
    target = DbtConnection.from_environment(settings)
    assert target.parameters["host"] == "db.example.com"
    known = yaml.safe_load((ROOT / "dbt_project.yml").read_text())["vars"]
    assert set(yaml.safe_load(settings["CHAT_TELEMETRY_DBT_VARS"])) <= set(known)
    # Docker passes the quotes on.
    quoted = dict(line.split("=", 1) for line in ENVIRONMENT.read_text().splitlines() if re.match("[A-Z]", line))
    assert DbtConnection.from_environment(quoted) == target


def test_cron_runs_the_commands_with_the_settings(tmp_path: Path) -> None:
    lines = [line for line in (DEPLOY / "crontab").read_text().splitlines() if line and not line.startswith("#")]
    assert [line.split("=")[0] for line in lines[:2]] == ["PATH", "MAILTO"]
    program = tmp_path / "chat-telemetry"
    program.write_text('#!/bin/sh\necho "$@"; env\n')
    program.chmod(0o755)
    for line in lines[2:]:
        *fields, command = line.split(maxsplit=5)
        assert [bool(re.fullmatch(r"[\d*/,-]+", field)) for field in fields] == [True] * 5
        command = command.replace("/etc/chat-telemetry.env", str(ENVIRONMENT))
        assert "%" not in command  # cron would end the command there
        ran = subprocess.run(
            ["sh", "-c", command], env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
        )
        assert ran.stdout.splitlines()[0] == command.rpartition("chat-telemetry ")[2]
        assert (
            "\nCHAT_TELEMETRY_DBT_URL=postgresql://chat_dbt:PASSWORD@db.example.com/app?sslmode=verify-full\n"
            in ran.stdout
        )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    units = []
    for unit in sorted((DEPLOY / "systemd").iterdir()):
        copy = tmp_path / unit.name
        copy.write_text(unit.read_text().replace(f"{INSTALLED}chat-telemetry ", f"{sys.executable} "))
        units.append(str(copy))
    assert len(units) == 3
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [line for line in verified.stderr.splitlines() if "chat-telemetry" in line]
    assert (verified.returncode, ours) == (0, []), verified.stderr


def test_the_workflow_runs_with_no_rights_and_keeps_secrets_out_of_commands() -> None:
    workflow = yaml.safe_load((DEPLOY / "github-actions.yml").read_text())
    assert workflow["permissions"] == {}
    assert re.fullmatch(r"[\d*/ ]+", workflow[True]["schedule"][0]["cron"])  # YAML reads `on` as true
    (job,) = workflow["jobs"].values()
    assert job["timeout-minutes"] <= 60
    assert not any("secrets." in step.get("run", "") for step in job["steps"])
    of_the_run = job["steps"][-1]["env"]
    assert {"CHAT_TELEMETRY_DBT_URL", "CHAT_TELEMETRY_DBT_VARS"} < of_the_run.keys()


def fake_modules(monkeypatch: pytest.MonkeyPatch, **attributes: dict[str, Any]) -> None:
    for name, members in attributes.items():
        parts = name.split("__")
        for place in range(1, len(parts) + 1):
            module = sys.modules.get(".".join(parts[:place])) or ModuleType(".".join(parts[:place]))
            monkeypatch.setitem(sys.modules, ".".join(parts[:place]), module)
        vars(module).update(members)


def test_the_dag_has_one_task_that_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins for Airflow, which is too large to install here."""
    tasks: list[dict[str, Any]] = []
    dags: list[dict[str, Any]] = []

    class Dag:
        def __init__(self, name: str, **settings: Any) -> None:
            dags.append({"name": name, **settings})

        def __enter__(self) -> Dag:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    fake_modules(
        monkeypatch,
        airflow__sdk={"DAG": Dag},
        airflow__providers__standard__operators__bash={"BashOperator": lambda **settings: tasks.append(settings)},
    )
    runpy.run_path(str(DEPLOY / "airflow_dag.py"))
    assert [(dag["name"], dag["max_active_runs"], dag["catchup"]) for dag in dags] == [("chat_telemetry", 1, False)]
    assert [task["bash_command"] for task in tasks] == [f"{INSTALLED}chat-telemetry run --log-format json"]


def test_the_op_of_dagster_runs_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a stand-in for Dagster."""
    program = tmp_path / "chat-telemetry"
    program.write_text('#!/bin/sh\necho "$@" > "$(dirname "$0")/ran"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def settings(**given: Any) -> dict[str, Any]:
        return given

    def unchanged(function: Any) -> Any:
        return function

    fake_modules(
        monkeypatch,
        dagster={"op": unchanged, "job": unchanged, "Definitions": settings, "ScheduleDefinition": settings},
    )
    definitions = runpy.run_path(str(DEPLOY / "dagster_definitions.py"))["definitions"]
    definitions["jobs"][0]()
    assert (tmp_path / "ran").read_text() == "run --log-format json\n"
    assert definitions["schedules"][0]["job"] is definitions["jobs"][0]
