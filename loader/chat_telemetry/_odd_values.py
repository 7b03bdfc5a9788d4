"""Values that no chat request has: a negative duration or count, a time before 2000 or in the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from operator import attrgetter

import msgspec

from chat_telemetry._record import INTEGERS, TelemetryRecord, in_utc

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)  # for clocks that are wrong by hours

_numbers = attrgetter(*INTEGERS)
_latest = datetime.now(UTC) + AHEAD


def may_be_odd(record: TelemetryRecord) -> bool:
    """Whether `odd_values` has to look at the record. Fast, because it runs for every record."""
    try:
        is_possible = EARLIEST <= record.created_at <= _latest
        for number in _numbers(record):
            if number is not None and number < 0:
                is_possible = False
    except TypeError:  # a number or a time as text, or a time without a time zone
        return True
    return not is_possible


def odd_values(record: TelemetryRecord) -> dict[str, str]:
    """The columns with odd values, each with the reason."""
    global _latest  # noqa: PLW0603 - only grows, so that `may_be_odd` does not have to read the clock
    _latest = datetime.now(UTC) + AHEAD
    found = {column: "is negative" for column in INTEGERS if _is_negative(getattr(record, column))}
    created_at = in_utc(record.created_at)
    if isinstance(created_at, datetime):
        if created_at < EARLIEST:
            found["created_at"] = "is before 2000"
        elif created_at > _latest:
            found["created_at"] = "is more than a day in the future"
    return found


def repair(record: TelemetryRecord) -> TelemetryRecord | None:
    """A copy in which odd numbers are None and an odd time is the present. None if no value is odd."""
    found = odd_values(record)
    if not found:
        return None
    return msgspec.structs.replace(
        record, **{column: datetime.now(UTC) if column == "created_at" else None for column in found}
    )


def _is_negative(value: object) -> bool:
    try:
        return value is not None and value < 0  # type: ignore[operator]
    except TypeError:
        return False
