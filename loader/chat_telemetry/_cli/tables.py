"""Rows of a report as a table for people: right-aligned numbers, and only the columns that fit the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from chat_telemetry._cli.errors import one_line

GAP = 2
MIN_TEXT_WIDTH = 40  # a wider column holds SQL or sentences, which may be cut; ids and model names may not
LONGEST = 60  # csv and json have the whole text
SHORTEST = 24
NO_VALUE = "\N{EN DASH}"

Rows = Sequence[Sequence[object]]


def print_table(
    columns: Sequence[str], rows: Rows, narrow_columns: Sequence[str], all_columns: str = "--format csv"
) -> None:
    """Print all columns if they fit, otherwise those of `narrow_columns` and a line that says what shows `all_columns`.

    Without a terminal (a pipe, a file) all columns fit.
    """
    console = Console(highlight=False)
    if _print_if_fits(console, columns, rows):
        return
    positions = [columns.index(name) for name in narrow_columns]
    picked = [[row[position] for position in positions] for row in rows]
    while not _print_if_fits(console, narrow_columns, picked):
        narrow_columns, picked = narrow_columns[:-1], [row[:-1] for row in picked]
    note = f"{len(narrow_columns)} of {len(columns)} columns fit here; {all_columns} shows all"
    console.print(note, style="dim")


def format_value(column: str, value: object) -> str:
    """A cell: thousands separated; money 4 decimals (6 per request), rates 4, milliseconds 1; prices have all."""
    match value:
        case None:
            return NO_VALUE
        case Decimal() if column.endswith("_per_mtok"):
            return f"{value:,f}"
        case bool() | date():
            return str(value)
        case int():
            return f"{value:,}"
        case Decimal() | float():
            return f"{value:,.{_decimals(column)}f}"
    return one_line(str(value))


def number(of: int | Sequence[object], noun: str) -> str:
    """`1 price`, `1,000 prices`."""
    count = of if isinstance(of, int) else len(of)
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _decimals(column: str) -> int:
    if column.endswith("_per_request_usd"):
        return 6
    return 4 if column.endswith(("_usd", "_rate")) or column.startswith("share_") else 1


def _print_if_fits(console: Console, columns: Sequence[str], rows: Rows) -> bool:
    is_number = [any(isinstance(row[i], int | float | Decimal) for row in rows) for i in range(len(columns))]
    # A heading above numbers may wrap at its underscores, so that the column is only as wide as its numbers.
    headings = [name.replace("_", " ") if number else name for name, number in zip(columns, is_number, strict=True)]
    cells = [[format_value(name, value) for name, value in zip(columns, row, strict=True)] for row in rows]
    widths = [
        min(LONGEST, max(map(cell_len, [*heading.split(), *(row[i] for row in cells)])))
        for i, heading in enumerate(headings)
    ]
    room = console.width if console.is_terminal else sum(widths) + GAP * len(widths)
    if not _shrink(widths, room) and len(columns) > 1:
        return False
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for heading, number, width in zip(headings, is_number, widths, strict=True):
        justify = "right" if number else "left"
        table.add_column(heading, justify=justify, vertical="bottom", width=width)  # type: ignore[arg-type]
    for row in cells:
        # Text, because Rich would interpret square brackets of SQL in a str as markup.
        table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in row))
    Console(width=room, highlight=False).print(table)
    return True


def _shrink(widths: list[int], room: int) -> bool:
    """Cut columns of prose until the table fits. Returns whether it does."""
    for i, width in enumerate(widths):
        excess = sum(widths) + GAP * (len(widths) - 1) - room
        if excess > 0 and width > MIN_TEXT_WIDTH:
            widths[i] = max(SHORTEST, width - excess)
    return sum(widths) + GAP * (len(widths) - 1) <= room
