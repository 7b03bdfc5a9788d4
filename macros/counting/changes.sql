{#-
    The bare name is that of the CTE that chat_rollups.fill puts before the model. `dbt show`, which has none, reads the table.
-#}
{% macro changes() -%}
    {%- set drained = ref("drained_changes") -%}
    {{- drained if flags.WHICH == "show" else drained.include(database=false, schema=false) -}}
{%- endmacro %}
