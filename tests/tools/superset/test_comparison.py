"""`python -m tools.superset`: which rows are the same, and what is said if they are not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tools.superset.comparison import differences
from tools.superset.expected import SERIES, Shape, as_series

DAY = dt.date(2026, 11, 22)
DAY_MS = 1795305600000.0
UNORDERED = Shape(("model",))
TABLE = Shape(("model",), ("calls",))


def found(expected: list[dict[str, Any]], shown: list[dict[str, Any]], shape: Shape = TABLE) -> list[str]:
    return list(differences("chart", shape, expected, shown))


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        (3, 3),
        (None, None),
        ("a", "a"),
        (Decimal("0.1000000000"), 0.1),
        (0.1 + 0.2, 0.3),
        (DAY, DAY_MS),
        (dt.datetime(2026, 11, 22, 0, 0, 0, 123456, dt.UTC), DAY_MS + 123.456),
    ],
)
def test_the_same_value(expected: object, shown: object) -> None:
    assert found([{"model": "m", "calls": expected}], [{"model": "m", "calls": shown}], UNORDERED) == []


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        (3, 4),
        (None, 0),
        (0, None),
        (Decimal("0.1"), 0.10000000001),
        (0.3, 0.3000001),
        (0.3, None),
        (DAY, DAY_MS - 3_600_000),
        (DAY, None),
    ],
)
def test_another_value(expected: object, shown: object) -> None:
    [line] = found([{"model": "m", "calls": expected}], [{"model": "m", "calls": shown}], UNORDERED)
    assert line.startswith("chart [m]: calls is ")
    assert line.endswith(f", expected {expected}")


def test_rows_that_only_one_side_has() -> None:
    assert found([{"model": "a", "calls": 1}], [{"model": "b", "calls": 1}]) == [
        "chart: no row [a]",
        "chart: a row [b] that SQL does not have",
    ]


def test_columns_that_only_one_side_has() -> None:
    assert found([{"model": "a", "calls": 1}], [{"model": "a", "calls": 1, "more": 2}]) == [
        "chart [a]: columns model, calls, more, expected model, calls"
    ]


def test_the_order_of_rows() -> None:
    rows = [{"model": "a", "calls": 2}, {"model": "b", "calls": 1}, {"model": "c", "calls": 1}]
    assert found(rows, [rows[0], rows[2], rows[1]]) == []
    assert found(rows, rows[::-1]) == ["chart: the rows are not in the order of calls"]


def test_several_rows_of_a_key_and_none_at_all() -> None:
    row = {"model": "a", "calls": 1}
    assert found([row], [row, row])[0] == "chart: several rows have the same model"
    assert found([], []) == ["chart: SQL has no rows, so nothing is compared"]


def test_series_of_a_chart() -> None:
    expected = [{"day": DAY, "series": "a", "value": 1}]
    assert found(expected, as_series([{"day": DAY_MS, "a": 1.0, "b": None}], "day"), SERIES) == []
    assert (
        found(expected, as_series([{"day": DAY_MS, "a": None, "b": 1.0}], "day"), SERIES)
        == [
            "chart: no row [2026-11-22 00:00:00+00:00, a]",
            "chart: a row [2026-11-22 00:00:00+00:00, b] that SQL does not have",
            "chart: the rows are not in the order of day",
        ][:2]
    )
