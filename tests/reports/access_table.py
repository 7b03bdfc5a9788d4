"""Who may do what with each object of the project, from the catalog and from the table in docs/security.md."""

from __future__ import annotations

import re
from collections import defaultdict

import psycopg

ROLES = ("service_role", "telemetry_writer", "telemetry_transformer", "telemetry_reader")
# Roles that may do nothing: those of Supabase's API, and one that is nobody to the project.
OTHERS = ("anon", "authenticated", "stranger")
NOTHING = "\N{EN DASH}"

# One row per object and role; the rights in the order of the documentation.
RIGHTS = """
with roles as (select rolname from pg_roles where rolname = any(%(roles)s)),

relations as (
    select c.oid, format('%%s.%%s', n.nspname, c.relname) as name from pg_class as c
    inner join pg_namespace as n on c.relnamespace = n.oid
    where c.relkind in ('r', 'v', 'm', 'S') and (
        n.nspname in ('chat_reports', 'chat_rollups', 'chat_prices', 'chat_telemetry_migrations')
        or (n.nspname = 'public' and (c.relname like 'chat\\_telemetry\\_%%' or c.relname = 'chat_conversations'))
        or (n.nspname = 'auth' and c.relname = 'users')
    )
),

rights (name, role, grants) as (
    select n.nspname, r.rolname, array(
        select p from unnest('{usage,create}'::text[]) as p where has_schema_privilege(r.rolname, n.oid, p)
    )
    from pg_namespace as n cross join roles as r
    where n.nspname in ('auth', 'chat_reports', 'chat_rollups', 'chat_prices', 'chat_telemetry_migrations')
    union all
    select t.name, r.rolname, array(
        select case
            when has_table_privilege(r.rolname, t.oid, p) then p
            else format('%%s of %%s column(s)', p, (
                select count(*) from pg_attribute as a
                where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
                    and has_column_privilege(r.rolname, t.oid, a.attnum, p)
            ))
        end
        from unnest('{select,insert,update,delete,truncate,references,trigger}'::text[]) as p
        where has_table_privilege(r.rolname, t.oid, p) or (
            p in ('select', 'insert', 'update', 'references') and has_any_column_privilege(r.rolname, t.oid, p)
        )
    ) || case when (select relowner from pg_class where oid = t.oid) = r.rolname::regrole then '{owner}'::text[] end
    from relations as t cross join roles as r
    union all
    select format('%%s.%%s()', n.nspname, p.proname), r.rolname, array(
        select 'execute' where has_function_privilege(r.rolname, p.oid, 'execute')
    )
    from pg_proc as p inner join pg_namespace as n on p.pronamespace = n.oid cross join roles as r
    where n.nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
        or (n.nspname = 'public' and p.proname ~ '^chat_telemetry_|^compute_sql_fingerprint$')
)

select name, role, array_to_string(grants, ', ') from rights
"""

Access = dict[str, dict[str, str]]


def access(connection: psycopg.Connection) -> Access:
    """The rights of each role on each object. The roles of OTHERS are one column, which has to be the same."""
    by_object: Access = defaultdict(dict)
    for name, role, grants in connection.execute(RIGHTS, {"roles": [*ROLES, *OTHERS]}):
        granted = "owner" if grants.endswith("owner") else grants or NOTHING
        if role in OTHERS:
            assert by_object[name].setdefault("others", granted) == granted, f"{name} for {role}"
        else:
            by_object[name][role] = granted
    return dict(by_object)


def markdown(rights: Access) -> list[str]:
    """The rows of the table. Objects of one schema with the same rights share a row."""
    grouped: dict[tuple[str, bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for name, by_role in sorted(rights.items()):
        schema = name.split(".")[0] if "." in name else ""
        grouped[schema, name.endswith("()"), tuple(by_role[role] for role in (*ROLES, "others"))].append(name)
    return [
        f"| {', '.join(f'`{name}`' for name in names)} | {' | '.join(cells)} |"
        for (_, _, cells), names in sorted(grouped.items(), key=lambda group: (group[0][0], group[0][1], group[1]))
    ]


def documented(page: str) -> Access:
    """What the table under the heading "Who may do what" says."""
    section = page.split("## Who may do what", 1)[1].split("\n## ", 1)[0]
    found: Access = {}
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        objects, *cells = row.split(" | ")
        for name in re.findall(r"`([^`]+)`", objects):
            assert name not in found, f"{name} is in two rows"
            found[name] = dict(zip((*ROLES, "others"), cells, strict=True))
    return found
