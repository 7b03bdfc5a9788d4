"""Numbers, dates and names as people read them. Nothing here depends on a locale or on the clock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

NONE = "\N{EN DASH}"
THIN = "\N{NARROW NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"
LONGEST_NAME = 200
# What reverses the direction of text or hides it. Its number is shown instead.
INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
    "|[\ufff9-\ufffb\U000e0000-\U000e007f]"
)
NO_PREVIOUS = "no week before to compare with"
NOTHING = "nothing to compare"
AS_BEFORE = "as in the week before"


def visible(text: str, longest: int = LONGEST_NAME) -> str:
    """Text of others as it may be shown: not empty, not longer than `longest`, nothing hidden in it."""
    if not text.strip():
        return "(empty)"
    shown = text if len(text) <= longest else text[: longest - 1] + "…"
    return INVISIBLE.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", shown)


def short(name: str, longest: int = 40) -> str:
    """A long name keeps both ends, where the names of models differ."""
    name = visible(name)
    return name if len(name) <= longest else f"{name[: longest - 13]}…{name[-12:]}"


def count(value: float | None) -> str:
    """`1,234`."""
    return NONE if value is None else f"{value:,.0f}"


def some(number: int, one: str, many: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {one if number == 1 else many}"


def places(values: Iterable[Decimal | None]) -> int:
    """The decimals of a column of money, by its largest value: numbers below each other line up."""
    largest = max((abs(value) for value in values if value), default=Decimal(0))
    if largest >= 10_000:
        return 0
    if largest >= Decimal("0.995"):
        return 2
    return 3 if largest >= Decimal("0.0995") else 4


def usd(value: Decimal | None, decimals: int | None = None) -> str:
    """Dollars with these decimals, or as many as the value needs. A value that would be shown as 0 is `<$0.01`."""
    if value is None:
        return NONE
    if decimals is None:
        decimals = 0 if value == 0 or abs(value) >= 1000 else places([value])
    smallest = Decimal(1).scaleb(-decimals)
    if 0 < value < smallest / 2:
        return f"<${smallest}"
    return f"${value:,.{decimals}f}"


def signed_usd(value: Decimal | None, decimals: int | None = None) -> str:
    """Dollars with a sign."""
    if value is None:
        return NONE
    sign = "+" if value > 0 else MINUS if value < 0 else "±"
    return sign + usd(abs(value), decimals)


def rate(value: float | Decimal | None, digits: int = 1) -> str:
    """A share between 0 and 1 in percent."""
    if value is None:
        return NONE
    value = float(value)
    if 0 < value < 0.5 * 10 ** -(digits + 2):
        return f"<{10**-digits:g}{THIN}%"
    return f"{value * 100:.{digits}f}{THIN}%"


def ms(value: float | None) -> str:
    """Milliseconds, seconds, minutes or hours."""
    if value is None:
        return NONE
    if value >= 3_600_000:
        return f"{value / 3_600_000:,.1f}{THIN}h"
    if value >= 60_000:
        return f"{value / 60_000:.1f}{THIN}min"
    if value >= 1_000:
        return f"{value / 1_000:.{1 if value >= 10_000 else 2}f}{THIN}s"
    return f"{value:.0f}{THIN}ms"


def axis_ms(value: float) -> str:
    """A round number of milliseconds at an axis."""
    if not value:
        return "0"
    return f"{value / 1000:g}{THIN}s" if value >= 1000 else f"{value:g}{THIN}ms"


def axis_usd(value: float) -> str:
    """A round number of dollars at an axis."""
    if not value:
        return "$0"
    if value >= 100:
        return f"${value:,.0f}"
    return f"${value:,.2f}" if value >= 0.01 else f"${value:g}"


def axis_rate(value: float) -> str:
    """A round share at an axis."""
    return f"{value * 100:g}{THIN}%"


def change(now: float | Decimal | None, before: float | Decimal | None, *, has_previous: bool = True) -> str:
    """How a sum compares with that of the week before, in words: a sign alone is easily overlooked."""
    if now is None or before is None or not has_previous:
        return NOTHING if has_previous else NO_PREVIOUS
    if before == 0:
        return "none in the week before" if now else "none in the week before either"
    ratio = float(now) / float(before)
    if abs(ratio - 1) < 0.005:
        return AS_BEFORE
    if ratio > 10:
        return f"{ratio:,.0f} times the week before"
    return f"{abs(ratio - 1) * 100:.0f}{THIN}% {'more' if ratio > 1 else 'less'} than in the week before"


def points(now: float | None, before: float | None, *, has_previous: bool = True) -> str:
    """How a rate compares with that of the week before, in percentage points."""
    if now is None or before is None or not has_previous:
        return NOTHING if has_previous else NO_PREVIOUS
    difference = (now - before) * 100
    if abs(difference) < 0.05:
        return AS_BEFORE
    return f"{abs(difference):.1f} points {'more' if difference > 0 else 'less'} than in the week before"


def slower(now: float | None, before: float | None, *, has_previous: bool = True) -> str:
    """How a duration compares with that of the week before."""
    if now is None or before is None or not has_previous:
        return NOTHING if has_previous else NO_PREVIOUS
    if before == 0 or abs(now / before - 1) < 0.005:
        return AS_BEFORE if now == before or before else f"{ms(before)} in the week before"
    return f"{abs(now / before - 1) * 100:.0f}{THIN}% {'slower' if now > before else 'faster'} than in the week before"


def day(value: date | None) -> str:
    """`25 Nov 2026`."""
    return NONE if value is None else f"{value.day} {value:%b} {value.year}"


def span(first: date, last: date) -> str:
    """`24 to 30 Nov 2026`."""
    if first == last:
        return day(first)
    if first.year != last.year:
        return f"{day(first)} to {day(last)}"
    if first.month != last.month:
        return f"{first.day} {first:%b} to {day(last)}"
    return f"{first.day} to {day(last)}"


def moment(value: datetime | None) -> str:
    """`25 Nov 2026, 01:58`."""
    return NONE if value is None else f"{day(value)}, {value:%H:%M}"
