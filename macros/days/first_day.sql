{% macro first_day() -%}
    date '2000-01-01'
{%- endmacro %}
