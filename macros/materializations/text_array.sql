{% macro text_array(texts) -%}
    array[
    {%- for text in texts %}{{ text_literal(text) }}{% if not loop.last %}, {% endif %}{% endfor -%}
    ]::text[]
{%- endmacro %}
