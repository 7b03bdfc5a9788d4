-- How many successful chat requests took each whole millisecond, by rolling period, measured step and models?
-- Adds the changes on days of a period. If the last day moved, adds the days that enter the period and subtracts the
-- days that leave it.
{{ config(meta={"made_from": "daily_durations"}) }}
with

measured as (
    {{ measured_steps(changes()) }}
),

durations as (
    select * from {{ ref('daily_durations') }}
),

-- The last day that counts: before, in this table (null if the table counts no day), and now.
last_days as (
    select
        {{ as_of('window_durations') }} as was,
        {{ as_of('daily_durations') }} as is_now
),

contributions as (
    select
        measured.step,
        measured.sql_model,
        measured.response_model,
        measured.duration_ms,
        {%- for period in report_periods() %}
            measured.sign * ({{ is_in_period('measured.day', period, 'last_days.was') }})::integer as {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from measured
    inner join last_days on {{ is_in_any_period('measured.day', 'last_days.was') }}
    union all
    select
        durations.step,
        durations.sql_model,
        durations.response_model,
        durations.duration_ms,
        {%- for period in report_periods() %}
            durations.request_count * (
                ({{ is_in_period('durations.day', period, 'last_days.is_now') }})::integer
                - coalesce(({{ is_in_period('durations.day', period, 'last_days.was') }})::integer, 0)
            ) as {{ period }}
            {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from durations
    inner join last_days
        on
            last_days.was is distinct from last_days.is_now
            and (
                {{ is_in_any_period('durations.day', 'last_days.is_now') }}
                or {{ is_in_any_period('durations.day', 'last_days.was') }}
            )
)

select
    step,
    sql_model,
    response_model,
    duration_ms,
    {%- for period in report_periods() %}
        sum({{ period }}) as {{ period }}
        {%- if not loop.last %},{% endif %}
    {%- endfor %}
from contributions
group by step, sql_model, response_model, duration_ms
