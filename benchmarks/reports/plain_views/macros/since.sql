{#- The last days of the log, `days_before` the last one: found by index. Or all of it. -#}
{% macro since(days_before) -%}
    {%- if var("whole_log") -%}
        true
    {%- else -%}
        created_at >= (({{ last_day_that_counts() }} - {{ days_before }})::timestamp at time zone 'UTC')
    {%- endif -%}
{%- endmacro %}
