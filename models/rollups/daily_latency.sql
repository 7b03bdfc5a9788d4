-- How long did each step take on each of the last 30 days? Of the days that a batch touched and of those that enter or leave.
{{ config(meta={"follows": "daily_durations", "replaces": true}) }}
with

last_days as (
    select
        {{ as_of('daily_latency') }} as was,
        {{ as_of('daily_durations') }} as is_now
),

days as (
    select {{ day_of('created_at') }} as day from {{ changes() }}
    union
    select is_now - place as day from last_days
    cross join generate_series(0, 29) as place
    where was is null or is_now - place not between was - 29 and was
    union
    select was - place as day from last_days
    cross join generate_series(0, 29) as place
    where was - place not between is_now - 29 and is_now
),

measured as (
    select
        daily_durations.day,
        daily_durations.step,
        daily_durations.duration_ms,
        sum(daily_durations.request_count)::integer as request_count
    from {{ ref('daily_durations') }} as daily_durations
    inner join days on daily_durations.day = days.day
    inner join last_days on days.day between last_days.is_now - 29 and last_days.is_now
    where daily_durations.duration_ms >= 0
    group by daily_durations.day, daily_durations.step, daily_durations.duration_ms
),

ranked as (
    select
        *,
        (sum(request_count) over (partition by day, step order by duration_ms))::bigint as up_to,
        (sum(request_count) over (partition by day, step))::bigint as total
    from measured
),

summed as (
    select
        day,
        step,
        sum(request_count)::bigint as request_count,
        sum(duration_ms::bigint * request_count)::double precision / sum(request_count)::double precision as avg_ms,
        {{ percentile('0.5') }} as p50_ms,
        {{ percentile('0.95') }} as p95_ms,
        {{ percentile('0.99') }} as p99_ms,
        max(duration_ms) as max_ms
    from ranked
    group by day, step
)

-- A row without requests is one to delete.
select
    days.day,
    steps.step::smallint as step,
    coalesce(summed.request_count, 0) as request_count,
    summed.avg_ms,
    summed.p50_ms,
    summed.p95_ms,
    summed.p99_ms,
    summed.max_ms
from days
cross join generate_series(1, 4) as steps (step)
left join summed on days.day = summed.day and steps.step = summed.step
