"""`make dbt-quality` prints the scores of the three tools, and fails only if a column of a report is not looked after.

The tools are not installed here: programs with their names write what they would write.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.reports.contract import COLUMNS
from tools.check_docs.__main__ import ROOT

SCORE = {
    "project": {"score": 9.768},
    "evaluables": {"model.x.errors": {"results": {"rules.has_owner": {"result": "WARN"}, "rules.b": {"result": "OK"}}}},
}
CHECKS = [
    {"check_run_id": "good", "outcome": "success", "failure_message": None},
    {"check_run_id": "bad", "outcome": "failed", "failure_message": "is bad"},
]
PROGRAM = """#!{python}
import json, pathlib, sys
pathlib.Path({file!r}.format(*sys.argv)).write_text({text!r})
print({text!r})
sys.exit(1)
"""
Quality = Callable[[], tuple[int, str]]


@pytest.fixture
def quality(tmp_path: Path) -> Quality:
    """Runs the tool on programs that each exit with 1, as the real ones do when they find something."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "target").mkdir()
    node = {"name": "errors", "resource_type": "model", "columns": {}}
    (tmp_path / "target" / "manifest.json").write_text(json.dumps({"nodes": {"model.x.errors": node}}))
    covered = {report: dict.fromkeys(columns, 1) for report, columns in COLUMNS.items()}
    install(tmp_path, "dbt-score", SCORE)
    install(tmp_path, "dbt-bouncer", CHECKS, "checks.json")
    install(tmp_path, "dbt-coverage", coverage(covered), "{2}.json")

    def run() -> tuple[int, str]:
        command = [sys.executable, "-m", "tools.dbt_quality", str(tmp_path)]
        finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return finished.returncode, finished.stdout + finished.stderr

    return run


def install(folder: Path, name: str, result: Any, file: str = "printed.json") -> None:
    path = folder / "bin" / name
    path.write_text(PROGRAM.format(python=sys.executable, file=file, text=json.dumps(result)))
    path.chmod(0o755)


def coverage(covered: dict[str, dict[str, int]]) -> dict[str, Any]:
    """As dbt-coverage writes it."""
    return {
        "tables": [
            {
                "name": f"chat_reports.{name}",
                "columns": [{"name": column, "covered": n} for column, n in columns.items()],
            }
            for name, columns in covered.items()
        ]
    }


def test_the_scores_are_printed_and_fail_nothing(quality: Quality, tmp_path: Path) -> None:
    columns = sum(map(len, COLUMNS.values()))
    assert quality() == (
        0,
        "dbt-score: 9.77 of 10\n"
        "    1 times not has_owner\n"
        "dbt-bouncer: 1 of 2 checks pass\n"
        "    bad: is bad\n"
        f"dbt-coverage: {columns} of {columns} columns of reports have a description, of all models and seeds "
        f"{columns} of {columns}\n"
        f"dbt-coverage: {columns} of {columns} columns of reports have a data test, of all models and seeds "
        f"{columns} of {columns}\n",
    )
    catalog = json.loads((tmp_path / "target" / "catalog.json").read_text())
    assert [*catalog["nodes"]["model.x.errors"]["columns"]] == COLUMNS["errors"]


def test_a_column_of_a_report_without_a_description_or_a_test_fails(quality: Quality, tmp_path: Path) -> None:
    covered = {report: dict.fromkeys(columns, 1) for report, columns in COLUMNS.items()}
    covered["errors"]["share_of_requests"] = 0
    covered["daily_users"] = {"user_id": 0}  # no report
    install(tmp_path, "dbt-coverage", coverage(covered), "{2}.json")
    code, said = quality()
    assert code == 1
    assert said.endswith("\nerrors.share_of_requests has no description\nerrors.share_of_requests has no data test\n")


@pytest.mark.parametrize("tool", ["dbt-score", "dbt-bouncer", "dbt-coverage"])
def test_a_tool_that_cannot_run_fails_with_its_message(quality: Quality, tmp_path: Path, tool: str) -> None:
    (tmp_path / "bin" / tool).write_text("#!/bin/sh\necho it broke >&2\nexit 1\n")
    code, said = quality()
    assert code == 1
    assert said.endswith("it broke\n\n")
