"""The figures of docs/reports.md on what a price does not include are those of the lists."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price

from tests.tools.prices.matching import price_of
from tools.prices.__main__ import ROOT
from tools.prices.docs_table import PAGE

AT = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
TEXT = (ROOT / PAGE).read_text(encoding="utf-8")


def in_the_report(model: str, full: int, cached: int, output: int) -> Decimal:
    price = price_of(model, AT.date())
    assert price
    assert price.cached is not None
    return ((full - cached) * price.input + cached * price.cached + output * price.output) / 1000000


def on_the_bill(provider: str, model: str, **tokens: int) -> Decimal:
    return calc_price(Usage(**tokens), model, provider_id=provider, genai_request_timestamp=AT).total_price


@pytest.mark.parametrize(("provider", "model"), [("openai", "gpt-5.4"), ("anthropic", "claude-sonnet-4-5")])
def test_long_prompts(provider: str, model: str) -> None:
    report = in_the_report(model, 2000000, 1000000, 1000000)
    bill = on_the_bill(provider, model, input_tokens=2000000, cache_read_tokens=1000000, output_tokens=1000000)
    assert f"| ${report:.2f} | ${bill:.2f} |" in TEXT


def test_writing_to_the_cache() -> None:
    report = in_the_report("claude-sonnet-4-5", 12000, 0, 300)
    bill = on_the_bill(
        "anthropic", "claude-sonnet-4-5", input_tokens=12000, cache_write_tokens=10000, output_tokens=300
    )
    assert f"costs ${bill:.4f} and is ${report:.4f} in the report" in " ".join(TEXT.split())
