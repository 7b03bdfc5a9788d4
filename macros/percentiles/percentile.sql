{#-
    The percentile `fraction` of values that are counted instead of listed, bit-equal to percentile_cont. With k the place
    fraction * (total - 1) in the sorted list, counted from 0, it lies between the values at floor(k) and ceil(k).

    For use where rows are grouped that have: duration_ms, a value; up_to, how many values are at most that; total, how many
    values there are.
-#}
{% macro percentile(fraction, up_to="up_to", total="total") -%}
    {%- set place -%}({{ fraction }}::double precision * ({{ total }} - 1)::double precision){%- endset -%}
    {%- set low -%}(min(duration_ms) filter (where {{ up_to }} > floor({{ place }})))::double precision{%- endset -%}
    {%- set high -%}(min(duration_ms) filter (where {{ up_to }} > ceil({{ place }})))::double precision{%- endset -%}
    {{ low }} + (max({{ place }}) - floor(max({{ place }}))) * ({{ high }} - {{ low }})
{%- endmacro %}
