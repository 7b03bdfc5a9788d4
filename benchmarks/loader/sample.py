"""A chat request of ordinary size, the same for every contender: 1 kB as a line of JSON, without nulls."""

from __future__ import annotations

from typing import Any

USER_ID = "018f5c1e-7b9a-7cc1-8f52-0e1d2c3b4a59"
CONVERSATION_ID = "018f5c1e-7b9a-7cc1-8f52-0e1d2c3b4a60"

QUESTION = "How many orders did each of our ten largest customers place last month?"
SQL = """select customers.name, count(*) as order_count, sum(orders.total) as revenue
from orders join customers on customers.customer_id = orders.customer_id
where orders.created_at >= date_trunc('month', now()) - interval '1 month' and orders.created_at < date_trunc('month', now())
group by customers.name order by order_count desc, revenue desc limit 10"""  # noqa: E501 - as a model writes it
RESPONSE_TEXT = (
    "Your ten largest customers placed 1,284 orders last month. Northwind leads with 212 orders, followed by "
    "Contoso with 187 and Fabrikam with 154; together the three make up 43 % of the total."
)


def columns(number: int) -> dict[str, Any]:
    """The 24 columns that a chat request sets, in addition to key and time. An attribute of a span cannot be null."""
    return {
        "user_id": USER_ID,
        "conversation_id": CONVERSATION_ID,
        "response_id": f"resp_{number * 0x9E3779B97F4A7C15 % 2**128:032x}",
        "user_question": QUESTION,
        "ai_response": RESPONSE_TEXT,
        "generated_sql": SQL,
        "result_row_count": 10,
        "follow_up_suggestions": ["And the month before?", "Who ordered less than before?", "Show them by region."],
        "error_type": "none",
        "error_message": "none",
        "failed_step": "none",
        "is_off_topic": False,
        "sql_model": "gpt-4o-mini-2024-07-18",
        "response_model": "gpt-4o-mini-2024-07-18",
        "nl_to_sql_duration_ms": 810 + number % 400,
        "sql_execution_duration_ms": 35 + number % 90,
        "response_generation_duration_ms": 1240 + number % 700,
        "ttfb_ms": 1020 + number % 500,
        "sql_input_tokens": 1412 + number % 100,
        "sql_output_tokens": 88,
        "sql_cached_tokens": 1024,
        "response_input_tokens": 512 + number % 100,
        "response_output_tokens": 61,
        "response_cached_tokens": 128,
    }
