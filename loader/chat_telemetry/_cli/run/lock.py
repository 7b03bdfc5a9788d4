"""One run at a time: a lock on a table that only the role of dbt and the owner may lock.

The lock belongs to a transaction, so that it ends with a killed process and works through a pooler. The transaction has
no snapshot and no id, so vacuum need not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._cli.errors import Busy, CommandError
from chat_telemetry._cli.options import NO_TIME_LIMITS, transaction

# Longer than autovacuum needs to notice that somebody waits for it.
LOCK: LiteralString = """
    set local lock_timeout = '3s';
    lock table chat_rollups.alerts in share update exclusive mode
"""
HOLDERS: LiteralString = """
    select
        string_agg(format('pid %s (role %s)', a.pid, a.usename), ', '),
        coalesce(bool_or(a.xact_start < clock_timestamp() - interval '1 hour'), false)
    from pg_locks as l inner join pg_stat_activity as a on l.pid = a.pid
    where
        l.relation = 'chat_rollups.alerts'::regclass and l.mode = 'ShareUpdateExclusiveLock' and l.granted
        and l.database = (select oid from pg_database where datname = current_database())
"""


@contextmanager
def only_one(connection: psycopg.Connection) -> Iterator[None]:
    """Hold the lock. Raises Busy if another run holds it, CommandError if for more than an hour, and psycopg.Error."""
    with transaction(connection):
        connection.execute(NO_TIME_LIMITS)
        try:
            with connection.transaction():
                connection.execute(LOCK)
        except sqlstate.LockNotAvailable:
            holders, is_old = connection.execute(HOLDERS).fetchone() or (None, False)
            if is_old:  # a schedule has to tell somebody
                raise CommandError(
                    f"another run has been in progress for more than an hour: {holders}. If it hangs, end it by "
                    "pg_terminate_backend"
                ) from None
            raise Busy(f"another run is in progress: {holders or 'it has ended by now'}") from None
        yield
