"""A price, a row of each seed, and the error that stops `make prices` before it changes a file."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import NamedTuple

PRICE_LIST = "genai-prices"
UNKNOWN_FIRST_DAY = dt.date(2020, 1, 1)  # before any known start date
TOLERANCE = Decimal("0.01")
# The same rule as labels.undated in migration 1100.
DATE_SUFFIX = re.compile(
    r"[-@]20\d{2}(-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))$", re.ASCII
)


class PriceListError(Exception):
    """The lists do not have the prices or names that the reports need. Each argument is one line for the user."""


class Price(NamedTuple):
    """US dollars per million tokens. Without a cached price the input price applies."""

    input: Decimal
    cached: Decimal | None
    output: Decimal

    def __str__(self) -> str:
        return "/".join("-" if value is None else f"{value.normalize():f}" for value in self)

    @classmethod
    def parse(cls, text: str) -> Price:
        """The price in `input/cached/output`, with `-` for a cached price that is missing."""
        parts = text.split("/")
        if len(parts) != 3 or not all(re.fullmatch(r"\d+(\.\d+)?", part) for part in (parts[0], parts[2])):
            raise PriceListError(f"{text!r} is no price: write input/cached/output in dollars, for example 2/0.5/8")
        return cls(Decimal(parts[0]), None if parts[1] == "-" else Decimal(parts[1]), Decimal(parts[2]))

    def differs_from(self, other: Price) -> bool:
        """Whether a price of `other`, the second list, is another one. It may lack a cached price, but not add one."""
        cached = self.input if self.cached is None else self.cached
        pairs = (self.input, other.input), (cached, other.cached), (self.output, other.output)
        return any(_differ(*pair) for pair in pairs)


def _differ(ours: Decimal, theirs: Decimal | None) -> bool:
    return theirs is not None and abs(ours - theirs) > TOLERANCE * max(ours, theirs)


class PriceRow(NamedTuple):
    """One row of token_prices.csv."""

    provider: str
    model: str
    valid_from: dt.date
    price: Price
    source: str


class Alias(NamedTuple):
    """One row of model_aliases.csv: another name under which `model` is logged."""

    alias: str
    model: str
    source: str
