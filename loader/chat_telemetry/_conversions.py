"""Converts what chat code sets in a record to the type of its column, if the meaning is clear.

Each function returns the converted value, or ODD if there is no such value. They are not on the fast path: a record
whose values have the types of TelemetryRecord needs none of them.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from numbers import Integral, Real
from typing import Any, Final
from uuid import UUID

import msgspec
import uuid_utils

ODD: Final = object()
"""There is no such value, for example a negative count, or a user id that is not a UUID."""

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)  # for clocks that are wrong by hours
MAX_SUGGESTIONS = 100
LARGEST = 2**31 - 1
"""Of PostgreSQL's `integer`."""

_FLAGS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0", ""), False),
}


def is_missing(value: Any) -> bool:
    """Whether this is a null: None, NaN, or that of pandas."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def as_uuid(value: Any) -> Any:
    """A UUID, also of uuid_utils, as text or as 16 bytes."""
    if isinstance(value, UUID):
        return value
    try:
        if isinstance(value, bytes):
            return UUID(bytes=value)
        is_text = isinstance(value, str) and "_" not in value  # which Python's integers may have
        return UUID(str(value)) if is_text or isinstance(value, uuid_utils.UUID) else ODD
    except ValueError:
        return ODD


def as_time(value: Any) -> Any:
    """A datetime, date, text in ISO 8601, number of seconds since 1970, or time of numpy. Without a time zone: UTC."""
    try:
        if type(value).__name__ == "datetime64":
            value = value.astype("datetime64[us]").item()
        moment = as_utc(_as_datetime(value))
        is_possible = EARLIEST <= moment <= datetime.now(UTC) + AHEAD
    except (ValueError, OverflowError, OSError, TypeError, AttributeError):
        return ODD
    return moment if is_possible else ODD


def as_utc(moment: datetime) -> datetime:
    """A time without a time zone is UTC. Otherwise the time zone of the database session would decide."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _as_datetime(value: Any) -> datetime:
    if isinstance(value, datetime):
        # A subclass, for example of pandas, becomes a plain datetime, because only that can be encoded.
        return value if type(value) is datetime else datetime.fromisoformat(value.isoformat())
    if isinstance(value, date):
        return datetime.combine(value, time())
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, Real | Decimal) and not isinstance(value, bool):
        return datetime.fromtimestamp(float(value), UTC)
    raise TypeError


def as_text(value: Any, limit: int) -> Any:
    """A text. Bytes are decoded as UTF-8, lists and dicts become JSON, numbers and exceptions their text.

    Of a text that is longer than `limit`, only a little more is copied, because it can have hundreds of megabytes.
    """
    if type(value) is str:  # first, because the classes below are slow to test
        return _valid(value[: limit + 1])
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, Mapping | list | tuple):
        value = msgspec.json.encode(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: 4 * (limit + 1)]).decode(errors="replace")
    if isinstance(value, Real | Decimal | UUID | uuid_utils.UUID | date | BaseException):
        value = str(value)
    return _valid(value[: limit + 1]) if isinstance(value, str) else ODD


def _valid(text: str) -> str:
    """A text that can be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # Through UTF-16, a pair of surrogates becomes the character that it stands for, and a lone one U+FFFD.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "".join(text)  # a plain text, if this is one of a subclass


def as_count(value: Any) -> Any:
    """A number from 0 to the largest `integer`, also of numpy or as text. Floats stay: the database rounds them."""
    if type(value) is int:
        return value if 0 <= value <= LARGEST else ODD
    if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
        return ODD
    try:
        number = float(value) if isinstance(value, str | Decimal | Real) else None
    except (ValueError, OverflowError):
        return ODD
    if number is None or not 0 <= number <= LARGEST:
        return ODD
    return int(value) if isinstance(value, Integral) else number


def as_flag(value: Any) -> Any:
    """True or false, also of numpy, as 0 or 1, or as text."""
    if isinstance(value, bool) or type(value).__name__ in {"bool_", "bool"}:
        return bool(value)
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower(), ODD)
    return bool(value) if isinstance(value, Real | Decimal) and value in (0, 1) else ODD


def as_texts(value: Any, limit: int) -> Any:
    """A list of texts, of which one more is looked at than are kept. One text is a list of one."""
    if isinstance(value, str | bytes):
        value = [value]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        return ODD
    texts = [as_text(item, limit) for item in islice(value, MAX_SUGGESTIONS + 1) if not is_missing(item)]
    return ODD if ODD in texts else texts
