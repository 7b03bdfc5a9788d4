{#-
    Who may do what with a relation, read from its access list: the information schema that stock dbt reads leaves
    materialized views out, so that a grant taken out of the project is never revoked.
-#}
{% macro postgres__get_show_grant_sql(relation) -%}
    select
        case when granted.grantee = 0 then 'public' else pg_get_userbyid(granted.grantee) end as grantee,
        lower(granted.privilege_type) as privilege_type
    from pg_class
    cross join aclexplode(pg_class.relacl) as granted
    where pg_class.oid = '{{ relation }}'::regclass and granted.grantee != pg_class.relowner
{%- endmacro %}
