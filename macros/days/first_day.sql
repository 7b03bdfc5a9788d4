{#- The first day that a report counts: what is older has an impossible time. -#}
{% macro first_day() -%}
    date '2000-01-01'
{%- endmacro %}
