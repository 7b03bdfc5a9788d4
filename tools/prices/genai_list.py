"""The first list, genai-prices: its models, their prices day by day, and who finds which name.

A seed row is simpler than this list: if a price rises with the length of the prompt, the row has its lowest tier; if a
price depends on the hour, the row has the price of most hours.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data import providers
from genai_prices.types import (
    ClauseAnd,
    ClauseEquals,
    ClauseOr,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
    StartDateConstraint,
    TieredPrices,
)

from tools.prices.price import PRICE_LIST, UNKNOWN_FIRST_DAY, Price, PriceListError

VERSION = version(PRICE_LIST)
MAKERS = ("anthropic", "deepseek", "google", "mistral", "openai", "x-ai")
# Under which provider the list has the models of a reseller, by the prefix with which gateways log them.
RESELLERS = {"azure": "azure", "azure_ai": "azure", "bedrock": "aws", "openrouter": "openrouter", "vertex_ai": "google"}
# Other media, embeddings, tunings, free variants and batches: their tokens have other prices than those of a chat.
NOT_CHAT = re.compile(
    r"audio|image|tts|transcribe|realtime|\blive\b|streaming|embed|moderation|ocr|whisper|voxtral|voice|banana|omni|sonic"
    r"|lyria|davinci|curie|babbage|^ada|rerank|ft[:-]|:free|:extended|:batch"
)
OWN_NAMES = {"google": "gemini", "mistral": "stral|xtral"}  # these makers also list other makers' models
# Open weights at the price of some host, not of the maker.
HOSTED = re.compile(r"gpt-oss|gemma|mistral-small-24b|mistral-small-3.1-24b")
PROVIDERS = {provider.id: provider for provider in providers}


def chat_models(maker: str) -> list[ModelInfo]:
    return [model for model in PROVIDERS[maker].models if is_chat(model) and is_of_its_maker(maker, model.id)]


def is_chat(model: ModelInfo) -> bool:
    """Whether text goes in and out, at a price."""
    first = model.get_prices(dt.datetime.combine(UNKNOWN_FIRST_DAY, dt.time(), dt.UTC))
    return not NOT_CHAT.search(model.id) and bool(first.input_mtok) and bool(first.output_mtok)


def is_of_its_maker(maker: str, name: str) -> bool:
    return not HOSTED.search(name) and re.search(OWN_NAMES.get(maker, ""), name) is not None


def find(seller: str, name: str) -> ModelInfo | None:
    """The chat model that the list itself finds for a name of a maker or reseller."""
    provider = PROVIDERS[RESELLERS.get(seller, seller)]
    model = provider.find_model(name, all_providers=providers if seller in RESELLERS else None)
    if model is None or NOT_CHAT.search(name) or not is_chat(model):
        return None
    return model if seller in RESELLERS or is_of_its_maker(seller, model.id) else None


def price_history(model: ModelInfo) -> Iterator[tuple[dt.date, Price]]:
    """The prices of `model`: one for each day on which they changed."""
    conditions = model.prices if isinstance(model.prices, list) else []
    starts = {c.constraint.start_date for c in conditions if isinstance(c.constraint, StartDateConstraint)}
    before = None
    for day in sorted({UNKNOWN_FIRST_DAY, *starts}):
        price = price_of_most_hours(model, day)
        if price != before:
            yield day, price
        before = price


def price_of_most_hours(model: ModelInfo, day: dt.date) -> Price:
    """The price of `day`. Some providers charge more, or less, in some of its hours."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    moments = [model.get_prices(midnight + half_hours * dt.timedelta(minutes=30)) for half_hours in range(48)]
    occurrences = Counter(
        (lowest_tier(at.input_mtok), lowest_tier(at.cache_read_mtok), lowest_tier(at.output_mtok)) for at in moments
    )
    full, cached, output = occurrences.most_common(1)[0][0]
    if not full or not output:
        raise PriceListError(f"{PRICE_LIST} {VERSION} has no token price of {model.id} on {day}")
    # OpenRouter's list can have a cached price above the input price. Nobody charges that, so the input price applies.
    return Price(full, None if cached is None or cached > full else cached, output)


def lowest_tier(price: Decimal | TieredPrices | None) -> Decimal | None:
    return price.base if isinstance(price, TieredPrices) else price


def names_in(match: MatchLogic) -> Iterator[str]:
    """The whole names in a match rule. A fragment like `claude-sonnet-4@` or `gpt-5-nano-` is left out."""
    if isinstance(match, ClauseOr):
        yield from (name for clause in match.or_ for name in names_in(clause))
    elif isinstance(match, ClauseAnd):
        yield from (name for clause in match.and_ for name in names_in(clause))
    elif isinstance(match, ClauseEquals):
        yield match.equals
    elif isinstance(match, ClauseStartsWith) and not re.search(r"[-@]$|-20\d\d$", match.starts_with):
        yield match.starts_with
