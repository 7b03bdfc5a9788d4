"""The rows of the two seeds: those of the list, those of the decisions, and the user's own."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tools.prices.decisions import Decisions
from tools.prices.genai_list import MAKERS, chat_models, price_history
from tools.prices.names import Names, find_aliases
from tools.prices.price import DATE_SUFFIX, PRICE_LIST, Alias, Price, PriceListError, PriceRow
from tools.prices.resellers import offers, spellings

PRICE_FIELDS = (
    "provider",
    "model",
    "valid_from",
    "input_usd_per_mtok",
    "cached_input_usd_per_mtok",
    "output_usd_per_mtok",
    "source",
)


class Seeds:
    """Rows by their keys: a price by model and first day, an alias by its name."""

    def __init__(self, rows: Iterable[PriceRow] = (), aliases: Iterable[Alias] = ()) -> None:
        self.prices = {(row.model, row.valid_from): row for row in rows}
        self.aliases = {alias.alias: alias for alias in aliases}

    def history(self, model: str) -> list[PriceRow]:
        return sorted(row for row in self.prices.values() if row.model == model)

    def model_of(self, name: str) -> str | None:
        """The model of a name: exact, alias, or either of them without the date at its end."""
        models = {model for model, _ in self.prices}
        for candidate in (name, DATE_SUFFIX.sub("", name)):
            if candidate in models:
                return candidate
            if candidate in self.aliases:
                return self.aliases[candidate].model
        return None

    def price_on(self, name: str, day: dt.date) -> Price | None:
        model = self.model_of(name)
        holding = [row for row in self.history(model) if row.valid_from <= day] if model else []
        return holding[-1].price if holding else None


def listed_seeds(names: Names, source: str) -> Seeds:
    """The seeds of the list alone."""
    seeds = Seeds()
    for maker in MAKERS:
        for model in chat_models(maker):
            for day, price in price_history(model):
                seeds.prices[model.id, day] = PriceRow(maker, model.id, day, price, source)
        for alias, model_id in find_aliases(maker, names.get(maker, ())):
            seeds.aliases[alias] = Alias(alias, model_id, source)
    for offer in offers(names):
        for day, price in price_history(offer.model):
            seeds.prices[offer.name, day] = PriceRow(offer.seller, offer.name, day, price, source)
        seeds.aliases |= {alias: Alias(alias, offer.name, source) for alias in offer.aliases}
    return seeds


def corrected_seeds(seeds: Seeds, decisions: Decisions) -> Seeds:
    """The seeds with the prices of the corrections, each from its first day on; before it the list's price holds."""
    corrected = Seeds(seeds.prices.values(), seeds.aliases.values())
    names = {dispute.name for decision, dispute in decisions.disputes() if decision.corrections}
    everywhere = {spelling for name in names for spelling in spellings(name)}
    for decision in decisions.decisions:
        prices = {dispute.name: decision.prices_of(dispute) for dispute in decision.disputes}
        for name in sorted(prices) if decision.corrections else ():
            model = seeds.model_of(name)
            listed = seeds.history(model) if model else []
            if model == name:
                keep_price_of_others(corrected, name, everywhere, listed)
            # Otherwise it is an alias of a name that is corrected in the same way.
            if model is None or model == name or prices.get(model) != prices[name]:
                provider = listed[0].provider if listed else decision.provider
                source = decisions.source(decision)
                new = [PriceRow(provider, name, day, price, source) for day, price in prices[name]]
                correct(corrected, new, listed, decision.decided_on)
    return corrected


def keep_price_of_others(seeds: Seeds, model: str, corrected: set[str], listed: list[PriceRow]) -> None:
    """A decision is on names: the other names of the model keep the list's price, the first of them as a model."""
    others = sorted(alias for alias, row in seeds.aliases.items() if row.model == model and alias not in corrected)
    for number, alias in enumerate(others):
        if number == 0:
            seeds.aliases.pop(alias)
            seeds.prices |= {(alias, row.valid_from): row._replace(model=alias) for row in listed}
        else:
            seeds.aliases[alias] = seeds.aliases[alias]._replace(model=others[0])


