{#- Whether this run counts the whole log: at first, and with --full-refresh (which replaces no table: see the strategy). -#}
{% macro is_built_anew() -%}
    {{ return(flags.FULL_REFRESH or not load_relation(this)) }}
{%- endmacro %}
