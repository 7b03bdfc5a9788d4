"""The filters of a chart, as its controls and its query have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# No end: where the report's day begins earlier than Superset's, the last day is not cut off.
LAST_30_DAYS = "DATEADD(DATETIME('today'), -29, day) : "


@dataclass(frozen=True)
class Filter:
    """`column operator value`, in Superset's words for the operator."""

    column: str
    operator: str
    value: str | tuple[str, ...]

    def control(self) -> dict[str, Any]:
        ids = {"==": "EQUALS", "IN": "IN", "NOT IN": "NOT_IN", "TEMPORAL_RANGE": "TEMPORAL_RANGE"}
        return {
            "clause": "WHERE",
            "comparator": self._value,
            "expressionType": "SIMPLE",
            "filterOptionName": f"filter_{self.column}",
            "operator": self.operator,
            "operatorId": ids[self.operator],
            "subject": self.column,
        }

    def condition(self) -> dict[str, Any]:
        return {"col": self.column, "op": self.operator, "val": self._value}

    @property
    def _value(self) -> str | list[str]:
        return self.value if isinstance(self.value, str) else list(self.value)


def is_(column: str, *values: str) -> Filter:
    return Filter(column, "==", values[0]) if len(values) == 1 else Filter(column, "IN", values)


def is_not(column: str, *values: str) -> Filter:
    return Filter(column, "NOT IN", values)


def in_the_last_30_days(column: str = "day") -> Filter:
    return Filter(column, "TEMPORAL_RANGE", LAST_30_DAYS)
