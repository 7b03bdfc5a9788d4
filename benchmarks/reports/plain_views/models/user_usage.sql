-- Who used the chat in the last 30 days, how much, and at what cost?
with

requests as (
    select * from {{ ref('requests') }}
    where {{ since(29) }}
),

model_calls as (
    select * from {{ ref('model_calls') }}
    where {{ since(29) }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

usage as (
    select
        user_id,
        count(*) as request_count,
        count(distinct day) as active_days,
        count(*) filter (where error_type <> 'cancelled') as error_count,
        count(*) filter (where is_off_topic) as off_topic_count,
        max(day) as last_active_on
    from requests
    group by user_id
),

daily_calls as (
    select
        user_id,
        day,
        model,
        {{ undated('model') }} as undated,
        count(*) as call_count,
        count(*) filter (where is_bounded) as bounded_call_count,
        sum(input_tokens) as input_tokens,
        sum(cached_input_tokens) as cached_input_tokens,
        sum(output_tokens) as output_tokens
    from model_calls
    group by user_id, day, model
),

priced_calls as (
    {{ price_named_calls('daily_calls', 'prices') }}
),

spending as (
    select
        user_id,
        sum(input_tokens)::bigint as input_tokens,
        sum(cached_input_tokens)::bigint as cached_input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cost_usd) as cost_usd,
        sum(unpriced_call_count)::bigint as unpriced_call_count,
        sum(bounded_call_count)::bigint as bounded_call_count
    from priced_calls
    group by user_id
)

select
    usage.user_id,
    usage.request_count,
    usage.active_days,
    coalesce(spending.input_tokens, 0) as input_tokens,
    coalesce(spending.cached_input_tokens, 0) as cached_input_tokens,
    coalesce(spending.output_tokens, 0) as output_tokens,
    usage.error_count,
    usage.off_topic_count,
    -- Without calls the cost is 0. If no call has a price, the cost is unknown: null.
    {{ as_money('case when spending.user_id is null then 0 else spending.cost_usd end') }} as cost_usd,
    coalesce(spending.unpriced_call_count, 0) as unpriced_call_count,
    coalesce(spending.bounded_call_count, 0) as bounded_call_count,
    usage.last_active_on
from usage
left join spending on usage.user_id = spending.user_id
