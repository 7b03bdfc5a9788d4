"""Where the two lists disagree, and whether each disagreement is decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from tools.prices.decisions import FILE, NONE, Decisions, Dispute
from tools.prices.genai_list import MAKERS
from tools.prices.second_list import SecondList
from tools.prices.seeds import Seeds


def disagree(dispute: Dispute) -> bool:
    ours, theirs = dispute.ours, dispute.theirs
    return ours is not None and theirs is not None and ours.differs_from(theirs)


def prices_of_both(seeds: Seeds, second: SecondList, day: dt.date) -> dict[str, Dispute]:
    """Both prices of each name that the second list has of a maker, or, with its prefix, of a reseller.

    `seeds` are those of the first list alone.
    """
    sold = (
        (name if seller in MAKERS else f"{seller}/{name}", price) for (seller, name), price in second.prices.items()
    )
    return {name: Dispute(name, seeds.price_on(name, day), theirs) for name, theirs in sold}


def undecided(names: dict[str, Dispute], decisions: Decisions) -> Iterator[str]:
    """One line for each of these names on whose price the lists disagree, if nobody decided."""
    for name in sorted(names.keys() - decisions.names()):
        if disagree(names[name]):
            yield f"{name}: genai-prices has {names[name].ours}, litellm {names[name].theirs}: decide in {FILE}"


def unfit(names: dict[str, Dispute], seeds: Seeds, decisions: Decisions, day: dt.date) -> Iterator[str]:
    """One line for each decision that does not fit the lists of today."""
    for decision, then in decisions.disputes():
        now = names.get(then.name) or Dispute(then.name, seeds.price_on(then.name, day), None)
        if now != then:
            yield f"{then.name}: decided for {pair(then)}, now the lists have {pair(now)}: decide again in {FILE}"
        elif decision.corrections:
            if all(seeds.price_on(now.name, first_day) == price for first_day, price in decision.prices_of(now)):
                yield f"{now.name}: genai-prices has the same prices: remove it from {FILE}"
        elif now.ours is not None and now.theirs is not None and not disagree(now):
            yield f"{now.name}: the lists agree on {now.ours}: remove it from {FILE}"


def pair(dispute: Dispute) -> str:
    return " against ".join(NONE if price is None else str(price) for price in (dispute.ours, dispute.theirs))
