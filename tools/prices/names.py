"""The names under which models are logged, and which of them are aliases of a model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from genai_prices.types import ModelInfo

from tools.prices.genai_list import MAKERS, PROVIDERS, RESELLERS, chat_models, find, is_chat, names_in
from tools.prices.price import DATE_SUFFIX, PriceListError
from tools.prices.second_list import SecondList

DIRECTORY = Path("tools/prices")
LISTED = DIRECTORY / "logged_names.txt"  # written by make prices
ADDED = DIRECTORY / "more_logged_names.txt"  # written by people

Names = dict[str, set[str]]  # by maker or reseller


def read_names(root: Path, *paths: Path) -> Names:
    """The names in files of which a line is like `openai/gpt-4o`: the maker or reseller, and the name."""
    names: Names = defaultdict(set)
    for path in paths:
        for number, line in enumerate((root / path).read_text(encoding="utf-8").splitlines(), start=1):
            seller, slash, name = line.strip().partition("/")
            if line.startswith("#") or not line.strip():
                continue
            if not slash or not name or seller not in {*MAKERS, *RESELLERS}:
                raise PriceListError(
                    f"{path}:{number}: write the maker or reseller and the name, like openai/gpt-4o: {line!r}"
                )
            names[seller].add(name)
    return names


def write_names(names: Iterable[tuple[str, str]]) -> str:
    lines = sorted(f"{seller}/{name}" for seller, name in names)
    return "".join(
        f"{line}\n" for line in ("# Names of both lists. Written by make prices; add yours in the other file.", *lines)
    )


def listed_names(second: SecondList) -> set[tuple[str, str]]:
    """The names of the second list and those of resellers in genai-prices, if genai-prices finds a price for them."""
    candidates = {*second.prices, *second.names_on_vertex, *ids_of_resellers()}
    return {(seller, name) for seller, name in candidates if find(seller, name)}


def ids_of_resellers() -> Iterator[tuple[str, str]]:
    """The names that the list itself gives models of Azure and Bedrock. `regional.` stands for several names there."""
    for seller in ("azure", "bedrock"):
        for model in PROVIDERS[RESELLERS[seller]].models:
            if is_chat(model) and not model.id.startswith("regional."):
                yield seller, model.id


def find_aliases(maker: str, logged: Collection[str]) -> Iterator[tuple[str, str]]:
    """Every other name of the maker's models and the model, except names that the undated rule finds."""
    models = {model.id: model for model in chat_models(maker)}
    candidates = {*logged, *(name for model in models.values() for name in names_in(model.match))}
    found: dict[str, str] = {}
    # Undated names first, because a dated name is left out if its undated one is found.
    for name in sorted(candidates, key=lambda name: (DATE_SUFFIX.search(name) is not None, name)):
        model = model_of(maker, name)
        undated = DATE_SUFFIX.sub("", name)
        if model is not None and name not in models and finds(undated, models, found) != model.id:
            found[name] = model.id
    yield from found.items()


def model_of(maker: str, name: str) -> ModelInfo | None:
    """The model of a name that can come from the maker itself. A name with a slash comes from a gateway."""
    return None if re.search(r"[/\s]", name) else find(maker, name)


def finds(name: str, models: Collection[str], aliases: dict[str, str]) -> str | None:
    return name if name in models else aliases.get(name)
