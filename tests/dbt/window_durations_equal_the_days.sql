-- Each rolling period holds what its days hold. Compared only while both have counted the same batches: beside a run they may not.
{{ config(tags=['reconcile']) }}
with

durations as (
    select * from {{ ref('daily_durations') }}
),

windows as (
    select * from {{ ref('window_durations') }}
),

progress as (
    select * from {{ source('rollups', 'progress') }}
),

last_day as (
    select as_of from progress
    where name = 'window_durations'
),

is_comparable as (
    select count(distinct batch) = 1 as is_so from progress
    where name in ('daily_durations', 'window_durations')
),

counted as (
    select
        durations.step,
        durations.sql_model,
        durations.response_model,
        durations.duration_ms
        {%- for period in report_periods() %},
        sum(
            case when {{ is_in_period('durations.day', period, 'last_day.as_of') }} then durations.request_count else 0 end
        )::integer as {{ period }}
        {%- endfor %}
    from durations
    inner join last_day on durations.day between last_day.as_of - 29 and last_day.as_of
    group by durations.step, durations.sql_model, durations.response_model, durations.duration_ms
),

kept as (
    select
        step,
        sql_model,
        response_model,
        duration_ms
        {%- for period in report_periods() %},
        {{ period }}
        {%- endfor %}
    from windows
),

surplus as (select * from kept except all select * from counted),

missing as (select * from counted except all select * from kept)

select 'only in the windows' as side, surplus.* from surplus
inner join is_comparable on is_comparable.is_so
union all
select 'only in the days' as side, missing.* from missing
inner join is_comparable on is_comparable.is_so
