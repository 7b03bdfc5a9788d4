"""The figures of the reports' benchmark, one table per question."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.readers import REPORTS
from benchmarks.tables import bytes_in_words, ratio, spread, table

CASES = ("1,000 new rows", "nothing new", "100,000 late rows", "an erased user", "plain, windowed", "plain, whole log")
MEASURES = {"server_cpu_s": "server CPU s", "inside_dbt_s": "inside dbt s", "process_s": "process s"}


def result_tables(results: dict[str, Any]) -> str:
    """All tables as Markdown."""
    return "\n".join(
        [
            *_costs(results),
            _ratios(results),
            _models(results),
            _readers(results),
            _feed(results),
            *_sizes(results),
            _busy_day(results),
        ]
    )


def _costs(results: dict[str, Any]) -> Iterator[str]:
    for name, cases in results["costs"].items():
        if name == "busy_day":
            continue
        rows = [
            [case, *[spread([cost[measure] for cost in cases[case]]) for measure in MEASURES]]
            for case in (*CASES, "first run")
            if case in cases
        ]
        same = "the same rows in both" if results["same_answers"][name] else "DIFFERENT ROWS"
        yield table(f"One run, {name} ({same}): median (least to greatest)", ["", *MEASURES.values()], rows)


def _ratios(results: dict[str, Any]) -> str:
    smallest, largest = _sizes_of_logs(results)
    costs = results["costs"]
    questions = {
        "1,000 new rows, largest log : smallest": (costs[largest]["1,000 new rows"], costs[smallest]["1,000 new rows"]),
        "an erased user : 1,000 new rows": (costs[largest]["an erased user"], costs[largest]["1,000 new rows"]),
        "plain, whole log : 1,000 new rows": (costs[largest]["plain, whole log"], costs[largest]["1,000 new rows"]),
        "plain, windowed : 1,000 new rows": (costs[largest]["plain, windowed"], costs[largest]["1,000 new rows"]),
    }
    rows = [
        [question, *[ratio([c[measure] for c in above], [c[measure] for c in below]) for measure in MEASURES]]
        for question, (above, below) in questions.items()
    ]
    return table("Ratios of medians", ["", *[heading.removesuffix(" s") for heading in MEASURES.values()]], rows)


def _models(results: dict[str, Any]) -> str:
    """Where the time goes, at the largest size."""
    costs = results["costs"][_sizes_of_logs(results)[1]]
    cases = ("1,000 new rows", "an erased user", "plain, windowed", "plain, whole log")
    names = list(dict.fromkeys(name for case in cases for name in costs[case][0]["by_model"]))
    rows = [[name, *[_seconds(costs[case], name) for case in cases]] for name in names]
    return table("Seconds by model, largest log", ["", *cases], rows)


def _seconds(runs: list[dict[str, Any]], model: str) -> str:
    return spread([run["by_model"][model] for run in runs]) if model in runs[0]["by_model"] else ""


def _readers(results: dict[str, Any]) -> str:
    rows = [
        [
            situation,
            *[f"{readings[report]['worst_ms']:.0f}" for report in REPORTS],
            str(sum(reading["reads"] for reading in readings.values())),
            str(sum(len(reading["errors"]) for reading in readings.values())),
            str(sum(reading["empty_reads"] for reading in readings.values())),
        ]
        for situation, readings in results["readers"].items()
    ]
    return table("Worst read, ms", ["", *REPORTS, "reads", "errors", "empty"], rows)


def _feed(results: dict[str, Any]) -> str:
    rows = [
        [
            f"{feed['rows_per_statement']}",
            "waits for the disk" if feed["waits_for_disk"] else "does not wait",
            f"{feed['pairs']:,}",
            f"{feed['without_feed_ms']:.3f}",
            f"{feed['with_feed_ms']:.3f}",
            f"{feed['overhead']:.1%}",
        ]
        for feed in results["feed"]
    ]
    title = f"What the feed adds to an insert ({results['feed_bytes_per_row']:.0f} bytes per row in the feed)"
    return table(title, ["rows", "commit", "pairs", "without ms", "with ms", "overhead"], rows)


def _sizes(results: dict[str, Any]) -> Iterator[str]:
    for name, sizes in results["sizes"].items():
        rows = [[relation, f"{size['rows']:,}", bytes_in_words(size["bytes"])] for relation, size in sizes.items()]
        yield table(f"Sizes with indexes, {name}", ["", "rows", "size"], rows)


def _busy_day(results: dict[str, Any]) -> str:
    costs, day = results["costs"]["busy_day"], results["busy_day"]
    rows = [
        [case, *[spread([cost[measure] for cost in found]) for measure in MEASURES]] for case, found in costs.items()
    ]
    title = f"A day of {day['rows']:,} requests, inserted in {day['insert_s']:.0f} s"
    return table(title, ["", *MEASURES.values()], rows)


def _sizes_of_logs(results: dict[str, Any]) -> tuple[str, str]:
    names = [name for name in results["costs"] if name != "busy_day"]
    return names[0], names[-1]
