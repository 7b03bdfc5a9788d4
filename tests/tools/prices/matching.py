"""How a logged name finds its price, in Python: the five steps of docs/reports.md on the committed seeds."""

from __future__ import annotations

import csv
import datetime as dt
import re
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tools.prices.__main__ import ALIASES, PRICES, ROOT
from tools.prices.price import Price

MAKER_OF_PREFIX = {
    "openai/": "openai",
    "anthropic/": "anthropic",
    "gemini/": "google",
    "google/": "google",
    "models/": "google",
    "xai/": "x-ai",
    "x-ai/": "x-ai",
    "mistral/": "mistral",
    "deepseek/": "deepseek",
}
MONTH, DAY = "(0[1-9]|1[0-2])", "(0[1-9]|[12][0-9]|3[01])"
DATE = re.compile(rf"[-@]20\d\d(-{MONTH}-{DAY}|{MONTH}{DAY})$")


class Match(NamedTuple):
    price_match: str
    model: str


@cache
def rows(path: Path) -> tuple[dict[str, str], ...]:
    with (ROOT / path).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def providers() -> dict[str, str]:
    return {row["model"]: row["provider"] for row in rows(PRICES)}


@cache
def aliases() -> dict[str, str]:
    return {row["alias"]: row["model"] for row in rows(ALIASES)}


def find(logged: str) -> Match | None:
    """The first of the five steps that finds a model."""
    name = logged.strip()
    if name in providers():
        return Match("exact", name)
    if name in aliases():
        return Match("alias", aliases()[name])
    undated = DATE.sub("", name)
    for price_match, model in (
        ("prefix", without_prefix(name)),
        ("undated", model_of(undated)),
        ("prefix", without_prefix(undated)),
    ):
        if model:
            return Match(price_match, model)
    return None


def model_of(name: str) -> str | None:
    return name if name in providers() else aliases().get(name)


def without_prefix(name: str) -> str | None:
    """The model of the name less a maker's prefix, if that maker sells it."""
    for prefix, maker in MAKER_OF_PREFIX.items():
        model = model_of(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if model and providers()[model] == maker:
            return model
    return None


def price_of(logged: str, day: dt.date) -> Price | None:
    match = find(logged)
    holding = [row for row in rows(PRICES) if match and row["model"] == match.model and row["valid_from"] <= str(day)]
    if not holding:
        return None
    row = max(holding, key=lambda row: row["valid_from"])
    full, cached, output = (row[f"{kind}_usd_per_mtok"] for kind in ("input", "cached_input", "output"))
    return Price(Decimal(full), Decimal(cached) if cached else None, Decimal(output))
