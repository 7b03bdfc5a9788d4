"""The settings of migrations. They end with a transaction, because a pooler may lend the session to others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

# Whatever the database, the role or an earlier user of the session has set. No name is looked up in `public`, where
# other roles may create functions and operators.
SETTINGS = """
    set transaction isolation level read committed;
    set local search_path = pg_catalog, pg_temp;
    set local standard_conforming_strings = on;
    set local quote_all_identifiers = off;
    set local statement_timeout = 0
"""


@contextmanager
def short_transaction(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction with SETTINGS, which end with it."""
    with connection.transaction():
        connection.execute(SETTINGS)
        yield
