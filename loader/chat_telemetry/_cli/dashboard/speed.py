"""How long each step takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.bi.rows import StepLatency
from chat_telemetry._cli.dashboard.charts import Bands, Percentiles, bands, nice_ceiling, percent
from chat_telemetry._cli.dashboard.costs import Numbers
from chat_telemetry._cli.dashboard.series import Series

BANDS_HEIGHT = 96
STEPS = {
    "ttfb": ("First byte", "from the question on, so it includes the next two"),
    "nl_to_sql": ("Writing the SQL", "question to SQL"),
    "sql_execution": ("Running the SQL", "in the database"),
    "response_generation": ("Writing the response", "result to the end of the response"),
}


@dataclass(frozen=True)
class Range:
    """From the median to the 99th percentile, in percent of a scale that all steps share."""

    p50: str
    p95: str
    to_p95: str
    to_p99: str


@dataclass(frozen=True)
class StepSpeed:
    """A step: its week, if it was measured, and its days."""

    name: str
    what: str
    week: StepLatency | None
    range: Range | None
    bands: Bands | None
    numbers: Numbers


@dataclass(frozen=True)
class Speed:
    """The section about durations."""

    steps: list[StepSpeed]
    scale: str
    """The right end of the scale."""
    first_byte: StepLatency | None
    slowest: StepSpeed | None
    """The step with the highest 95th percentile. The first byte is no step of its own."""


def speed(reports: Reports, series: Series) -> Speed:
    """The section about durations."""
    weeks = {row.step: row for row in reports.steps}
    top = nice_ceiling(max((row.p99_ms for row in weeks.values()), default=0))
    steps = {key: _step(key, weeks.get(key), top, reports, series) for key in STEPS}
    own = [step for key, step in steps.items() if key != "ttfb" and step.week]
    slowest = max(own, key=lambda step: step.week.p95_ms if step.week else 0, default=None)
    return Speed([*steps.values()], text.axis_ms(top), weeks.get("ttfb"), slowest)


def _step(key: str, week: StepLatency | None, top: float, reports: Reports, series: Series) -> StepSpeed:
    measured = {
        row.period_start: (row.p50_ms, row.p95_ms, row.p99_ms)
        for row in reports.latency
        if row.step == key and row.period_start in set(series.days.complete)
    }
    name, what = STEPS[key]
    days = series.days.complete[-30:]  # `latency` has the days of the last 30
    chart = None
    if measured:
        tips = [_tip(day, measured.get(day)) for day in days]
        chart = bands(days, measured, tips, height=BANDS_HEIGHT, label=text.axis_ms)
    cells = [[text.day(day), *map(text.ms, values)] for day, values in sorted(measured.items(), reverse=True)]
    scaled = None if week is None else _range(week, top)
    return StepSpeed(name, what, week, scaled, chart, (["Day", "Median", "95 %", "99 %"], cells))


def _range(week: StepLatency, top: float) -> Range:
    to_p95, to_p99 = week.p95_ms - week.p50_ms, week.p99_ms - week.p95_ms
    return Range(*(percent(value / top) for value in (week.p50_ms, week.p95_ms, to_p95, to_p99)))


def _tip(day: date, values: Percentiles | None) -> str:
    if values is None:
        return f"{text.day(day)}: nothing measured"
    half, most, nearly_all = map(text.ms, values)
    return f"{text.day(day)}: half under {half}, 95 % under {most}, 99 % under {nearly_all}"
