"""No row of plain SQL stops a run or changes the counts of other rows: odd values are bounded or left out."""

from __future__ import annotations

import datetime as dt
import random
import string
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from chat_telemetry._cli.app import run
from tests.conftest import SERVERS, Server, copy_of
from tests.dbt_project import DbtProject, template_with_prices
from tests.reports.contract import COLUMNS
from tests.reports.random_log import fill
from tests.reports.scenes import assert_exact, execute, value

pytestmark = pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")

# In Havana the first of the last seven days has two midnights; Kiritimati is 14 hours ahead.
AS_OF = "2026-11-07"
TIMEZONES = ["America/Havana", "Pacific/Kiritimati"]
NOON = "2026-11-05 12:00:00+00"
# Letters that do not compress: a row of an index has less than 3 kB.
LONG = "".join(random.Random(1).choices(string.ascii_letters, k=3_000))  # noqa: S311
CJK = "".join(chr(random.Random(place).randrange(0x4E00, 0x9FFF)) for place in range(500))  # noqa: S311
ODD: dict[str, list[dict[str, Any]]] = {
    "long names": [
        {"sql_model": LONG, "response_model": LONG[::-1], "ttfb_ms": 5, "sql_input_tokens": 7},
        {"error_type": CJK, "failed_step": CJK[::-1]},
        {"error_type": "unexpected", "failed_step": LONG},
    ],
    "names that reports show": [
        {"sql_model": model, "response_model": model, "ttfb_ms": 9, "sql_input_tokens": 11}
        for model in (None, "", "none", "unknown")
    ],
    "errors that reports show": [
        {"error_type": error, "failed_step": step}
        for error in ("none", "unknown", "")
        for step in ("none", "unknown", "", None)
    ],
    "impossible tokens": [
        # Cached tokens that are not part of the input tokens. An ordinary call of this model on this day costs $0.0105.
        {"sql_model": "claude-sonnet-4-5", "sql_input_tokens": 3, "sql_cached_tokens": 7917, "sql_output_tokens": 442},
        {"sql_model": "claude-sonnet-4-5", "sql_input_tokens": 1000, "sql_output_tokens": 500},
        {"sql_model": "gpt-4o", "sql_input_tokens": -5, "sql_cached_tokens": -5, "sql_output_tokens": -5},
        {"sql_model": "gpt-4o", "sql_cached_tokens": 2**31 - 1, "sql_output_tokens": -(2**31)},
    ],
    "impossible times": [
        {"created_at": moment, "sql_model": "gpt-4o-mini", "sql_input_tokens": 1_000_000, "ttfb_ms": 1}
        for moment in (
            *["-infinity", "4713-01-01 00:00:00+00 BC", "0001-01-01 00:00:00+14", "1999-12-31 00:00:00+00"],
            *["2099-01-01 00:00:00+00", "9999-12-31 23:59:59+00", "294276-12-31 23:59:59+00", "infinity"],
        )
    ],
    "blank SQL": [{"generated_sql": text} for text in ("", " ", "\n\t \n", None)],
    "impossible durations": [
        {"nl_to_sql_duration_ms": ms, "sql_execution_duration_ms": ms, "ttfb_ms": ms, "generated_sql": "select odd"}
        for ms in (-1, -(2**31), 2**31 - 1)
    ],
    "a day with two midnights": [
        {"created_at": moment, "generated_sql": "select midnight", "ttfb_ms": 3}
        for moment in ("2026-11-01 03:59:59+00", "2026-11-01 04:00:00+00", "2026-11-01 04:30:00+00")
    ],
}


def ask(project: DbtProject, requests: list[dict[str, Any]]) -> None:
    """Store the requests, of a new user, by plain SQL."""
    (user,) = project.database.add_users()
    with project.database.connect() as connection:
        for request in requests:
            row = {"user_id": user, "user_question": "Odd?", "created_at": NOON, **request}
            columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
            connection.execute(
                f"insert into public.chat_telemetry_log ({columns}) values ({marks})", list(row.values())
            )


