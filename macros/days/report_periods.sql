{#- The names are also columns of window_durations. -#}
{% macro report_periods() -%}
    {{- return({
        "last_7_days": (6, 0),
        "last_30_days": (29, 0),
        "last_7_complete_days": (7, 1),
        "previous_7_complete_days": (14, 8),
    }) -}}
{%- endmacro %}
