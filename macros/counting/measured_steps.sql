{#- A negative duration is kept as -1, so that it can be subtracted when its row is deleted. No report shows it. -#}
{% macro measured_steps(changes) -%}
    select
        {{ day_of('created_at') }} as day,
        measured.step,
        sql_model,
        response_model,
        greatest(measured.duration_ms, -1) as duration_ms,
        sign
    from {{ changes }}
    cross join
        lateral (
            values
            {%- for column in latency_steps().values() %}
            ({{ loop.index }}::smallint, {{ column }}){% if not loop.last %},{% endif %}
            {%- endfor %}
        ) as measured (step, duration_ms)
    where error_type = 0 and measured.duration_ms is not null
{%- endmacro %}
