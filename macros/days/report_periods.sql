{#-
    The rolling periods of the reports. For each: how many days before the last day that counts its first and its last day
    lie. These names are columns of window_durations, too.
-#}
{% macro report_periods() -%}
    {{- return({
        "last_7_days": (6, 0),
        "last_30_days": (29, 0),
        "last_7_complete_days": (7, 1),
        "previous_7_complete_days": (14, 8),
    }) -}}
{%- endmacro %}

{#- Whether `day` lies in the period, seen from the day `as_of`. -#}
{% macro is_in_period(day, period, as_of) -%}
    {%- set first, last = report_periods()[period] -%}
    {{ day }} between {{ as_of }} - {{ first }} and {{ as_of }} - {{ last }}
{%- endmacro %}
