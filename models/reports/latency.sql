-- How long do the steps of a chat request take, by day and by rolling period?
{% set fractions = {"p50_ms": "0.5", "p95_ms": "0.95", "p99_ms": "0.99"} %}

with

durations as (
    select * from {{ ref('window_durations') }}
    where duration_ms >= 0
),

days as (
    select * from {{ ref('daily_latency') }}
),

labels as (
    select * from {{ source('rollups', 'labels') }}
),

counts as (
    select
        step,
        duration_ms,
        {%- for period in report_periods() %}
            sum({{ period }})::integer as {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from durations
    group by step, duration_ms
),

periods as (
    {{ measure_periods('counts', ['step'], fractions) }}
),

period_starts as (
    {%- for period, (first, last) in report_periods().items() %}
        select
            '{{ period }}' as period,
            {{ as_of('window_durations') }} - {{ first }} as period_start
        {%- if not loop.last %}
            union all
        {%- endif %}
    {%- endfor %}
),

measured as (
    select
        periods.period,
        period_starts.period_start,
        periods.step,
        periods.request_count,
        periods.avg_ms,
        periods.p50_ms,
        periods.p95_ms,
        periods.p99_ms,
        periods.max_ms
    from periods
    inner join period_starts on periods.period = period_starts.period
    union all
    select
        'day' as period,
        day as period_start,
        step,
        request_count,
        avg_ms,
        p50_ms,
        p95_ms,
        p99_ms,
        max_ms
    from days
)

select
    measured.period,
    measured.period_start,
    labels.label as step,
    measured.request_count,
    measured.avg_ms,
    measured.p50_ms,
    measured.p95_ms,
    measured.p99_ms,
    measured.max_ms
from measured
inner join labels on measured.step = labels.id
