"""The record of one chat request, and its wire format: one line of JSON, an array of the values of its columns."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from numbers import Integral, Real
from typing import Annotated, Any, get_type_hints
from uuid import UUID

import msgspec
import uuid_utils

from chat_telemetry._errors import InvalidRecord
from chat_telemetry._fork import after_fork_in_child

Integer = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""The range of PostgreSQL's `integer`."""

LongText = Annotated[str, msgspec.Meta(title="long text")]
"""A text of any length. Every other `str` is a name."""

# A fork copies the generator's state. Without this, two children would create the same keys, and the database would
# discard the second record of each pair as a duplicate.
after_fork_in_child(uuid_utils.reseed_rng)


def new_key() -> UUID:
    """A UUIDv7. Through msgspec, because that takes half the time of uuid_utils.compat."""
    return msgspec.convert(uuid_utils.uuid7().bytes, UUID)


class TelemetryRecord(msgspec.Struct, kw_only=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One chat request: the columns of `public.chat_telemetry_log` that a client may send, in the table's order.

    Encoded as a JSON array of the values, because the column names would be a third of the line.

    `user_id` and `user_question` are required. A failed request keeps what was measured before the failure; the other
    columns stay None. The constructor checks no types, so that it costs one microsecond; to check them, use
    `msgspec.json.decode(line, type=TelemetryRecord)`.

    log_id: a UUIDv7. A record that is sent twice is stored once, because this is the key.
    user_id: the user who asked. Must exist in `auth.users`.
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


def encode(record: TelemetryRecord) -> bytes:
    """Encode a record as one line of JSON in UTF-8, without line feed: an array of the values in the order of COLUMNS.

    Lone surrogates become U+FFFD; NaN and infinity become null. The store replaces NUL characters. Raises InvalidRecord
    if this is not a TelemetryRecord or a value cannot be encoded as JSON.
    """
    try:
        is_ready = type(record) is TelemetryRecord and record.created_at.tzinfo is not None
    except AttributeError:  # for example a time as text
        is_ready = False
    try:
        return _to_json(record if is_ready else _sanitized(record))
    except UnicodeEncodeError:
        return _to_json(_sanitized(record))


def _plain(value: Any) -> Any:
    """A value that msgspec can encode, for similar types: numbers of numpy, timestamps of pandas, subclasses of str."""
    if isinstance(value, str):
        return "".join(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, uuid_utils.UUID):
        return str(value)
    raise InvalidRecord(
        f"a record cannot hold a value of type {type(value).__name__}: use the types of TelemetryRecord"
    )


_to_json = msgspec.json.Encoder(enc_hook=_plain).encode


def _sanitized(record: TelemetryRecord) -> TelemetryRecord:
    if not isinstance(record, TelemetryRecord):
        raise InvalidRecord(f"expected TelemetryRecord, got {type(record).__name__}")
    sanitized = {column: _sanitized_text(getattr(record, column)) for column in COLUMNS}
    return TelemetryRecord(**{**sanitized, "created_at": in_utc(record.created_at)})


def _sanitized_text(value: Any) -> Any:
    if isinstance(value, str):
        # Through UTF-16, a pair of surrogates becomes the character that it stands for.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list | tuple):
        return [_sanitized_text(item) for item in value]
    return value


def in_utc(moment: Any) -> Any:
    """A time without a time zone is UTC. Otherwise the time zone of the database session would decide."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidRecord("created_at must be a datetime or a text in ISO 8601") from None
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment
