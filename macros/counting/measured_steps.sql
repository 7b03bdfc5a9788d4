{#-
    A negative duration is kept as -1, so that it can be subtracted when its row is deleted. No report shows it. The arrays are
    unnested in the select list: if the log is distributed, a join with the values would move all rows first.
-#}
{% macro measured_steps(changes) -%}
    select
        day,
        step,
        sql_model,
        response_model,
        greatest(duration_ms, -1) as duration_ms,
        sign
    from (
        select
            {{ day_of('created_at') }} as day,
            unnest(array{{ range(1, latency_steps() | length + 1) | list }}::smallint[]) as step,
            sql_model,
            response_model,
            unnest(array[{{ latency_steps().values() | join(", ") }}]) as duration_ms,
            sign
        from {{ changes }}
        where error_type = 0
    ) as steps
    where duration_ms is not null
{%- endmacro %}
