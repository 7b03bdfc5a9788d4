"""Two lists of rows compared, cell by cell: those that Superset sends, and those of SQL through psycopg."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from tools.superset.expected import Row, Shape

EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)
TOLERANCE = 1e-9  # of floats: a sum depends on the order of its terms


def differences(chart: str, shape: Shape, expected: Sequence[Row], shown: Sequence[Row]) -> Iterator[str]:
    """One line for each difference. No line means that the chart shows what SQL shows."""
    shown = with_microseconds(shown, expected)
    wanted, found = by_key(expected, shape), by_key(shown, shape)
    if len(wanted) < len(expected) or len(found) < len(shown):
        yield f"{chart}: several rows have the same {', '.join(shape.key) or 'place'}"
    if not wanted:
        yield f"{chart}: SQL has no rows, so nothing is compared"
    for key in wanted.keys() - found.keys():
        yield f"{chart}: no row{label(key)}"
    for key in found.keys() - wanted.keys():
        yield f"{chart}: a row{label(key)} that SQL does not have"
    for key in (key for key in wanted if key in found):
        yield from differing_cells(f"{chart}{label(key)}", wanted[key], found[key])
    if not same_order(expected, shown, shape):
        yield f"{chart}: the rows are not in the order of {', '.join(shape.order)}"


def with_microseconds(shown: Sequence[Row], expected: Sequence[Row]) -> list[Row]:
    """The rows with microseconds where SQL has a date or a time. Superset sends milliseconds since 1970."""
    times = {name for row in expected for name, value in row.items() if isinstance(value, dt.date)}
    return [
        {name: round(value * 1000) if name in times and value is not None else value for name, value in row.items()}
        for row in shown
    ]


def by_key(rows: Sequence[Row], shape: Shape) -> dict[tuple[Any, ...], Row]:
    return {tuple(comparable(row.get(name)) for name in shape.key): row for row in rows}


def same_order(expected: Sequence[Row], shown: Sequence[Row], shape: Shape) -> bool:
    lists = [[tuple(comparable(row.get(name)) for name in shape.order) for row in rows] for rows in (expected, shown)]
    return lists[0] == lists[1]


def differing_cells(place: str, wanted: Row, found: Row) -> Iterator[str]:
    if wanted.keys() != found.keys():
        yield f"{place}: columns {', '.join(found)}, expected {', '.join(wanted)}"
        return
    for name, value in wanted.items():
        if not same(value, found[name]):
            yield f"{place}: {name} is {found[name]}, expected {value}"


def same(wanted: Any, found: Any) -> bool:
    """Counts, money, texts and times are exact; only a float of PostgreSQL has a tolerance."""
    if isinstance(wanted, float) and isinstance(found, (int, float)):
        return math.isclose(wanted, found, rel_tol=TOLERANCE)
    return bool(comparable(wanted) == found)


def comparable(value: Any) -> Any:
    """The value as JSON can have it: without decimals, dates or times."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dt.datetime):
        return microseconds(value)
    if isinstance(value, dt.date):
        return microseconds(dt.datetime.combine(value, dt.time(), dt.UTC))
    return value


def microseconds(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def label(key: tuple[Any, ...]) -> str:
    return f" [{', '.join(readable(part) for part in key)}]" if key else ""


def readable(part: Any) -> str:
    """An integer in a key is a time."""
    return str(EPOCH + dt.timedelta(microseconds=part)) if isinstance(part, int) else str(part)[:60]
