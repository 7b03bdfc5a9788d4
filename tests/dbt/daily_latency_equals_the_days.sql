-- daily_latency holds the counts and the longest duration of the last 30 days, and no other day. Compared only while both have
-- counted the same batches: beside a run they may not.
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

is_comparable as (
    select count(distinct batch) = 1 as is_so from progress
    where name in ('daily_durations', 'daily_latency')
),

counted as (
    select
        durations.day,
        durations.step,
        sum(durations.request_count)::bigint as request_count,
        max(durations.duration_ms) as max_ms
    from durations
    inner join last_day on durations.day between last_day.as_of - 29 and last_day.as_of
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
),

surplus as (select * from kept except all select * from counted),

missing as (select * from counted except all select * from kept)

select 'only in daily_latency' as side, surplus.* from surplus
inner join is_comparable on is_comparable.is_so
union all
select 'only in the days' as side, missing.* from missing
inner join is_comparable on is_comparable.is_so
