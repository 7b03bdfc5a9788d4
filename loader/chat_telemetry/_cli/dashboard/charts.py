"""The geometry of the charts: percent across and pixels down, so that text keeps its size at every width."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import floor, log10

ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
SPARK_HEIGHT = 22
# The paths of bands stand in a box of this width, which the page stretches.
BOX = 1000


@dataclass(frozen=True)
class Bar:
    """A column: `x` and `width` in percent of the chart, `y` and `height` in pixels."""

    x: str
    width: str
    y: str
    height: str
    tone: str
    tip: str
    """What the mouse shows."""


@dataclass(frozen=True)
class Tick:
    """A label at an axis: at a percentage of the x axis, or at a pixel of the y axis."""

    position: str
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Columns:
    """A chart of columns from zero."""

    height: int
    bars: list[Bar]
    y_ticks: list[Tick]
    x_ticks: list[Tick]

    @property
    def is_empty(self) -> bool:
        """Whether no column has a height."""
        return all(bar.height == "0" for bar in self.bars)


@dataclass(frozen=True)
class Bands:
    """The median, and two bands up to the 95th and the 99th percentile."""

    height: int
    outer: list[str]
    inner: list[str]
    lines: list[tuple[str, str]]
    """Class and path of each line, the median last, so that it is on top."""
    dots: list[tuple[str, str]]
    """The values of a day between two days without any."""
    slots: list[Bar]
    """One per day, over the whole height: what the mouse shows."""
    y_ticks: list[Tick]
    x_ticks: list[Tick]


Percentiles = tuple[float, float, float]
"""The median, the 95th and the 99th percentile."""


def number(value: float) -> str:
    """At most two decimals and no zeros at the end."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(value: float) -> str:
    """A share of the width."""
    return number(value * 100) + "%"


def nice_ceiling(value: float) -> float:
    """The next round number whose half is round too."""
    if value <= 0:
        return 1.0
    magnitude = 10.0 ** floor(log10(value))
    return next(step * magnitude for step in ROUND if step * magnitude >= value * 0.9999)


def day_ticks(days: Sequence[date], every: int = 1) -> list[Tick]:
    """The last Monday, and each `every`-th one before it. The last label ends at the edge if it would go beyond it."""
    mondays = [place for place, day in enumerate(days) if day.weekday() == 0][::-every][::-1]
    ticks = []
    for place in mondays:
        label = f"{days[place].day} {days[place]:%b}"
        middle = (place + 0.5) / len(days)
        is_at_edge = middle >= 0.94
        ticks.append(
            Tick(percent((place + 1) / len(days)), label, "end") if is_at_edge else Tick(percent(middle), label)
        )
    return ticks


def y_ticks(height: int, top: float, label: Callable[[float], str]) -> list[Tick]:
    """Zero, the half and the top."""
    return [Tick(number(height), label(0)), Tick(number(height / 2), label(top / 2)), Tick("0", label(top))]


def columns(
    values: Sequence[float | None],
    tones: Sequence[str],
    tips: Sequence[str],
    *,
    height: int,
    label: Callable[[float], str] = str,
    x_ticks: Sequence[Tick] = (),
    top: float | None = None,
) -> Columns:
    """A value above `top` ends there. None has no column."""
    top = top or nice_ceiling(max((value for value in values if value is not None), default=0))
    slot = 1 / max(len(values), 1)
    gap = (0.18 if len(values) <= 62 else 0.05) * slot
    bars = []
    for place, value in enumerate(values):
        high = min(max(value / top * height, 1), height) if value else 0
        x, width = percent(place * slot + gap / 2), percent(slot - gap)
        bars.append(Bar(x, width, number(height - high), number(high), tones[place], tips[place]))
    return Columns(height, bars, y_ticks(height, top, label), list(x_ticks))


def bands(
    days: Sequence[date],
    measured: Mapping[date, Percentiles],
    tips: Sequence[str],
    *,
    height: int,
    label: Callable[[float], str],
) -> Bands:
    """Days without values interrupt the bands."""
    top = nice_ceiling(max((high for _, _, high in measured.values()), default=0))
    slot = 1 / len(days)

    def point(place: int, which: int) -> str:
        return f"{number((place + 0.5) * slot * BOX)} {number(height - measured[days[place]][which] / top * height)}"

    def area(run: list[int], low: int, high: int) -> str:
        there, back = [point(place, high) for place in run], [point(place, low) for place in reversed(run)]
        return "M" + "L".join(there + back) + "Z"

    runs = _runs([place for place, day in enumerate(days) if day in measured])
    long = [run for run in runs if len(run) > 1]
    alone = [run[0] for run in runs if len(run) == 1]
    return Bands(
        height,
        outer=[area(run, 1, 2) for run in long],
        inner=[area(run, 0, 1) for run in long],
        lines=[
            (name, "M" + "L".join(point(place, which) for place in run))
            for which, name in ((2, "p99"), (1, "p95"), (0, "median"))
            for run in long
        ],
        dots=[
            (percent((place + 0.5) * slot), number(height - value / top * height))
            for place in alone
            for value in measured[days[place]]
        ],
        slots=[
            Bar(percent(place * slot), percent(slot), "0", str(height), "", tips[place]) for place in range(len(days))
        ],
        y_ticks=y_ticks(height, top, label),
        x_ticks=day_ticks(days, every=2),
    )


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Neighbouring numbers together."""
    runs: list[list[int]] = []
    for place in places:
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
