"""The rows of the queries, each with the columns that are shown. `bi/queries` and docs/reports.md describe them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import msgspec


class Headline(msgspec.Struct):
    """A week of complete days, of headlines.sql."""

    period: str
    request_count: int
    cost_usd: Decimal | None
    cost_per_1000_requests_usd: Decimal | None
    cache_savings_usd: Decimal
    call_count: int
    unpriced_call_count: int
    bounded_call_count: int
    error_count: int
    error_rate: float | None
    off_topic_count: int
    off_topic_rate: float | None
    p50_ttfb_ms: float | None
    p95_ttfb_ms: float | None


class RequestDay(msgspec.Struct):
    """A day, of requests_by_day.sql. A day without chat requests has none."""

    day: date
    request_count: int
    error_count: int
    error_rate: float
    off_topic_count: int
    off_topic_rate: float
    call_count: int
    cost_usd: Decimal | None
    unpriced_call_count: int
    bounded_call_count: int


class Month(msgspec.Struct):
    """A month, of cost_by_month.sql."""

    month: date
    call_count: int
    cost_usd: Decimal | None
    unpriced_call_count: int
    forecast_usd: Decimal | None
    """Only the current month has one."""


class ModelCost(msgspec.Struct):
    """A model in two weeks, of cost_by_model.sql."""

    model: str
    call_count: int
    cost_usd: Decimal | None
    share_of_cost: Decimal | None
    previous_cost_usd: Decimal | None
    change_usd: Decimal | None
    input_tokens: int
    cached_input_tokens: int
    unpriced_call_count: int


class CallDay(msgspec.Struct):
    """A row of token_cost."""

    day: date
    step: str
    model: str
    cost_usd: Decimal | None
    price_match: str


class UnpricedModel(msgspec.Struct):
    """A model without a price, of unpriced_models.sql."""

    model: str
    unpriced_call_count: int
    last_called_on: date


class StepLatency(msgspec.Struct):
    """A step in the last week, of latency_by_step.sql."""

    step: str
    request_count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: int
    previous_p50_ms: float | None
    previous_p95_ms: float | None


class LatencyDay(msgspec.Struct):
    """A step on a day, of latency."""

    period_start: date
    step: str
    p50_ms: float
    p95_ms: float
    p99_ms: float


class ErrorType(msgspec.Struct):
    """A kind of failure in two weeks, of errors_by_type.sql."""

    error_type: str
    failed_step: str
    request_count: int
    share_of_requests: float | None
    previous_request_count: int


class ErrorDay(msgspec.Struct):
    """A row of errors."""

    day: date
    error_type: str
    failed_step: str
    request_count: int


class TopUser(msgspec.Struct):
    """A user in the last 30 days, of top_users.sql."""

    user_id: str
    request_count: int
    active_days: int
    error_count: int
    off_topic_count: int
    cost_usd: Decimal | None
    share_of_cost: Decimal | None
    unpriced_call_count: int
    last_active_on: date


class SqlShape(msgspec.Struct):
    """A shape of SQL in the last 7 days, of sql_shapes.sql, with its places among all shapes."""

    sql_shape: str
    example_sql: str
    example_length: int
    occurrence_count: int
    error_count: int
    avg_execution_ms: float | None
    avg_row_count: float | None
    place_by_count: int
    place_by_duration: int
    place_by_errors: int
    shape_count: int
    all_occurrences: int


class ModelPair(msgspec.Struct):
    """A pair of models in the last week, of model_pairs.sql."""

    sql_model: str
    response_model: str
    request_count: int
    error_count: int
    p95_ttfb_ms: float | None
    cost_per_request_usd: Decimal | None
    unpriced_call_count: int
    sql_model_error_count: int
    sql_model_error_rate: float


class Freshness(msgspec.Struct):
    """A report, of report_freshness. Times are those of the report time zone."""

    report: str
    refreshed_at: datetime
    as_of: date
    report_timezone: str
    newest_request_at: datetime | None
    pending_changes: int
    future_request_count: int
    left_out_count: int


class OpenAlert(msgspec.Struct):
    """A value over its bound, of open_alerts."""

    alert: str
    subject: str
    value: Decimal | None
    bound: Decimal
    began_at: datetime


class Comment(msgspec.Struct):
    """What a column means: its comment in the database."""

    name: str
    """report.column"""
    text: str
