-- daily_latency has the last 30 days with their counts, averages and longest durations, and no other day. The
-- tables are compared only if both have counted the same drains.
{{ config(tags=['reconcile']) }}
with

durations as (
    select * from {{ ref('daily_durations') }}
),

latency as (
    select * from {{ ref('daily_latency') }}
),

last_day as (
    select {{ as_of('daily_latency') }} as as_of
),

counted as (
    select
        durations.day,
        durations.step,
        sum(durations.request_count)::bigint as request_count,
        sum(durations.duration_ms::bigint * durations.request_count)::double precision
        / sum(durations.request_count)::double precision as avg_ms,
        max(durations.duration_ms) as max_ms
    from durations
    inner join last_day on {{ is_in_period('durations.day', 'last_30_days', 'last_day.as_of') }}
    where durations.duration_ms >= 0
    group by durations.day, durations.step
),

kept as (
    select
        day,
        step,
        request_count,
        avg_ms,
        max_ms
    from latency
)

select differences.* -- noqa: AM04
from ({{ differences('kept', 'counted') }}) as differences
where {{ have_counted_the_same(['daily_durations', 'daily_latency']) }}
