"""One process migrates a database at a time. The others wait for a bounded time, and name the one that they wait for.

The lock belongs to a transaction, so that it ends with a killed process and leaves nothing behind through a pooler.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.migrations.transactions import short_transaction
from chat_telemetry._cli.options import NO_TIME_LIMITS, connect

ADVISORY_LOCK = 0x63_68_61_74  # "chat"
WAIT_S = 10.0
LOOK_EVERY_S = 0.2

# application_name and usename can be seen by every role.
SESSION = "format('pid %s (role %s, application %s)', a.pid, a.usename, coalesce(nullif(a.application_name, ''), '?'))"
# Without parameters: otherwise the idle transaction keeps a snapshot, and `create index concurrently` waits for it.
TRY = f"select pg_try_advisory_xact_lock({ADVISORY_LOCK})"
HOLDERS = f"""
    select string_agg({SESSION}, ', ')
    from pg_locks as l inner join pg_stat_activity as a on l.pid = a.pid
    where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = {ADVISORY_LOCK} and l.objsubid = 1
        and l.database = (select oid from pg_database where datname = current_database())
"""  # noqa: S608
# Sessions with a lock on a table that migrations change, those in the longest transactions first.
SESSIONS_WITH_LOCKS = f"""
    select string_agg(session, ', ') from (
        select {SESSION} as session
        from pg_stat_activity as a
        where a.pid <> pg_backend_pid() and a.pid in (
            select l.pid from pg_locks as l
            inner join pg_class as c on l.relation = c.oid
            inner join pg_namespace as n on c.relnamespace = n.oid
            where l.granted and l.database = (select oid from pg_database where datname = current_database())
                and (
                    n.nspname in ('chat_reports', 'chat_rollups', 'chat_prices')
                    or (n.nspname = 'auth' and c.relname = 'users')
                    or (n.nspname = 'public' and c.relname like 'chat\\_%')
                )
        )
        order by a.xact_start nulls last limit 3
    ) as sessions
"""  # noqa: S608
# Sessions for which a statement waits. With a parameter, so the percent signs of SESSION are doubled.
BLOCKERS = f"""
    select string_agg({SESSION.replace("%", "%%")}, ', ' order by a.xact_start) from pg_stat_activity as a
    where a.pid in (
        select unnest(pg_blocking_pids(waiting.pid)) from pg_stat_activity as waiting
        where waiting.state = 'active' and waiting.datname = current_database() and waiting.query like %s
    )
"""  # noqa: S608


class LockedByAnother(CommandError):
    """Another session holds the lock for migrations of this database. The message names it."""


@contextmanager
def only_one(conninfo: str, note: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock. Raises LockedByAnother after WAIT_S, and psycopg.OperationalError."""
    with connect(conninfo) as connection, short_transaction(connection):
        connection.execute(NO_TIME_LIMITS)  # the migrations run in other transactions
        deadline = time.monotonic() + WAIT_S
        is_noted = False
        while connection.execute(TRY).fetchone() != (True,):
            holder = _text(connection, HOLDERS)
            if time.monotonic() > deadline:
                raise LockedByAnother(
                    f"another session holds the lock for migrations of this database: {holder}. Wait until it ends, "
                    "or end it by pg_terminate_backend, then run the same command again"
                )
            if holder and not is_noted:
                note(f"waiting for another session that migrates: {holder}")
                is_noted = True
            time.sleep(LOOK_EVERY_S)
        yield


def sessions_with_locks(conninfo: str) -> str:
    """Who holds locks on the tables of the project, for a message."""
    with connect(conninfo) as connection, short_transaction(connection):
        return _text(connection, SESSIONS_WITH_LOCKS) or "they have ended by now"


def sessions_that_block(connection: psycopg.Connection, beginning: str) -> str:
    """The sessions for which the statement with this beginning waits, or an empty text."""
    with short_transaction(connection):
        return _text(connection, BLOCKERS, f"{beginning}%")


def _text(connection: psycopg.Connection, query: str, *parameters: str) -> str:
    # No parameters are None, not an empty list: that would read percent signs as placeholders.
    row = connection.execute(query, parameters or None).fetchone()
    return (row and row[0]) or ""
