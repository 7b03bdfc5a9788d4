-- Which SQL does the chat write most often, how fast is it and how often does it fail? The 1,000 most frequent texts of
-- the last 7 days.
with

requests as (
    select
        log_id,
        created_at,
        day,
        sql_fingerprint,
        generated_sql,
        error_type,
        sql_execution_duration_ms,
        result_row_count
    from {{ ref('requests') }}
    where
        {{ since(6) }}
        and sql_fingerprint not in (md5(''), md5(' '))
),

patterns as (
    select
        sql_fingerprint,
        count(*) as occurrence_count,
        count(*) filter (where error_type <> 'cancelled') as error_count,
        sum(sql_execution_duration_ms)::double precision / nullif(count(sql_execution_duration_ms), 0) as avg_execution_ms,
        percentile_cont(0.95) within group (order by sql_execution_duration_ms) as p95_execution_ms,
        sum(result_row_count)::double precision / nullif(count(result_row_count), 0) as avg_row_count,
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
