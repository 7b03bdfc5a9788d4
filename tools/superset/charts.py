"""The charts of the dashboard: which question each answers, and from which rows."""

from __future__ import annotations

from tools.superset.chart import BigNumber, Chart, Series
from tools.superset.filters import in_the_last_30_days, is_, is_not
from tools.superset.table import Table

DAYS = (in_the_last_30_days(),)

# The last 30 days of user_usage end on the last day that the reports count, whatever Superset's clock says.
HEADLINES: list[Chart] = [
    BigNumber(
        "cost_30_days",
        "Cost, 30 days",
        "user_usage",
        "US dollars, without unpriced calls",
        metric="total_cost_usd",
        format="$,.2f",
    ),
    BigNumber(
        "requests_30_days", "Chat requests, 30 days", "user_usage", "failed ones included", metric="total_request_count"
    ),
    BigNumber(
        "error_rate_30_days",
        "Error rate, 30 days",
        "user_usage",
        "failed requests of all requests",
        metric="overall_error_rate",
        format=".2%",
    ),
    BigNumber(
        "off_topic_rate_30_days",
        "Off-topic rate, 30 days",
        "user_usage",
        "questions that the data cannot answer",
        metric="overall_off_topic_rate",
        format=".2%",
    ),
]

COST: list[Chart] = [
    Series(
        "cost_by_day_and_model",
        "Cost by day and model",
        "token_cost",
        "US dollars at the price of the day. A model without a price has no bar.",
        DAYS,
        metrics=("total_cost_usd",),
        group_by=("model",),
        format="$,.2f",
        stacked_bars=True,
    ),
    Table(
        "cost_by_model",
        "Cost by model, 30 days",
        "token_cost",
        "The cost does not include the unpriced calls beside it. A model without any price has no cost.",
        DAYS,
        group_by=("model",),
        metrics=("total_cost_usd", "total_call_count", "total_unpriced_call_count", "cached_input_share"),
        formats={"total_cost_usd": "$,.4f"},
        order=(("total_call_count", False),),
    ),
]

LATENCY: list[Chart] = [
    Series(
        "time_to_first_byte_by_day",
        "Time to the first byte, by day",
        "latency",
        "Percentiles of each day, in milliseconds, successful requests only.",
        (is_("period", "day"), is_("step", "ttfb")),
        x="period_start",
        metrics=("row_p50_ms", "row_p95_ms", "row_p99_ms"),
        format=",.0f",
    ),
    Table(
        "latency_by_step",
        "Steps: the last 7 complete days and the 7 before",
        "latency",
        "Each row is one of the report: percentiles are never combined. Steps do not add up.",
        (is_("period", "last_7_complete_days", "previous_7_complete_days"),),
        columns=("step", "period", "request_count", "p50_ms", "p95_ms", "p99_ms"),
        order=(("step", True), ("period", True)),
    ),
]

QUALITY: list[Chart] = [
    Series(
        "errors_by_day_and_type",
        "Errors by day and type",
        "errors",
        "Failed chat requests. Cancelled ones are no errors.",
        (*DAYS, is_not("error_type", "none", "cancelled")),
        metrics=("total_request_count",),
        group_by=("error_type",),
        stacked_bars=True,
    ),
    Series(
        "off_topic_rate_by_day",
        "Off-topic rate by day",
        "off_topic",
        "Questions that the data cannot answer, of all questions of the day.",
        DAYS,
        metrics=("overall_off_topic_rate",),
        format=".1%",
    ),
    Table(
        "model_pairs",
        "Pairs of models, last 30 days",
        "model_comparison",
        "Each row is one of the report. A request that failed before the response has none as its response_model.",
        (is_("period", "last_30_days"),),
        columns=(
            "sql_model",
            "response_model",
            "request_count",
            "error_rate",
            "p95_ttfb_ms",
            "cost_usd",
            "cost_per_request_usd",
            "unpriced_call_count",
        ),
        formats={"cost_usd": "$,.4f", "cost_per_request_usd": "$,.6f"},
        order=(("request_count", False), ("sql_model", True), ("response_model", True)),
    ),
]

USE: list[Chart] = [
    Table(
        "top_users",
        "Top users, 30 days",
        "user_usage",
        "By chat requests. The cost does not include unpriced calls.",
        columns=(
            "user_id_text",
            "request_count",
            "active_days",
            "error_count",
            "off_topic_count",
            "cost_usd",
            "unpriced_call_count",
            "last_active_on",
        ),
        formats={"cost_usd": "$,.4f"},
        order=(("request_count", False), ("user_id_text", True)),
        page_length=10,
    ),
    Table(
        "top_sql_shapes",
        "Most frequent SQL shapes, 7 days",
        "sql_patterns",
        "SQL with ? in place of each literal. Only the 1,000 most frequent texts are counted.",
        group_by=("sql_shape",),
        metrics=(
            "total_occurrence_count",
            "total_error_count",
            "pattern_count",
            "overall_avg_execution_ms",
            "largest_row_count",
        ),
        order=(("total_occurrence_count", False),),
        page_length=10,
    ),
    Table(
        "freshness",
        "Freshness of the reports (UTC)",
        "report_freshness",
        "pending_changes is the same in every row.",
        columns=("report", "refreshed_at", "as_of", "report_timezone", "newest_request_at", "pending_changes"),
        order=(("report", True),),
    ),
]

CHARTS: list[Chart] = [*HEADLINES, *COST, *LATENCY, *QUALITY, *USE]
