"""What the role that migrates lacks, what others could change, and which rights an existing log loses.

All of it is found before anything changes.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg

from chat_telemetry._cli.migrations.transactions import short_transaction
from chat_telemetry._cli.options import connect

# One row per missing right: what is wrong, and the statement that gives the right. A superuser lacks none of them.
MISSING_RIGHTS = """
with me as (
    select rolname as name, rolsuper, rolcreaterole from pg_roles where rolname = current_user
),

users as (
    select c.oid, c.relowner::regrole::text as owner, n.oid as namespace, u.rolsuper
    from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    inner join pg_roles as u on c.relowner = u.oid
    where n.nspname = 'auth' and c.relname = 'users'
),

conversations as (
    select c.oid from pg_class as c where c.relname = 'chat_conversations' and c.relnamespace = 'public'::regnamespace
)

select
    format('permission denied to create the roles %s', string_agg(missing.name, ', ')),
    format('alter role %I createrole', me.name)
from unnest(array['service_role', 'telemetry_writer', 'telemetry_transformer', 'telemetry_reader']) as missing (name)
cross join me
where to_regrole(missing.name) is null and not me.rolcreaterole and not me.rolsuper
group by me.name
union all
select
    format(
        'permission denied for database %I: connect as the owner of the database with the privilege to create roles',
        current_database()
    ),
    format('grant create on database %I to %I', current_database(), me.name)
from me
where not has_database_privilege(current_database(), 'create') and exists (
    select from unnest(array['auth', 'chat_reports', 'chat_rollups', 'chat_prices', 'chat_telemetry_migrations']) as s
    where to_regnamespace(s) is null
)
union all
select
    'permission denied for schema public, in which the log is created',
    format('grant create on schema public to %I', me.name)
from me
where not has_schema_privilege('public', 'create')
union all
select
    'permission denied for schema auth, which has the users', format('grant usage on schema auth to %I', me.name)
from me
where to_regnamespace('auth') is not null and not has_schema_privilege('auth', 'usage')
union all
select
    'permission denied for schema auth, in which the users are created',
    format('grant create on schema auth to %I', me.name)
from me
where
    to_regnamespace('auth') is not null and has_schema_privilege('auth', 'usage') and not exists (select from users)
    and not has_schema_privilege('auth', 'create')
union all
select 'auth.users has no column id of the type uuid, to which the log refers', null
from users
where not exists (
    select from pg_attribute
    where attrelid = users.oid and attname = 'id' and atttypid = 'uuid'::regtype and not attisdropped
)
union all
select 'public.chat_conversations has no column conversation_id of the type uuid, to which the log refers', null
from conversations
where not exists (
    select from pg_attribute
    where
        attrelid = conversations.oid and attname = 'conversation_id' and atttypid = 'uuid'::regtype
        and not attisdropped
)
union all
select
    'permission denied for table auth.users, to which the log refers',
    format('grant references on table auth.users to %I', me.name)
from users cross join me
where not has_column_privilege(
    users.oid, (select attnum from pg_attribute where attrelid = users.oid and attname = 'id'), 'references'
)
union all
select
    format('%s, the owner of auth.users, has no usage on the schema auth, which foreign keys need', users.owner),
    format('grant usage on schema auth to %s', users.owner)
from users
where not has_schema_privilege(users.owner, users.namespace, 'usage')
union all
select
    'permission denied for table public.chat_conversations, to which the log refers',
    format('grant references, select on table public.chat_conversations to %I with grant option', me.name)
from conversations cross join me
cross join lateral (
    select attnum from pg_attribute where attrelid = conversations.oid and attname = 'conversation_id'
) as id
where not has_column_privilege(conversations.oid, id.attnum, 'references')
    or not has_column_privilege(conversations.oid, id.attnum, 'select with grant option')
"""

# Objects of roles that are not trusted, and a statement that helps. They could run code with the rights of this role.
FOREIGN_OBJECTS = r"""
with me as (
    select rolname as name, rolsuper from pg_roles where rolname = current_user
),

-- They can do everything anyway.
trusted as (
    select oid from pg_roles where rolsuper
    union
    select datdba from pg_database where datname = current_database()
),

