"""Each report equals, row for row, direct SQL on the log."""

from __future__ import annotations

import datetime as dt
import os
import random

import pytest

from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS, differences
from tests.reports.random_log import fill


@pytest.mark.parametrize(
    ("timezone", "as_of"),
    [
        ("UTC", dt.date(2026, 11, 22)),
        ("America/New_York", dt.date(2026, 11, 2)),  # the day after clocks go back
        ("Asia/Kolkata", dt.date(2024, 3, 1)),  # half an hour off, after a leap day
    ],
)
def test_every_report_equals_direct_sql_on_a_random_log(project: DbtProject, timezone: str, as_of: dt.date) -> None:
    seed = int(os.environ.get("CHAT_TELEMETRY_TEST_SEED", random.SystemRandom().randrange(10**6)))
    fill(project.database, seed, 6_000, as_of, timezone)
    project.run("run", report_timezone=timezone, report_as_of=as_of.isoformat())
    with project.database.connect() as connection:
        for report in COLUMNS:
            assert differences(connection, report, as_of.isoformat(), timezone) == [], (
                f"{report} is wrong: repeat with CHAT_TELEMETRY_TEST_SEED={seed}"
            )
            assert connection.execute(f"select count(*) > 3 from chat_reports.{report}").fetchone() == (True,)


def test_the_comparison_finds_a_lost_request_and_one_counted_twice(project: DbtProject) -> None:
    as_of = dt.date(2026, 11, 22)
    fill(project.database, 1, 400, as_of, "UTC")
    project.run("run", report_as_of=as_of.isoformat())
    with project.database.connect() as connection:
        row = connection.execute(
            "select log_id from chat_telemetry_log where created_at < '2026-11-20' limit 1"
        ).fetchone()
        assert row
        connection.execute("delete from chat_telemetry_log where log_id = %s", row)
        assert differences(connection, "off_topic", as_of.isoformat())


def test_reports_of_an_empty_log_are_empty(project: DbtProject) -> None:
    project.run("build")
    with project.database.connect() as connection:
        for report, columns in COLUMNS.items():
            cursor = connection.execute(f"select * from chat_reports.{report}")
            assert [column.name for column in cursor.description or []] == columns
            assert cursor.fetchall() == []
