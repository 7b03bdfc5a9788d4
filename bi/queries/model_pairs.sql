-- Which pair of models did best in the last seven complete days?
-- A request that failed before its response has no response_model: sql_model_error_rate is that of all pairs with the
-- same sql_model, so that it can be compared.
select
    sql_model,
    response_model,
    request_count,
    error_count,
    p95_ttfb_ms,
    avg_ttfb_ms,
    cost_per_request_usd,
    unpriced_call_count,
    sum(error_count) over (partition by sql_model)::bigint as sql_model_error_count,
    sum(error_count) over (partition by sql_model)::double precision
    / sum(request_count) over (partition by sql_model)::double precision as sql_model_error_rate
from chat_reports.model_comparison
where period = 'last_7_complete_days'
order by request_count desc, sql_model asc, response_model asc;
