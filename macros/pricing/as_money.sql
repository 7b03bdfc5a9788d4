{#- US dollars as the reports show them, to ten decimals. -#}
{% macro as_money(amount) -%}
    ({{ amount }})::numeric(20, 10)
{%- endmacro %}
