-- daily_latency holds the counts and the longest duration of the last 30 days, and no other day. Compared only while
-- both have counted the same batches: beside a run they may not.
{{ config(tags=['reconcile']) }}
with

durations as (
    select * from {{ ref('daily_durations') }}
),

latency as (
    select * from {{ ref('daily_latency') }}
),

progress as (
    select * from {{ source('rollups', 'progress') }}
),

last_day as (
    select as_of from progress
    where name = 'daily_latency'
),

counted as (
    select
        durations.day,
        durations.step,
        sum(durations.request_count)::bigint as request_count,
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
        max_ms
    from latency
)

select differences.* -- noqa: AM04
from ({{ differences('kept', 'counted') }}) as differences
where (
    select count(distinct progress.batch) = 1 from progress
    where progress.name in ('daily_durations', 'daily_latency')
)
