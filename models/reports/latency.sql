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

by_window as (
    select
        step,
        duration_ms,
        sum(request_count)::bigint as last_30_days,
        (sum(request_count) filter (where day >= {{ as_of() }} - 6))::bigint as last_7_days
    from measured
    group by step, duration_ms
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
        by_window.step,
        by_window.duration_ms,
        case windows.period
            when 'last_7_days' then by_window.last_7_days
            else by_window.last_30_days
        end as request_count
    from by_window
    inner join windows on windows.period = 'last_30_days' or by_window.last_7_days > 0
),

ranked as (
    select
        *,
        (sum(request_count) over (partition by period, period_start, step order by duration_ms))::bigint as up_to,
        (sum(request_count) over (partition by period, period_start, step))::bigint as total
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
