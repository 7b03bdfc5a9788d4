"""The figures of the comparison with another version, per size of the log."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.tables import bytes_in_words, spread, table

# Targets: the largest ratio to the version of commit 721e5cd.
TARGETS = {
    "nothing new": "1/25",
    "1,000 new rows": "1/3",
    "an erased user": "1/2",
    "first run": "1",
}
BYTES_TARGET = "0.65"


def comparison_tables(name: str, found: dict[str, Any]) -> Iterator[str]:
    """Time and bytes, as Markdown."""
    same = f"DIFFERENT ROWS in {', '.join(found['differing_reports'])}" if found["differing_reports"] else "same rows"
    load = " to ".join(f"{minutes[0]:.1f}" for minutes in found["load"].values())
    yield table(
        f"Server CPU s of one run, now and before, {name} ({same} in both; load {load}): median (range)",
        ["", "before", "now", "now : before, pair by pair", "target", "pairs"],
        [*map(_cost, found["costs"].items()), _vacuum(found["vacuum_cpu_s"])],
    )
    for state, sizes in found["bytes"].items():
        new_columns = found["bytes_of_new_columns"] if state == "fresh" else {}
        yield table(
            f"Bytes of the rollups with indexes, {name}, {state}",
            ["", "before", "now", "now : before", "target"],
            _sizes(sizes, new_columns),
        )


def _cost(case: tuple[str, dict[str, list[dict[str, float]]]]) -> list[str]:
    name, versions = case
    before, now = ([cost["server_cpu_s"] for cost in versions[version]] for version in ("before", "now"))
    ratios = [mine / its for mine, its in zip(now, before, strict=True)]
    target = f"[at most {TARGETS[name]}]" if name in TARGETS else ""
    return [name, spread(before), spread(now), _shares(ratios), target, str(len(ratios))]


def _shares(ratios: list[float]) -> str:
    """Median and range. A small ratio is a fraction, because 1/38 is easier to read than 0.03."""
    return f"{_share(statistics.median(ratios))} ({_share(min(ratios))} to {_share(max(ratios))})"


def _share(ratio: float) -> str:
    return f"1/{1 / ratio:.1f}" if 0 < ratio < 0.5 else f"{ratio:.2f}"


def _vacuum(cpu_s: dict[str, float]) -> list[str]:
    before, now = cpu_s["before"], cpu_s["now"]
    return ["vacuum analyze, all between the runs", f"{before:.2f}", f"{now:.2f}", f"{now / before:.2f}", "", ""]


def _sizes(sizes: dict[str, dict[str, int]], new_columns: dict[str, int]) -> Iterator[list[str]]:
    before, now = sizes["before"], sizes["now"]
    for name in sorted({*before, *now}):
        yield [name, *[bytes_in_words(side[name]) if name in side else "" for side in (before, now)], "", ""]
    total_before, total_now = sum(before.values()), sum(now.values())
    yield _total("all", total_before, total_now)
    if new_columns:
        yield ["of it the columns that only now has", "", bytes_in_words(sum(new_columns.values())), "", ""]
        yield _total("all without them", total_before, total_now - sum(new_columns.values()))


def _total(name: str, before: int, now: int) -> list[str]:
    ratio = f"{now / before:.2f}"
    return [name, bytes_in_words(before), bytes_in_words(now), ratio, f"[at most {BYTES_TARGET}]"]
