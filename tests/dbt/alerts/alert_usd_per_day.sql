-- Did today or yesterday cost more US dollars than alert_usd_per_day?
{{ config(tags=["alert"], enabled=var("alert_usd_per_day") is not none) }}

with

costs as (
    select
        day::text as subject,
        coalesce(sum(cost_usd), 0) as value
    from {{ ref("token_cost") }}
    where day between {{ as_of() }} - 1 and {{ as_of() }}
    group by day
)

{{ alert_rows("costs", "alert_usd_per_day") }}
