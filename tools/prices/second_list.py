"""The second list: the JSON file in the wheel of litellm, read without installing it."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from tools.prices.price import Price, PriceListError

SECOND_LIST = "litellm"
JSON_FILE = "litellm/model_prices_and_context_window_backup.json"
MAKERS = {
    "anthropic": "anthropic",
    "deepseek": "deepseek",
    "gemini": "google",
    "mistral": "mistral",
    "openai": "openai",
    "xai": "x-ai",
}
RESELLERS = {"azure": "azure", "azure_ai": "azure_ai", "bedrock": "bedrock", "bedrock_converse": "bedrock"}
VERTEX_MAKERS = {"claude": "anthropic", "gemini": "google"}  # the names on Vertex by their beginning


class SecondList:
    """Prices by seller and name: `prices["mistral", "mistral-large-latest"]`, and names that only Vertex has."""

    def __init__(
        self, version: str, prices: dict[tuple[str, str], Price], names_on_vertex: set[tuple[str, str]]
    ) -> None:
        self.version = version
        self.prices = prices
        self.names_on_vertex = names_on_vertex


def read_wheel(directory: Path) -> SecondList:
    """The list in the one wheel in `directory`."""
    wheels = sorted(directory.glob(f"{SECOND_LIST}-*.whl"))
    if len(wheels) != 1:
        raise PriceListError(
            f"there must be one wheel of {SECOND_LIST} in {directory}: delete the directory, run make prices"
        )
    try:
        with zipfile.ZipFile(wheels[0]) as wheel:
            entries = json.loads(wheel.read(JSON_FILE), parse_float=Decimal, parse_int=Decimal)
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise PriceListError(f"{wheels[0]} has no price list: delete it, run make prices ({error})") from error
    prices: dict[tuple[str, str], Price] = {}
    # A name with the prefix of its seller comes last, because it says best whose price it is.
    for key, entry in sorted(entries.items(), key=lambda item: "/" in item[0]):
        price = price_of(entry)
        if price is not None:
            prices.update(dict.fromkeys(sold_as(key, entry["litellm_provider"]), price))
    return SecondList(wheels[0].name.split("-")[1], prices, set(on_vertex(prices)))


def price_of(entry: dict[str, Any]) -> Price | None:
    """The price of a chat model; none for other media and for free previews."""
    full, output = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if entry.get("mode") not in {"chat", "responses"} or not full or not output:
        return None
    cached = entry.get("cache_read_input_token_cost", entry.get("input_cost_per_token_cache_hit"))
    return Price(per_million(full), None if cached is None else per_million(cached), per_million(output))


def per_million(price_of_a_token: Decimal) -> Decimal:
    """Rounded, because the file has numbers like 4.0000000000000003e-07."""
    return round(price_of_a_token * 1000000, 6).normalize()


def sold_as(key: str, provider: str) -> Iterator[tuple[str, str]]:
    """Who sells the model, and its name without the seller's prefix."""
    if provider in MAKERS:
        yield MAKERS[provider], key.removeprefix(f"{provider}/")
    elif provider in RESELLERS:
        name = key.removeprefix(f"{RESELLERS[provider]}/")
        if "/" not in name:  # not a price that holds in one region only
            yield RESELLERS[provider], name
    elif provider.startswith("vertex_ai"):
        yield "vertex_ai", key.removeprefix("vertex_ai/")


def on_vertex(prices: dict[tuple[str, str], Price]) -> Iterator[tuple[str, str]]:
    """The names of Vertex, like claude-opus-4@20250514, that Vertex itself returns without a prefix."""
    for seller, name in prices:
        maker = VERTEX_MAKERS.get(re.split(r"[-@]", name)[0])
        if seller == "vertex_ai" and maker:
            yield maker, name
