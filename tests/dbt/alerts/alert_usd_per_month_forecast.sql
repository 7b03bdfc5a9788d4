-- Will the month cost more US dollars than alert_usd_per_month_forecast? Its complete days, and for today and each day
-- that is left the average of the last seven complete days, or as much as today cost already.
{{ config(tags=["alert"], enabled=var("alert_usd_per_month_forecast") is not none) }}

with

month as (
    select
        {{ as_of() }} as today,
        {{ first_of_month() }} as first_day,
        ({{ first_of_month() }} + interval '1 month')::date - 1 - {{ as_of() }} as days_left
),

days as (
    select
        day,
        coalesce(sum(cost_usd), 0) as cost_usd
    from {{ ref("token_cost") }}
    group by day
),

costs as (
    select
        coalesce(sum(days.cost_usd) filter (where days.day between month.first_day and month.today - 1), 0) as spent,
        coalesce(sum(days.cost_usd) filter (where days.day = month.today), 0) as today,
        -- A new installation has fewer than seven days.
        coalesce(sum(days.cost_usd) filter (where days.day between month.today - 7 and month.today - 1), 0)
        / greatest(least(month.today - min(days.day), 7), 1) as per_day
    from month
    left join days on month.today >= days.day
    group by month.today
),

forecast as (
    select
        to_char(month.today::timestamp, 'YYYY-MM') as subject,
        costs.spent + greatest(costs.today, costs.per_day) + month.days_left * costs.per_day as value
    from month
    cross join costs
)

{{ alert_rows("forecast", "alert_usd_per_month_forecast") }}
