select
    sql_fingerprint,
    count(*) as occurrence_count,
    count(*) filter (where is_error) as error_count,
    (array_agg(generated_sql order by created_at desc, log_id desc))[1] as example_sql,
    coalesce(public.chat_telemetry_sql_shape((array_agg(generated_sql order by created_at desc, log_id desc))[1]), '') as sql_shape,
    sum(sql_execution_duration_ms)::double precision / nullif(count(sql_execution_duration_ms), 0) as avg_execution_ms,
    percentile_cont(0.95) within group (order by sql_execution_duration_ms) as p95_execution_ms,
    (sum(result_row_count) filter (where result_row_count >= 0))::double precision
        / nullif(count(*) filter (where result_row_count >= 0), 0) as avg_row_count,
    max(result_row_count) filter (where result_row_count >= 0) as max_row_count,
    max(day) as last_seen_on
from requests
where generated_sql ~ '[^[:space:]]' and day > %(report_as_of)s::date - 7
group by sql_fingerprint
order by count(*) desc, sql_fingerprint
limit 1000
