{#-
    Put a new materialized view in the place of the old one. Stock dbt drops the old one with cascade, and with it, silently,
    what users built on it (dbt-adapters #1714); this fails and names it. Readers keep the old one until the new one is
    complete, with comments and grants; if some are slow to leave it, the others do not queue up behind the exchange for more
    than a moment. The exchange is committed at once, or readers would wait for all that dbt does before its own commit.
-#}
{% macro postgres__get_replace_sql(existing_relation, target_relation, sql) -%}
    {%- if not existing_relation.is_materialized_view -%}
        {%- do exceptions.raise_compiler_error(
            existing_relation ~ " is a " ~ existing_relation.type ~ " that this project did not make: move it away."
        ) -%}
    {%- endif -%}
    {%- set dependents_query -%}
        select string_agg(distinct pg_rewrite.ev_class::regclass::text, ', ') as names
        from pg_depend
        inner join pg_rewrite on pg_depend.objid = pg_rewrite.oid and pg_depend.classid = 'pg_rewrite'::regclass
        where
            pg_depend.refobjid = '{{ existing_relation }}'::regclass
            and pg_rewrite.ev_class != pg_depend.refobjid
    {%- endset -%}
    {%- set dependents = run_query(dependents_query).rows[0]["names"] -%}
    {%- if dependents -%}
        {%- do exceptions.raise_compiler_error(
            "The definition of " ~ existing_relation ~ " changed, and " ~ dependents ~ " is built on it: drop that, run dbt, create it again."
        ) -%}
    {%- endif -%}
    {%- set new_relation = make_intermediate_relation(target_relation) -%}
    {{ get_create_materialized_view_as_sql(new_relation, sql) }};
    {{ comment_on_report(new_relation) }}
    {%- for privilege, grantees in config.get("grants", {}).items() %}
    {{ postgres__get_grant_sql(new_relation, privilege, grantees) }};
    {%- endfor %}
    do $$
    begin
        for attempt in 1..600 loop
            begin
                set local lock_timeout = '50ms';
                drop materialized view {{ existing_relation }};
                exit;
            exception when lock_not_available then
                if attempt = 600 then
                    raise exception '{{ existing_relation }} is being read without a pause: run dbt again later';
                end if;
                perform pg_sleep(0.1);
            end;
        end loop;
        alter materialized view {{ new_relation }} rename to {{ adapter.quote(target_relation.identifier) }};
        set local lock_timeout = 0;
    end
    $$;
    commit;
    begin;
{%- endmacro %}
