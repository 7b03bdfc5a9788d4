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
    nullif(error_type, '') as error_type,
    nullif(failed_step, '') as failed_step,
    is_off_topic,
    nullif(sql_model, '') as sql_model,
    nullif(response_model, '') as response_model,
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
