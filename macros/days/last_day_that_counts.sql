{#- Only the drain asks: all steps of a run look back from the day that it noted. -#}
{% macro last_day_that_counts() -%}
    {%- if var("report_as_of") -%}
        date '{{ var("report_as_of") }}'
    {%- else -%}
        (now() at time zone '{{ var("report_timezone") }}')::date
    {%- endif -%}
{%- endmacro %}
