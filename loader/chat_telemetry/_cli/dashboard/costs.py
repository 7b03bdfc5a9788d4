"""What the models cost, and which of them most of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.bi.rows import Headline, ModelCost, Month
from chat_telemetry._cli.dashboard.charts import Columns, Tick, columns, percent
from chat_telemetry._cli.dashboard.series import Series

STEPS = {"sql_generation": "writing SQL", "response_generation": "writing responses"}
CHART_HEIGHT = 132
HISTORY_HEIGHT = 72
MODELS_BY_DAY = 5

ByDay = dict[date, Decimal | None]
Numbers = tuple[list[str], list[list[str]]]
"""The headings and the cells of a table."""


@dataclass(frozen=True)
class Costs:
    """The section about costs."""

    week: Headline
    previous: Headline
    change: str
    chart: Columns
    numbers: Numbers
    models: list[tuple[ModelCost, Columns]]
    """The models of two weeks, each with its days."""
    steps: list[tuple[str, str]]
    """What share of the cost of the week each step has."""
    month: Month | None
    """The current month, if it has calls."""
    today: Decimal | None
    history: Columns | None
    """All months, if there are more than two."""
    months: Numbers

    @property
    def places(self) -> int:
        """The decimals of the tables."""
        return text.places([*(m.cost_usd for m, _ in self.models), *(m.previous_cost_usd for m, _ in self.models)])


def costs(reports: Reports, series: Series) -> Costs:
    """The section about costs."""
    days = series.days
    week, previous = reports.headlines["last_7_complete_days"], reports.headlines["previous_7_complete_days"]
    by_day = {row.day: row.cost_usd for row in reports.requests}
    by_model = reports.costs_by_model
    current = days.last.replace(day=1)
    return Costs(
        week,
        previous,
        text.change(week.cost_usd, previous.cost_usd, has_previous=days.has_previous),
        chart=series.sums(_floats(by_day), _usd, text.axis_usd, height=CHART_HEIGHT),
        numbers=_numbers(reports, series, by_model),
        models=[(row, series.spark(_floats(by_model.get(row.model, {})), _usd)) for row in reports.models],
        steps=_steps(reports, series),
        month=next((month for month in reports.months if month.month == current), None),
        today=by_day.get(days.last),
        history=_history(reports.months, current) if len(reports.months) > 2 else None,
        months=_months(reports.months),
    )


def _floats(values: Mapping[date, Decimal | None]) -> dict[date, float | None]:
    return {day: None if value is None else float(value) for day, value in values.items()}


def _usd(value: float) -> str:
    return text.usd(Decimal(str(value)))


def _numbers(reports: Reports, series: Series, by_model: Mapping[str, ByDay]) -> Numbers:
    """The cost of each day, and of the models that cost most."""
    shown = set(series.days.shown)
    spent = {
        model: sum((usd for day, usd in days.items() if day in shown and usd), Decimal(0))
        for model, days in by_model.items()
    }
    models = sorted((model for model in spent if spent[model]), key=lambda model: (-spent[model], model))
    named, others = models[:MODELS_BY_DAY], models[MODELS_BY_DAY:]
    rows = [row for row in reversed(reports.requests) if row.day in shown]
    decimals = text.places(row.cost_usd for row in rows)
    cells = []
    for row in rows:
        each = [by_model[model].get(row.day) for model in named]
        rest = sum((by_model[model].get(row.day) or Decimal(0) for model in others), Decimal(0))
        money = [row.cost_usd, *each, *([rest] if others else [])]
        counts = [text.count(row.call_count), text.count(row.unpriced_call_count)]
        cells.append([text.day(row.day), *(text.usd(value, decimals) for value in money), *counts])
    heads = ["Day", "Cost", *map(text.short, named), *(["Other models"] if others else [])]
    return [*heads, "Model calls", "Without price"], cells


def _steps(reports: Reports, series: Series) -> list[tuple[str, str]]:
    first, last = series.days.week
    spent: dict[str, Decimal] = defaultdict(Decimal)
    for row in reports.calls:
        if first <= row.day <= last:
            spent[row.step] += row.cost_usd or 0
    total = sum(spent.values())
    return [(STEPS[step], text.rate(spent[step] / total, 0)) for step in STEPS if spent[step]] if total else []


def _history(months: list[Month], current: date) -> Columns:
    """All months of the log, the oldest first."""
    ordered = sorted(months, key=lambda month: month.month)
    return columns(
        [None if month.cost_usd is None else float(month.cost_usd) for month in ordered],
        ["begun" if month.month >= current else "old" for month in ordered],
        [f"{month.month:%B} {month.month.year}: {text.usd(month.cost_usd)}" for month in ordered],
        height=HISTORY_HEIGHT,
        label=text.axis_usd,
        x_ticks=_month_ticks([month.month for month in ordered]),
    )


def _month_ticks(months: list[date]) -> list[Tick]:
    """Each month, or every second one, or each January, so that the labels have room."""
    few = len(months) <= 14
    every = 1 if len(months) < 8 else 2
    ticks = []
    for place, month in enumerate(months):
        if place % every == 0 if few else month.month == 1:
            names_year = not few or month.month == 1 or place == 0
            label = (
                f"{month:%b} {month.year}" if names_year and few else str(month.year) if names_year else f"{month:%b}"
            )
            ticks.append(Tick(percent((place + 0.5) / len(months)), label))
    return ticks


def _months(months: list[Month]) -> Numbers:
    decimals = text.places(month.cost_usd for month in months)
    cells = [
        [
            f"{month.month:%b} {month.month.year}",
            text.usd(month.cost_usd, decimals),
            text.count(month.call_count),
            text.count(month.unpriced_call_count),
        ]
        for month in months
    ]
    return ["Month", "Cost", "Model calls", "Without price"], cells
