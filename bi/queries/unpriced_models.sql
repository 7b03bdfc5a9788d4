-- Which models have no price, so that their calls of the last 30 days are in no cost?
with

today as (
    select max(as_of) as as_of
    from chat_reports.report_freshness
)

select
    token_cost.model,
    sum(token_cost.unpriced_call_count)::bigint as unpriced_call_count,
    sum(token_cost.input_tokens)::bigint as input_tokens,
    sum(token_cost.output_tokens)::bigint as output_tokens,
    max(token_cost.day) as last_called_on
from chat_reports.token_cost
cross join today
where
    token_cost.unpriced_call_count > 0
    and token_cost.day between today.as_of - 29 and today.as_of
group by token_cost.model
order by unpriced_call_count desc, token_cost.model asc;
