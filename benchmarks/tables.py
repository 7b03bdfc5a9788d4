"""Formats figures as Markdown tables, for the terminal and the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence


def table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with a heading. The cells of a column have the same width."""
    cells = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    cells.insert(1, ["-" * width for width in widths])
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join([f"### {title}", "", *[f"| {' | '.join(row)} |" for row in padded], ""])


def spread(values: Sequence[float]) -> str:
    """The median, and in brackets the minimum and the maximum."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """The first median divided by the second one."""
    return f"{statistics.median(above) / statistics.median(below):.2f}"


def bytes_in_words(count: int) -> str:
    """Kilobytes, megabytes or gigabytes, of 1,000 each."""
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1000:.0f} kB"
