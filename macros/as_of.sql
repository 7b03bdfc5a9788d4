{#- The last day that counts. Without the variable it is SQL, not a date: a materialized view keeps its text for ever. -#}
{% macro as_of() -%}
    {%- if var("report_as_of") -%}
        date '{{ var("report_as_of") }}'
    {%- else -%}
        {{ day_of("now()") }}
    {%- endif -%}
{%- endmacro %}
