-- What did each month cost, and what will the current one have cost at its end?
-- The forecast takes the complete days of the month, and for today and each day that is left the average of the last
-- seven complete days, or as much as today cost already.
with

today as (
    select
        max(as_of) as as_of,
        date_trunc('month', max(as_of)::timestamp)::date as first_day,
        (date_trunc('month', max(as_of)::timestamp) + interval '1 month')::date - 1 - max(as_of) as days_left
    from chat_reports.report_freshness
),

days as (
    select
        day,
        date_trunc('month', day::timestamp)::date as month,
        sum(call_count)::bigint as call_count,
        sum(cost_usd) as cost_usd,
        sum(unpriced_call_count)::bigint as unpriced_call_count
    from chat_reports.token_cost
    group by day
),

-- A new installation has fewer than seven days.
rates as (
    select
        coalesce(sum(days.cost_usd) filter (where days.day between today.as_of - 7 and today.as_of - 1), 0)
        / greatest(least(today.as_of - min(days.day), 7), 1) as per_day
    from today
    left join days on today.as_of >= days.day
    group by today.as_of
),

months as (
    select
        month,
        sum(call_count)::bigint as call_count,
        sum(cost_usd) as cost_usd,
        sum(unpriced_call_count)::bigint as unpriced_call_count
    from days
    group by month
),

current_month as (
    select
        today.first_day as month,
        coalesce(sum(days.cost_usd) filter (where days.day < today.as_of), 0)
        + greatest(coalesce(sum(days.cost_usd) filter (where days.day = today.as_of), 0), rates.per_day)
        + today.days_left * rates.per_day as forecast_usd
    from today
    cross join rates
    left join days on days.day between today.first_day and today.as_of
    group by today.first_day, today.days_left, rates.per_day
)

select
    months.month,
    months.call_count,
    months.cost_usd,
    months.unpriced_call_count,
    -- Only of the current month, and only if any of its calls has a price.
    case when months.cost_usd is not null then current_month.forecast_usd end as forecast_usd
from months
left join current_month on months.month = current_month.month
order by months.month desc;
