"""report_freshness, which alerts read."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

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
        assert columns == [
            *["report", "refreshed_at", "as_of", "report_timezone", "newest_request_at"],
            *["pending_changes", "future_request_count", "left_out_count"],
        ]
        return {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}


def ask(database: Database, **values: Any) -> None:
    """One chat request of a new user."""
    (user,) = database.add_users()
    request = {"user_id": user, "user_question": "How many?", **values}
    columns, marks = ", ".join(request), ", ".join(["%s"] * len(request))
    with database.connect() as connection:
        connection.execute(
            f"insert into public.chat_telemetry_log ({columns}) values ({marks})", list(request.values())
        )


def test_each_run_records_when_it_refreshed_a_report_and_the_newest_request(project: DbtProject) -> None:
    assert freshness(project.database) == {}
    ask(project.database, created_at=dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
    project.run("run", report_as_of="2026-11-21", report_timezone="Asia/Kolkata")
    first = freshness(project.database)
    assert set(first) == set(COLUMNS)
    assert {row["as_of"] for row in first.values()} == {dt.date(2026, 11, 21)}
    assert {row["report_timezone"] for row in first.values()} == {"Asia/Kolkata"}
    newest = dt.datetime(2026, 11, 21, 9, tzinfo=dt.UTC)
    ask(project.database, created_at=newest)
    project.run("run", "--exclude", "errors", report_as_of="2026-11-22", report_timezone="Asia/Kolkata")
    second = freshness(project.database)
    assert second["errors"] == first["errors"]
    for report in set(COLUMNS) - {"errors"}:
        assert second[report]["refreshed_at"] > first[report]["refreshed_at"]
        assert second[report]["newest_request_at"] == newest
        assert second[report]["as_of"] == dt.date(2026, 11, 22)


def test_a_run_without_changes_is_recorded_too(project: DbtProject) -> None:
    project.run("run", report_as_of="2026-11-22")
    first = freshness(project.database)
    project.run("run", report_as_of="2026-11-22")
    second = freshness(project.database)
    assert all(second[report]["refreshed_at"] > first[report]["refreshed_at"] for report in COLUMNS)


@pytest.mark.parametrize("moment", ["2099-01-01 00:00:00+00", "9999-12-31 23:59:59+00", "infinity"])
def test_a_request_in_the_future_is_not_the_newest_request(project: DbtProject, moment: str) -> None:
    newest = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    ask(project.database, created_at=newest)
    ask(project.database, created_at=moment)
    project.run("run")
    for row in freshness(project.database).values():
        assert (row["newest_request_at"], row["future_request_count"], row["left_out_count"]) == (newest, 1, 0)
    assert not project.invoke("source", "freshness").success


@pytest.mark.parametrize("moment", ["1999-12-31 00:00:00+00", "0001-01-01 00:00:00+00", "-infinity"])
@pytest.mark.parametrize("timezone", ["America/New_York", "Pacific/Kiritimati"])
def test_an_impossible_value_is_left_out_and_counted(project: DbtProject, moment: str, timezone: str) -> None:
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ask(project.database, created_at=moment, ttfb_ms=5, sql_model="gpt-4o-mini", sql_input_tokens=10)
    ask(project.database, created_at=yesterday, ttfb_ms=-5)
    ask(project.database, created_at=yesterday, ttfb_ms=7)
    project.run("run", report_timezone=timezone)
    left_out = {report: row["left_out_count"] for report, row in freshness(project.database).items()}
    assert left_out == {report: 2 if report in ("latency", "model_comparison") else 1 for report in COLUMNS}
    with project.database.connect() as connection:
        assert connection.execute("select sum(request_count) from chat_reports.off_topic").fetchone() == (2,)
        assert connection.execute("select count(*) from chat_reports.token_cost").fetchone() == (0,)
        measured = connection.execute("select distinct request_count, max_ms from chat_reports.latency").fetchall()
        assert measured == [(1, 7)]


def test_pending_changes_are_those_that_the_next_run_counts(project: DbtProject) -> None:
    project.run("run")
    fill(project.database, 1, 50, AS_OF, "UTC")
    with project.database.connect() as connection:
        connection.execute("update public.chat_telemetry_log set ttfb_ms = 1")
    assert {row["pending_changes"] for row in freshness(project.database).values()} == {150}
    project.run("run")
    assert {row["pending_changes"] for row in freshness(project.database).values()} == {0}


def test_a_view_on_report_freshness_survives_a_full_refresh(project: DbtProject) -> None:
    with project.database.connect() as connection:
        connection.execute("create schema theirs")
        connection.execute("create view theirs.stale as select min(refreshed_at) from chat_reports.report_freshness")
    project.run("run")
    project.run("run", "--full-refresh", report_as_of="2026-11-20")
    with project.database.connect() as connection:
        assert connection.execute("select count(min) from theirs.stale").fetchone() == (1,)
