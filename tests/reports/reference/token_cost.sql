select
    day,
    step,
    model,
    count(*) as call_count,
    sum(input) as input_tokens,
    sum(cached) as cached_input_tokens,
    sum(output) as output_tokens,
    round(sum(micro_usd) / 1e6, 10) as cost_usd,
    round(sum(saved_micro_usd) / 1e6, 10) as cache_savings_usd,
    count(*) filter (where price_match = 'unpriced') as unpriced_call_count,
    count(*) filter (where is_bounded) as bounded_call_count,
    price_match
from priced_calls
group by day, step, model, price_match
