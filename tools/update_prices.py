"""Write the price seeds, `token_prices.csv` and `model_aliases.csv`, from PyPI's `genai-prices`.

    python tools/update_prices.py [--output DIRECTORY]

The same version of genai-prices gives the same bytes. Rows with another source are the user's own, and stay. A seed row
is simpler than a price list: if a price rises with the length of the prompt, the row has its lowest tier; if a price
depends on the hour, the row has the price of most hours.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    Provider,
    StartDateConstraint,
    TieredPrices,
)

PRICE_LIST = "genai-prices"
SOURCE = f"{PRICE_LIST} {version(PRICE_LIST)}"
UNKNOWN_FIRST_DAY = dt.date(2020, 1, 1)  # before any known start date
# Gateways and cloud endpoints put these before the model names of each vendor.
NAME_PREFIXES = {
    "anthropic": ("anthropic/",),
    "deepseek": ("deepseek/",),
    "google": ("gemini/", "google/", "models/"),
    "mistral": ("mistral/",),
    "openai": ("openai/",),
    "x-ai": ("xai/",),
}
# Models that are not the vendor's own chat models: other media, embeddings, tunings, special access, hosted models.
NOT_CHAT = re.compile(
    r"audio|image|tts|transcribe|realtime|live|embed|moderation|ocr|whisper|voxtral|voice|vision|banana|omni|pixtral"
    r"|computer-use|robotics|search|cyber|rosalind|mythos|gemma|gpt-oss|instruct|davinci|curie|babbage|^ada|^zai|ft[:-]"
    r"|:free|:extended"
)
OWN_NAMES = {"google": "gemini", "mistral": "stral"}  # these providers also list other vendors' models
DATE_SUFFIX = re.compile(r"[-@]20\d{2}-?\d{2}-?\d{2}$")  # the same rule as labels.undated in migration 1100


class Price(NamedTuple):
    """One row of token_prices.csv, in US dollars per million tokens. Without a cached price the input price applies."""

    provider: str
    model: str
    valid_from: dt.date
    input_usd_per_mtok: Decimal
    cached_input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal
    source: str


class Alias(NamedTuple):
    """One row of model_aliases.csv: another name under which `model` is logged."""

    alias: str
    model: str
    source: str


class PriceListError(Exception):
    """The price list does not have the prices or names that the reports need."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).resolve().parent.parent / "seeds")
    directory = parser.parse_args().output
    chat_models = [(provider, model) for provider in providers for model in provider.models if is_chat(provider, model)]
    listed = [price for provider, model in chat_models for price in price_history(provider, model)]
    price_file, alias_file = directory / "token_prices.csv", directory / "model_aliases.csv"
    # A row of the user replaces one of the price list.
    prices = {(price.model, price.valid_from): price for price in (*listed, *own_prices(price_file))}.values()
    aliases = (find_aliases(chat_models) | own_aliases(alias_file)).values()
    check(prices, aliases)
    sys.stdout.write(write(price_file, Price._fields, sorted(prices, key=lambda price: price[:3])))
    sys.stdout.write(write(alias_file, Alias._fields, sorted(aliases)))


def is_chat(provider: Provider, model: ModelInfo) -> bool:
    if provider.id not in NAME_PREFIXES or NOT_CHAT.search(model.id) or OWN_NAMES.get(provider.id, "") not in model.id:
        return False
    first = model.get_prices(dt.datetime.combine(UNKNOWN_FIRST_DAY, dt.time(), dt.UTC))
    return first.input_mtok is not None and first.output_mtok is not None


def price_history(provider: Provider, model: ModelInfo) -> Iterator[Price]:
    """The prices of `model`: one row for each day on which they changed."""
    conditions = model.prices if isinstance(model.prices, list) else []
    starts = {c.constraint.start_date for c in conditions if isinstance(c.constraint, StartDateConstraint)}
    before = None
    for day in sorted({UNKNOWN_FIRST_DAY, *starts}):
        price = price_of_most_hours(model, day)
        if price != before:
            yield Price(provider.id, model.id, day, *price, SOURCE)
        before = price


