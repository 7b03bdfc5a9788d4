{#-
    Grant a report together with the use of its schema, without which stock dbt's grant lets nobody in (dbt-core #8586,
    dbt-adapters #737). One report at a time grants the schema: PostgreSQL refuses two at once (tuple concurrently updated).
-#}
{% macro postgres__get_grant_sql(relation, privilege, grantees) -%}
    {%- set quoted, shut_out = [], [] -%}
    {%- for grantee in grantees -%}
        {%- do quoted.append(adapter.quote(grantee)) -%}
        {%- set may_enter_query -%}
            select has_schema_privilege('{{ grantee }}', '{{ relation.schema }}', 'usage')
        {%- endset -%}
        {%- if not run_query(may_enter_query).rows[0][0] -%}
            {%- do shut_out.append(adapter.quote(grantee)) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if shut_out %}
    select pg_advisory_xact_lock('pg_namespace'::regclass::integer, '{{ relation.schema }}'::regnamespace::oid::integer);
    grant usage on schema {{ relation.schema }} to {{ shut_out | join(", ") }};
    {%- endif %}
    grant {{ privilege }} on {{ relation }} to {{ quoted | join(", ") }}
{%- endmacro %}
