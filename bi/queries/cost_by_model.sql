-- What did each model cost in the last seven complete days, and in the seven before them?
with

today as (
    select max(as_of) as as_of
    from chat_reports.report_freshness
),

calls as (
    select
        token_cost.*,
        token_cost.day >= today.as_of - 7 as is_last_week
    from chat_reports.token_cost
    cross join today
    where token_cost.day between today.as_of - 14 and today.as_of - 1
),

models as (
    select
        model,
        coalesce(sum(call_count) filter (where is_last_week), 0)::bigint as call_count,
        -- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
        case when bool_or(is_last_week) then sum(cost_usd) filter (where is_last_week) else 0 end as cost_usd,
        case when bool_and(is_last_week) then 0 else sum(cost_usd) filter (where not is_last_week) end
            as previous_cost_usd,
        coalesce(sum(cache_savings_usd) filter (where is_last_week), 0) as cache_savings_usd,
        coalesce(sum(input_tokens) filter (where is_last_week), 0)::bigint as input_tokens,
        coalesce(sum(cached_input_tokens) filter (where is_last_week), 0)::bigint as cached_input_tokens,
        coalesce(sum(output_tokens) filter (where is_last_week), 0)::bigint as output_tokens,
        coalesce(sum(unpriced_call_count) filter (where is_last_week), 0)::bigint as unpriced_call_count
    from calls
    group by model
)

select
    model,
    call_count,
    cost_usd,
    cost_usd / nullif(sum(cost_usd) over (), 0) as share_of_cost,
    previous_cost_usd,
    cost_usd - previous_cost_usd as change_usd,
    cache_savings_usd,
    input_tokens,
    cached_input_tokens,
    output_tokens,
    unpriced_call_count
from models
order by cost_usd desc nulls last, call_count desc, model asc;
