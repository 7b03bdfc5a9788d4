"""What takes long on a log that is older than the project. Chat requests go on meanwhile.

A migration is one transaction, and would stop them for as long as it takes. These steps use many transactions, so they
run before the migration that would do the same. They can be interrupted: the next `migrate` continues.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from uuid import UUID

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._cli.migrations.lock import sessions_that_block
from chat_telemetry._cli.migrations.transactions import short_transaction
from chat_telemetry._cli.options import connect
from chat_telemetry._cli.sql_project import project_directory

BATCH_ROWS = 5_000
NOTE_EVERY_ROWS = 100_000

INDEXES_FILE = "*_create_log_indexes.sql"
IS_NOT_EMPTY = "select exists (select 1 from public.chat_telemetry_log)"
# What a `create index concurrently` left that was interrupted.
INVALID_INDEXES = """
    select indexrelid::regclass::text from pg_index
    where not indisvalid and indrelid = 'public.chat_telemetry_log'::regclass
        and indexrelid::regclass::text like 'public.idx\\_chat\\_telemetry\\_%'
"""
EXISTS = "select to_regclass(%s) is not null"
LOOK_EVERY_S = 5.0
CORRECT = "select next_id, corrected from chat_rollups.correct_fingerprints(%s, %s)"
ESTIMATE = "select reltuples::bigint from pg_class where oid = 'public.chat_telemetry_log'::regclass"


def build_indexes(conninfo: str, note: Callable[[str], object]) -> None:
    """Build the missing indexes of a log with rows, without a lock that stops writers. Raises psycopg.Error."""
    with connect(conninfo) as connection:
        if not _value(connection, IS_NOT_EMPTY):
            return
        with short_transaction(connection):
            invalid = [name for (name,) in connection.execute(INVALID_INDEXES)]
        for name in invalid:
            connection.execute(f"drop index concurrently {name}")
        for name, statement in _indexes():
            if not _value(connection, EXISTS, f"public.{name}"):
                note(f"building the index {name}; chat requests go on")
                with _named_blockers(conninfo, name, note):
                    _build(connection, name, statement)


def _build(connection: psycopg.Connection, name: str, statement: str) -> None:
    try:
        connection.execute(statement)
    except sqlstate.QueryCanceled as error:
        raise CommandError(
            f"the index {name} was not built: {error.diag.message_primary}. Run the same command again with "
            "PGOPTIONS='-c statement_timeout=0' and without a pooler"
        ) from error


@contextmanager
def _named_blockers(conninfo: str, index: str, note: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile name the sessions for which the index waits: every transaction that began before it has to end."""
    is_built = Event()

    def watch() -> None:
        named = ""
        with suppress(psycopg.Error), connect(conninfo) as connection:
            while not is_built.wait(LOOK_EVERY_S):
                blockers = sessions_that_block(connection, f"create index concurrently {index}")
                if blockers and blockers != named:
                    named = blockers
                    note(f"the index {index} waits for transactions to end: {named}")

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_built.set()
        watcher.join()


def correct_fingerprints(conninfo: str, note: Callable[[str], object]) -> None:
    """Correct wrong fingerprints in short transactions. Raises psycopg.Error."""
    next_id: UUID | None = UUID(int=0)
    rows = corrected = 0
    with connect(conninfo) as connection:
        total = _value(connection, ESTIMATE)
        while next_id is not None:
            with short_transaction(connection):
                next_id, count = connection.execute(CORRECT, [next_id, BATCH_ROWS]).fetchone() or (None, 0)
            corrected += count
            rows += BATCH_ROWS
            if rows % NOTE_EVERY_ROWS == 0:
                note(f"sql_fingerprint: {rows:,} of about {total:,} rows checked, {corrected:,} corrected")


def _indexes() -> list[tuple[str, str]]:
    """The name of each index, and the statement that builds it concurrently, from the file of the migration."""
    (path,) = (path for path in (project_directory() / "migrations").glob(INDEXES_FILE))
    found = re.findall(r"^create index if not exists (\w+)\n([^;]*);", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [(name, f"create index concurrently {name} {definition}") for name, definition in found]


def _value(connection: psycopg.Connection, query: str, *parameters: object) -> int:
    with short_transaction(connection):
        row = connection.execute(query, parameters).fetchone()
    return int(row[0]) if row else 0
