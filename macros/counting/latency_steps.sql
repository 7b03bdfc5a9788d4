{#- In the order of the ids of their labels, 1 to 4. -#}
{% macro latency_steps() -%}
    {{- return({
        "nl_to_sql": "nl_to_sql_duration_ms",
        "sql_execution": "sql_execution_duration_ms",
        "response_generation": "response_generation_duration_ms",
        "ttfb": "ttfb_ms",
    }) -}}
{%- endmacro %}
