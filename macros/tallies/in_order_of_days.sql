{#- A tally that is built anew is written day by day, so that the days of a report lie together in the table. -#}
{% macro in_order_of_days() -%}
    {%- if is_built_anew() -%}
        order by day
    {%- endif -%}
{%- endmacro %}
