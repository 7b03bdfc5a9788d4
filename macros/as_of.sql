{#- The last day that counts: without the variable SQL and no date, for a materialized view keeps its text for ever. -#}
{% macro as_of() -%}
    {%- if var("report_as_of") -%}
        date '{{ var("report_as_of") }}'
    {%- else -%}
        {{ day_of("now()") }}
    {%- endif -%}
{%- endmacro %}
