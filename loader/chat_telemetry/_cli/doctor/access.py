"""Checks of who may do what: row level security, grants, and Supabase's API."""

from __future__ import annotations

from chat_telemetry._cli.doctor.finding import SqlCheck

ROW_SECURITY = SqlCheck(
    "row level security is on, with the policies of the project",
    """
    select
        'fault', format('row level security of %s is off', c.oid::regclass),
        format('alter table %s enable row level security', c.oid::regclass)
    from pg_class as c
    where
        c.oid in (
            to_regclass('public.chat_telemetry_log'), to_regclass('public.chat_telemetry_changes'),
            to_regclass('public.chat_telemetry_erased_users')
        )
        and not c.relrowsecurity
    union all
    select
        'fault', format('the policy %s of %s is missing', e.name, e.relation),
        format('apply the file *_%s.sql of the migrations again', e.file)
    from (
        values
        ('public.chat_telemetry_log', 'service_role_selects', 'restrict_log_access'),
        ('public.chat_telemetry_log', 'service_role_inserts', 'restrict_log_access'),
        ('public.chat_telemetry_log', 'service_role_deletes', 'restrict_log_access'),
        ('public.chat_telemetry_log', 'telemetry_writer_inserts', 'restrict_log_access'),
        ('public.chat_telemetry_log', 'telemetry_transformer_selects', 'restrict_log_access'),
        ('public.chat_telemetry_changes', 'telemetry_transformer_selects', 'create_change_feed'),
        ('public.chat_telemetry_changes', 'telemetry_transformer_deletes', 'create_change_feed'),
        ('public.chat_telemetry_erased_users', 'loader_selects', 'create_erased_users')
    ) as e (relation, name, file)
    where not exists (select from pg_policy where polrelid = to_regclass(e.relation) and polname = e.name)
    union all
    select
        'note', format('the policy %s of %s is not of chat-telemetry', polname, polrelid::regclass),
        format('if nobody needs it: drop policy %I on %s', polname, polrelid::regclass)
    from pg_policy
    where
        polrelid in (to_regclass('public.chat_telemetry_log'), to_regclass('public.chat_telemetry_changes'))
        and polname not in (
            'service_role_selects', 'service_role_inserts', 'service_role_deletes', 'telemetry_writer_inserts',
            'telemetry_transformer_selects', 'telemetry_transformer_deletes'
        )
    """,
)

GRANTS = SqlCheck(
    "no other role has rights on the log and what is made from it",
    """
    with objects as (
        select
            c.oid::regclass::text as name, c.relacl as rights, c.relowner as owner, n.nspname,
            n.nspname = 'public' and exists (
                select from pg_policy
                where polrelid = to_regclass('public.chat_telemetry_log') and polname = 'kept_rights'
            ) as may_be_kept
        from pg_class as c
        inner join pg_namespace as n on c.relnamespace = n.oid
        where
            c.relkind in ('r', 'v', 'm', 'p')
            and (
                n.nspname in ('chat_rollups', 'chat_prices', 'chat_telemetry_migrations')
                or (
                    n.nspname = 'public'
                    and c.relname in ('chat_telemetry_log', 'chat_telemetry_changes', 'chat_telemetry_erased_users')
                )
            )
    )

    select
        case when o.may_be_kept then 'note' else 'fault' end,
        format(
            '%s may %s on %s', g.grantee_name, lower(string_agg(distinct g.privilege_type, ', ')),
            string_agg(distinct o.name, ', ')
        ),
        format('revoke all on %s from %s', string_agg(distinct o.name, ', '), g.grantee_name)
    from objects as o
    cross join lateral (
        select
            r.privilege_type,
            case r.grantee when 0 then 'public' else r.grantee::regrole::text end as grantee_name
        from aclexplode(o.rights) as r
        where
            r.grantee <> o.owner
            and r.grantee not in (
                select oid from pg_roles
                where rolname in ('service_role', 'telemetry_writer', 'telemetry_transformer', 'telemetry_reader')
            )
    ) as g
    group by g.grantee_name, o.may_be_kept
    """,
)

RIGHTS = SqlCheck(
    "the roles of the project have their rights",
    """
    select
        'fault', format('%s may not %s %s', e.role, e.privilege, e.relation),
        format('apply the file *_%s.sql of the migrations again', e.file)
    from (
        values
        ('telemetry_writer', 'insert', 'public.chat_telemetry_log', 'restrict_log_access'),
        ('service_role', 'insert', 'public.chat_telemetry_log', 'restrict_log_access'),
        ('service_role', 'select', 'public.chat_telemetry_log', 'restrict_log_access'),
        ('service_role', 'delete', 'public.chat_telemetry_log', 'restrict_log_access'),
        ('telemetry_transformer', 'delete', 'public.chat_telemetry_changes', 'create_change_feed'),
        ('telemetry_transformer', 'select', 'public.chat_telemetry_changes', 'create_change_feed'),
        ('telemetry_transformer', 'update', 'chat_rollups.progress', 'create_rollups'),
        ('telemetry_reader', 'select', 'chat_reports.report_freshness', 'create_report_freshness')
    ) as e (role, privilege, relation, file)
    where
        to_regrole(e.role) is not null and to_regclass(e.relation) is not null
        and not has_table_privilege(to_regrole(e.role), to_regclass(e.relation), e.privilege)
    union all
    select
        'fault', format('telemetry_transformer may not read the column %s of the log', a.attname),
        'apply the file *_restrict_log_access.sql of the migrations again'
    from pg_attribute as a
    where
        a.attrelid = to_regclass('public.chat_telemetry_log') and a.attname in ('log_id', 'created_at', 'generated_sql')
        and to_regrole('telemetry_transformer') is not null
        and not has_column_privilege('telemetry_transformer', a.attrelid, a.attnum, 'select')
    union all
    select 'fault', format('the role %s does not exist', name), 'chat-telemetry migrate'
    from unnest(array['service_role', 'telemetry_writer', 'telemetry_transformer', 'telemetry_reader']) as name
    where to_regrole(name) is null
    """,
)

API = SqlCheck(
    "Supabase's API and the public reach no report",
    """
    select
        'fault',
        format('%s may read %s', g.name, string_agg(c.oid::regclass::text, ', ' order by c.relname)),
        format('revoke usage on schema chat_reports from %s; then chat-telemetry run', g.name)
    from pg_class as c
    cross join (
        select 'public' as name, null::oid as oid
        union all
        select rolname, oid from pg_roles where rolname in ('anon', 'authenticated')
    ) as g
    where
        c.relnamespace = to_regnamespace('chat_reports') and c.relkind in ('m', 'v')
        and case
            when g.oid is not null
                then has_schema_privilege(g.oid, c.relnamespace, 'usage')
                and has_table_privilege(g.oid, c.oid, 'select')
            else exists (select from aclexplode(c.relacl) as r where r.grantee = 0 and r.privilege_type = 'SELECT')
                and exists (
                    select from pg_namespace as n cross join aclexplode(n.nspacl) as r
                    where n.oid = c.relnamespace and r.grantee = 0 and r.privilege_type = 'USAGE'
                )
        end
    group by g.name
    """,
)