def correct(seeds: Seeds, new: list[PriceRow], listed: list[PriceRow], decided_on: dt.date) -> None:
    """Replace the rows of a name, which becomes a model if it was an alias, and is one in its other spelling too."""
    name, first_day = new[0].model, new[0].valid_from
    # A change that the list announces for a day after the decision still comes.
    stays = [row for row in listed if row.valid_from < first_day or row.valid_from > decided_on]
    seeds.prices = {key: row for key, row in seeds.prices.items() if row.model != name}
    seeds.prices |= {(name, row.valid_from): row._replace(model=name) for row in (*stays, *new)}
    seeds.aliases.pop(name, None)
    for spelling in spellings(name) & seeds.aliases.keys():
        seeds.aliases[spelling] = seeds.aliases[spelling]._replace(model=name)


def with_own_rows(seeds: Seeds, price_file: Path, alias_file: Path) -> Seeds:
    """A row of the user replaces one of the list."""
    merged = Seeds(seeds.prices.values(), seeds.aliases.values())
    own: set[tuple[str, dt.date]] = set()
    for place, row in own_rows(price_file, PRICE_FIELDS):
        price = own_price(place, row)
        if (price.model, price.valid_from) in own:
            raise PriceListError(f"{place}: {price.model} has two own prices from {price.valid_from}: delete one")
        own.add((price.model, price.valid_from))
        merged.prices[price.model, price.valid_from] = price
    merged.aliases |= {row[0]: Alias(*row) for _, row in own_rows(alias_file, Alias._fields)}
    return merged


def own_price(place: str, row: list[str]) -> PriceRow:
    provider, model, day, full, cached, output, source = row
    try:
        price = Price(Decimal(full), Decimal(cached) if cached else None, Decimal(output))
        valid_from = dt.date.fromisoformat(day)
    except InvalidOperation as error:
        raise PriceListError(f"{place}: a price is no number: {','.join(row)}") from error
    except ValueError as error:
        raise PriceListError(f"{place}: {error}") from error
    if not all(value is None or value.is_finite() for value in price):
        raise PriceListError(f"{place}: a price is no number: {','.join(row)}")
    return PriceRow(provider, model, valid_from, price, source)


def own_rows(path: Path, fields: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The rows of a seed that do not come from the price list, each after its file and line."""
    if not path.exists():
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != [*fields]:
            raise PriceListError(f"{path.name}:1: the first line must be {','.join(fields)}")
        for row in rows:
            place = f"{path.name}:{rows.line_num}"
            if len(row) != len(fields):
                raise PriceListError(f"{place}: expected {len(fields)} values, got {len(row)}: {','.join(row)}")
            if not row[-1].startswith(f"{PRICE_LIST} "):
                yield place, row


def check(seeds: Seeds) -> None:
    """Raises PriceListError for rows that would make a report wrong."""
    for row in seeds.prices.values():
        full, cached, output = row.price
        if min(full, output) < 0 or not 0 <= (full if cached is None else cached) <= full:
            raise PriceListError(f"{row.model} from {row.valid_from}: a price is negative, or cached input costs more")
    models = {model for model, _ in seeds.prices}
    for alias in seeds.aliases.values():
        if alias.model not in models:
            raise PriceListError(f"the alias {alias.alias} leads to {alias.model}, which has no price")
        if alias.alias in models:
            raise PriceListError(f"the alias {alias.alias} is a model with a price")


def price_csv(seeds: Seeds) -> str:
    rows = sorted(seeds.prices.values(), key=lambda row: row[:3])
    return as_csv([PRICE_FIELDS, *([*row[:3], *row.price, row.source] for row in rows)])


def alias_csv(seeds: Seeds) -> str:
    return as_csv([Alias._fields, *sorted(seeds.aliases.values())])


def as_csv(rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([plain(value) for value in row] for row in rows)
    return text.getvalue()


def plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
