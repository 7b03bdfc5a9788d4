-- Which pair of models was faster, cheaper, more reliable in the last 30 days?
select
    sql_model,
    response_model,
    request_count,
    error_rate,
    p95_ttfb_ms,
    cost_usd,
    cost_per_request_usd,
    unpriced_call_count
from chat_reports.model_comparison
where period = 'last_30_days'
order by request_count desc, sql_model asc, response_model asc;
