{#- Of the last day that counts. Without a time zone: a date has none. -#}
{% macro first_of_month() -%}
    date_trunc('month', {{ as_of() }}::timestamp)::date
{%- endmacro %}
