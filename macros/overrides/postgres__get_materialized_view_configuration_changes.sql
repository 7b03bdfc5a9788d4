{#-
    What differs between a materialized view and its model: the indexes, and the query, which stock dbt never compares, so
    that a changed model changes nothing (dbt-core #8862, dbt-adapters #234). PostgreSQL is asked to write both queries down.
-#}
{% macro postgres__get_materialized_view_configuration_changes(existing_relation, new_config) -%}
    {%- set stock_changes = existing_relation.get_materialized_view_config_change_collection(
        postgres__describe_materialized_view(existing_relation), new_config.model
    ) -%}
    {%- set indexes = stock_changes.indexes | list if stock_changes else [] -%}
    {%- set new_view = adapter.quote(existing_relation.identifier ~ "__new") -%}
    {%- set query_changed_query -%}
        create or replace temporary view {{ new_view }} as (
            {{ model.compiled_code }}
        );
        select
            pg_get_viewdef('{{ existing_relation }}'::regclass) != pg_get_viewdef('pg_temp.{{ new_view }}'::regclass)
                as is_changed
    {%- endset -%}
    {%- set query_changed = run_query(query_changed_query).rows[0]["is_changed"] -%}
    {%- do run_query("drop view pg_temp." ~ new_view) -%}
    {{- return({"indexes": indexes, "query_changed": query_changed} if indexes or query_changed else none) -}}
{%- endmacro %}
