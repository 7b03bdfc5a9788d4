{#-
    The changes that a rollup has to count: a CTE of this name that chat_rollups.fill puts before the model, with rows of
    drained_changes or of the whole log. `dbt show` shows what the table holds.
-#}
{% macro changes() -%}
    {%- set drained = ref("drained_changes") -%}
    {{- drained if flags.WHICH == "show" else drained.include(database=false, schema=false) -}}
{%- endmacro %}
