-- Who spent most in the last 30 days, and what share of all costs is that?
select
    user_id,
    request_count,
    active_days,
    error_count,
    off_topic_count,
    input_tokens,
    output_tokens,
    cost_usd,
    cost_usd / nullif(sum(cost_usd) over (), 0) as share_of_cost,
    unpriced_call_count,
    last_active_on
from chat_reports.user_usage
order by cost_usd desc nulls last, request_count desc, user_id asc;
