{% macro count_requests(changes) -%}
    select
        {{ day_of('created_at') }} as day,
        sql_model,
        response_model,
        error_type,
        failed_step,
        is_off_topic,
        sum(sign) as request_count,
        {{ count_calls() }}
    from {{ changes }}
    group by 1, 2, 3, 4, 5, 6
{%- endmacro %}
