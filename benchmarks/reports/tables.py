"""The figures of the reports' benchmark, one table per question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.reports.comparison_tables import comparison_tables
from benchmarks.reports.readers import REPORTS
from benchmarks.tables import bytes_in_words, ratio, spread, table

MEASURES = {"server_cpu_s": "server CPU s", "inside_dbt_s": "inside dbt s", "process_s": "process s"}


def result_tables(results: dict[str, Any]) -> str:
    """All tables as Markdown."""
    return "\n".join(text for part, tables in TABLES.items() if part in results for text in tables(results[part]))


def _costs(found: dict[str, Any]) -> Iterator[str]:
    runs = found["runs"]
    for name, cases in runs.items():
        rows = [
            [case, *[spread([cost[measure] for cost in costs]) for measure in MEASURES]]
            for case, costs in cases.items()
        ]
        differing = found["differing_reports"][name]
        same = f"DIFFERENT ROWS in {', '.join(differing)}" if differing else "the same rows in both"
        yield table(f"One run, {name} ({same}): median (range)", ["", *MEASURES.values()], rows)
    yield _ratios(runs)
    yield _models(runs)
    for name, sizes in found["sizes"].items():
        yield _sizes(name, sizes)


def _ratios(runs: dict[str, Any]) -> str:
    sizes = [*runs.values()]
    smallest, largest = sizes[0], sizes[-1]
    new = "1,000 new rows"
    questions = {
        f"{new}, largest log : smallest": (largest.get(new), smallest.get(new)),
        f"an erased user : {new}": (largest.get("an erased user"), largest.get(new)),
        f"plain, whole log : {new}": (largest.get("plain, whole log"), largest.get(new)),
        f"plain, windowed : {new}": (largest.get("plain, windowed"), largest.get(new)),
    }
    rows = [
        [question, *[ratio([c[measure] for c in above], [c[measure] for c in below]) for measure in MEASURES]]
        for question, (above, below) in questions.items()
        if above and below
    ]
    return table("Ratios of medians", ["", *[heading.removesuffix(" s") for heading in MEASURES.values()]], rows)


def _models(runs: dict[str, Any]) -> str:
    """Where the time goes, at the largest size."""
    costs = [*runs.values()][-1]
    cases = [case for case in costs if "late rows" not in case]
    names = list(dict.fromkeys(name for case in cases for name in costs[case][0]["by_model"]))
    rows = [[name, *[_seconds(costs[case], name) for case in cases]] for name in names]
    return table("Seconds by model, largest log", ["", *cases], rows)


def _seconds(runs: list[dict[str, Any]], model: str) -> str:
    return spread([run["by_model"][model] for run in runs]) if model in runs[0]["by_model"] else ""


def _sizes(name: str, sizes: dict[str, dict[str, int]]) -> str:
    rows = [[relation, f"{size['rows']:,}", bytes_in_words(size["bytes"])] for relation, size in sizes.items()]
    return table(f"Sizes with indexes, {name}", ["", "rows", "size"], rows)


def _readers(found: dict[str, Any]) -> Iterator[str]:
    rows = [
        [
            situation,
            *[f"{readings[report]['worst_ms']:.0f}" for report in REPORTS],
            str(sum(reading["reads"] for reading in readings.values())),
            str(sum(len(reading["errors"]) for reading in readings.values())),
            str(sum(reading["empty_reads"] for reading in readings.values())),
        ]
        for situation, readings in found.items()
    ]
    yield table("Worst read, ms", ["", *REPORTS, "reads", "errors", "empty"], rows)


def _feed(found: dict[str, Any]) -> Iterator[str]:
    rows = [
        [
            f"{feed['rows_per_statement']}",
            "waits for the disk" if feed["waits_for_disk"] else "does not wait",
            f"{feed['pairs']:,}",
            f"{feed['without_feed_ms']:.3f}",
            f"{feed['with_feed_ms']:.3f}",
            f"{feed['overhead']:.1%}",
        ]
        for feed in found["costs"]
    ]
    title = f"What the feed adds to an insert ({found['bytes_per_row']:.0f} bytes per row in the feed)"
    yield table(title, ["rows", "commit", "pairs", "without ms", "with ms", "overhead"], rows)


def _busy_day(found: dict[str, Any]) -> Iterator[str]:
    rows = [
        [case, *[spread([cost[measure] for cost in costs]) for measure in MEASURES]]
        for case, costs in found["costs"].items()
    ]
    title = f"A day of {found['rows']:,} requests, inserted in {found['insert_s']:.0f} s"
    yield table(title, ["", *MEASURES.values()], rows)
    yield _sizes("busy day", found["sizes"])


def _before(found: dict[str, Any]) -> Iterator[str]:
    for name, comparison in found.items():
        yield from comparison_tables(name, comparison)


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "costs": _costs,
    "readers": _readers,
    "feed": _feed,
    "busy_day": _busy_day,
    "before": _before,
}
