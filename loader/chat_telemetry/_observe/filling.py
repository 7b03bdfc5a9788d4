"""Fills the columns of a record with what was observed. A value that is set already stays."""

from __future__ import annotations

from collections.abc import Collection

from chat_telemetry._observe.calls import distinct, failed_call, last
from chat_telemetry._observe.chat_failures import CANCELLED, failure_in
from chat_telemetry._observe.step import TIMED_STEPS, Interval, milliseconds
from chat_telemetry._observe.usage import ModelCall, total
from chat_telemetry._observe.usage_fields import Tokens
from chat_telemetry._record import TelemetryRecord


def fill(record: TelemetryRecord, column: str, value: object) -> None:
    """Set a column that has no value."""
    if getattr(record, column) is None:
        setattr(record, column, value)


def fill_durations(record: TelemetryRecord, intervals: Collection[Interval]) -> None:
    """The durations of the steps."""
    for step, duration in milliseconds(intervals).items():
        if (column := TIMED_STEPS.get(step)) is not None and getattr(record, column) is None:
            setattr(record, column, duration)


def fill_calls(record: TelemetryRecord, calls: list[ModelCall]) -> None:
    """Models, tokens and response id, and the failure that a provider reported, if nothing else failed."""
    calls = distinct(calls)
    for prefix in ("sql", "response"):
        of_prefix = [call for call in calls if call.column_prefix == prefix]
        if of_prefix:
            tokens = [call.tokens() for call in of_prefix]
            fill(record, f"{prefix}_model", last(call.model for call in of_prefix))
            for kind, counts in zip(Tokens._fields, zip(*tokens, strict=True), strict=True):
                fill(record, f"{prefix}_{kind}_tokens", total(counts))
            if prefix == "response":
                fill(record, "response_id", last(call.response_id for call in of_prefix))
    failed = failed_call(calls)
    if failed is not None and record.error_type is None:
        fill_failure(record, failed.step, is_cancelled=failed.is_cancelled)
        fill(record, "error_message", failed.failure)


def fill_failure(record: TelemetryRecord, step: str | None, *, is_cancelled: bool) -> None:
    """The error type and the failed step of a request that failed in this step."""
    error_type, record.failed_step = failure_in(step)
    record.error_type = CANCELLED if is_cancelled else error_type
