{#-
    dbt makes schemas that it misses before any hook of the project runs (dbt-core #11345): without rights it fails with no word on what to do,
    with rights it makes them without the grants that the migrations give.
-#}
{% macro postgres__create_schema(relation) -%}
    {%- do exceptions.raise_compiler_error(
        "There is no schema " ~ relation.schema ~ " in database " ~ target.dbname ~ ": run chat-telemetry migrate."
    ) -%}
{%- endmacro %}
