"""The plans of the reports, although the planner cannot estimate how many requests are on the days that count."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg

from tests.dbt_project import DbtProject
from tests.reports.contract import COLUMNS

REQUESTS = 5_000
# Comparing the thousand patterns with each other is acceptable. Each request with each pattern would be 5 million.
MOST_TRIED = 2 * 1_000**2
# Within six days, with about 2,000 patterns of SQL.
A_WEEK = """
    insert into public.chat_telemetry_log (
        user_id, user_question, created_at, generated_sql, sql_execution_duration_ms, nl_to_sql_duration_ms, sql_model,
        response_model, sql_input_tokens, sql_output_tokens
    )
    select
        %s, 'How many?', now() - number * interval '90 seconds', 'select ' || number * number %% 3001, number, number,
        'gpt-4o-mini', 'model-' || number %% 7, number, number
    from generate_series(1, %s) as number
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def rejected_pairs(connection: psycopg.Connection, report: str) -> float:
    """The number of pairs of rows that the joins of the report compare and reject."""
    row = connection.execute("select pg_get_viewdef(%s::regclass)", [f"chat_reports.{report}"]).fetchone()
    assert row
    (((plan,),),) = connection.execute(f"explain (analyze, timing off, format json) {row[0]}").fetchall()
    return sum(float(n.get("Rows Removed by Join Filter", 0) * n["Actual Loops"]) for n in nodes(plan["Plan"]))


def test_no_report_compares_every_request_with_every_other(project: DbtProject) -> None:
    (user,) = project.database.add_users()
    with project.database.connect() as connection:
        connection.execute(A_WEEK, [user, REQUESTS])
        project.run("run")
        for statistics in ("none", "fresh"):
            tried = {report: rejected_pairs(connection, report) for report in COLUMNS}
            assert max(tried.values()) < MOST_TRIED, (statistics, tried)
            connection.execute("vacuum analyze")
