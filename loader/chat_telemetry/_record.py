"""The record of one chat request and its one wire format: a line of JSON, an array of the values of its columns."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from numbers import Integral, Real
from typing import Annotated, Any
from uuid import UUID

import msgspec
import uuid_utils

from chat_telemetry._errors import InvalidRecord

Integer = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""What a PostgreSQL `integer` holds."""

# The generator's state would be copied by a fork: two children would make the same keys, and the database would take
# the second record of each pair for a repetition of the first.
os.register_at_fork(after_in_child=uuid_utils.reseed_rng)


def new_key() -> UUID:
    """A UUIDv7; by way of msgspec, in half the time that uuid_utils.compat takes."""
    return msgspec.convert(uuid_utils.uuid7().bytes, UUID)


class TelemetryRecord(msgspec.Struct, kw_only=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One chat request: the columns of `public.chat_telemetry_log` that a client may send, in the table's order.

    As JSON it is an array of their values: the names would be a third of it.

    `user_id` and `user_question` are required. A request that failed keeps what it had measured and leaves the rest
    None. Types are checked by `msgspec.json.decode(line, type=TelemetryRecord)`, not here: building a record costs a
    microsecond.

    log_id: a UUIDv7, the key that makes sending a record twice harmless.
    user_id: who asked; must exist in `auth.users`.
    conversation_id: stored as null where the conversation does not exist (any more).
    response_id: the provider's id of the response.
    created_at: when the request arrived, now by default. A naive one means UTC.
    result_row_count: how many rows the SQL returned; never the rows.
    error_type: None for a request that succeeded, else sql_generation, sql_validation, sql_execution,
        response_generation, unexpected or cancelled.
    failed_step: the step that the user saw fail: understanding, looking_up or response.
    sql_model, response_model: as the provider names them, e.g. gpt-4o-mini-2024-07-18.
    *_ms: milliseconds; ttfb_ms from the request to the first byte of the response. Floats are rounded.
    *_input_tokens: cached ones included (some providers report them apart); *_cached_tokens says how many of them.
    """

    log_id: UUID = msgspec.field(default_factory=new_key)
    user_id: UUID
    conversation_id: UUID | None = None
    response_id: str | None = None
    created_at: datetime = msgspec.field(default_factory=partial(datetime.now, UTC))
    user_question: str
    ai_response: str | None = None
    generated_sql: str | None = None
    result_row_count: Integer | None = None
    follow_up_suggestions: list[str] | None = None
    error_type: str | None = None
    error_message: str | None = None
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
"""In the table's order, which is also that of the values in a line."""


def encode(record: TelemetryRecord) -> bytes:
    """One line of JSON without its line feed, in UTF-8: an array of the values in the order of COLUMNS.

    Lone surrogates, which are no characters, become U+FFFD, NaN and infinity null; NUL characters are the store's to
    mend. Raises InvalidRecord for what is no record or holds a value that JSON has no form for.
    """
    try:
        is_ready = type(record) is TelemetryRecord and record.created_at.tzinfo is not None
    except AttributeError:  # a time as text, for example
        is_ready = False
    try:
        return _to_json(record if is_ready else _mend(record))
    except UnicodeEncodeError:
        return _to_json(_mend(record))


def _plain(value: Any) -> Any:
    """A form that JSON has, for what looks like it: numpy's numbers, pandas' timestamps, subclasses of str."""
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
    raise InvalidRecord(f"a {type(value).__name__} has no place in a record: use the types of TelemetryRecord")


_to_json = msgspec.json.Encoder(enc_hook=_plain).encode


def _mend(record: TelemetryRecord) -> TelemetryRecord:
    if not isinstance(record, TelemetryRecord):
        raise InvalidRecord(f"a {type(record).__name__} is no TelemetryRecord")
    repaired = {column: _mend_text(getattr(record, column)) for column in COLUMNS}
    return TelemetryRecord(**{**repaired, "created_at": in_utc(record.created_at)})


def _mend_text(value: Any) -> Any:
    if isinstance(value, str):
        # By way of UTF-16, two surrogates that make a pair become the one character that they stand for.
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list | tuple):
        return [_mend_text(item) for item in value]
    return value


def in_utc(moment: Any) -> Any:
    """A naive moment is one of UTC; otherwise the time zone of the database session would decide."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise InvalidRecord("created_at is a text that is no ISO 8601 time") from None
    if isinstance(moment, datetime) and moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment
