{#- A model's name less the date of its version: gpt-4o-mini-2024-07-18, claude-sonnet-4-20250514, claude-sonnet-4@20250514. -#}
{% macro undated(model) -%}
    regexp_replace({{ model }}, '[-@]20\d{2}-?\d{2}-?\d{2}$', '')
{%- endmacro %}
