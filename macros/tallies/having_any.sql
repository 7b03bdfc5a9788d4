{#- Leaves out what the log and the feed cancel. Of a batch, a row that counts 0 requests can still correct their tokens. -#}
{% macro having_any(sign="sign") -%}
    {%- if is_built_anew() -%}
        having sum({{ sign }}) != 0
    {%- endif -%}
{%- endmacro %}
