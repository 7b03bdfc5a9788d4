"""Encodes a record as one line of JSON, and repairs it before that if it needs it.

One rule for odd values: a record without a usable user id or question is refused; every other value that cannot be
stored becomes null, or the present if it is the time, or a new key if it is the key. Long texts are cut.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_type_hints
from uuid import UUID

import msgspec
from msgspec import convert
from msgspec.structs import astuple

from chat_telemetry._conversions import (
    AHEAD,
    EARLIEST,
    LARGEST,
    MAX_SUGGESTIONS,
    ODD,
    as_count,
    as_flag,
    as_text,
    as_texts,
    as_time,
    as_utc,
    as_uuid,
    is_missing,
)
from chat_telemetry._errors import InvalidRecord
from chat_telemetry._record import COLUMNS, INTEGERS, LONG_TEXTS, NAMES, Integer, LongText, TelemetryRecord, new_key

MARK = "…"
# Journals with lines of this size are readable whatever the settings of the process that reads them.
LONGEST_LINE_BYTES = 4 * 2**20
# JSON escapes a control character as six bytes.
BYTES_PER_CHAR = 6
# The values that are neither long texts nor names, and the punctuation.
OTHER_BYTES = 4096

NO_USER: Final = (
    "user_id must be a UUID: make one of ids of other kinds with chat_telemetry.user_key(…), "
    "and use chat_telemetry.ANONYMOUS_USER for chats without a user"
)
NO_QUESTION: Final = "user_question must be a text"

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("log_id", "user_id", "conversation_id"), as_uuid),
    **dict.fromkeys(INTEGERS, as_count),
    "created_at": as_time,
    "is_off_topic": as_flag,
}
_TEXT_CONVERSIONS: dict[str, Callable[[Any, int], Any]] = {
    **dict.fromkeys((*LONG_TEXTS, *NAMES), as_text),
    "follow_up_suggestions": as_texts,
}
# What replaces an odd value, if it is not null.
_REPLACEMENTS: dict[str, Callable[[], Any]] = {
    "log_id": new_key,
    "created_at": lambda: datetime.now(UTC),
    "is_off_topic": lambda: False,
}

_NULLABLE = {*COLUMNS} - {"user_id", "user_question", *_REPLACEMENTS}

_latest = datetime.now(UTC) + AHEAD
_to_json = msgspec.json.Encoder().encode


class Encoder:
    """Encodes records. Long texts and names that have more characters than their limits are cut."""

    def __init__(self, max_text_chars: int, max_name_chars: int) -> None:
        self._max_text_chars = max_text_chars
        self._max_name_chars = max_name_chars
        self._plain_type = _plain_type(max_text_chars, max_name_chars)

    def encode_plain(self, record: TelemetryRecord) -> bytes | None:
        """The line of a record that needs no repair: an array of the values in the order of COLUMNS. Otherwise None.

        msgspec checks all types and limits in one pass.
        """
        try:
            if type(record) is TelemetryRecord:
                plain = convert(astuple(record), self._plain_type)
                if EARLIEST <= plain.created_at <= _latest:
                    return _to_json(plain)
        except Exception:  # of msgspec, or of a value's own methods
            return None
        return None

    def encode_repaired(self, record: TelemetryRecord) -> tuple[bytes, list[str], list[str]]:
        """The line of any record, and the columns that were repaired, and those that were cut.

        Raises InvalidRecord if this is not a TelemetryRecord or has no usable user id or question.
        """
        global _latest  # noqa: PLW0603 - only grows, so that `encode_plain` does not have to read the clock
        _latest = datetime.now(UTC) + AHEAD
        if not isinstance(record, TelemetryRecord):
            raise InvalidRecord(f"expected TelemetryRecord, got {type(record).__name__}")
        values: dict[str, Any] = {}
        repaired, cut = [], []
        for column in COLUMNS:
            if getattr(record, column, None) is None and column in _NULLABLE:
                continue
            limit = self._max_text_chars if column in LONG_TEXTS else self._max_name_chars
            value, is_odd = _converted(column, getattr(record, column, None), limit)
            values[column] = _shortened(value, limit)
            if is_odd:
                repaired.append(column)
            if values[column] is not value:
                cut.append(column)
        return _to_json(TelemetryRecord(**values)), repaired, cut


def encode(record: TelemetryRecord) -> bytes:
    """The line of a record, repaired, with texts of any length. Raises InvalidRecord."""
    return _unlimited.encode_plain(record) or _unlimited.encode_repaired(record)[0]


def odd_values(record: TelemetryRecord) -> dict[str, str]:
    """The columns of a record of valid types that have odd values, each with the reason."""
    found = {column: "is negative" for column in INTEGERS if (getattr(record, column) or 0) < 0}
    if as_time(record.created_at) is ODD:
        is_early = as_utc(record.created_at) < EARLIEST
        found["created_at"] = "is before 2000" if is_early else "is more than a day in the future"
    return found


def _converted(column: str, value: Any, limit: int) -> tuple[Any, bool]:
    """The value to send, and whether it replaces an odd one. Raises InvalidRecord."""
    is_null = False
    try:
        is_null = is_missing(value)
        converted = ODD if is_null else _convert(column, value, limit)
    except Exception:  # of the value's own methods
        converted = ODD
    if column == "user_id" and converted is ODD:
        raise InvalidRecord(NO_USER)
    if column == "user_question" and converted is ODD:
        raise InvalidRecord(NO_QUESTION)
    if converted is ODD:
        replacement = _REPLACEMENTS.get(column)
        return (replacement() if replacement else None), not is_null
    return converted, False


def _convert(column: str, value: Any, limit: int) -> Any:
    if column in _TEXT_CONVERSIONS:
        return _TEXT_CONVERSIONS[column](value, limit)
    return _CONVERSIONS[column](value)


def _shortened(value: Any, limit: int) -> Any:
    if isinstance(value, str) and len(value) > limit:
        return value[: limit - len(MARK)] + MARK
    if isinstance(value, list):
        texts = [_shortened(text, limit) for text in value[:MAX_SUGGESTIONS]]
        return texts if texts != value else value
    return value


def longest_line(max_text_chars: int, max_name_chars: int) -> int:
    """The most bytes of a line whose texts have at most these lengths, but at least LONGEST_LINE_BYTES."""
    chars = len(LONG_TEXTS) * max_text_chars + (len(NAMES) + MAX_SUGGESTIONS) * max_name_chars
    return max(LONGEST_LINE_BYTES, BYTES_PER_CHAR * chars + OTHER_BYTES)


def _plain_type(max_text_chars: int, max_name_chars: int) -> Any:
    """A type that accepts the values of records which need no repair."""
    number = Annotated[float, msgspec.Meta(ge=0, le=LARGEST)] | Annotated[int, msgspec.Meta(ge=0, le=LARGEST)]
    name = Annotated[str, msgspec.Meta(max_length=max_name_chars)]
    text = Annotated[str, msgspec.Meta(max_length=max_text_chars)]
    plain: dict[Any, Any] = {
        UUID: UUID,
        UUID | None: UUID | None,
        datetime: Annotated[datetime, msgspec.Meta(tz=True)],
        bool: bool,
        Integer | None: number | None,
        LongText: text,
        LongText | None: text | None,
        str | None: name | None,
        list[str] | None: Annotated[list[name], msgspec.Meta(max_length=MAX_SUGGESTIONS)] | None,
    }
    hints = get_type_hints(TelemetryRecord, include_extras=True)
    return msgspec.defstruct("Plain", [(column, plain[hints[column]]) for column in COLUMNS], array_like=True, gc=False)


_unlimited = Encoder(2**62, 2**62)
