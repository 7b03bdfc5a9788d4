"""The comparison that judges a history sees one lost and one doubled change, in the feed and among the drained."""

from __future__ import annotations

import psycopg
import pytest

from tests.dbt_project import DbtProject
from tests.reports.history.driver import AS_OF, assert_reports_are_right
from tests.reports.random_log import fill

FEED = "public.chat_telemetry_changes"
DRAINED = "chat_tallies.drained_changes"
NEW_REQUEST = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, ttfb_ms)
select id, 'How many?', %s::date - 1, 1 from auth.users limit 1
"""
DOUBLE = "insert into {0} select * from {0}"
LOSE = "delete from {0}"


def test_a_lost_and_a_doubled_change_are_seen_and_a_rebuild_mends_them(project: DbtProject) -> None:
    def dbt(*arguments: str) -> None:
        project.run(*arguments, report_as_of=AS_OF.isoformat())

    fill(project.database, 1, 200, AS_OF, "UTC")
    dbt("seed")
    dbt("run")
    with project.database.connect() as connection:
        for tamper, table in [(LOSE, FEED), (DOUBLE, FEED), (LOSE, DRAINED), (DOUBLE, DRAINED)]:
            connection.execute(NEW_REQUEST, [AS_OF])
            if table == DRAINED:
                connection.execute(LOSE.format(DRAINED))
                dbt("run", "--select", "drained_changes")
            assert connection.execute(tamper.format(table)).rowcount == 1
            dbt("run")
            assert sees_a_wrong_report(connection)
            dbt("run", "--full-refresh")
            assert_reports_are_right(connection, "UTC")


def sees_a_wrong_report(connection: psycopg.Connection) -> bool:
    with pytest.raises(AssertionError, match="off_topic") as seen:
        assert_reports_are_right(connection, "UTC")
    return all(report in str(seen.value) for report in ("errors", "latency", "user_usage", "model_comparison"))
