"""The workflow on GitHub runs what `.ci/run` runs, on every Python that the package names, with few rights."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())


def test_github_tests_every_python_that_the_package_names() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    named = re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE)
    assert WORKFLOW["jobs"]["test"]["strategy"]["matrix"]["python"] == named


def test_github_runs_every_target_that_ci_runs() -> None:
    commands = re.findall(r"^ *make (.*)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    of_ci = {f"make {word}" for command in commands for word in command.split() if not word.startswith("-")}
    of_github = {step.get("run", "") for job in WORKFLOW["jobs"].values() for step in job["steps"]}
    assert of_ci == {command for command in of_github if command.startswith("make ")}


def test_what_is_installed_inside_an_environment_is_installed_after_it() -> None:
    """Beside each other the first target would be deleted by the second one, which clears its folder."""
    rules = re.findall(r"^\$\(VENV\)/(.+): (.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    inside = {target: prerequisites for target, prerequisites in rules if target != "installed"}
    assert len(inside) > 5
    assert [target for target, prerequisites in inside.items() if "$(VENV)/" not in prerequisites] == []


def test_every_job_of_github_has_a_time_limit_and_no_right_but_to_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for job in WORKFLOW["jobs"].values():
        assert "permissions" not in job
        assert job["timeout-minutes"] <= 90


@pytest.mark.parametrize(("server", "workers"), [({}, 2), ({"CHAT_TELEMETRY_TEST_DATABASE_URL": "host=x"}, 0)])
def test_tests_on_a_server_of_yours_run_one_after_the_other(server: dict[str, str], workers: int) -> None:
    """Tests that run at the same time would share the roles of the server, and their passwords."""
    of_this_run = ("CHAT_TELEMETRY_TEST_", "TEST_", "MAKE", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(of_this_run)} | server
    command = ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/installed", "test"]
    printed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == f".venv/bin/pytest -n {workers} --dist worksteal\n"
