"""report_freshness: what an alert watches."""

from __future__ import annotations

import datetime as dt
from typing import Any

from tests.conftest import Database
from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS
from tests.reports.random_log import fill

AS_OF = dt.date(2026, 11, 22)


def freshness(database: Database) -> dict[str, dict[str, Any]]:
    """The rows of the view by report, as the reader sees them."""
    with database.as_role("telemetry_reader") as connection:
        cursor = connection.execute("select * from chat_reports.report_freshness")
        columns = [column.name for column in cursor.description or []]
        assert columns == ["report", "refreshed_at", "newest_request_at", "pending_changes"]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}


def test_each_run_notes_when_it_refreshed_each_report_and_up_to_which_request(project: DbtProject) -> None:
    assert freshness(project.database) == {}
    fill(project.database, 1, 50, AS_OF, "UTC")
    project.seed_and_run()
    first = freshness(project.database)
    assert set(first) == set(COLUMNS)
    newest = dt.datetime(2031, 1, 1, tzinfo=dt.UTC)
    with project.database.connect() as connection:
        connection.execute(
            "update public.chat_telemetry_log set created_at = %s where log_id ="
            " (select log_id from public.chat_telemetry_log limit 1)",
            [newest],
        )
    project.run("run", "--exclude", "errors")
    second = freshness(project.database)
    assert second["errors"] == first["errors"]
    for report in set(COLUMNS) - {"errors"}:
        assert second[report]["refreshed_at"] > first[report]["refreshed_at"]
        assert second[report]["newest_request_at"] == newest


def test_pending_changes_are_those_that_the_next_run_counts(project: DbtProject) -> None:
    project.seed_and_run()
    fill(project.database, 1, 50, AS_OF, "UTC")
    with project.database.connect() as connection:
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 1")
    assert {row["pending_changes"] for row in freshness(project.database).values()} == {150}
    project.run("run")
    assert {row["pending_changes"] for row in freshness(project.database).values()} == {0}


def test_what_is_built_on_it_survives_a_full_refresh(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.execute("create schema theirs")
        connection.execute("create view theirs.stale as select min(refreshed_at) from chat_reports.report_freshness")
    project.seed_and_run()
    project.run("run", "--full-refresh", report_as_of="2026-11-20")
    with project.database.connect() as connection:
        assert connection.execute("select count(min) from theirs.stale").fetchone() == (1,)
