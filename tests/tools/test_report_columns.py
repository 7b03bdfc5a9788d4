"""`make docs` compares the tables of columns in docs/reports.md with the descriptions of the columns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes.recipe import copied_project
from tools.check_docs.__main__ import ROOT
from tools.descriptions import descriptions
from tools.report_columns import PAGE, new_page, problems


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copied_project(tmp_path)


def edit(path: Path, old: str, new: str) -> None:
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new), encoding="utf-8")


def test_the_page_is_as_its_source() -> None:
    assert list(problems(ROOT)) == []


@pytest.mark.parametrize(
    ("place", "old", "new"),
    [
        (str(PAGE), "| `last_active_on` | Day of the last", "| `last_active_on` | Date of the last"),
        ("models/reports/user_usage.yml", "Day of the last chat request.", "Date of the last chat request."),
        ("models/shared_columns.md", "Chat requests whose question", "Requests whose question"),
        ("migrations/20261123001550_create_alerts.sql", "'When a run first found", "'When a run found"),
    ],
)
def test_a_difference_is_found_and_written(root: Path, place: str, old: str, new: str) -> None:
    edit(root / place, old, new)
    assert list(problems(root)) == ["the tables of columns are old: run make report-columns"]
    (root / PAGE).write_text(new_page(root), encoding="utf-8")
    assert list(problems(root)) == []


def test_a_report_without_a_table_is_named(root: Path) -> None:
    edit(root / PAGE, "The columns of off_topic, written", "The columns, written")
    assert list(problems(root)) == ["has no table of the columns of off_topic"]


def test_make_docs_writes_the_same_into_dbts_documentation_and_asks_no_server(tmp_path: Path) -> None:
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "DBT_"))}
    settings = [f"VENV={tmp_path}", f"BIN={Path(sys.executable).parent}", f"--assume-old={tmp_path}/installed"]
    finished = subprocess.run(
        ["make", "--no-print-directory", *settings, "docs"],
        cwd=ROOT,
        env={**variables, "CHAT_TELEMETRY_DBT_PORT": "1"},  # nothing listens there
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    nodes = json.loads((tmp_path / "dbt-docs" / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    page = (tmp_path / "dbt-docs" / "static_index.html").read_text(encoding="utf-8")
    reports = [node for node in nodes.values() if node["fqn"][1:2] == ["reports"] and node["resource_type"] == "model"]
    assert len(reports) == 7
    for report in reports:
        shown = {column["name"]: column["description"] for column in report["columns"].values()}
        assert shown == descriptions(ROOT)[report["name"]].columns
        assert all(json.dumps(text)[1:-1] in page for text in shown.values())
