{#- The last day that counts, as a date: `report_as_of`, or today in the report time zone. For the drain only. -#}
{% macro last_day() -%}
    {%- if var("report_as_of") -%}
        date '{{ var("report_as_of") }}'
    {%- else -%}
        (now() at time zone '{{ var("report_timezone") }}')::date
    {%- endif -%}
{%- endmacro %}
