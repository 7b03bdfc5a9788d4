{#-
    Apply what changed. New indexes come first and old ones go last, with a refresh between them, which stock dbt leaves out
    (dbt-adapters #1286): so there is a key to refresh by, and readers wait only while an index goes.
-#}
{% macro postgres__get_alter_materialized_view_as_sql(
    relation, configuration_changes, sql, existing_relation, backup_relation, intermediate_relation
) -%}
    {%- if configuration_changes.query_changed -%}
        {{ get_replace_sql(existing_relation, relation, sql) }}
    {%- else -%}
        {%- for change in configuration_changes.indexes if change.action == "create" %}
            {%- do run_query(postgres__get_create_index_sql(relation, change.context.as_node_config)) -%}
        {%- endfor %}
        {{ postgres__refresh_materialized_view(relation) }};
        {%- for change in configuration_changes.indexes if change.action == "drop" %}
            {{ postgres__get_drop_index_sql(relation, change.context.name) }};
        {%- endfor %}
    {%- endif -%}
{%- endmacro %}
