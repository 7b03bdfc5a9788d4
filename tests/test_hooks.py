"""The hooks that pre-commit runs are the commands of `make lint`."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
# What each command of `make lint` checks: a commit of one of these files runs it.
CHECKED = {
    "ruff-check": ["*.py", "pyproject.toml"],
    "ruff-format": ["*.py", "pyproject.toml"],
    "mypy": ["*.py", "pyproject.toml"],
    "squawk": ["migrations/*.sql", ".squawk.toml"],
    "sqlfluff": [
        *(f"{folder}/*.sql" for folder in ("migrations", "models", "macros", "tests/dbt", "bi/queries")),
        "*.sqlfluff",
    ],
}


def recipe(target: str) -> list[str]:
    """The commands of a make target, as make prints them without running them."""
    command = ["make", "--no-print-directory", "--dry-run", "--assume-old=.venv/installed", target]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return printed.stdout.splitlines()


def files(*patterns: str) -> set[str]:
    """Files of the repository: in a pattern, * also matches a /."""
    command = ["git", "ls-files", "-z", "--", *patterns]
    return {*subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")} - {""}


def command_of(hook: dict[str, Any]) -> str:
    """What the hook runs; pre-commit has no shell, so a hook with a pattern brings its own."""
    words = shlex.split(hook["entry"])
    return words[2] if words[:2] == ["sh", "-c"] else str(hook["entry"])


def test_the_hooks_run_what_make_lint_runs() -> None:
    assert [command_of(hook) for hook in HOOKS] == recipe("lint")
    assert all((hook["language"], hook["pass_filenames"]) == ("system", False) for hook in HOOKS)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_each_hook_runs_for_the_files_that_it_checks(hook: dict[str, Any]) -> None:
    found = {name for name in files() if re.search(hook["files"], name)}
    assert found == files(*CHECKED[hook["id"]])