@pytest.fixture(scope="module", params=TIMEZONES)
def timezone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def odd(timezone: str, postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    """Reports of ordinary rows, then each kind of odd rows, each with a separate run. The tests do not change rows."""
    variables = {"report_as_of": AS_OF, "report_timezone": timezone}
    with copy_of(postgres, template_with_prices(postgres), "built") as database:
        project = DbtProject(database, tmp_path_factory.mktemp("odd"))
        fill(database, 1, 200, dt.date.fromisoformat(AS_OF), timezone)
        project.run("run", **variables)
        for requests in ODD.values():
            ask(project, requests)
            project.run("run", **variables)
            assert_exact(project, AS_OF, timezone)
        yield project


def one(project: DbtProject, query: str) -> tuple[Any, ...]:
    with project.database.connect() as connection:
        row = connection.execute(query).fetchone()
        assert row
        return tuple(row)


def test_a_rebuild_counts_the_same(odd: DbtProject, timezone: str) -> None:
    odd.run("run", "--full-refresh", report_as_of=AS_OF, report_timezone=timezone)
    assert_exact(odd, AS_OF, timezone)


def test_names_of_any_length_are_counted_and_shown_in_full(odd: DbtProject) -> None:
    cost = f"select call_count, unpriced_call_count from chat_reports.token_cost where model = '{LONG}'"
    assert one(odd, cost) == (1, 1)
    assert value(odd, f"select sum(request_count) from chat_reports.errors where error_type = '{CJK}'") == 1
    compared = f"select period, request_count from chat_reports.model_comparison where sql_model = '{LONG}'"
    with odd.database.connect() as connection:
        assert ("last_7_days", 1) in connection.execute(compared).fetchall()


def test_no_cost_is_below_zero_and_what_was_bounded_is_counted(odd: DbtProject, timezone: str) -> None:
    day = f"(timestamptz '{NOON}' at time zone '{timezone}')::date"
    calls, bounded, cost = one(
        odd,
        "select call_count, bounded_call_count, cost_usd from chat_reports.token_cost"
        f" where model = 'claude-sonnet-4-5' and day = {day}",
    )
    # 3 input tokens, all read from the cache, and 442 output tokens, in addition to the ordinary call.
    assert (calls, bounded, cost) == (2, 1, Decimal("0.0066309") + Decimal("0.0105"))
    for report in ("token_cost", "user_usage", "model_comparison"):
        assert value(odd, f"select count(*) from chat_reports.{report} where cost_usd < 0") == 0
        assert value(odd, f"select sum(bounded_call_count) from chat_reports.{report}") >= 3
    assert value(odd, "select count(*) from chat_reports.token_cost where cache_savings_usd < 0") == 0


def test_blank_sql_is_no_pattern(odd: DbtProject) -> None:
    assert value(odd, "select count(*) from chat_reports.sql_patterns where example_sql !~ '[^[:space:]]'") == 0


def test_a_negative_duration_is_not_measured(odd: DbtProject) -> None:
    negative = "select count(*) from chat_reports.latency where least(avg_ms, p50_ms, p95_ms, p99_ms, max_ms) < 0"
    assert value(odd, negative) == 0
    pattern = (
        "select occurrence_count, avg_execution_ms, p95_execution_ms from chat_reports.sql_patterns"
        " where example_sql = 'select odd'"
    )
    assert one(odd, pattern) == (3, 2**31 - 1, 2**31 - 1)


def test_a_day_with_two_midnights_begins_at_the_first(odd: DbtProject, timezone: str) -> None:
    week = "select sum(occurrence_count) from chat_reports.sql_patterns where example_sql = 'select midnight'"
    assert value(odd, week) == (2 if timezone == "America/Havana" else 3)


def test_freshness_counts_what_the_reports_leave_out(odd: DbtProject) -> None:
    rows = (
        "select distinct future_request_count > 3, left_out_count > 3, newest_request_at <= now()"
        " from chat_reports.report_freshness"
    )
    assert one(odd, rows) == (True, True, True)


def test_the_rollups_can_be_reconciled(odd: DbtProject, timezone: str) -> None:
    odd.run("test", "--select", "tag:reconcile", reconcile_all=True, report_as_of=AS_OF, report_timezone=timezone)


def test_the_command_line_shows_every_report(
    odd: DbtProject, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", odd.database.conninfo)
    for report in COLUMNS:
        assert run(["report", report]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("place", ["above", "below"])
def test_an_own_price_replaces_the_list_price_wherever_its_line_is(project: DbtProject, place: str) -> None:
    """A price of the same model and day as in the list, in the table that dbt seed loads."""
    ask(project, [{"sql_model": "gpt-4o", "sql_input_tokens": 1_000_000}])
    own = "'openai', 'gpt-4o', '2020-01-01', 1, 1, 1, '{}'"
    insert = f"insert into chat_prices.token_prices select {own}"
    if place == "above":
        execute(project, "create table public.list as select * from chat_prices.token_prices")
        execute(project, "truncate chat_prices.token_prices")
        execute(project, insert.format("our contract"))
        execute(project, "insert into chat_prices.token_prices select * from public.list")
    else:
        execute(project, insert.format("our contract"))
    project.run("run", report_as_of=AS_OF)
    assert value(project, "select cost_usd from chat_reports.token_cost") == 1
    assert_exact(project, AS_OF)
