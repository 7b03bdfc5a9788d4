{#- Ids of labels: 0 is no error, 5 is cancelled (the user left before the response). -#}
{% macro is_error(error_type="error_type") -%}
    {{ error_type }} not in (0, 5)
{%- endmacro %}
