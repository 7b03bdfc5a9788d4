"""Limits on the length of texts, so that one very long response cannot fill the queue, the disk or the table."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from chat_telemetry._record import LONG_TEXTS, NAMES, TelemetryRecord

MAX_SUGGESTIONS = 100
MARK = "…"
# Journals with lines of this size are readable whatever the settings of the process that reads them.
LONGEST_LINE_BYTES = 4 * 2**20
# JSON escapes a control character as six bytes.
BYTES_PER_CHAR = 6
# The values that are neither long texts nor names, and the punctuation.
OTHER_BYTES = 4096

_long_texts = attrgetter(*LONG_TEXTS)
_names = attrgetter(*NAMES)


def has_long_name(record: TelemetryRecord, max_name_chars: int) -> bool:
    """Whether a name may be too long. It runs for every record, so it lists the names instead of looping over them."""
    suggestions = record.follow_up_suggestions or ()
    try:
        names = "".join(
            (
                record.response_id or "",
                record.error_type or "",
                record.failed_step or "",
                record.sql_model or "",
                record.response_model or "",
                *suggestions,
            )
        )
        return len(names) > max_name_chars or len(suggestions) > MAX_SUGGESTIONS
    except TypeError:  # a value is not a text
        return True


def shorten(record: TelemetryRecord, max_text_chars: int, max_name_chars: int) -> TelemetryRecord | None:
    """A copy of the record in which long texts are cut and end with `…`. None if no text is too long.

    A follow-up suggestion may be as long as a name. At most 100 suggestions are kept.
    """
    changes: dict[str, Any] = {}
    limited = ((LONG_TEXTS, _long_texts(record), max_text_chars), (NAMES, _names(record), max_name_chars))
    for columns, values, limit in limited:
        for column, value in zip(columns, values, strict=True):
            if isinstance(value, str) and len(value) > limit:
                changes[column] = _cut(value, limit)
    suggestions = record.follow_up_suggestions
    if isinstance(suggestions, list | tuple):
        cut = [_cut(text, max_name_chars) for text in suggestions[:MAX_SUGGESTIONS]]
        if cut != list(suggestions):
            changes["follow_up_suggestions"] = cut
    return msgspec.structs.replace(record, **changes) if changes else None


def longest_line(max_text_chars: int, max_name_chars: int) -> int:
    """The most bytes of a line whose texts have these lengths, but at least LONGEST_LINE_BYTES."""
    chars = len(LONG_TEXTS) * max_text_chars + (len(NAMES) + MAX_SUGGESTIONS) * max_name_chars
    return max(LONGEST_LINE_BYTES, BYTES_PER_CHAR * chars + OTHER_BYTES)


def _cut(text: Any, limit: int) -> Any:
    if isinstance(text, str) and len(text) > limit:
        return text[: limit - len(MARK)] + MARK
    return text
