-- How long do the steps of a chat request take, by day and by rolling period?
with

requests as (
    select * from {{ ref('requests') }}
    where
        {{ since(29) }}
        and error_type is null
),

periods as (
    select * from {{ ref('periods') }}
),

durations as (
    select
        requests.day,
        measured.step,
        measured.duration_ms
    from requests
    cross join lateral (
        values
        ('nl_to_sql', requests.nl_to_sql_duration_ms),
        ('sql_execution', requests.sql_execution_duration_ms),
        ('response_generation', requests.response_generation_duration_ms),
        ('ttfb', requests.ttfb_ms)
    ) as measured (step, duration_ms)
    where measured.duration_ms is not null
),

durations_by_period as (
    select
        'day' as period,
        day as period_start,
        step,
        duration_ms
    from durations
    union all
    select
        periods.period,
        periods.first_day as period_start,
        durations.step,
        durations.duration_ms
    from periods
    inner join durations on durations.day between periods.first_day and periods.last_day
),

summarized as (
    select
        period,
        period_start,
        step,
        count(*) as request_count,
        sum(duration_ms)::double precision / count(*) as avg_ms,
        percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms) as percentiles_ms,
        max(duration_ms) as max_ms
    from durations_by_period
    group by period, period_start, step
)

select
    period,
    period_start,
    step,
    request_count,
    avg_ms,
    percentiles_ms[1] as p50_ms,
    percentiles_ms[2] as p95_ms,
    percentiles_ms[3] as p99_ms,
    max_ms
from summarized
