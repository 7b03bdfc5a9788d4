{% macro count_durations(changes) -%}
    select
        day,
        step,
        sql_model,
        response_model,
        duration_ms,
        sum(sign) as request_count
    from ({{ measured_steps(changes) }}) as measured
    group by day, step, sql_model, response_model, duration_ms
{%- endmacro %}
