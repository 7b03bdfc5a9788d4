"""Pairs of models, users and shapes of SQL: tables with bars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from markupsafe import Markup

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.bi.rows import ModelPair, SqlShape, TopUser
from chat_telemetry._cli.dashboard import sql_text
from chat_telemetry._cli.dashboard.charts import percent

# Fewer successful requests say little about a pair of models.
ENOUGH = 30
FREQUENT, SLOW, FAILING = 8, 4, 4
TOP_USERS = 10


def _bars(values: Sequence[float | Decimal | None]) -> list[str]:
    """The width of a bar for each value. The largest has the whole width."""
    largest = float(max((value for value in values if value), default=0))
    return [percent(float(value) / largest) if value else "0" for value in values]


@dataclass(frozen=True)
class PairRow:
    """A pair of models. A bar is empty if there is no value."""

    pair: ModelPair
    has_enough: bool
    bars: tuple[str, str, str]
    """For the first byte, the cost and the failures."""
    is_fastest: bool
    is_cheapest: bool


@dataclass(frozen=True)
class Pairs:
    """The section about pairs of models."""

    rows: list[PairRow]

    @property
    def places(self) -> int:
        """The decimals of the cost of 1,000 requests."""
        return text.places(row.pair.cost_per_request_usd and row.pair.cost_per_request_usd * 1000 for row in self.rows)


def pairs(reports: Reports) -> Pairs:
    """The pairs of which both models are known. Failures are too few to say which pair fails least."""
    shown = [pair for pair in reports.pairs if "none" not in (pair.sql_model, pair.response_model)]
    fair = [pair for pair in shown if pair.request_count - pair.error_count >= ENOUGH]
    fastest = _lowest(fair, lambda pair: pair.p95_ttfb_ms)
    cheapest = _lowest(fair, lambda pair: None if pair.unpriced_call_count else pair.cost_per_request_usd)
    bars = zip(
        _bars([pair.p95_ttfb_ms for pair in shown]),
        _bars([pair.cost_per_request_usd for pair in shown]),
        _bars([pair.sql_model_error_rate for pair in shown]),
        strict=True,
    )
    return Pairs(
        [
            PairRow(pair, pair in fair, bar, pair in fastest, pair in cheapest)
            for pair, bar in zip(shown, bars, strict=True)
        ]
    )


def _lowest(candidates: Sequence[ModelPair], value: Callable[[ModelPair], float | Decimal | None]) -> list[ModelPair]:
    """The pairs with the lowest value, if there are two values to compare."""
    values = [found for pair in candidates if (found := value(pair)) is not None]
    return [pair for pair in candidates if value(pair) == min(values)] if len(values) > 1 else []


@dataclass(frozen=True)
class Users:
    """The section about users."""

    rows: list[tuple[TopUser, str]]
    """Each with the width of its bar."""
    count: int

    @property
    def places(self) -> int:
        """The decimals of the costs."""
        return text.places(user.cost_usd for user, _ in self.rows)

    @property
    def share_of_ten(self) -> Decimal | None:
        """What share of the cost the ten who spend most have, if there are more."""
        shares = [user.share_of_cost for user, _ in self.rows[:TOP_USERS] if user.share_of_cost is not None]
        return sum(shares, Decimal(0)) if shares and self.count > TOP_USERS else None


def users(reports: Reports) -> Users:
    """The users who spend most."""
    bars = _bars([user.cost_usd for user in reports.users])
    return Users(list(zip(reports.users, bars, strict=True)), reports.user_count)


@dataclass(frozen=True)
class ShapeRow:
    """A shape of SQL."""

    shape: SqlShape
    example: Markup
    reasons: list[str]
    """Why it is shown."""
    bars: tuple[str, str]
    """For the occurrences and the duration."""


@dataclass(frozen=True)
class Shapes:
    """The section about SQL."""

    rows: list[ShapeRow]
    count: int
    all_occurrences: int
    share_of_frequent: float | None


def shapes(reports: Reports) -> Shapes:
    """The most frequent, the slowest and the most failing shapes."""
    found = reports.shapes
    bars = zip(
        _bars([shape.occurrence_count for shape in found]),
        _bars([shape.avg_execution_ms for shape in found]),
        strict=True,
    )
    rows = [
        ShapeRow(shape, sql_text.formatted(shape.example_sql, shape.example_length), list(_reasons(shape)), bar)
        for shape, bar in zip(found, bars, strict=True)
    ]
    everything = found[0].all_occurrences if found else 0
    frequent = sum(shape.occurrence_count for shape in found if shape.place_by_count <= FREQUENT)
    return Shapes(rows, found[0].shape_count if found else 0, everything, frequent / everything if everything else None)


def _reasons(shape: SqlShape) -> Iterable[str]:
    if shape.place_by_count <= FREQUENT:
        yield "frequent"
    if shape.place_by_duration <= SLOW and shape.avg_execution_ms is not None:
        yield "slow"
    if shape.place_by_errors <= FAILING and shape.error_count:
        yield "failing"
