"""All reports on one screen of a terminal: costs, durations, failures, freshness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chat_telemetry._cli.bi import text
from chat_telemetry._cli.bi.reading import Reports
from chat_telemetry._cli.errors import one_line

BLOCKS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 8
GAP = 2
ROWS = 8
LONGEST_NAME = 36


class Column(NamedTuple):
    """A column of a table. The last columns are left out if the terminal is narrow."""

    head: str
    cells: Sequence[str]
    is_number: bool = True
    is_picture: bool = False
    """Whether it needs a terminal that has block elements."""


def print_overview(reports: Reports) -> None:
    """Print what the dashboard shows first, at most 120 columns wide."""
    console = Console(highlight=False, soft_wrap=False)
    if reports.days is None:
        console.print("no chat requests yet: the reports were built on an empty log")
        return
    for title, columns in (_costs(reports), _durations(reports), _failures(reports)):
        console.print(Text(title, style="bold"), soft_wrap=True)
        if columns:
            _print_table(console, columns)
        console.print()
    for line in _last_lines(reports):
        console.print(Text(line, style="dim"), soft_wrap=True)


def _costs(reports: Reports) -> tuple[str, list[Column]]:
    assert reports.days is not None  # noqa: S101
    days, week = reports.days, reports.headlines["last_7_complete_days"]
    before = reports.headlines["previous_7_complete_days"].cost_usd
    by_model = reports.costs_by_model
    models = reports.models[:ROWS]
    places = text.places([*(m.cost_usd for m in models), *(m.previous_cost_usd for m in models)])
    largest = max((m.cost_usd or Decimal(0) for m in models), default=Decimal(0))
    title = f"{text.span(*days.week)}: {text.some(week.request_count, 'chat request', 'chat requests')}, "
    title += f"cost {text.usd(week.cost_usd)}, {text.change(week.cost_usd, before, has_previous=days.has_previous)}"
    return _plain(title), [
        Column("model", [text.short(m.model, LONGEST_NAME) for m in models], is_number=False),
        Column("cost", ["no price" if m.cost_usd is None else text.usd(m.cost_usd, places) for m in models]),
        Column("", [_bar(m.cost_usd, largest) for m in models], is_number=False, is_picture=True),
        Column("change", [text.signed_usd(m.change_usd, places) if days.has_previous else text.NONE for m in models]),
        Column(
            f"{len(days.complete)} days",
            [_spark(by_model.get(m.model, {}), days.complete) for m in models],
            is_number=False,
            is_picture=True,
        ),
        Column("calls", [text.count(m.call_count) for m in models]),
        Column("without price", [text.count(m.unpriced_call_count) for m in models]),
    ]


def _durations(reports: Reports) -> tuple[str, list[Column]]:
    assert reports.days is not None  # noqa: S101
    days = reports.days
    by_step: dict[str, dict[date, float]] = {}
    for row in reports.latency:
        by_step.setdefault(row.step, {})[row.period_start] = row.p95_ms
    steps = reports.steps
    if not steps:
        return "Nothing was measured in the week", []
    return "How long each step took", [
        Column("step", [step.step for step in steps], is_number=False),
        Column("p50", [text.ms(step.p50_ms) for step in steps]),
        Column("p95", [text.ms(step.p95_ms) for step in steps]),
        Column("p99", [text.ms(step.p99_ms) for step in steps]),
        Column(
            "p95 by day, each on its own scale",
            [_spark(by_step.get(step.step, {}), days.complete, from_zero=False) for step in steps],
            is_number=False,
            is_picture=True,
        ),
        Column("p95 before", [text.ms(step.previous_p95_ms if days.has_previous else None) for step in steps]),
        Column("requests", [text.count(step.request_count) for step in steps]),
    ]


def _failures(reports: Reports) -> tuple[str, list[Column]]:
    assert reports.days is not None  # noqa: S101
    days, week = reports.days, reports.headlines["last_7_complete_days"]
    by_kind = reports.errors_by_kind
    kinds = reports.error_types[:ROWS]
    title = f"{text.count(week.error_count)} failed ({text.rate(week.error_rate)})"
    title += f", {text.count(week.off_topic_count)} off topic ({text.rate(week.off_topic_rate)})"
    if not kinds:
        return _plain(title), []
    return _plain(title), [
        Column("error_type", [text.short(kind.error_type, LONGEST_NAME) for kind in kinds], is_number=False),
        Column("failed_step", [text.short(kind.failed_step, LONGEST_NAME) for kind in kinds], is_number=False),
        Column("requests", [text.count(kind.request_count) for kind in kinds]),
        Column(
            f"{len(days.complete)} days",
            [_spark(by_kind.get((kind.error_type, kind.failed_step), {}), days.complete) for kind in kinds],
            is_number=False,
            is_picture=True,
        ),
        Column("before", [text.count(kind.previous_request_count if days.has_previous else None) for kind in kinds]),
    ]


def _last_lines(reports: Reports) -> list[str]:
    freshness = reports.freshness
    oldest, pending = min(row.refreshed_at for row in freshness), max(row.pending_changes for row in freshness)
    lines = [
        f"refreshed {text.moment(oldest)} ({freshness[0].report_timezone}),"
        f" {text.some(pending, 'change', 'changes')} pending"
    ]
    if reports.alerts:
        lines.append(f"over the bound: {', '.join(f'{each.alert} {each.subject}'.strip() for each in reports.alerts)}")
    return [one_line(line) for line in (*lines, "one report: chat-telemetry report NAME; their names: --list")]


def _bar(value: Decimal | None, largest: Decimal) -> str:
    return "█" * round(BAR_WIDTH * float(value / largest)) if value else ""


def _spark(values: Mapping[date, float | Decimal | None], days: Sequence[date], *, from_zero: bool = True) -> str:
    """A block per day, from 0 for sums and from the smallest for percentiles, which are far from 0.

    A day without a value is blank.
    """
    shown = [values.get(day) for day in days]
    known = [float(value) for value in shown if value is not None]
    low, high = (0.0 if from_zero else min(known, default=0.0)), max(known, default=0.0)

    def block(value: float) -> str:
        return BLOCKS[round((len(BLOCKS) - 1) * (value - low) / (high - low)) if high > low else 0]

    return "".join(" " if value is None else block(float(value)) for value in shown)


def _plain(shown: str) -> str:
    """Without the characters that only fonts of a page have."""
    return shown.replace(text.THIN, " ").replace(text.MINUS, "-")


def _print_table(console: Console, columns: Sequence[Column]) -> None:
    has_blocks = _can_print(console, BLOCKS)
    columns = [column for column in columns if has_blocks or not column.is_picture]
    while console.is_terminal and len(columns) > 1 and _width(columns) > console.width:
        columns = columns[:-1]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column.head, justify="right" if column.is_number else "left", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        # Text, because Rich would interpret square brackets in a str as markup.
        table.add_row(*(Text(one_line(_plain(cell)) if cell.strip() else cell) for cell in cells))
    Console(width=max(console.width, _width(columns)), highlight=False).print(table)


def _can_print(console: Console, characters: str) -> bool:
    try:
        characters.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _width(columns: Sequence[Column]) -> int:
    widths: list[int] = [max(map(cell_len, (column.head, *column.cells))) for column in columns]
    return sum(widths) + GAP * (len(widths) - 1)
