{% macro alert_bound(variable) -%}
    {%- set bound = var(variable) -%}
    {%- if execute and not bound | float(-1) >= 0 -%}
        {{ exceptions.raise_compiler_error("the variable " ~ variable ~ " must be a number, 0 or more, not " ~ bound) }}
    {%- endif -%}
    '{{ bound }}'::numeric
{%- endmacro %}
