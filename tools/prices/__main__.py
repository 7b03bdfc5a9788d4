"""`make prices`: write the seeds from genai-prices and compare them with the list in the wheel of litellm.

    python -m tools.prices DIRECTORY_OF_THE_WHEEL [--check]

Writes `seeds/token_prices.csv`, `seeds/model_aliases.csv`, `tools/prices/logged_names.txt` and the table in
`docs/reports.md`, or no file if one of the disagreements is not decided. The same versions, decisions and day give the
same bytes. Rows with another source are the user's own, and stay. With --check it writes nothing, takes the day of the
last comparison, and exits with 1 if a file would change.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tools.prices import docs_table, seeds
from tools.prices.comparison import disagree, prices_of_both, undecided, unfit
from tools.prices.decisions import FILE, Decisions, read_decisions
from tools.prices.genai_list import VERSION
from tools.prices.names import ADDED, LISTED, Names, listed_names, read_names, write_names
from tools.prices.price import PriceListError
from tools.prices.second_list import SecondList, read_wheel

ROOT = Path(__file__).resolve().parents[2]
PRICES, ALIASES = Path("seeds/token_prices.csv"), Path("seeds/model_aliases.csv")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the directory of the wheel of litellm")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    parser.add_argument("--day", type=dt.date.fromisoformat, help="compare the prices of this day (default: today)")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
    options = parser.parse_args(arguments)
    try:
        page = current(options.root / docs_table.PAGE)
        day = docs_table.compared_on(page) if options.check else options.day or dt.datetime.now(dt.UTC).date()
        texts = new_texts(options.root, read_wheel(options.wheel), day)
    except PriceListError as error:
        sys.stderr.writelines(f"{line}\n" for line in error.args)
        sys.stderr.write("no file was changed\n")
        return 1
    before = {path: current(options.root / path) for path in texts}
    sys.stdout.writelines(f"{summary(path, before[path], text)}\n" for path, text in texts.items())
    if options.check:
        return report_changes(path for path, text in texts.items() if text != before[path])
    for path, text in texts.items():
        (options.root / path).write_text(text, encoding="utf-8")
    return 0


def report_changes(paths: Iterable[Path]) -> int:
    lines = [f"{path} would change: run make prices\n" for path in paths]
    sys.stderr.writelines(lines)
    return 1 if lines else 0


def new_texts(root: Path, second: SecondList, day: dt.date) -> dict[Path, str]:
    """What the files should contain. Raises PriceListError with a line for each disagreement that is not decided."""
    decisions = read_decisions(root / FILE, VERSION)
    names, listed = read_names(root, ADDED), listed_names(second)
    for seller, name in listed:
        names[seller].add(name)
    found = seeds.listed_seeds(names, decisions.source())
    prices = prices_of_both(found, second, day)
    faults = [*undecided(prices, decisions), *unfit(prices, found, decisions, day)]
    if faults:
        raise PriceListError(*faults)
    compared = [dispute for dispute in prices.values() if dispute.ours is not None]
    differ = sum(disagree(dispute) for dispute in compared)
    comparison = docs_table.Comparison(day, second.version, decisions, len(compared), differ)
    page = docs_table.replace(current(root / docs_table.PAGE), docs_table.block(comparison))
    return {**seed_texts(root, names, decisions), LISTED: write_names(listed), docs_table.PAGE: page}


def seed_texts(root: Path, names: Names, decisions: Decisions) -> dict[Path, str]:
    """The two seeds. They depend on genai-prices, the names and the decisions, not on the second list or the day."""
    listed = seeds.corrected_seeds(seeds.listed_seeds(names, decisions.source()), decisions)
    merged = seeds.with_own_rows(listed, root / PRICES, root / ALIASES)
    seeds.check(merged)
    return {PRICES: seeds.price_csv(merged), ALIASES: seeds.alias_csv(merged)}


def current(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def summary(path: Path, before: str, after: str) -> str:
    old, new = set(before.splitlines()), set(after.splitlines())
    return f"{path}: {len(new)} lines, {len(new - old)} new, {len(old - new)} gone"


if __name__ == "__main__":
    sys.exit(main())
