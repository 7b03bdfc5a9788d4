-- What did the model calls of each day cost, by step and model?
with

model_calls as (
    select * from {{ ref('model_calls') }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

daily_calls as (
    select
        day,
        step,
        model,
        {{ undated('model') }} as undated,
        count(*) as call_count,
        count(*) filter (where is_bounded) as bounded_call_count,
        sum(input_tokens) as input_tokens,
        sum(cached_input_tokens) as cached_input_tokens,
        sum(output_tokens) as output_tokens
    from model_calls
    group by day, step, model
),

priced_calls as (
    {{ price_named_calls('daily_calls', 'prices') }}
)

select
    day,
    step,
    model,
    call_count,
    input_tokens,
    cached_input_tokens,
    output_tokens,
    {{ as_money('cost_usd') }} as cost_usd,
    {{ as_money('cache_savings_usd') }} as cache_savings_usd,
    unpriced_call_count,
    bounded_call_count,
    price_match
from priced_calls
