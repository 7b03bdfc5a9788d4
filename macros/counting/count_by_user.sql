{% macro count_by_user(changes) -%}
    select
        {{ day_of('created_at') }} as day,
        user_id,
        sql_model,
        response_model,
        sum(sign) as request_count,
        coalesce(sum(sign) filter (where {{ is_error() }}), 0) as error_count,
        coalesce(sum(sign) filter (where is_off_topic), 0) as off_topic_count,
        {{ count_calls() }}
    from {{ changes }}
    group by 1, 2, 3, 4
{%- endmacro %}
