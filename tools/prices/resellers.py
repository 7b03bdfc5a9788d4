"""The rows of resellers: the same models at the reseller's price, under the names that gateways log."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from genai_prices.types import ModelInfo

from tools.prices.genai_list import NOT_CHAT, PROVIDERS, RESELLERS, find, is_chat, names_in
from tools.prices.names import Names
from tools.prices.price import DATE_SUFFIX

BARE_ID = re.compile(r"[a-z-]+\.[a-z]")  # us.anthropic.claude-…: Bedrock returns it, and only Bedrock has it


class Offer:
    """A model of a reseller: its name in the seed, and its other names."""

    def __init__(self, seller: str, model: ModelInfo, names: set[str]) -> None:
        self.seller = seller
        self.model = model
        self.name, *others = sorted(names, key=lambda name: (not name.startswith(f"{seller}/"), len(name), name))
        # The undated rule finds a dated name of this model by itself.
        self.aliases = [name for name in others if DATE_SUFFIX.sub("", name) not in {self.name, *others} - {name}]


def offers(names: Names) -> Iterator[Offer]:
    """Each model of a reseller with a name in `names`, and each chat model of OpenRouter."""
    for seller in sorted({*RESELLERS} - {"openrouter"}):
        models: dict[int, ModelInfo] = {}
        logged: dict[int, set[str]] = defaultdict(set)
        for name in sorted(names.get(seller, ())):
            model = find(seller, name)
            if model:
                models[id(model)] = model
                logged[id(model)] |= forms(seller, name)
        yield from (Offer(seller, model, logged[key]) for key, model in models.items())
    for model in PROVIDERS["openrouter"].models:
        if is_chat(model):
            of_model = {name for name in (model.id, *names_in(model.match)) if not NOT_CHAT.search(name)}
            yield Offer("openrouter", model, {f"openrouter/{name}" for name in of_model})


def forms(seller: str, name: str) -> set[str]:
    """How a name is logged: by gateways with the reseller's prefix, by Bedrock itself without."""
    bare = {name} if seller == "bedrock" and BARE_ID.match(name) else set()
    return {f"{seller}/{name}"} | bare


def spellings(name: str) -> set[str]:
    """A name with or without the prefix of its reseller, as it is in the seeds, and how else it is logged."""
    seller, _, rest = name.partition("/")
    return forms(seller, rest) if seller in RESELLERS else {name}
