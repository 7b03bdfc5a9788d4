"""seeds/decisions.toml: what holds where the two lists disagree, and since when."""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.prices.price import Price, PriceListError

FILE = Path("seeds/decisions.toml")
FIELDS = {"action", "decided_on", "disputes", "source", "why"}
NONE = "none"  # in the file: this list does not have the name
THEIRS = "litellm"  # in the file: the price that litellm has for the name


@dataclass(frozen=True)
class Dispute:
    """A name and the prices of both lists, as they were when it was decided."""

    name: str
    ours: Price | None
    theirs: Price | None


@dataclass(frozen=True)
class Decision:
    """Either keep the price of genai-prices for these names, or correct it from certain days on."""

    disputes: tuple[Dispute, ...]
    decided_on: dt.date
    why: str
    source: tuple[str, ...]
    corrections: tuple[tuple[dt.date, Price | None], ...] = ()  # in the order of their days; None: that of litellm
    provider: str = ""  # of names that genai-prices does not have

    def prices_of(self, dispute: Dispute) -> list[tuple[dt.date, Price]]:
        """The corrected prices of a name, each with its first day; none if the decision is to keep that of the list."""
        prices = ((day, price or dispute.theirs) for day, price in self.corrections)
        return [(day, price) for day, price in prices if price is not None]


@dataclass(frozen=True)
class Decisions:
    version: str
    released_on: dt.date
    decisions: tuple[Decision, ...]

    def disputes(self) -> Iterator[tuple[Decision, Dispute]]:
        yield from ((decision, dispute) for decision in self.decisions for dispute in decision.disputes)

    def names(self) -> set[str]:
        return {dispute.name for _, dispute in self.disputes()}

    def source(self, decision: Decision | None = None) -> str:
        """The column `source` of a row. It ends with the day on which its price was last known to hold."""
        last_day = f" of {self.released_on}" if decision is None else f", corrected {decision.decided_on}"
        return f"genai-prices {self.version}{last_day}"


def read_decisions(path: Path, installed_version: str) -> Decisions:
    """Raises PriceListError with one line that names the faulty decision."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PriceListError(f"{path}: {error}") from error
    price_list = content.get("price_list", {})
    version, released_on = price_list.get("version"), price_list.get("released_on")
    if version != installed_version or not isinstance(released_on, dt.date):
        raise PriceListError(
            f"{path}: genai-prices {installed_version} is installed: "
            "write this version and the day of its release into [price_list]"
        )
    decisions = tuple(read_decision(path, entry) for entry in content.get("decision", []))
    names = [dispute.name for decision in decisions for dispute in decision.disputes]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PriceListError(f"{path}: decided twice: {', '.join(twice)}")
    return Decisions(version, released_on, decisions)


def read_decision(path: Path, entry: dict[str, Any]) -> Decision:
    disputes = entry.get("disputes") or [{}]
    where = f"{path}: decision on {disputes[0].get('name', 'no name')}"
    optional = {"prices", "provider"} if entry.get("action") == "correct" else set()
    if entry.get("action") not in {"keep", "correct"} or not FIELDS <= set(entry) <= FIELDS | optional:
        raise PriceListError(f"{where}: it needs {', '.join(sorted(FIELDS))} and, to correct, prices")
    if not isinstance(entry["source"], list):
        raise PriceListError(f"{where}: source is a list of links in brackets")
    try:
        prices = [(price["valid_from"], parse(price["price"], THEIRS)) for price in entry.get("prices", [])]
        decision = Decision(
            tuple(Dispute(one["name"], parse(one["ours"]), parse(one["theirs"])) for one in disputes),
            entry["decided_on"],
            entry["why"],
            tuple(entry["source"]),
            tuple(sorted(prices, key=lambda price: price[0])),
            entry.get("provider", ""),
        )
    except (KeyError, TypeError, PriceListError) as error:
        raise PriceListError(f"{where}: {error}") from error
    check(where, decision, corrects=entry["action"] == "correct")
    return decision


def parse(text: str, no_price: str = NONE) -> Price | None:
    return None if text == no_price else Price.parse(text)


def check(where: str, decision: Decision, *, corrects: bool) -> None:
    days = [decision.decided_on, *(day for day, _ in decision.corrections)]
    if not all(type(day) is dt.date for day in days):
        raise PriceListError(f"{where}: a day is written like 2026-11-29, without quotes")
    if not decision.why.strip() or not decision.source:
        raise PriceListError(f"{where}: say why, and name a source")
    if corrects and not decision.corrections:
        raise PriceListError(f"{where}: a correction needs prices")
    if len({*days[1:]}) < len(days) - 1:
        raise PriceListError(f"{where}: two prices from the same day")
    if any(len(decision.prices_of(dispute)) < len(decision.corrections) for dispute in decision.disputes):
        raise PriceListError(f"{where}: {THEIRS} has no price of one of these names")
    if not corrects and any(dispute.ours is None for dispute in decision.disputes):
        raise PriceListError(f"{where}: genai-prices has no price to keep")
    if any(dispute.ours is None for dispute in decision.disputes) and not decision.provider:
        raise PriceListError(f"{where}: name the provider of a name that genai-prices does not have")
