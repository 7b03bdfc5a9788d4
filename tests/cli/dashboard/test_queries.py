"""The queries of `bi/queries`: they can be pasted anywhere, and their numbers are those of the log."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from chat_telemetry._cli.sql_project import project_directory
from tests.cli.dashboard.conftest import AS_OF
from tests.conftest import Database, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices

DIRECTORY = project_directory() / "bi" / "queries"
NAMES = sorted(path.stem for path in DIRECTORY.glob("*.sql"))
COUNTS = ("request_count", "error_count", "off_topic_count", "call_count", "unpriced_call_count", "bounded_call_count")
Row = dict[str, Any]
# What the queries say, from the log. Costs are those of token_cost, which has its own tests.
HEADLINES = """
select
    case when day >= %(as_of)s - 7 then 'last_7_complete_days' else 'previous_7_complete_days' end as period,
    count(*) as request_count,
    count(*) filter (where error_type <> 'cancelled') as error_count,
    count(*) filter (where is_off_topic) as off_topic_count,
    percentile_cont(0.5) within group (order by ttfb_ms) filter (where error_type is null) as p50_ttfb_ms,
    percentile_cont(0.95) within group (order by ttfb_ms) filter (where error_type is null) as p95_ttfb_ms
from (select *, (created_at at time zone 'UTC')::date as day from public.chat_telemetry_log) as log
where day between %(as_of)s - 14 and %(as_of)s - 1
group by 1
"""
COSTS = """
select model, sum(cost_usd) filter (where day >= %(as_of)s - 7) as cost_usd,
    sum(cost_usd) filter (where day < %(as_of)s - 7) as previous_cost_usd
from chat_reports.token_cost where day between %(as_of)s - 14 and %(as_of)s - 1 group by model
"""
ERRORS = """
select error_type, coalesce(failed_step, 'unknown') as failed_step,
    count(*) filter (where created_at >= %(as_of)s::timestamp - interval '7 days') as request_count,
    count(*) filter (where created_at < %(as_of)s::timestamp - interval '7 days') as previous_request_count
from public.chat_telemetry_log
where error_type <> 'cancelled' and created_at >= %(as_of)s::timestamp - interval '14 days' and created_at < %(as_of)s
group by 1, 2
"""
SHAPES = """
select public.chat_telemetry_sql_shape(generated_sql) as sql_shape, count(*) as occurrence_count,
    count(*) filter (where error_type <> 'cancelled') as error_count
from public.chat_telemetry_log
where generated_sql is not null and created_at >= %(as_of)s::timestamp - interval '6 days'
group by 1
"""
PAIRS = """
select sql_model, response_model, count(*) as request_count,
    count(*) filter (where error_type <> 'cancelled') as error_count,
    (sum(count(*) filter (where error_type <> 'cancelled')) over (partition by sql_model))::bigint
        as sql_model_error_count
from (
    select coalesce(sql_model, 'none') as sql_model, coalesce(response_model, 'none') as response_model, error_type
    from public.chat_telemetry_log
    where created_at >= %(as_of)s::timestamp - interval '7 days' and created_at < %(as_of)s
) as log group by 1, 2
"""


USERS = """
select
    count(distinct user_id) as users,
    count(*) as requests,
    count(*) filter (where sql_model = 'in-house-sql-7b') as unpriced_calls
