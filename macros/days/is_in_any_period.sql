{% macro is_in_any_period(day, as_of) -%}
    {%- set periods = report_periods().values() | list -%}
    {{ day }} between {{ as_of }} - {{ periods | map("first") | max }} and {{ as_of }} - {{ periods | map("last") | min }}
{%- endmacro %}
