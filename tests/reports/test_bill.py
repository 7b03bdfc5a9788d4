"""The costs of 30 days of the demo's chat requests are those that genai-prices gives each call, to the cent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import pytest
from genai_prices import Usage, calc_price

from chat_telemetry._cli.demo.generator import DAYS, IN_HOUSE, generate
from chat_telemetry._delivery.store import Store
from chat_telemetry._encoding import encode
from chat_telemetry._record import TelemetryRecord
from tests.dbt_project import DbtProject
from tools.prices.__main__ import ROOT
from tools.prices.decisions import FILE, read_decisions
from tools.prices.genai_list import VERSION

UNTIL = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
CENT = Decimal("0.01")
# Under which provider and name genai-prices has the models of the demo.
MODELS = {
    "gpt-4o-mini-2024-07-18": ("openai", "gpt-4o-mini-2024-07-18"),
    "gpt-4.1-mini-2025-04-14": ("openai", "gpt-4.1-mini-2025-04-14"),
    "gpt-4o-2024-08-06": ("openai", "gpt-4o-2024-08-06"),
    "claude-sonnet-4-20250514": ("anthropic", "claude-sonnet-4-20250514"),
    "anthropic/claude-3-5-haiku-latest": ("anthropic", "claude-3-5-haiku-latest"),
    "gemini-2.5-flash": ("google", "gemini-2.5-flash"),
}


class Call(NamedTuple):
    """A model call, as it is in the log."""

    at: datetime
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@pytest.fixture(scope="module")
def calls() -> list[Call]:
    return [call for record in requests() for call in calls_of(record)]


def requests() -> list[TelemetryRecord]:
    return list(generate(4000, UNTIL))


def calls_of(record: TelemetryRecord) -> Iterator[Call]:
    for step in ("sql", "response"):
        model, *tokens = (getattr(record, f"{step}_{name}") for name in ("model", *COUNTS))
        if model and tokens[0] is not None:
            yield Call(record.created_at, model, *tokens)


COUNTS = ("input_tokens", "cached_tokens", "output_tokens")


def cost(call: Call) -> Decimal:
    provider, model = MODELS[call.model]
    usage = Usage(
        input_tokens=call.input_tokens, cache_read_tokens=call.cached_tokens, output_tokens=call.output_tokens
    )
    return calc_price(usage, model, provider_id=provider, genai_request_timestamp=call.at).total_price


@pytest.fixture
def bill(project: DbtProject) -> dict[date, Decimal]:
    """The cost of each day in the report."""
    records = requests()
    with project.database.connect() as connection:
        users = {record.user_id for record in records}
        connection.cursor().executemany("insert into auth.users values (%s)", [[user] for user in users])
    with closing(Store(project.database.conninfo)) as store:
        assert store.insert([encode(record) for record in records]).stored == len(records)
    project.run("run", report_as_of=str(UNTIL.date()))
    with project.database.connect() as connection:
        per_day = connection.execute("select day, sum(cost_usd) from chat_reports.token_cost group by day").fetchall()
        unpriced = connection.execute("select distinct model from chat_reports.token_cost where cost_usd is null")
        assert unpriced.fetchall() == [(IN_HOUSE.name,)]
    return dict(per_day)


def test_the_bill_of_30_days_agrees_with_the_price_of_each_call(bill: dict[date, Decimal], calls: list[Call]) -> None:
    expected: dict[date, Decimal] = defaultdict(Decimal)
    for call in calls:
        if call.model != IN_HOUSE.name:
            expected[call.at.astimezone(UTC).date()] += cost(call)
    assert set(bill) == set(expected)
    assert len(bill) == DAYS + 1  # the first and the last are not whole
    assert [day for day in bill if abs(bill[day] - expected[day]) >= CENT] == []
    total = sum(bill.values(), Decimal(0))
    assert abs(total - sum(expected.values())) < CENT
    assert total > 10


def test_the_bill_has_every_model_of_the_demo_and_no_corrected_price(calls: list[Call]) -> None:
    """A corrected price would not be that of genai-prices."""
    assert {call.model for call in calls} == {*MODELS, IN_HOUSE.name}
    assert not {*MODELS} & read_decisions(ROOT / FILE, VERSION).names()
