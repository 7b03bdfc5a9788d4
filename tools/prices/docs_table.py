"""The table of decisions in docs/reports.md, between two comments."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools.prices.decisions import NONE, Decision, Decisions, Dispute
from tools.prices.price import Price, PriceListError

PAGE = Path("docs/reports.md")
BEGIN = "<!-- The next lines are written by make prices. -->"
END = "<!-- The lines of make prices end here. -->"
DAY = re.compile(r"^On (\d{4}-\d{2}-\d{2}) genai-prices", re.MULTILINE)


class Comparison(NamedTuple):
    """What a comparison of the two lists found, once everything is decided."""

    day: dt.date
    second_version: str
    decisions: Decisions
    of_both: int
    differ: int


def compared_on(page: str) -> dt.date:
    """The day on which the lists were compared last."""
    found = DAY.search(page)
    if not found:
        raise PriceListError(f"{PAGE} does not say on which day the lists were compared: run make prices")
    return dt.date.fromisoformat(found[1])


def replace(page: str, text: str) -> str:
    begin, end = page.find(BEGIN), page.find(END)
    if not 0 <= begin < end:
        raise PriceListError(f"{PAGE} needs these two lines around the table of decisions: {BEGIN} {END}")
    return f"{page[: begin + len(BEGIN)]}\n\n{text}\n{page[end:]}"


def block(comparison: Comparison) -> str:
    """The lines between the comments."""
    decisions = comparison.decisions
    lines = [
        f"On {comparison.day} genai-prices {decisions.version} and litellm {comparison.second_version} both had a",
        f"price of {comparison.of_both} names of makers and resellers. They differed on {comparison.differ} of these.",
        "The table has them, and more names that one or both of the lists lack.",
        "",
        "| name | genai-prices | litellm | the seed | why |",
        "| --- | --- | --- | --- | --- |",
        *rows(decisions),
        "",
    ]
    return "\n".join(lines)


def rows(decisions: Decisions) -> Iterator[str]:
    for decision in decisions.decisions:
        groups: dict[tuple[Price | None, Price | None], list[Dispute]] = {}
        for dispute in decision.disputes:
            groups.setdefault((dispute.ours, dispute.theirs), []).append(dispute)
        reasons = f"{decision.why.strip()} Decided on {decision.decided_on}; {sources(decision)}"
        for (ours, theirs), disputes in groups.items():
            names = ", ".join(f"`{dispute.name}`" for dispute in disputes)
            cells = (names, ours or NONE, theirs or NONE, in_the_seed(decision, disputes[0]), reasons)
            yield f"| {' | '.join(str(cell) for cell in cells)} |"
            reasons = "as above"


def in_the_seed(decision: Decision, dispute: Dispute) -> str:
    return "; ".join(f"{price} from {day}" for day, price in decision.prices_of(dispute)) or str(dispute.ours)


def sources(decision: Decision) -> str:
    return ", ".join(
        f"[{number}]({source})" if source.startswith("https://") else source
        for number, source in enumerate(decision.source, start=1)
    )
