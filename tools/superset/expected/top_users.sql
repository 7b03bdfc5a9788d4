-- Who used the chat most in the last 30 days?
select
    user_id::text as user_id_text,
    request_count,
    active_days,
    error_count,
    off_topic_count,
    cost_usd,
    unpriced_call_count,
    last_active_on
from chat_reports.user_usage
order by request_count desc, user_id asc
limit 1000;
