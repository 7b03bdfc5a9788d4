"""What is said of a value over its bound."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chat_telemetry._cli.alerts.evaluation import Breach


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("12.3400000000", "usd_per_day 2026-11-20: 12.34 is over the bound 10"),
        ("1E+3", "usd_per_day 2026-11-20: 1000 is over the bound 10"),
        ("100", "usd_per_day 2026-11-20: 100 is over the bound 10"),
        ("0.00004", "usd_per_day 2026-11-20: 0.00004 is over the bound 10"),
        (None, "usd_per_day 2026-11-20: nothing to compare with the bound 10"),
    ],
)
def test_a_breach_has_its_number_and_its_bound(value: str | None, text: str) -> None:
    number = None if value is None else Decimal(value)
    assert str(Breach("usd_per_day", "2026-11-20", number, Decimal("10.00"))) == text
