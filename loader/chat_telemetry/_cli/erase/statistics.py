"""Removes dead rows, and the values that the planner's statistics keep, from what had rows of a user."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.erase.log import Show
from chat_telemetry._cli.erase.remains import Remains
from chat_telemetry._cli.options import transaction

# Another session vacuums, analyzes or indexes the table. Autovacuum is not interrupted.
LOCKED = "55P03"
LOCK_TRIES = 20
LOCK_PAUSE_S = 1.0
EMPTY = "the table is empty, so they cannot be replaced: run this command again when it has rows"

TABLES: LiteralString = """
select n.nspname, c.relname, pg_has_role(c.relowner, 'usage') or pg_has_role(d.datdba, 'usage')
from pg_class as c
inner join pg_namespace as n on n.oid = c.relnamespace
inner join pg_database as d on d.datname = current_database()
where c.oid = any(%(tables)s::regclass[]) or c.relkind = 'm' and c.relnamespace = to_regnamespace('chat_reports')
order by 1, 2
"""
# Columns that ANALYZE leaves out, and that have statistics all the same: those of a log that existed before, where a
# view or a trigger kept the migrations from dropping them, or those that somebody created for several columns.
STALE: LiteralString = """
select n.nspname, c.relname, array_agg(a.attname::text order by a.attnum)
from pg_attribute as a
inner join pg_class as c on c.oid = a.attrelid
inner join pg_namespace as n on n.oid = c.relnamespace
where
    c.oid = any(%(tables)s::regclass[]) and a.attstattarget = 0 and not a.attisdropped
    and (
        exists (
            select from pg_stats as s
            where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
        )
        or exists (
            select from pg_stats_ext as s
            where s.schemaname = n.nspname and s.tablename = c.relname and a.attname = any(s.attnames)
                and s.most_common_vals is not null
        )
    )
group by 1, 2
"""


# What an application added to a table: columns, indexes and statistics of expressions. ANALYZE replaces their values by
# those of other users, but does nothing if the table is empty.
OF_AN_EMPTY_TABLE: LiteralString = """
select s.tablename || '.' || s.attname
from pg_stats as s
inner join pg_class as c on c.relname = s.tablename and c.relnamespace = to_regnamespace(s.schemaname)
inner join pg_attribute as a on a.attrelid = c.oid and a.attname = s.attname
inner join pg_type as t on t.oid = a.atttypid
where
    (c.oid = %(table)s::regclass or c.oid in (select indexrelid from pg_index where indrelid = %(table)s::regclass))
    and (t.typcategory = 'S' or t.typname in ('uuid', 'json', 'jsonb'))
    and a.attstattarget is distinct from 0
    and s.attname <> all(array['error_type', 'failed_step', 'sql_model', 'response_model'])
    and (s.most_common_vals is not null or s.histogram_bounds is not null)
union
select s.statistics_name::text
from pg_stats_ext_exprs as s
where
    format('%%I.%%I', s.schemaname, s.tablename)::regclass = %(table)s::regclass
    and (s.most_common_vals is not null or s.histogram_bounds is not null)
order by 1
"""


def clean_statistics(
    owner: psycopg.Connection, dbt: psycopg.Connection | None, tables: Sequence[str], show: Show
) -> Iterator[Remains]:
    """Vacuum and analyze the tables and all reports, each as a role that may. Yields what could not be done."""
    roles = _roles(owner, tables)
    if dbt is not None:
        roles |= {table: dbt for table, role in _roles(dbt, []).items() if role and not roles.get(table)}
    for (schema, name), role in roles.items():
        show(f"{schema}.{name}")
        reason = _vacuum(role, sql.Identifier(schema, name)) if role else "this role may not vacuum it"
        if reason:
            advice = f"{reason}: run `vacuum (analyze) {schema}.{name}` as its owner"
            yield Remains(f"dead rows and statistics of {schema}.{name}", advice)
    yield from _refresh_stale(owner, tables)
    yield from _of_empty_tables(owner, tables)


def _roles(connection: psycopg.Connection, tables: Sequence[str]) -> dict[tuple[str, str], psycopg.Connection | None]:
    """The tables and reports, each with this connection if its role may vacuum it."""
    with transaction(connection):
        rows = connection.execute(TABLES, {"tables": list(tables)}).fetchall()
    return {(schema, name): connection if may else None for schema, name, may in rows}


def _vacuum(connection: psycopg.Connection, table: sql.Identifier) -> str | None:
    """Returns why it was not vacuumed and analyzed, or None if it was, or does not exist any more."""
    for _ in range(LOCK_TRIES):
        with _warnings(connection) as warnings:
            try:
                connection.execute(sql.SQL("vacuum (analyze, skip_locked) {}").format(table))
            except sqlstate.UndefinedTable:
                return None  # a run of dbt replaced the report
            except sqlstate.QueryCanceled as error:
                return str(error.diag.message_primary)
        if LOCKED not in warnings:
            return None
        time.sleep(LOCK_PAUSE_S)
    return "another session works on it"


@contextmanager
def _warnings(connection: psycopg.Connection) -> Iterator[list[str | None]]:
    """The SQLSTATEs of the messages that the server sends."""
    seen: list[str | None] = []

    def note(message: psycopg.errors.Diagnostic) -> None:
        seen.append(message.sqlstate)

    connection.add_notice_handler(note)
    try:
        yield seen
    finally:
        connection.remove_notice_handler(note)


def _refresh_stale(owner: psycopg.Connection, tables: Sequence[str]) -> Iterator[Remains]:
    """Analyze columns that have old statistics once more, so that they hold only values of other users."""
    with transaction(owner):
        stale = owner.execute(STALE, {"tables": list(tables)}).fetchall()
    for schema, name, columns in stale:
        table = sql.Identifier(schema, name)
        with transaction(owner):
            owner.execute(_set_target(table, columns, 100))
            owner.execute(sql.SQL("analyze {}").format(table))
            owner.execute(_set_target(table, columns, 0))
            is_empty = _is_empty(owner, table)
        if is_empty:  # then ANALYZE changes nothing
            yield Remains(f"statistics of {schema}.{name} ({', '.join(columns)})", EMPTY)


def _of_empty_tables(owner: psycopg.Connection, tables: Sequence[str]) -> Iterator[Remains]:
    for table in tables:
        with transaction(owner):
            if not _is_empty(owner, sql.Identifier(*table.split("."))):
                continue
            kept = [name for (name,) in owner.execute(OF_AN_EMPTY_TABLE, {"table": table})]
        if kept:
            yield Remains(f"statistics of {table} ({', '.join(kept)})", EMPTY)


def _is_empty(owner: psycopg.Connection, table: sql.Identifier) -> bool:
    return not owner.execute(sql.SQL("select from {} limit 1").format(table)).rowcount


def _set_target(table: sql.Identifier, columns: Sequence[str], target: int) -> sql.Composed:
    action = sql.SQL("alter column {} set statistics {}")
    actions = sql.SQL(", ").join(action.format(sql.Identifier(column), sql.Literal(target)) for column in columns)
    return sql.SQL("alter table {} {}").format(table, actions)
