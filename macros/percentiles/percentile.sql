{#-
    The place of the percentile in the sorted list, counted from 0, is k = fraction * (total - 1). The percentile lies between
    the values at floor(k) and ceil(k).
-#}
{% macro percentile(fraction, up_to="up_to", total="total") -%}
    {%- set place -%}({{ fraction }}::double precision * ({{ total }} - 1)::double precision){%- endset -%}
    {%- set low -%}(min(duration_ms) filter (where {{ up_to }} > floor({{ place }})))::double precision{%- endset -%}
    {%- set high -%}(min(duration_ms) filter (where {{ up_to }} > ceil({{ place }})))::double precision{%- endset -%}
    {{ low }} + (max({{ place }}) - floor(max({{ place }}))) * ({{ high }} - {{ low }})
{%- endmacro %}
