-- Were there more model calls without a price in the last 7 days?
{{ config(tags=["alert"], enabled=var("alert_unpriced_calls") is not none) }}

with

calls as (
    select
        '' as subject,
        coalesce(sum(unpriced_call_count), 0) as value
    from {{ ref("token_cost") }}
    where {{ is_in_period("day", "last_7_days", as_of()) }}
)

{{ alert_rows("calls", "alert_unpriced_calls") }}
