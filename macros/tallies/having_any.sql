{#- Leaves out what log and feed cancel. A row of a batch that counts 0 requests stays: it can correct their tokens. -#}
{% macro having_any(sign="sign") -%}
    {%- if is_built_anew() -%}
        having sum({{ sign }}) != 0
    {%- endif -%}
{%- endmacro %}
