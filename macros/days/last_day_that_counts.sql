{#- Only the drain uses this. It records the day, so that all rollups and reports of a run use the same one. -#}
{% macro last_day_that_counts() -%}
    {%- if var("report_as_of") -%}
        date '{{ var("report_as_of") }}'
    {%- else -%}
        (now() at time zone '{{ var("report_timezone") }}')::date
    {%- endif -%}
{%- endmacro %}
