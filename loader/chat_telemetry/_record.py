"""The record of one chat request."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import msgspec
import uuid_utils

from chat_telemetry._forks import call_in_child

Integer = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""The range of PostgreSQL's `integer`."""

LongText = Annotated[str, msgspec.Meta(title="long text")]
"""A text of any length. Every other `str` is a name."""

# A fork copies the generator's state. Without this, two children would create the same keys, and the database would
# discard the second record of each pair as a duplicate.
call_in_child(uuid_utils.reseed_rng)


def new_key() -> UUID:
    """A UUIDv7. Through msgspec, because that takes half the time of uuid_utils.compat."""
    return msgspec.convert(uuid_utils.uuid7().bytes, UUID)


class TelemetryRecord(msgspec.Struct, kw_only=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One chat request: the columns of `public.chat_telemetry_log` that a client may send, in the table's order.

    Encoded as a JSON array of the values, because the column names would be a third of the line.

    `user_id` and `user_question` are required. A failed request keeps what was measured before the failure; the other
    columns stay None. The constructor checks no types, so that it costs a microsecond: `persist_telemetry` does.

    log_id: a UUIDv7. A record that is sent twice is stored once, because this is the key.
    user_id: the user who asked; `user_key` makes one of ids that are no UUID.
    conversation_id: stored as null if the conversation does not exist.
    response_id: the provider's id of the model response.
    created_at: when the request arrived; by default now. A time without a time zone is UTC.
    result_row_count: how many rows the SQL returned. The rows themselves are never stored.
    error_type: None if the request succeeded, otherwise sql_generation, sql_validation, sql_execution,
        response_generation, unexpected or cancelled.
    failed_step: the step that failed, as the user sees it: understanding, looking_up or response.
    sql_model, response_model: as the provider names them, e.g. gpt-4o-mini-2024-07-18.
    *_ms: milliseconds. ttfb_ms is the time from the request to the first byte of the response. Floats are rounded.
    *_input_tokens: cached tokens included, although some providers report them separately.
    *_cached_tokens: how many of the input tokens came from a cache.
    """

    log_id: UUID = msgspec.field(default_factory=new_key)
    user_id: UUID
    conversation_id: UUID | None = None
    response_id: str | None = None
    created_at: datetime = msgspec.field(default_factory=partial(datetime.now, UTC))
    user_question: LongText
    ai_response: LongText | None = None
    generated_sql: LongText | None = None
    result_row_count: Integer | None = None
    follow_up_suggestions: list[str] | None = None
    error_type: str | None = None
    error_message: LongText | None = None
    failed_step: str | None = None
    is_off_topic: bool = False
    sql_model: str | None = None
    response_model: str | None = None
    nl_to_sql_duration_ms: Integer | None = None
    sql_execution_duration_ms: Integer | None = None
    response_generation_duration_ms: Integer | None = None
    ttfb_ms: Integer | None = None
    sql_input_tokens: Integer | None = None
    sql_output_tokens: Integer | None = None
    sql_cached_tokens: Integer | None = None
    response_input_tokens: Integer | None = None
    response_output_tokens: Integer | None = None
    response_cached_tokens: Integer | None = None


COLUMNS: tuple[str, ...] = TelemetryRecord.__struct_fields__
"""In the order of the table, which is also the order of the values in a line."""


def _columns(*types: Any) -> tuple[str, ...]:
    hints = get_type_hints(TelemetryRecord, include_extras=True)
    return tuple(column for column in COLUMNS if hints[column] in types)


LONG_TEXTS = _columns(LongText, LongText | None)
NAMES = _columns(str, str | None)
INTEGERS = _columns(Integer, Integer | None)
