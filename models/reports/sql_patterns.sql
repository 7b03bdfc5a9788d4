-- Which SQL does the chat write most often, and how does it fare? The 1,000 most frequent of the last 7 days.
with

requests as (
    select
        log_id,
        created_at,
        {{ day_of('created_at') }} as day,
        sql_fingerprint,
        generated_sql,
        nullif(error_type, '') as error_type,
        sql_execution_duration_ms,
        result_row_count
    from {{ source('chat', 'chat_telemetry_log') }}
    where
        created_at >= {{ start_of_day(as_of() ~ ' - 6') }}
        and created_at < {{ start_of_day(as_of() ~ ' + 1') }}
        and sql_fingerprint is not null
),

patterns as (
    select
        sql_fingerprint,
        count(*) as occurrence_count,
        count(error_type) as error_count,
        trim_scale(avg(sql_execution_duration_ms)) as avg_execution_ms,
        percentile_cont(0.95) within group (order by sql_execution_duration_ms) as p95_execution_ms,
        trim_scale(avg(result_row_count)) as avg_row_count,
        max(result_row_count) as max_row_count,
        max(day) as last_seen_on
    from requests
    group by sql_fingerprint
    order by occurrence_count desc, sql_fingerprint asc
    limit 1000
),

examples as (
    select distinct on (sql_fingerprint)
        sql_fingerprint,
        generated_sql
    from requests
    order by sql_fingerprint asc, created_at desc, log_id desc
)

select
    patterns.sql_fingerprint,
    patterns.occurrence_count,
    patterns.error_count,
    examples.generated_sql as example_sql,
    public.chat_telemetry_sql_shape(examples.generated_sql) as sql_shape,
    patterns.avg_execution_ms,
    patterns.p95_execution_ms,
    patterns.avg_row_count,
    patterns.max_row_count,
    patterns.last_seen_on
from patterns
inner join examples on patterns.sql_fingerprint = examples.sql_fingerprint
