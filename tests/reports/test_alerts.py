"""The dbt tests with the tag `alert`: each returns exactly the values over its bound, and is off without one."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from chat_telemetry._cli.alerts.evaluation import Alert, Breach, evaluate
from tests.conftest import SERVERS, Database, Server, copy_of
from tests.dbt_project import DbtProject, failures, results, template_with_prices

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

AS_OF = "2026-11-20"
# gpt-4o-mini costs 0.15 dollars per million tokens of input, so a call costs 15 dollars.
SPEND = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, sql_model, sql_input_tokens)
select user_id, 'How many orders?', day + interval '12 hours', model, 100000000
from (select id as user_id from auth.users limit 1) as users
cross join (values
    (timestamptz '2026-11-20 00:00Z', 'gpt-4o-mini'), ('2026-11-19 00:00Z', 'gpt-4o-mini'),
    ('2026-11-19 00:00Z', 'gpt-4o-mini'), ('2026-11-18 00:00Z', 'mystery'), ('2026-11-13 00:00Z', 'gpt-4o-mini'),
    ('2026-11-12 00:00Z', 'gpt-4o-mini'), ('2026-10-31 00:00Z', 'gpt-4o-mini')
) as calls (day, model)
"""
# 20 requests of the last hour: four errors and one that the user left; and some that are older.
ASK = """
insert into public.chat_telemetry_log (user_id, user_question, created_at, ttfb_ms, error_type)
select
    (select id from auth.users limit 1), 'How many orders?',
    now() - case when n <= 20 then n * interval '1 minute' else interval '2 hours' end,
    n * 100, case when n <= 4 or n > 20 then 'unexpected' when n = 5 then 'cancelled' end
from generate_series(1, 40) as n
"""
BOUNDS = {
    "usd_per_day": 14.5,
    "usd_per_month": 0,
    "usd_per_month_forecast": "100",
    "error_rate": 0.1,
    "ttfb_p95_ms": 1000,
    "unpriced_calls": 0,
    "hours_without_request": 0,
    "report_age_hours": 1,
    "pending_changes": 39,
}


