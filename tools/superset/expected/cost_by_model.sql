-- What did each model cost in the last 30 days, and how many of its calls have no price?
select
    model,
    sum(cost_usd) as total_cost_usd,
    sum(call_count)::bigint as total_call_count,
    sum(unpriced_call_count)::bigint as total_unpriced_call_count,
    sum(cached_input_tokens)::float8 / nullif(sum(input_tokens), 0)::float8 as cached_input_share
from chat_reports.token_cost
where day between current_date - 29 and current_date
group by model
order by total_call_count desc;
