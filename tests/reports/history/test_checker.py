"""The checks of a history find a change that was lost and one that was counted twice."""

from __future__ import annotations

import psycopg
import pytest

from tests.dbt_project import DbtProject
from tests.reports.history.checks import Checks
from tests.reports.history.driver import AS_OF
from tests.reports.random_log import fill

NEW_REQUEST = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, ttfb_ms)
select id, 'How many?', %s::date - 1, 1 from auth.users limit 1
"""
DRAINED = "chat_rollups.drained_changes"
WRONG_REPORTS = ("errors", "latency", "off_topic", "user_usage")


def test_a_lost_change_and_a_change_counted_twice_are_found(project: DbtProject) -> None:
    checks = Checks(project.database, AS_OF)

    def dbt(*arguments: str) -> None:
        project.run(*arguments, report_as_of=AS_OF.isoformat())

    fill(project.database, 1, 200, AS_OF, "UTC")
    with project.database.connect() as connection:
        connection.execute(NEW_REQUEST, [AS_OF])
        dbt("run")
        checks.assert_all_is_right()

        connection.execute(NEW_REQUEST, [AS_OF])
        connection.execute("create temporary table lost as select * from public.chat_telemetry_changes")
        assert connection.execute("delete from public.chat_telemetry_changes").rowcount == 1
        dbt("run")
        assert_wrong_reports_are_found(checks, connection)
        connection.execute("insert into public.chat_telemetry_changes select * from lost")
        dbt("run")
        checks.assert_all_is_right()

        connection.execute(NEW_REQUEST, [AS_OF])
        dbt("run", "--select", "drained_changes")
        assert connection.execute(f"insert into {DRAINED} select * from {DRAINED}").rowcount == 1
        dbt("run")
        assert_wrong_reports_are_found(checks, connection)
        dbt("run", "--full-refresh")
        checks.assert_all_is_right()


def assert_wrong_reports_are_found(checks: Checks, connection: psycopg.Connection) -> None:
    with pytest.raises(AssertionError) as seen:
        checks.assert_reports_are_right(connection)
    assert all(f"{report}: " in str(seen.value) for report in WRONG_REPORTS)
