{#- Rounded once, in the final select of a report. -#}
{% macro as_money(amount) -%}
    ({{ amount }})::numeric(20, 10)
{%- endmacro %}
