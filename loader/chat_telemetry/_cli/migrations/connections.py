"""Connections for migrations. They leave nothing behind on a server session, which a pooler may lend to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

CONNECT_TIMEOUT_S = 10
# Whatever the database, the role or an earlier user of the session has set. No name is looked up in `public`, where
# other roles may create functions and operators.
SETTINGS = """
    set transaction isolation level read committed;
    set local search_path = pg_catalog, pg_temp;
    set local standard_conforming_strings = on;
    set local quote_all_identifiers = off;
    set local statement_timeout = 0
"""


def connect(conninfo: str) -> psycopg.Connection:
    """A connection in autocommit. Raises psycopg.OperationalError within 10 s if the server does not answer."""
    return psycopg.connect(
        conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="chat-telemetry migrate"
    )


@contextmanager
def short_transaction(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction with SETTINGS, which end with it."""
    with connection.transaction():
        connection.execute(SETTINGS)
        yield
