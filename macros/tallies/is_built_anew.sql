{#- Whether this run counts the whole log: at first, and with --full-refresh (which here replaces no table). -#}
{% macro is_built_anew() -%}
    {{ return(flags.FULL_REFRESH or not load_relation(this)) }}
{%- endmacro %}