@pytest.fixture(scope="module")
def project(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        database.add_users()
        execute(database, SPEND)
        project = DbtProject(database, tmp_path_factory.mktemp("alerts"))
        project.run("run", report_as_of=AS_OF)
        execute(database, ASK)
        yield project


@pytest.fixture(scope="module")
def alerts(project: DbtProject) -> list[Alert]:
    """Every alert, with its bound."""
    variables = {f"alert_{name}": bound for name, bound in BOUNDS.items()}
    outcome = project.run("compile", "--select", "tag:alert", alert_min_requests=15, **variables)
    nodes = [result.node for result in results(outcome)]
    assert {node.name for node in nodes} == set(variables)
    return [Alert(node.name.removeprefix("alert_"), node.compiled_code) for node in nodes]


def execute(database: Database, statement: str) -> None:
    with database.connect() as connection:
        connection.execute(statement.encode())


def breaches(project: DbtProject, alerts: list[Alert]) -> dict[str, dict[str, Any]]:
    """The values by alert and subject. Numbers are rounded to 4 decimals."""
    with project.database.as_role("telemetry_transformer") as connection:
        evaluation = evaluate(connection, alerts)
    assert evaluation.failures == []
    assert sorted(evaluation.evaluated) == sorted(alert.name for alert in alerts)
    found: dict[str, dict[str, Any]] = {}
    for breach in evaluation.breaches:
        assert breach.bound == Decimal(str(BOUNDS[breach.alert]))
        value = None if breach.value is None else round(float(breach.value), 4)
        found.setdefault(breach.alert, {})[breach.subject] = value
    return found


def hours_without_request(project: DbtProject) -> float:
    with project.database.connect() as connection:
        query = "select extract(epoch from now() - max(created_at)) / 3600 from public.chat_telemetry_log"
        (hours,) = connection.execute(query).fetchone() or ()
    return float(hours)


def test_each_alert_returns_the_values_over_its_bound(project: DbtProject, alerts: list[Alert]) -> None:
    before = hours_without_request(project)
    found = breaches(project, alerts)
    newest = found.pop("hours_without_request")
    assert before - 0.01 < newest[""] < hours_without_request(project) + 0.01
    assert found == {
        "usd_per_day": {"2026-11-20": 15.0, "2026-11-19": 30.0},
        "usd_per_month": {"2026-11": 75.0},
        # 60 until yesterday, 15 today, and for each of 10 days the average of the 13th to the 19th: 45 / 7.
        "usd_per_month_forecast": {"2026-11": round(75 + 10 * 45 / 7, 4)},
        "error_rate": {"": 0.2},
        "ttfb_p95_ms": {"": 1930.0},
        "unpriced_calls": {"": 1.0},
        "pending_changes": {"": 40.0},
    }


def test_an_alert_that_is_not_over_its_bound_returns_nothing(project: DbtProject) -> None:
    bounds: dict[str, Any] = {
        "alert_usd_per_day": 30,
        "alert_usd_per_month": "75.0",
        "alert_usd_per_month_forecast": 139.29,
        "alert_error_rate": 0.2,
        "alert_ttfb_p95_ms": 1930,
        "alert_unpriced_calls": 1,
        "alert_hours_without_request": 1,
        "alert_report_age_hours": 1,
        "alert_pending_changes": 40,
        "alert_min_requests": 15,
    }
    outcome = project.run("test", "--select", "tag:alert", **bounds)
    assert len(results(outcome)) == len(BOUNDS)
    # Too few requests to judge.
    few: dict[str, Any] = {"alert_error_rate": 0, "alert_ttfb_p95_ms": 0, "alert_min_requests": 21}
    assert len(results(project.run("test", "--select", "tag:alert", **few))) == 2
    # dbt test fails, if one is over.
    outcome = project.invoke("test", "--select", "tag:alert", **few | {"alert_min_requests": 15})
    assert not outcome.success
    assert "Got 1 result" in failures(outcome)


def test_a_report_that_was_not_refreshed_and_an_empty_log_are_over_every_bound(
    project: DbtProject, alerts: list[Alert]
) -> None:
    execute(project.database, "update chat_rollups.report_state set refreshed_at = now() - interval '90 minutes'")
    assert breaches(project, alerts)["report_age_hours"]["latency"] == 1.5
    execute(project.database, "update chat_rollups.report_state set refreshed_at = null where report = 'latency'")
    assert breaches(project, alerts)["report_age_hours"]["latency"] is None
    execute(project.database, "delete from public.chat_telemetry_log where created_at > '2026-11-21'")
    assert breaches(project, alerts)["hours_without_request"][""] > 24
    execute(project.database, "delete from public.chat_telemetry_log where sql_model = 'mystery'")
    # The first day of a new installation was yesterday.
    execute(
        project.database,
        "delete from public.chat_telemetry_log where created_at not between '2026-11-19' and '2026-11-20'",
    )
    project.run("run", report_as_of=AS_OF)
    found = breaches(project, alerts)
    assert (found["usd_per_month_forecast"], found.get("report_age_hours")) == ({"2026-11": 30.0 + 11 * 30}, None)
    execute(project.database, "delete from public.chat_telemetry_log; delete from chat_rollups.report_state")
    found = breaches(project, alerts)
    assert found["hours_without_request"] == {"": None}
    assert found["report_age_hours"] == {"every report": None}


@pytest.mark.parametrize("bound", ["many", "-1", "nan", "[1]"])
def test_a_bound_that_is_no_number_is_an_error_that_names_the_variable(project: DbtProject, bound: str) -> None:
    outcome = project.invoke("compile", "--select", "tag:alert", alert_usd_per_day=bound)
    assert not outcome.success
    assert f"the variable alert_usd_per_day must be a number, 0 or more, not {bound}" in failures(outcome)


def test_without_bounds_every_alert_is_off(project: DbtProject) -> None:
    assert results(project.run("compile", "--select", "tag:alert")) == []


def test_a_test_of_the_user_with_other_columns_counts_its_rows(project: DbtProject) -> None:
    own = [
        Alert("own", "select day from generate_series(1, 3) as day"),
        Alert("none", "select 1 as x where false"),
        Alert("numbers", "select 'x' as subject, 3 as value, 1.5::float8 as bound"),
        Alert("texts", "select 'x' as subject, 'many' as value, null as bound"),
        Alert("broken", "select 1 / 0"),
        Alert("writes", "delete from chat_rollups.labels"),
    ]
    with project.database.as_role("telemetry_transformer") as connection:
        evaluation = evaluate(connection, own)
    assert evaluation.evaluated == ["own", "none", "numbers"]
    assert evaluation.breaches == [
        Breach("own", "", Decimal(3), Decimal(0)),
        Breach("numbers", "x", Decimal(3), Decimal("1.5")),
    ]
    assert evaluation.failures == [
        "texts: its value and its bound must be numbers",
        "broken: division by zero",
        "writes: cannot execute DELETE in a read-only transaction",
    ]
