"""Values by day as charts. A day has a tone: of the week, of the week before, earlier, or not over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.days import Days
from chat_telemetry._cli.dashboard.charts import SPARK_HEIGHT, Columns, columns, day_ticks, nice_ceiling

# Of a day with fewer requests, a share says little, and it does not set the scale of a chart.
ENOUGH = 30
Format = Callable[[float], str]


class Series:
    """Makes charts whose days are those of the page."""

    def __init__(self, days: Days, requests: Mapping[date, int]) -> None:
        self.days = days
        self._requests = requests
        """How many chat requests each day had."""

    def tone(self, day: date) -> str:
        """The class of a column."""
        if day > self.days.week[1]:
            return "begun"
        if day >= self.days.week[0]:
            return "now"
        return "before" if day >= self.days.previous_week[0] else "old"

    @property
    def tones(self) -> set[str]:
        """Those of the days with requests."""
        return {self.tone(day) for day in self.days.shown if day in self._requests}

    def sums(self, values: Mapping[date, float | None], shown: Format, axis: Format, *, height: int) -> Columns:
        """Sums of days. The last day is a hollow column, because it is not over."""
        return self._columns(self.days.shown, values, shown, axis=axis, height=height)

    def rates(self, values: Mapping[date, float], what: str, *, height: int) -> Columns:
        """Shares of days that are over. A day with few requests does not set the scale."""
        fair = [values[day] for day in self.days.complete if day in values and self._requests[day] >= ENOUGH]
        top = nice_ceiling(max(fair or values.values(), default=0))

        def shown(value: float) -> str:
            return f"{text.rate(value)} {what}"

        return self._columns(self.days.complete, values, shown, axis=text.axis_rate, height=height, top=top)

    def spark(self, values: Mapping[date, float | None], shown: Format) -> Columns:
        """A small chart in a row of a table."""
        return self._columns(self.days.complete, values, shown, height=SPARK_HEIGHT, missing=text.NONE)

    def _columns(
        self,
        days: Sequence[date],
        values: Mapping[date, float | None],
        shown: Format,
        *,
        height: int,
        axis: Format = str,
        top: float | None = None,
        missing: str = "no chat requests",
    ) -> Columns:
        def tip(day: date) -> str:
            value = values.get(day)
            unknown = "not known" if day in values else missing
            return f"{text.day(day)}: {unknown if value is None else shown(value)}"

        return columns(
            [values.get(day) for day in days],
            [self.tone(day) for day in days],
            [tip(day) for day in days],
            height=height,
            label=axis,
            x_ticks=day_ticks(days, every=1 if len(days) <= 45 else 2),
            top=top,
        )
