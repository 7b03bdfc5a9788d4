"""Which days the reports speak of. The last day is not over, so weeks of complete days are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from chat_telemetry._cli.bi.rows import Freshness

WEEK = 7
FEWEST = 2 * WEEK


def days_between(first: date, last: date) -> list[date]:
    """From `first` to `last`, both included."""
    return [first + timedelta(days=i) for i in range((last - first).days + 1)]


@dataclass(frozen=True)
class Days:
    """The last day that counts, and what follows from it."""

    last: date
    """The last day that counts. It is in no week, because it is not over."""
    is_over: bool
    """Whether the last day was over when the reports were refreshed, because `report_as_of` is a day of the past."""
    shown: list[date]
    """The days of the charts. The last one is `last`."""
    has_previous: bool
    """Whether the log is old enough for a whole week before the week."""

    @classmethod
    def of(cls, freshness: Sequence[Freshness], first_request: date, count: int) -> Days:
        """At most `count` days, and at least two weeks. A young log gets no chart that is mostly empty."""
        last = max(row.as_of for row in freshness)
        refreshed = max(row.refreshed_at for row in freshness).date()
        first = max(last - timedelta(days=count - 1), min(first_request, last - timedelta(days=FEWEST - 1)))
        has_previous = first_request <= last - timedelta(days=2 * WEEK)
        return cls(last, refreshed > last, days_between(first, last), has_previous)

    @property
    def complete(self) -> list[date]:
        """The days of the charts that are over."""
        return self.shown[:-1]

    @property
    def week(self) -> tuple[date, date]:
        """The first and the last day of the last seven complete days."""
        return self.last - timedelta(days=WEEK), self.last - timedelta(days=1)

    @property
    def previous_week(self) -> tuple[date, date]:
        """The first and the last day of the seven days before the week."""
        return self.last - timedelta(days=2 * WEEK), self.last - timedelta(days=WEEK + 1)
