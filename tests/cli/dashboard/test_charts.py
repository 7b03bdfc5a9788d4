"""The geometry of the charts."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_telemetry._cli.dashboard.charts import Tick, bands, columns, day_ticks, nice_ceiling, number, percent

DAYS = [date(2026, 11, 9) + timedelta(days=i) for i in range(14)]  # from a Monday to a Sunday


@settings(deadline=None)
@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_scale_ends_at_a_round_number_that_is_not_far_above_the_values(value: float) -> None:
    top = nice_ceiling(value)
    assert value * 0.9999 <= top <= value * 2.001
    assert float(f"{top:.2g}") == pytest.approx(top)


def test_numbers_are_short() -> None:
    assert [number(value) for value in (0, 1, 1.5, 1.005, 33.333, -0.001)] == ["0", "1", "1.5", "1", "33.33", "0"]
    assert percent(1 / 3) == "33.33%"


def test_columns_begin_at_zero_and_fill_the_height_at_the_top_of_the_scale() -> None:
    chart = columns([0, None, 5, 10, 20], ["now"] * 5, ["tip"] * 5, height=100, top=10)
    assert [(bar.y, bar.height) for bar in chart.bars] == [
        ("100", "0"),
        ("100", "0"),
        ("50", "50"),
        ("0", "100"),
        ("0", "100"),
    ]
    assert (chart.bars[0].x, chart.bars[0].width) == ("1.8%", "16.4%")
    assert not chart.is_empty
    assert columns([None, 0], ["", ""], ["", ""], height=9).is_empty
    assert columns([], [], [], height=9).is_empty


def test_a_small_value_is_still_seen() -> None:
    assert columns([0.001, 100], ["", ""], ["", ""], height=100).bars[0].height == "1"


def test_the_labels_are_mondays_and_stay_inside_the_chart() -> None:
    assert day_ticks(DAYS) == [Tick("3.57%", "9 Nov"), Tick("53.57%", "16 Nov")]
    assert day_ticks(DAYS, every=2) == [Tick("53.57%", "16 Nov")]
    assert day_ticks(DAYS[:8])[-1] == Tick("93.75%", "16 Nov")
    assert day_ticks([*DAYS, *(DAYS[-1] + timedelta(days=i) for i in (1,))])[-1] == Tick("100%", "23 Nov", "end")


def test_days_without_values_interrupt_the_bands_and_a_day_alone_is_a_dot() -> None:
    measured = {DAYS[0]: (1.0, 2.0, 4.0), DAYS[1]: (1.0, 2.0, 4.0), DAYS[3]: (2.0, 3.0, 4.0)}
    chart = bands(DAYS[:4], measured, ["tip"] * 4, height=100, label=str)
    assert chart.outer == ["M125 0L375 0L375 50L125 50Z"]
    assert chart.inner == ["M125 50L375 50L375 75L125 75Z"]
    assert chart.lines == [("p99", "M125 0L375 0"), ("p95", "M125 50L375 50"), ("median", "M125 75L375 75")]
    assert chart.dots == [("87.5%", "50"), ("87.5%", "25"), ("87.5%", "0")]
    assert [slot.x for slot in chart.slots] == ["0%", "25%", "50%", "75%"]
