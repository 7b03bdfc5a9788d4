"""The figures of `benchmarks.loader` as tables, with the targets next to the measured ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.loader.contenders import CALL, JOURNAL, LANGFUSE, OPENTELEMETRY, OURS
from benchmarks.tables import spread, table

Calls = dict[str, dict[str, list[float]]]


def loader_tables(results: dict[str, Any]) -> str:
    """A Markdown table for each measurement in `results`."""
    tables: dict[str, Callable[[Any], str]] = {
        "calls_up": lambda calls: _calls("Per call, database up (microseconds)", calls),
        "calls_down": lambda calls: _calls("Per call, database down (microseconds)", calls),
        "delivery": lambda delivery: _delivery(delivery, int(results["options"]["records"])),
        "parts": _parts,
        "streams": _streams,
        "heartbeat": _heartbeat,
        "outage": _outage,
    }
    return "\n".join(show(results[name]) for name, show in tables.items() if name in results)


def _calls(title: str, calls: Calls) -> str:
    ours = calls[CALL]["p50_us"]
    rows = [
        (name, spread(figures["p50_us"]), spread(figures["p99_us"]), f"{_paired(figures['p50_us'], ours):.2f}")
        for name, figures in calls.items()
    ]
    return table(title, ("contender", "p50", "p99", f"p50 / {CALL}"), rows) + "\n" + _targets(calls)


def _targets(calls: Calls) -> str:
    targets = (
        ("the call / OpenTelemetry's", CALL, OPENTELEMETRY, 0.1),
        ("record and call / OpenTelemetry's", OURS, OPENTELEMETRY, 0.1),
        ("the call / Langfuse's", CALL, LANGFUSE, 1 / 40),
        ("record and call / Langfuse's", OURS, LANGFUSE, 1 / 40),
        ("with a journal / without", JOURNAL, CALL, 3),
    )
    rows = [
        (which, f"at most {most:g}", f"{_paired(calls[above]['p50_us'], calls[below]['p50_us']):.3f}")
        for which, above, below, most in targets
        if below in calls
    ]
    return table("Ratios of p50", ("ratio", "target", "measured"), rows)


def _delivery(delivery: dict[str, list[dict[str, float]]], records: int) -> str:
    rates = {way: [records / run["seconds"] for run in runs] for way, runs in delivery.items()}
    rows = []
    for way, runs in delivery.items():
        cpu = [run["cpu_seconds"] * 100_000 / records for run in runs if "cpu_seconds" in run]
        cpu_ratio = _paired(cpu, [run["cpu_seconds"] * 100_000 / records for run in delivery["executemany"]])
        rows.append(
            (
                way,
                f"{statistics.median(rates[way]):,.0f}",
                f"{_paired(rates[way], rates['copy']):.2f}",
                spread(cpu) if cpu else "",
                f"{cpu_ratio:.2f}" if cpu else "",
                spread([run["server_cpu_seconds"] * 100_000 / records for run in runs]),
            )
        )
    header = (
        "way",
        "rows/s",
        "/ copy (target 0.8)",
        "CPU s per 100,000",
        "/ executemany (target 0.25)",
        "server CPU s per 100,000",
    )
    return table("Delivered", header, rows)


def _parts(parts: dict[str, float]) -> str:
    rows = [(part, f"{microseconds:.2f}") for part, microseconds in parts.items()]
    return table("Where the CPU time goes (microseconds per record)", ("part", "minimum"), rows)


def _streams(streams: dict[str, dict[str, float]]) -> str:
    rows = [
        (
            api,
            f"{costs['observed_us']:.1f}",
            f"{costs['package_us']:.1f}",
            f"{costs['observed_us'] / costs['package_us']:.2f}",
        )
        for api, costs in streams.items()
    ]
    return table("Streams (microseconds per chunk)", ("shape", "chat.stream", "its package", "ratio"), rows)


def _heartbeat(heartbeat: dict[str, list[float]]) -> str:
    rows = [(way, spread(heartbeat[way])) for way in ("without", "with")]
    rows.append(("with / without (target 1.2)", f"{_paired(heartbeat['with'], heartbeat['without']):.2f}"))
    return table("Heartbeat of 1 ms during 2,000 records/s: p99 of its delay (ms)", ("telemetry", "p99"), rows)


def _outage(outage: dict[str, dict[str, float]]) -> str:
    rows = [
        (way, *(f"{run[figure]:,.0f}" for figure in ("before_mb", "peak_mb", "accepted", "dropped")))
        for way, run in outage.items()
    ]
    return table("Outage", ("queue", "RSS before (MB)", "peak RSS (MB)", "accepted", "dropped"), rows)


def _paired(above: list[float], below: list[float]) -> float:
    """The median of the ratios of figures measured one after the other, on which a busy machine has the same effect."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True)) if above else float("nan")
