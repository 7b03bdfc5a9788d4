{#- The last days of the log, `days_before` today: found by index. Or all of it. -#}
{% macro since(days_before) -%}
    {%- if var("whole_log") -%}
        true
    {%- else -%}
        created_at >= (((now() at time zone 'UTC')::date - {{ days_before }})::timestamp at time zone 'UTC')
    {%- endif -%}
{%- endmacro %}
