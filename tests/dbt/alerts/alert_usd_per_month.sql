-- Did the month up to today cost more US dollars than alert_usd_per_month?
{{ config(tags=["alert"], enabled=var("alert_usd_per_month") is not none) }}

with

costs as (
    select
        to_char({{ as_of() }}::timestamp, 'YYYY-MM') as subject,
        coalesce(sum(cost_usd), 0) as value
    from {{ ref("token_cost") }}
    where day between {{ first_of_month() }} and {{ as_of() }}
)

{{ alert_rows("costs", "alert_usd_per_month") }}
