"""Searches a database for what is left of users, and says what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.erase.log import CONVERSATIONS, LOG, USERS, Log
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.report_rows import READER, found_as
from chat_telemetry._cli.tables import number

# The tables with rows of users, and their columns. Only dbt empties those of COUNTED.
COUNTED = ("public.chat_telemetry_changes", "chat_rollups.drained_changes", "chat_rollups.daily_users")
IDS = {LOG: "user_id", **dict.fromkeys(COUNTED, "user_id"), CONVERSATIONS: "user_id", USERS: "id"}
ARRIVED = "something wrote it meanwhile: records of the user, or the application. Stop that and run this command again"
NO_DBT = "the next whole `dbt run` removes it; run this command again after it"
COUNTED_AFTER_DBT = "requests of the user arrived, or another run of dbt was at work: run this command again"
REPORT_AFTER_DBT = "the installed dbt project did not refresh it: run dbt in the project that makes it, or drop it"

# A report that was made from the rollups as they are now has no other users than these. Its last day may be that of
# the last run.
OUTDATED: LiteralString = """
select state.report
from chat_rollups.report_state as state
inner join pg_class as c on c.relname = state.report and c.relkind = 'm'
where
    c.relnamespace = to_regnamespace('chat_reports')
    and (
        state.made_from is null
        or exists (
            select from jsonb_each(state.made_from - 'as_of') as used (name, made_from)
            left join chat_rollups.progress as now on now.name = used.name
            where used.made_from is distinct from jsonb_build_array(now.revision, now.report_timezone)
        )
    )
order by 1
"""
# What has rows in the schema of the reports, also what somebody else put there, and whether its reader may read it and
# whether the project made it.
RELATIONS: LiteralString = """
select
    c.relname, has_table_privilege(%(reader)s, c.oid, 'select'),
    exists (select from chat_rollups.report_state where report = c.relname)
from pg_class as c
where
    c.relnamespace = to_regnamespace('chat_reports')
    and (c.relkind in ('r', 'p') or (c.relkind = 'm' and c.relispopulated))
order by 1
"""
IN_STATISTICS: LiteralString = """
select distinct s.schemaname, s.tablename, s.attname
from pg_stats as s cross join unnest(%(users)s::text[]) as id
where
    (s.schemaname = 'chat_reports' or s.schemaname || '.' || s.tablename = any(%(tables)s))
    and (strpos(s.most_common_vals::text, id) > 0 or strpos(s.histogram_bounds::text, id) > 0)
order by 1, 2, 3
"""


class Remains(NamedTuple):
    """Something that is left of the users, or can be."""

    place: str
    what_to_do: str


def find_remains(log: Log, dbt: psycopg.Connection | None, users: Sequence[UUID]) -> list[Remains]:
    """What tables, reports and statistics have of the users. `dbt` is the connection of dbt's role after a run."""
    return [
        *_in_tables(log, users, counted_advice=NO_DBT if dbt is None else COUNTED_AFTER_DBT),
        *_in_reports(log.connection, dbt, users),
        *_in_statistics(log, users),
    ]


def tables_of(log: Log) -> list[str]:
    """The tables that have rows of users, without those of an application."""
    return [table for table in IDS if table not in (USERS, CONVERSATIONS) or table in log.own_tables]


def _in_tables(log: Log, users: Sequence[UUID], counted_advice: str) -> list[Remains]:
    found = []
    for table in tables_of(log):
        counting = sql.SQL("select count(*) from {} where {} = any(%s)").format(
            sql.Identifier(*table.split(".")), sql.Identifier(IDS[table])
        )
        with transaction(log.connection):
            (count,) = log.connection.execute(counting, [list(users)]).fetchone() or (0,)
        if count:
            advice = counted_advice if table in COUNTED else ARRIVED
            found.append(Remains(f"{table} ({number(count, 'row')})", advice))
    return found


def _in_reports(owner: psycopg.Connection, dbt: psycopg.Connection | None, users: Sequence[UUID]) -> list[Remains]:
    with transaction(owner):
        outdated = {name for (name,) in owner.execute(OUTDATED)}
    reading, reader = owner, READER
    if dbt is not None:
        with transaction(dbt):
            # Not the user of the connection string, which a pooler may translate.
            ((login,),) = dbt.execute("select session_user").fetchall()
        reading, reader = dbt, str(login)
    with transaction(owner):
        relations = owner.execute(RELATIONS, {"reader": reader}).fetchall()
    found = []
    for name, may_read, is_ours in relations:
        place = f"chat_reports.{name}"
        try:
            has_id = name in outdated or (may_read and found_as(reading, reader, _search(name, users)))
            is_searched = may_read or is_ours
        except sqlstate.InsufficientPrivilege:  # the owner may not become the reader
            has_id, is_searched = False, is_ours
        if has_id:
            found.append(Remains(place, NO_DBT if dbt is None else REPORT_AFTER_DBT))
        elif not is_searched:
            found.append(Remains(place, f"{reader} may not read it, so nobody knows: look into it, or drop it"))
    return found


def _search(relation: str, users: Sequence[UUID]) -> sql.Composed:
    """Rows that have the id of a user anywhere: also in an array, in json or within a longer text."""
    ids = sql.SQL(" or ").join(
        sql.SQL("pg_catalog.strpos(found::pg_catalog.text, {}) > 0").format(sql.Literal(str(user))) for user in users
    )
    return sql.SQL("select from {} as found where {}").format(sql.Identifier("chat_reports", relation), ids)


def _in_statistics(log: Log, users: Sequence[UUID]) -> list[Remains]:
    parameters = {"users": list(map(str, users)), "tables": tables_of(log)}
    with transaction(log.connection):
        found = log.connection.execute(IN_STATISTICS, parameters).fetchall()
    return [Remains(f"statistics of {'.'.join(column)}", "run this command again") for column in found]
