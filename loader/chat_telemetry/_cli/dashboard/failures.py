"""What failed, and which questions the data cannot answer."""

from __future__ import annotations

from dataclasses import dataclass

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.bi.rows import ErrorType, Headline, RequestDay
from chat_telemetry._cli.dashboard.charts import Columns
from chat_telemetry._cli.dashboard.costs import Numbers
from chat_telemetry._cli.dashboard.series import Series

CHART_HEIGHT = 96


@dataclass(frozen=True)
class Shares:
    """A share of the chat requests by day."""

    change: str
    chart: Columns
    numbers: Numbers


@dataclass(frozen=True)
class Failures:
    """The sections about failures and about off-topic questions."""

    week: Headline
    failed: Shares
    off_topic: Shares
    types: list[tuple[ErrorType, Columns]]
    """The kinds of failures of two weeks, each with its days."""


def failures(reports: Reports, series: Series) -> Failures:
    """The sections about failures and about off-topic questions."""
    week, previous = reports.headlines["last_7_complete_days"], reports.headlines["previous_7_complete_days"]
    by_kind = reports.errors_by_kind
    shown = [row for row in reports.requests if row.day in set(series.days.shown)]
    has_previous = series.days.has_previous
    return Failures(
        week,
        Shares(
            text.points(week.error_rate, previous.error_rate, has_previous=has_previous),
            series.rates({row.day: row.error_rate for row in shown}, "failed", height=CHART_HEIGHT),
            _numbers("Failed", [(row, row.error_count, row.error_rate) for row in shown]),
        ),
        Shares(
            text.points(week.off_topic_rate, previous.off_topic_rate, has_previous=has_previous),
            series.rates({row.day: row.off_topic_rate for row in shown}, "off topic", height=CHART_HEIGHT),
            _numbers("Off topic", [(row, row.off_topic_count, row.off_topic_rate) for row in shown]),
        ),
        types=[
            (row, series.spark(by_kind.get((row.error_type, row.failed_step), {}), text.count))
            for row in reports.error_types
        ],
    )


def _numbers(what: str, days: list[tuple[RequestDay, int, float]]) -> Numbers:
    cells = [
        [text.day(row.day), text.count(number), text.count(row.request_count), text.rate(share)]
        for row, number, share in reversed(days)
    ]
    return ["Day", what, "Requests", "Share"], cells
