{#-
    Stop before anything is built when the log is not there, or when this role would be shown a part of it: row level
    security filters in silence, and a filtered report looks like a quiet day.
-#}
{% macro assert_log_is_visible() -%}
    {%- if execute and flags.WHICH != "seed" -%}
        {%- set log_table = "public.chat_telemetry_log" -%}
        {%- if run_query("select to_regclass('" ~ log_table ~ "')").rows[0][0] is none -%}
            {%- do exceptions.raise_compiler_error(
                "There is no table " ~ log_table ~ " in database " ~ target.dbname ~ ": run chat-telemetry migrate."
            ) -%}
        {%- endif -%}
        {%- set visible_query -%}
            select
                has_table_privilege('{{ log_table }}', 'select')
                and (
                    not row_security_active('{{ log_table }}')
                    or (
                        coalesce(bool_or(is_permissive and shows_all), false)
                        and not coalesce(bool_or(not is_permissive), false)
                    )
                ) as sees_every_row,
                current_user as role_name
            from (
                select
                    polpermissive as is_permissive,
                    pg_get_expr(polqual, polrelid) = 'true' as shows_all
                from pg_policy
                where
                    polrelid = '{{ log_table }}'::regclass
                    and polcmd in ('r', '*')
                    and exists (
                        select from unnest(polroles) as applies (role_oid)
                        where role_oid = 0 or pg_has_role(role_oid, 'usage')
                    )
            ) as policies
        {%- endset -%}
        {%- set answer = run_query(visible_query).rows[0] -%}
        {%- if not answer["sees_every_row"] -%}
            {%- do exceptions.raise_compiler_error(
                "The role " ~ answer["role_name"] ~ " does not see every row of " ~ log_table
                ~ " (row level security, or no grant): let dbt log in as telemetry_transformer, with a policy that shows all."
            ) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
