{% macro is_in_period(day, period, as_of) -%}
    {%- set first, last = report_periods()[period] -%}
    {{ day }} between {{ as_of }} - {{ first }} and {{ as_of }} - {{ last }}
{%- endmacro %}
