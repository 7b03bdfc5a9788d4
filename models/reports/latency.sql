-- How long do the steps of a chat request take, day by day and over the last weeks?
with

measured as (
    select
        day,
        step,
        duration_ms,
        sum(request_count)::bigint as request_count
    from {{ ref('daily_latency') }}
    where day between {{ as_of() }} - 29 and {{ as_of() }}
    group by day, step, duration_ms
),

windows as (
    select * from {{ ref('report_windows') }}
),

by_period as (
    select
        'day' as period,
        day as period_start,
        step,
        duration_ms,
        request_count
    from measured
    union all
    select
        windows.period,
        windows.period_start,
        measured.step,
        measured.duration_ms,
        sum(measured.request_count)::bigint as request_count
    from windows
    inner join measured on windows.period_start <= measured.day
    group by windows.period, windows.period_start, measured.step, measured.duration_ms
),

ranked as (
    select
        *,
        sum(request_count) over (partition by period, period_start, step order by duration_ms) as up_to,
        sum(request_count) over (partition by period, period_start, step) as total
    from by_period
)

select
    period,
    period_start,
    step,
    sum(request_count)::bigint as request_count,
    trim_scale(sum(duration_ms::bigint * request_count) / sum(request_count)) as avg_ms,
    {{ percentile('0.5') }} as p50_ms,
    {{ percentile('0.95') }} as p95_ms,
    {{ percentile('0.99') }} as p99_ms,
    max(duration_ms) as max_ms
from ranked
group by period, period_start, step