def price_of_most_hours(model: ModelInfo, day: dt.date) -> tuple[Decimal, Decimal | None, Decimal]:
    """Input, cached input and output price of `day`. Some vendors charge more, or less, in some of its hours."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    moments = [model.get_prices(midnight + half_hours * dt.timedelta(minutes=30)) for half_hours in range(48)]
    occurrences = Counter(
        (lowest_tier(at.input_mtok), lowest_tier(at.cache_read_mtok), lowest_tier(at.output_mtok)) for at in moments
    )
    input_price, cached_price, output_price = occurrences.most_common(1)[0][0]
    if not input_price or not output_price:
        raise PriceListError(f"{model.id} has no token price on {day}")
    return input_price, cached_price, output_price


def lowest_tier(price: Decimal | TieredPrices | None) -> Decimal | None:
    return price.base if isinstance(price, TieredPrices) else price


def find_aliases(chat_models: list[tuple[Provider, ModelInfo]]) -> dict[str, Alias]:
    """Every other name of the models, except those that the date suffix rule finds."""
    models = {model.id for _, model in chat_models}
    found: dict[str, Alias] = {}
    for provider, model in chat_models:
        # Undated names first, because a dated name is left out if its undated one is found.
        for name in sorted(names(model.match), key=lambda name: (DATE_SUFFIX.search(name) is not None, name)):
            undated = DATE_SUFFIX.sub("", name)
            finds = undated if undated in models else found[undated].model if undated in found else None
            known = name in models or finds == model.id
            if not known and not NOT_CHAT.search(name) and provider.find_model(name) is model:
                found[name] = Alias(name, model.id, SOURCE)
        for prefix in NAME_PREFIXES[provider.id]:
            found.setdefault(prefix + model.id, Alias(prefix + model.id, model.id, SOURCE))
    return found


def names(match: MatchLogic) -> Iterator[str]:
    """The whole names in a match rule. A fragment like `claude-sonnet-4@` or `gpt-5-nano-` is left out."""
    if isinstance(match, ClauseOr):
        yield from (name for clause in match.or_ for name in names(clause))
    elif isinstance(match, ClauseAnd):
        yield from (name for clause in match.and_ for name in names(clause))
    elif isinstance(match, ClauseEquals):
        yield match.equals
    elif isinstance(match, ClauseStartsWith) and not re.search(r"[-@]$|-20\d\d$", match.starts_with):
        yield match.starts_with


def own_rows(path: Path) -> list[list[str]]:
    """The rows of a seed that do not come from the price list."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in list(csv.reader(file))[1:] if not row[-1].startswith(f"{PRICE_LIST} ")]


def own_prices(path: Path) -> list[Price]:
    return [
        Price(
            provider,
            model,
            dt.date.fromisoformat(day),
            Decimal(full),
            Decimal(cached) if cached else None,
            Decimal(out),
            source,
        )
        for provider, model, day, full, cached, out, source in own_rows(path)
    ]


def own_aliases(path: Path) -> dict[str, Alias]:
    return {row[0]: Alias(*row) for row in own_rows(path)}


def check(prices: Iterable[Price], aliases: Iterable[Alias]) -> None:
    """Raises PriceListError for rows that would make a report wrong."""
    for price in prices:
        full, cached, output = price.input_usd_per_mtok, price.cached_input_usd_per_mtok, price.output_usd_per_mtok
        if min(full, output) < 0 or not 0 <= (full if cached is None else cached) <= full:
            raise PriceListError(
                f"{price.model} from {price.valid_from}: a price is negative, or cached input costs more"
            )
    models = {price.model for price in prices}
    for alias in aliases:
        if alias.model not in models or alias.alias in models:
            raise PriceListError(f"the alias {alias.alias} leads to no priced model, or hides one")


def write(path: Path, fields: tuple[str, ...], rows: Iterable[Price | Alias]) -> str:
    """Write the rows to `path`. Returns one line that says how many changed."""
    lines = [[plain(value) for value in row] for row in rows]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([fields, *lines])
    before = set(path.read_text(encoding="utf-8").splitlines()[1:]) if path.exists() else set()
    after = set(text.getvalue().splitlines()[1:])
    path.write_text(text.getvalue(), encoding="utf-8")
    return f"{path.name}: {len(after)} rows from {SOURCE}, {len(after - before)} new, {len(before - after)} gone\n"


def plain(value: object) -> str:
    if value is None:
        return ""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


if __name__ == "__main__":
    try:
        main()
    except PriceListError as error:
        sys.exit(f"no file was changed: {error}")
