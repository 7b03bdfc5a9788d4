"""docs/upgrading.md, carried out: a period is a line of the macro report_periods and a column for its counts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dbt_project import DbtProject
from tests.reports import contract
from tests.reports.scenes import AS_OF, edit

PERIODS = "macros/days/report_periods.sql"


@pytest.fixture
def reference(ours: DbtProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbtProject:
    """A copy of the reference SQL that a test can edit and that the comparison reads."""
    copy = tmp_path / "reference"
    shutil.copytree(contract.REFERENCE, copy)
    monkeypatch.setattr(contract, "REFERENCE", copy)
    return replace(ours, directory=copy)


def differing(project: DbtProject) -> list[str]:
    with project.database.connect() as connection:
        return [report for report in contract.COLUMNS if contract.differences(connection, report, AS_OF)]


def test_a_longer_period_counts_all_its_days_after_a_plain_run(ours: DbtProject, reference: DbtProject) -> None:
    with ours.database.connect() as connection:
        connection.execute(
            "alter table chat_rollups.window_durations add column last_401_days integer not null default 0"
        )
    edit(ours, PERIODS, '"last_30_days"', '"last_401_days": (400, 0), "last_30_days"')
    columns = "      - name: last_7_days\n"
    edit(ours, "models/rollups/window_durations.yml", columns, f"      - name: last_401_days\n{columns}")
    for report in ("latency.sql", "model_comparison.sql"):
        edit(reference, report, "('last_7_days'", "('last_401_days', 400, 0), ('last_7_days'")
    ours.run("run", report_as_of=AS_OF)
    assert differing(ours) == []


def test_a_plain_run_moves_a_period_in_every_report(ours: DbtProject, reference: DbtProject) -> None:
    edit(ours, PERIODS, "(6, 0)", "(9, 2)")
    for report in ("latency.sql", "model_comparison.sql"):
        edit(reference, report, "6, 0)", "9, 2)")
    last_7_days = "day > %(report_as_of)s::date - 7"
    edit(reference, "sql_patterns.sql", last_7_days, "%(report_as_of)s::date - day between 2 and 9")
    ours.run("run", report_as_of=AS_OF)
    assert differing(ours) == []
