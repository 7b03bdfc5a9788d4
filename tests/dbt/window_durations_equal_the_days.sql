-- The counts of each rolling period are the sums of its days. The two tables are compared only if both have counted the
-- same drains.
{{ config(tags=['reconcile']) }}
with

durations as (
    select * from {{ ref('daily_durations') }}
),

windows as (
    select * from {{ ref('window_durations') }}
),

last_day as (
    select {{ as_of('window_durations') }} as as_of
),

counted as (
    select
        durations.step,
        durations.sql_model,
        durations.response_model,
        durations.duration_ms,
        {%- for period in report_periods() %}
            coalesce(sum(durations.request_count) filter (
                where {{ is_in_period('durations.day', period, 'last_day.as_of') }}
            ), 0)::integer as {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from durations
    inner join last_day on {{ is_in_any_period('durations.day', 'last_day.as_of') }}
    group by durations.step, durations.sql_model, durations.response_model, durations.duration_ms
),

kept as (
    select
        step,
        sql_model,
        response_model,
        duration_ms,
        {%- for period in report_periods() %}
            {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from windows
)

select differences.* -- noqa: AM04
from ({{ differences('kept', 'counted') }}) as differences
where {{ have_counted_the_same(['daily_durations', 'window_durations']) }}
