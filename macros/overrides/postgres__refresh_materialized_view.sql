{#- Refresh without keeping readers waiting, which stock dbt does until the whole view is made (dbt-adapters #2040). -#}
{% macro postgres__refresh_materialized_view(relation) -%}
    {%- set has_key_query -%}
        select from pg_index
        where
            indrelid = '{{ relation }}'::regclass
            and indisunique and indisvalid and indpred is null and indexprs is null
    {%- endset -%}
    refresh materialized view {% if run_query(has_key_query).rows | length > 0 %}concurrently {% endif %}{{ relation }}
{%- endmacro %}
