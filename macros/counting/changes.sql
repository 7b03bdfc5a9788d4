{#-
    The name without a schema is the CTE that chat_rollups.fill puts before the model. `dbt show` has no such CTE and reads the
    table.
-#}
{% macro changes() -%}
    {%- set drained = ref("drained_changes") -%}
    {{- drained if flags.WHICH == "show" else drained.include(database=false, schema=false) -}}
{%- endmacro %}
