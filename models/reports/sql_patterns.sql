-- Which SQL does the chat write most often, how fast is it and how often does it fail? The 1,000 most frequent texts of
-- the last 7 days.
-- depends_on: {{ ref('drained_changes') }}
{% set first, last = report_periods()["last_7_days"] %}
with

requests as (
    select
        log_id,
        created_at,
        {{ day_of('created_at') }} as day,
        -- Sorted by bytes, which is faster.
        sql_fingerprint collate "C" as sql_fingerprint,
        coalesce(error_type, '') not in ('', 'cancelled') as is_error,
        case when sql_execution_duration_ms >= 0 then sql_execution_duration_ms end as duration_ms,
        case when result_row_count >= 0 then result_row_count end as row_count
    from {{ source('chat', 'chat_telemetry_log') }}
    where
        {{ on_days('created_at', as_of() ~ ' - ' ~ first, as_of() ~ ' - ' ~ last) }}
        -- Blank SQL has one of these two fingerprints: that of the empty text or that of one space.
        and sql_fingerprint not in (md5(''), md5(' '))
),

patterns as materialized (
    select
        sql_fingerprint,
        row_number() over (order by count(*) desc, sql_fingerprint asc) as place,
        count(*) as occurrence_count,
        count(*) filter (where is_error) as error_count,
        sum(duration_ms)::double precision / nullif(count(duration_ms), 0) as avg_execution_ms,
        sum(row_count)::double precision / nullif(count(row_count), 0) as avg_row_count,
        max(row_count) as max_row_count,
        max(day) as last_seen_on,
        max(created_at) as newest_at
    from requests
    group by sql_fingerprint
    order by occurrence_count desc, sql_fingerprint asc
    limit 1000
),

counts as (
    select
        patterns.place,
        requests.duration_ms,
        count(*) as request_count
    from requests
    inner join patterns on requests.sql_fingerprint = patterns.sql_fingerprint
    where requests.duration_ms is not null
    group by patterns.place, requests.duration_ms
),

ranked as (
    select
        *,
        (sum(request_count) over (partition by place order by duration_ms))::bigint as up_to,
        (sum(request_count) over (partition by place))::bigint as total
    from counts
),

percentiles as materialized (
    select
        place,
        {{ percentile('0.95') }} as p95_execution_ms
    from ranked
    group by place
),

-- Only the keys: the texts are wide, and only a thousand of them are shown.
newest as materialized (
    select distinct on (patterns.place)
        patterns.place,
        requests.log_id
    from requests
    inner join patterns
        on
            requests.sql_fingerprint = patterns.sql_fingerprint
            and requests.created_at = patterns.newest_at
    order by patterns.place asc, requests.log_id desc
)

select
    patterns.sql_fingerprint,
    patterns.occurrence_count,
    patterns.error_count,
    examples.generated_sql as example_sql,
    coalesce(public.chat_telemetry_sql_shape(examples.generated_sql), '') as sql_shape,
    patterns.avg_execution_ms,
    percentiles.p95_execution_ms,
    patterns.avg_row_count,
    patterns.max_row_count,
    patterns.last_seen_on
from patterns
inner join newest on patterns.place = newest.place
inner join {{ source('chat', 'chat_telemetry_log') }} as examples on newest.log_id = examples.log_id
left join percentiles on patterns.place = percentiles.place
