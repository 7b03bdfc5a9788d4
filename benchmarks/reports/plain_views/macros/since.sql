{#- A condition: the last days of the log, from `days_before` the last one, by the index; or the whole log. -#}
{% macro since(days_before) -%}
    {%- if var("whole_log") -%}
        true
    {%- else -%}
        created_at >= (({{ last_day_that_counts() }} - {{ days_before }})::timestamp at time zone 'UTC')
    {%- endif -%}
{%- endmacro %}
