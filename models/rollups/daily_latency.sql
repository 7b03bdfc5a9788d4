-- How long did each measured step take on each of the last 30 days? Only the days with new changes and the days that
-- enter or leave the 30 days are computed.
{{ config(meta={"made_from": "daily_durations", "returns_new_values": true}) }}
{% set days_back = report_periods()["last_30_days"][0] %}

with

changes as (
    select * from {{ changes() }}
),

durations as (
    select * from {{ ref('daily_durations') }}
),

-- The last day that counts: before, in this table (null if the table counts no day), and now.
last_days as (
    select
        {{ as_of('daily_latency') }} as was,
        {{ as_of('daily_durations') }} as is_now
),

days as (
    select {{ day_of('created_at') }} as day from changes
    union
    select last_days.is_now - days_ago.n as day
    from last_days
    cross join generate_series(0, {{ days_back }}) as days_ago (n)
    where ({{ is_in_period('last_days.is_now - days_ago.n', 'last_30_days', 'last_days.was') }}) is not true
    union
    select last_days.was - days_ago.n as day
    from last_days
    cross join generate_series(0, {{ days_back }}) as days_ago (n)
    where not ({{ is_in_period('last_days.was - days_ago.n', 'last_30_days', 'last_days.is_now') }})
),

measured as (
    select
        durations.day,
        durations.step,
        durations.duration_ms,
        sum(durations.request_count)::integer as request_count
    from durations
    inner join days on durations.day = days.day
    inner join last_days on {{ is_in_period('days.day', 'last_30_days', 'last_days.is_now') }}
    where durations.duration_ms >= 0
    group by durations.day, durations.step, durations.duration_ms
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

-- fill deletes a row whose counts are 0 or null.
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
cross join generate_series(1, {{ latency_steps() | length }}) as steps (step)
left join summed on days.day = summed.day and steps.step = summed.step
