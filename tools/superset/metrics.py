"""The metrics of the datasets: only what may be added, and what cannot be shown for the wrong rows.

Superset aggregates whatever a chart groups by. So a metric for which only one row is right, or only one period, is null
when there are more. A wrong filter then shows nothing instead of a wrong number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNT, DOLLARS, RATE, DURATION = ",d", "$,.2f", ".2%", ",.0f"
ONE_ROW = (
    "It is shown only where a group has one row. Filter on one period, and group by the other columns of the grain."
)
ONE_PERIOD = "It is shown only where all rows are of one period, because the periods overlap."


@dataclass(frozen=True)
class Metric:
    name: str
    title: str
    expression: str
    format: str | None
    description: str


def title_of(column: str) -> str:
    """`unpriced_call_count` is `Unpriced calls` for a person, `p95_ttfb_ms` is `p95 ttfb (ms)`."""
    if column.endswith("_count"):
        text = column.removesuffix("_count").replace("off_topic", "off-topic question") + "s"
    else:
        text = re.sub("_(ms|usd)$", lambda unit: f" ({unit[1].replace('usd', 'USD')})", column)
    text = text.replace("_", " ").replace("sql", "SQL")
    return text if re.match(r"p\d", text) else text[0].upper() + text[1:]


def format_of(column: str) -> str:
    formats = {"usd": DOLLARS, "rate": RATE, "ms": DURATION}
    return formats.get(column.rpartition("_")[2], COUNT)


def totals(*columns: str) -> list[Metric]:
    return [
        Metric(f"total_{name}", title_of(name), f"SUM({name})", format_of(name), f"Sum of {name}.") for name in columns
    ]


def totals_of_one_period(*columns: str) -> list[Metric]:
    return [
        Metric(
            f"total_{name}",
            title_of(name),
            in_one_period(f"SUM({name})"),
            format_of(name),
            f"Sum of {name}. {ONE_PERIOD}",
        )
        for name in columns
    ]


def of_one_row(*columns: str) -> list[Metric]:
    return [
        Metric(
            f"row_{name}",
            title_of(name),
            f"CASE WHEN COUNT(*) = 1 THEN MAX({name}) END",
            format_of(name),
            f"{name} of the row. {ONE_ROW}",
        )
        for name in columns
    ]


def in_one_period(expression: str) -> str:
    return f"CASE WHEN COUNT(DISTINCT period) = 1 THEN {expression} END"


def quotient(part: str, whole: str) -> str:
    return f"SUM({part})::float / NULLIF(SUM({whole}), 0)"


TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens")
COST = ("cost_usd", "unpriced_call_count", "bounded_call_count")
DIVIDED = "The sums are divided, never the rates added."
STEPS = ("nl_to_sql", "sql_execution", "response_generation", "ttfb")
NOT_OK = "error_type NOT IN ('none', 'cancelled')"
MEAN_EXECUTION = (
    "SUM(avg_execution_ms * occurrence_count)"
    " / NULLIF(SUM(occurrence_count) FILTER (WHERE avg_execution_ms IS NOT NULL), 0)"
)

METRICS: dict[str, list[Metric]] = {
    "errors": [
        *totals("request_count"),
        Metric(
            "failed_request_count",
            "Failed requests",
            f"SUM(request_count) FILTER (WHERE {NOT_OK})",
            COUNT,
            "Chat requests that failed. Successful and cancelled ones are left out.",
        ),
    ],
    "latency": of_one_row("request_count", "avg_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms"),
    "model_comparison": [
        *totals_of_one_period("request_count", "error_count", *TOKENS, *COST),
        Metric(
            "overall_error_rate",
            "Error rate",
            in_one_period(quotient("error_count", "request_count")),
            RATE,
            f"Failed requests of all requests. {DIVIDED} {ONE_PERIOD}",
        ),
        Metric(
            "overall_cost_per_request_usd",
            "Cost per request (USD)",
            in_one_period("SUM(cost_usd) / NULLIF(SUM(request_count), 0)"),
            "$,.6f",
            f"{DIVIDED} Too low if there are unpriced calls. {ONE_PERIOD}",
        ),
        *of_one_row(*(f"{statistic}_{step}_ms" for step in STEPS for statistic in ("avg", "p95"))),
    ],
    "off_topic": [
        *totals("request_count", "off_topic_count"),
        Metric("overall_off_topic_rate", "Off-topic rate", quotient("off_topic_count", "request_count"), RATE, DIVIDED),
    ],
    "open_alerts": [Metric("alert_count", "Open alerts", "COUNT(*)", COUNT, "Values over their bound.")],
    "report_freshness": [
        Metric("oldest_refreshed_at", "Oldest refresh", "MIN(refreshed_at)", None, "When the stalest report was made."),
    ],
    "sql_patterns": [
        *totals("occurrence_count", "error_count"),
        Metric("pattern_count", "Texts", "COUNT(*)", COUNT, "Different SQL texts."),
        Metric(
            "overall_avg_execution_ms",
            "Avg execution (ms)",
            MEAN_EXECUTION,
            ",.1f",
            "Mean of avg_execution_ms, each text as often as it occurred.",
        ),
        Metric("largest_row_count", "Max rows", "MAX(max_row_count)", COUNT, "Maximum of max_row_count."),
        Metric("newest_seen_on", "Last seen on", "MAX(last_seen_on)", None, "The newest last_seen_on."),
    ],
    "token_cost": [
        *totals("call_count", *TOKENS, "cost_usd", "cache_savings_usd", "unpriced_call_count", "bounded_call_count"),
        Metric(
            "cached_input_share",
            "Cached input",
            quotient("cached_input_tokens", "input_tokens"),
            ".1%",
            "The part of the input tokens that came from the cache.",
        ),
    ],
    "user_usage": [
        Metric("user_count", "Users", "COUNT(*)", COUNT, "Users with a chat request in the last 30 days."),
        *totals("request_count", *TOKENS, "error_count", "off_topic_count", *COST),
        Metric("overall_error_rate", "Error rate", quotient("error_count", "request_count"), RATE, DIVIDED),
        Metric("overall_off_topic_rate", "Off-topic rate", quotient("off_topic_count", "request_count"), RATE, DIVIDED),
    ],
}