objects (owner, problem, change) as (
    select nspowner, format('the schema %I belongs to', nspname), format('alter schema %I owner to', nspname)
    from pg_namespace
    where nspname in ('chat_reports', 'chat_rollups', 'chat_prices', 'chat_telemetry_migrations')
        or (
            -- In which the users are created.
            nspname = 'auth' and nspowner not in (select oid from trusted)
            and not exists (select from pg_class where relnamespace = pg_namespace.oid and relname = 'users')
        )
    union all
    select
        c.relowner, format('%I.%I belongs to', n.nspname, c.relname),
        format('alter table %I.%I owner to', n.nspname, c.relname)
    from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    where
        (n.nspname = 'chat_telemetry_migrations' and c.relkind in ('r', 'p', 'v', 'm', 'f'))
        or (
            n.nspname = 'public'
            and c.relname in ('chat_telemetry_log', 'chat_telemetry_changes', 'chat_telemetry_erased_users')
        )
    union all
    select
        proowner, format('the function %s belongs to', oid::regprocedure),
        format('alter function %s owner to', oid::regprocedure)
    from pg_proc
    where pronamespace = 'public'::regnamespace
        and proname in (
            'compute_sql_fingerprint', 'chat_telemetry_feed_changes', 'chat_telemetry_refuse_truncate',
            'chat_telemetry_note_erased_users', 'chat_telemetry_sql_shape'
        )
    union all
    select
        p.proowner, format('the trigger %I of %s runs a function of', t.tgname, t.tgrelid::regclass),
        format('drop trigger %I on %s', t.tgname, t.tgrelid::regclass)
    from pg_trigger as t
    inner join pg_proc as p on t.tgfoid = p.oid
    inner join pg_class as c on t.tgrelid = c.oid
    inner join pg_namespace as n on c.relnamespace = n.oid
    where not t.tgisinternal and p.proowner not in (select oid from trusted) and (
        n.nspname = 'chat_telemetry_migrations' or (n.nspname = 'public' and c.relname like 'chat\_telemetry\_%')
    )
    union all
    -- What else of a log runs a function: checks, defaults, indexes, statistics and policies.
    select
        p.proowner, format('the function %s, which public.chat_telemetry_log uses, belongs to', p.oid::regprocedure),
        format('alter function %s owner to', p.oid::regprocedure)
    from pg_class as c
    inner join pg_proc as p on p.proowner not in (select oid from trusted) and exists (
        select from pg_depend as d
        where
            d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid
            and (d.classid, d.objid) in (
                select 'pg_constraint'::regclass::oid, oid from pg_constraint where conrelid = c.oid
                union all
                select 'pg_attrdef'::regclass::oid, oid from pg_attrdef where adrelid = c.oid
                union all
                select 'pg_class'::regclass::oid, indexrelid from pg_index where indrelid = c.oid
                union all
                select 'pg_statistic_ext'::regclass::oid, oid from pg_statistic_ext where stxrelid = c.oid
                union all
                select 'pg_policy'::regclass::oid, oid from pg_policy where polrelid = c.oid
            )
    )
    where c.relname = 'chat_telemetry_log' and c.relnamespace = 'public'::regnamespace
)

select
    format(
        '%s another role, %s: drop it, connect as that role if you trust it', o.problem, o.owner::regrole
    ),
    o.change || case when o.change like 'alter %' then format(' %I', me.name) else '' end
from objects as o
cross join me
where case
    when me.rolsuper then o.owner not in (select oid from trusted)
    else not pg_has_role(o.owner, 'usage')
end
"""

# What a log that is older than the project grants, without what the project grants itself.
LOST_RIGHTS = """
with log as (
    select c.oid, c.relacl, c.relowner, c.relrowsecurity from pg_class as c
    where
        c.relname = 'chat_telemetry_log' and c.relnamespace = 'public'::regnamespace
        -- As in the migration: the log was restricted before.
        and not exists (
            select from pg_policy where polrelid = c.oid and polname = 'telemetry_transformer_selects'
        )
),

rights as (
    select r.grantee, r.privilege_type from log cross join aclexplode(log.relacl) as r where r.grantee <> log.relowner
    union
    select r.grantee, format('%s (%I)', r.privilege_type, a.attname)
    from log inner join pg_attribute as a on a.attrelid = log.oid cross join aclexplode(a.attacl) as r
    where r.grantee <> log.relowner
)

select format(
    '%s: %s', case grantee when 0 then 'public' else grantee::regrole::text end,
    lower(string_agg(privilege_type, ', ' order by privilege_type))
)
from rights
where not exists (
    select from (values ('service_role', '{SELECT,INSERT,DELETE}'::text[]), ('telemetry_writer', '{INSERT}'))
        as kept (role_name, privileges)
    where to_regrole(role_name) = grantee and privilege_type = any(privileges)
)
group by grantee
union all
select format('%s: %s, as a member of %s', m.member::regrole, replace(substr(r.rolname, 4), '_all_data', ''), r.rolname)
from log
inner join pg_roles as r on r.rolname in ('pg_read_all_data', 'pg_write_all_data')
inner join pg_auth_members as m on r.oid = m.roleid
inner join pg_roles as member on m.member = member.oid
where not log.relrowsecurity and not member.rolsuper and not member.rolbypassrls and m.member <> log.relowner
union all
select format(
    'policy %I: %s for %s to %s%s%s', policyname, lower(permissive), lower(cmd), array_to_string(roles, ', '),
    ' using (' || qual || ')', ' with check (' || with_check || ')'
)
from log cross join pg_policies
where schemaname = 'public' and tablename = 'chat_telemetry_log'
"""


def missing_rights(conninfo: str) -> list[str]:
    """What the role lacks to migrate this database, each with the statement that helps. Raises psycopg.Error."""
    with connect(conninfo) as connection:
        return _advice(connection, MISSING_RIGHTS)


def foreign_objects(connection: psycopg.Connection) -> list[str]:
    """What others own that would run with the rights of this role. Reads the catalog only. Raises psycopg.Error."""
    return _advice(connection, FOREIGN_OBJECTS)


def _advice(connection: psycopg.Connection, query: LiteralString) -> list[str]:
    with short_transaction(connection):
        problems = connection.execute(query).fetchall()
    return [problem + (f", or run `{change}` as a role that may" if change else "") for problem, change in problems]


def lost_rights(conninfo: str) -> list[str]:
    """The grants and policies of the log that the project does not have. Raises psycopg.Error."""
    with connect(conninfo) as connection, short_transaction(connection):
        return [line for (line,) in connection.execute(LOST_RIGHTS)]
