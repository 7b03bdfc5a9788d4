-- Which chat requests count, and on which day did each fall?
with

log as (
    select * from {{ source('chat', 'chat_telemetry_log') }}
)

select
    log_id,
    user_id,
    created_at,
    {{ day_of('created_at') }} as day,
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
    sql_cached_tokens,
    sql_output_tokens,
    response_input_tokens,
    response_cached_tokens,
    response_output_tokens
from log
where created_at < {{ start_of_day(as_of() ~ ' + 1') }}
