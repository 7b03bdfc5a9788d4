-- Who used the chat in the last 30 days, how much, and at what cost?
with

requests as (
    select * from {{ ref('daily_users') }}
    where {{ is_in_period('day', 'last_30_days', as_of()) }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

usage as (
    select
        user_id,
        sum(request_count)::bigint as request_count,
        count(distinct day) as active_days,
        sum(error_count)::bigint as error_count,
        sum(off_topic_count)::bigint as off_topic_count,
        max(day) as last_active_on
    from requests
    group by user_id
),

-- Between two changes of any price, a model costs the same each day. So these days are summed before they are priced.
priced_days as materialized (
    select
        active_days.day,
        max(prices.valid_from) as priced_on
    from (select distinct day from requests) as active_days
    left join prices on active_days.day >= prices.valid_from
    group by active_days.day
),

priced_alike as (
    select
        requests.user_id,
        coalesce(priced_days.priced_on, '-infinity') as day,
        requests.sql_model,
        requests.response_model,
        sum(requests.sql_call_count)::bigint as sql_call_count,
        sum(requests.sql_bounded_call_count)::bigint as sql_bounded_call_count,
        sum(requests.sql_input_tokens)::bigint as sql_input_tokens,
        sum(requests.sql_cached_tokens)::bigint as sql_cached_tokens,
        sum(requests.sql_output_tokens)::bigint as sql_output_tokens,
        sum(requests.response_call_count)::bigint as response_call_count,
        sum(requests.response_bounded_call_count)::bigint as response_bounded_call_count,
        sum(requests.response_input_tokens)::bigint as response_input_tokens,
        sum(requests.response_cached_tokens)::bigint as response_cached_tokens,
        sum(requests.response_output_tokens)::bigint as response_output_tokens
    from requests
    inner join priced_days on requests.day = priced_days.day
    group by requests.user_id, priced_days.priced_on, requests.sql_model, requests.response_model
),

calls as (
    {{ calls_of('priced_alike', ['user_id', 'day']) }}
),

priced_calls as (
    {{ price_calls('calls', 'prices') }}
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
