-- A cost is null if and only if no call has a price; it is never 0 instead.
select
    day,
    step,
    model
from {{ ref('token_cost') }}
where
    (cost_usd is null) != (price_match = 'unpriced')
    or (cache_savings_usd is null) != (price_match = 'unpriced')
    or unpriced_call_count != case when price_match = 'unpriced' then call_count else 0 end
