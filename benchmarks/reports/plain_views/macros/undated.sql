{#- The name of a model without the date at its end, as in gpt-4o-2024-08-06, claude-sonnet-4-20250514 or …-4@20250514. -#}
{% macro undated(model) -%}
    regexp_replace({{ model }}, '[-@]20\d{2}-?\d{2}-?\d{2}$', '')
{%- endmacro %}
