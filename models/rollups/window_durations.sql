-- The same for the rolling periods: what came to their days and, if the last day moved, the days that enter and leave them.
{{ config(meta={"follows": "daily_durations"}) }}
with

-- The last day that counts: as it was for this table (null if no day is in it) and as it is now.
last_days as (
    select
        {{ as_of('window_durations') }} as was,
        {{ as_of('daily_durations') }} as is_now
),

contributions as (
    select
        step,
        sql_model,
        response_model,
        duration_ms
        {%- for period in report_periods() %},
        sign * ({{ is_in_period('day', period, 'was') }})::integer as {{ period }}
        {%- endfor %}
    from ({{ measured_steps(changes()) }}) as measured
    cross join last_days
    where day between was - 29 and was
    union all
    select
        step,
        sql_model,
        response_model,
        duration_ms
        {%- for period in report_periods() %},
        request_count * (
            ({{ is_in_period('day', period, 'is_now') }})::integer
            - coalesce(({{ is_in_period('day', period, 'was') }})::integer, 0)
        ) as {{ period }}
        {%- endfor %}
    from {{ ref('daily_durations') }}
    cross join last_days
    where was is distinct from is_now and (day between is_now - 29 and is_now or day between was - 29 and was)
)

select
    step,
    sql_model,
    response_model,
    duration_ms
    {%- for period in report_periods() %},
    sum({{ period }}) as {{ period }}
    {%- endfor %}
from contributions
group by step, sql_model, response_model, duration_ms
