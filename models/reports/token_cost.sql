-- What did the model calls of each day cost, by step and model?
with

requests as (
    select * from {{ ref('daily_requests') }}
    where day between {{ first_day() }} and {{ as_of() }}
),

prices as (
    select * from {{ ref('price_periods') }}
),

calls as (
    {{ calls_of('requests', ['day']) }}
),

priced_calls as (
    {{ price_calls('calls', 'prices') }}
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
