-- Which chat requests count, and on which day?
select
    log_id,
    user_id,
    created_at,
    (created_at at time zone 'UTC')::date as day,
    generated_sql,
    sql_fingerprint,
    result_row_count,
    error_type,
    failed_step,
    is_off_topic,
    sql_model,
    response_model,
    nl_to_sql_duration_ms,
    sql_execution_duration_ms,
    response_generation_duration_ms,
    ttfb_ms,
    sql_input_tokens,
    sql_output_tokens,
    sql_cached_tokens,
    response_input_tokens,
    response_output_tokens,
    response_cached_tokens
from public.chat_telemetry_log
where created_at < (({{ last_day_that_counts() }} + 1)::timestamp at time zone 'UTC')
