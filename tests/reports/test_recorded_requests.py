"""The reports on your own requests: JSON lines keyed by the log's columns, in CHAT_TELEMETRY_TEST_REQUESTS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chat_telemetry._cli.app import run
from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS, differences

REQUESTS = os.environ.get("CHAT_TELEMETRY_TEST_REQUESTS")
FIGURES = {
    "total cost in USD": "select sum(cost_usd) from chat_reports.token_cost",
    "unpriced calls": "select sum(unpriced_call_count) from chat_reports.token_cost",
    "ttfb over 7 days, p50 p95 p99 in ms": (
        "select p50_ms, p95_ms, p99_ms from chat_reports.latency where period = 'last_7_days' and step = 'ttfb'"
    ),
    "error rate": (
        "select round(sum(request_count) filter (where error_type != 'none') / sum(request_count), 5)"
        " from chat_reports.errors"
    ),
    "off-topic rate": "select round(sum(off_topic_count) / sum(request_count), 5) from chat_reports.off_topic",
}

pytestmark = pytest.mark.skipif(not REQUESTS, reason="CHAT_TELEMETRY_TEST_REQUESTS names no file of requests")


@pytest.fixture
def requests_file(tmp_path: Path) -> Path:
    """A link to the file, so that rejected lines are not written next to the original file."""
    link = tmp_path / "requests.jsonl"
    link.symlink_to(Path(str(REQUESTS)).resolve())
    return link


def test_every_report_equals_direct_sql_on_the_recorded_requests(project: DbtProject, requests_file: Path) -> None:
    conninfo = project.database.conninfo
    assert run(["load", "--create-parents", "--database-url", conninfo, str(requests_file)]) == 0
    with project.database.connect() as connection:
        row = connection.execute("select max(created_at)::date::text from chat_telemetry_log").fetchone()
        assert row
        (as_of,) = row
        project.run("build", report_as_of=as_of)
        for report in COLUMNS:
            assert differences(connection, report, as_of) == [], report
        for name, query in FIGURES.items():
            print(name, *(connection.execute(query).fetchone() or ()), sep=": ")  # noqa: T201 - shown by pytest -s
