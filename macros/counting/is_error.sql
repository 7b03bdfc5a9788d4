{#- Whether a request failed: it has an error type (0 is none), and not because its user left (5 is cancelled). -#}
{% macro is_error(error_type="error_type") -%}
    {{ error_type }} not in (0, 5)
{%- endmacro %}
