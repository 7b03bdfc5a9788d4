"""The objects of this project in a database, read from the catalog. If the schemas are equal, so are two snapshots."""

from __future__ import annotations

import psycopg

from chat_telemetry._cli.sql_project import project_directory

MIGRATIONS = sorted(
    path for path in (project_directory() / "migrations").glob("*.sql") if not path.name.endswith(".rollback.sql")
)
SCHEMAS = ["auth", "public", "chat_reports", "chat_rollups", "chat_prices"]

SNAPSHOT = """
with ours as (select oid, nspname from pg_namespace where nspname = any(%(schemas)s)),

tables as (
    select n.nspname || '.' || c.relname as name, c.*
    from pg_class as c inner join ours as n on c.relnamespace = n.oid
)

select 'schema', nspname, format('%%s %%s', n.nspacl::text, obj_description(n.oid, 'pg_namespace'))
from pg_namespace as n where nspname = any(%(schemas)s)
union all
select
    'relation', name,
    format(
        '%%s %%s rls=%%s identity=%%s %%s %%s', relkind, relacl::text, relrowsecurity, relreplident, reloptions,
        obj_description(oid, 'pg_class')
    )
from tables
union all
select
    'column', t.name || '.' || a.attname,
    format(
        '%%s %%s not null=%%s default=%%s %%s %%s statistics=%%s',
        a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid), col_description(t.oid, a.attnum), a.attacl::text, a.attstattarget
    )
from tables as t
inner join pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
where t.relkind in ('r', 'v')
union all
select 'constraint', t.name || '.' || k.conname::text, pg_get_constraintdef(k.oid)
from pg_constraint as k inner join tables as t on k.conrelid = t.oid
union all
select 'index', t.name, pg_get_indexdef(t.oid) from tables as t where t.relkind = 'i'
union all
select 'trigger', t.name || '.' || g.tgname, pg_get_triggerdef(g.oid)
from pg_trigger as g inner join tables as t on g.tgrelid = t.oid where not g.tgisinternal
union all
select
    'policy', t.name || '.' || p.polname,
    format(
        '%%s %%s %%s %%s permissive=%%s', p.polcmd, p.polroles::regrole[]::text, pg_get_expr(p.polqual, p.polrelid),
        pg_get_expr(p.polwithcheck, p.polrelid), p.polpermissive
    )
from pg_policy as p inner join tables as t on p.polrelid = t.oid
union all
select 'view', t.name, pg_get_viewdef(t.oid) from tables as t where t.relkind = 'v'
union all
select
    'function', f.oid::regprocedure::text,
    format('%%s %%s %%s %%s', pg_get_functiondef(f.oid), f.proacl::text, f.prosecdef, obj_description(f.oid, 'pg_proc'))
from pg_proc as f inner join ours as n on f.pronamespace = n.oid
order by 1, 2, 3
"""


def snapshot(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """(kind, name, definition) of everything in the project's schemas, with grants and comments."""
    return connection.execute(SNAPSHOT, {"schemas": SCHEMAS}).fetchall()