from public.chat_telemetry_log where created_at >= %(as_of)s::timestamp - interval '29 days'
"""


def query(name: str) -> Any:
    return (DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")


def read(connection: psycopg.Connection, statement: Any, **values: object) -> list[Row]:
    return connection.cursor(row_factory=dict_row).execute(statement, values or None).fetchall()


def found(database: Database, name: str) -> list[Row]:
    """The rows of a query, as a BI tool gets them: as telemetry_reader, with a search_path of its own."""
    with database.as_role("telemetry_reader") as connection:
        connection.execute("set search_path = ''")
        return read(connection, query(name))


def expected(database: Database, statement: str) -> list[Row]:
    with database.connect() as connection:
        connection.execute("set time zone 'UTC'")
        return read(connection, statement, as_of=AS_OF)


def same(rows: list[Row], others: list[Row], key: Callable[[Row], Any]) -> None:
    """The rows have the values of the others, in any order."""
    mine, theirs = {key(row): row for row in rows}, {key(row): row for row in others}
    assert len(mine) == len(rows)
    assert mine.keys() == theirs.keys()
    for each, row in theirs.items():
        assert {column: mine[each][column] for column in row} == row


def test_there_are_ten() -> None:
    assert len(NAMES) == 10


@pytest.mark.parametrize("name", NAMES)
def test_a_query_is_one_statement_without_parameters_and_begins_with_its_question(name: str) -> None:
    text = query(name)
    first = text.splitlines()[0]
    assert first.startswith("-- ")
    assert first.endswith("?")
    assert text.count(";") == 1
    assert text.endswith(";\n")
    assert not re.search(r"%\(|\$\d|\{\{|(?<!:):[a-z]", text)


@pytest.mark.parametrize("page", ["docs/bi.md", "bi/metabase.md"])
def test_a_page_about_bi_tools_has_every_query(page: str) -> None:
    text = (project_directory() / page).read_text(encoding="utf-8")
    assert sorted(re.findall(r"queries/(\w+)\.sql\)", text)) == NAMES
    for name in NAMES:
        question = query(name).splitlines()[0].removeprefix("-- ")
        assert page != "docs/bi.md" or f"| {question} |" in text


@pytest.mark.parametrize("name", NAMES)
def test_a_reader_gets_rows(built: Database, name: str) -> None:
    rows = found(built, name)
    assert rows
    assert all(set(row) == set(rows[0]) for row in rows)


def test_on_an_empty_log_every_query_runs_and_nothing_is_divided_by_zero(postgres: Server, tmp_path: Path) -> None:
    with copy_of(postgres, template_with_prices(postgres)) as database:
        DbtProject(database, tmp_path).run("run", report_as_of=str(AS_OF))
        rows = {name: found(database, name) for name in NAMES}
    headlines = rows.pop("headlines")
    assert [row["request_count"] for row in headlines] == [0, 0]
    assert {row["cost_usd"] for row in headlines} == {Decimal(0)}
    assert (
        {row["error_rate"] for row in headlines} == {row["cost_per_1000_requests_usd"] for row in headlines} == {None}
    )
    assert not any(rows.values())


def test_headlines_equal_the_log(built: Database) -> None:
    rows = found(built, "headlines")
    same(rows, expected(built, HEADLINES), lambda row: row["period"])
    assert [row["first_day"] for row in rows] == [AS_OF - timedelta(days=7), AS_OF - timedelta(days=14)]
    assert [row["last_day"] for row in rows] == [AS_OF - timedelta(days=1), AS_OF - timedelta(days=8)]
    costs = expected(built, COSTS)
    for row, column in zip(rows, ("cost_usd", "previous_cost_usd"), strict=True):
        assert row["cost_usd"] == sum(cost[column] or 0 for cost in costs)
        assert row["cost_per_1000_requests_usd"] == pytest.approx(row["cost_usd"] * 1000 / row["request_count"])
        assert row["error_rate"] == row["error_count"] / row["request_count"]
        assert row["off_topic_rate"] == row["off_topic_count"] / row["request_count"]


def test_the_days_add_up_to_the_headlines(built: Database) -> None:
    days = found(built, "requests_by_day")
    for week in found(built, "headlines"):
        own = [row for row in days if week["first_day"] <= row["day"] <= week["last_day"]]
        for column in (
            "request_count",
            "error_count",
            "off_topic_count",
            "call_count",
            "cost_usd",
            "unpriced_call_count",
        ):
            assert sum(row[column] for row in own) == week[column]
    assert any(row["bounded_call_count"] for row in days)


def test_models_equal_token_cost_and_their_shares_add_up(built: Database) -> None:
    rows = found(built, "cost_by_model")
    assert {row["model"] for row in rows} == {row["model"] for row in expected(built, COSTS)}
    for row in rows:
        cost = next(cost for cost in expected(built, COSTS) if cost["model"] == row["model"])
        if row["model"] == "in-house-sql-7b":
            assert row["cost_usd"] is row["change_usd"] is None
            assert row["unpriced_call_count"] == row["call_count"] > 0
            continue
        assert row["cost_usd"] == (cost["cost_usd"] or 0)
        assert row["previous_cost_usd"] == (cost["previous_cost_usd"] or 0)
        assert row["change_usd"] == row["cost_usd"] - row["previous_cost_usd"]
    assert sum(row["share_of_cost"] or 0 for row in rows) == pytest.approx(1)


def test_the_forecast_is_that_of_the_alert(built: Database) -> None:
    """Its text is in tests/dbt/alerts/alert_usd_per_month_forecast.sql."""
    days = {row["day"]: row["cost_usd"] for row in found(built, "requests_by_day")}
    months = found(built, "cost_by_month")
    for month in months:
        assert month["cost_usd"] == sum(cost for day, cost in days.items() if day.replace(day=1) == month["month"])
    week = [AS_OF - timedelta(days=back) for back in range(1, 8)]
    rate = sum(days[day] for day in week) / 7
    spent = sum(cost for day, cost in days.items() if date(2026, 11, 1) <= day < AS_OF)
    assert months[0]["forecast_usd"] == pytest.approx(spent + max(days[AS_OF], rate) + 7 * rate)
    assert {month["forecast_usd"] for month in months[1:]} == {None}


def test_errors_equal_the_log(built: Database) -> None:
    rows = found(built, "errors_by_type")
    same(rows, expected(built, ERRORS), lambda row: (row["error_type"], row["failed_step"]))
    total = found(built, "headlines")[0]["request_count"]
    assert all(row["share_of_requests"] == row["request_count"] / total for row in rows)


def test_steps_have_their_week_and_the_week_before(built: Database) -> None:
    rows = found(built, "latency_by_step")
    assert [row["step"] for row in rows] == ["ttfb", "nl_to_sql", "sql_execution", "response_generation"]
    last, previous = found(built, "headlines")
    assert (rows[0]["p50_ms"], rows[0]["p95_ms"]) == (last["p50_ttfb_ms"], last["p95_ttfb_ms"])
    assert (rows[0]["previous_p50_ms"], rows[0]["previous_p95_ms"]) == (
        previous["p50_ttfb_ms"],
        previous["p95_ttfb_ms"],
    )


def test_users_are_all_users_and_their_shares_add_up(built: Database) -> None:
    rows = found(built, "top_users")
    counts = expected(built, USERS)
    assert len(rows) == counts[0]["users"]
    assert sum(row["request_count"] for row in rows) == counts[0]["requests"]
    assert sum(row["share_of_cost"] or 0 for row in rows) == pytest.approx(1)
    costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    assert costs == sorted(costs, reverse=True)


def test_shapes_equal_the_log(built: Database) -> None:
    rows = found(built, "sql_shapes")
    same(rows, expected(built, SHAPES), lambda row: row["sql_shape"])
    assert sum(row["text_count"] for row in rows) > len(rows)


def test_pairs_equal_the_log(built: Database) -> None:
    same(found(built, "model_pairs"), expected(built, PAIRS), lambda row: (row["sql_model"], row["response_model"]))


def test_models_without_a_price_are_named_with_their_calls(built: Database) -> None:
    (row,) = found(built, "unpriced_models")
    assert row["model"] == "in-house-sql-7b"
    assert row["unpriced_call_count"] == expected(built, USERS)[0]["unpriced_calls"]
