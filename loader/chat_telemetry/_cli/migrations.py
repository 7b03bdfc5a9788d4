"""Applies the SQL files of `migrations/` with yoyo-migrations: one transaction per file, one process at a time.

The tables of yoyo are in the schema `chat_telemetry_migrations`, because Supabase serves every table of `public` to API
clients. If a process is killed after a file and before yoyo notes it, the next one applies the file again. Therefore
every file is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors as sqlstate
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import Migration, default_migration_table

from chat_telemetry._cli.sql_project import project_directory
from chat_telemetry._errors import TelemetryError

SCHEMA = "chat_telemetry_migrations"
ADVISORY_LOCK = 0x63_68_61_74  # "chat"
CONNECT_TIMEOUT_S = 10

Notify = Callable[[str], None]


class MigrationFailed(TelemetryError):
    """The database rejected a migration and rolled it back. The message names the migration and the reason."""


@dataclass(frozen=True)
class MigrationStatus:
    """One migration file, and whether it is applied to this database."""

    name: str
    applied: bool


def apply_migrations(conninfo: str, notify: Notify = lambda name: None) -> list[str]:
    """Apply the migrations that the database lacks, oldest first, and return their names.

    Calls `notify` with the name of each applied migration. Raises MigrationFailed, and psycopg.OperationalError if the
    server cannot be reached.
    """
    with _backend(conninfo) as backend:
        return [_run(backend.apply_one, m, notify) for m in backend.to_apply(_read())]


def roll_back_last(conninfo: str, notify: Notify = lambda name: None) -> str | None:
    """Undo the newest applied migration and return its name. Returns None if no migration is applied.

    Raises MigrationFailed if the rollback stops, for example because the log still has rows.
    """
    with _backend(conninfo) as backend:
        newest = next(iter(backend.to_rollback(_read())), None)
        return _run(backend.rollback_one, newest, notify) if newest else None


def migration_status(conninfo: str) -> list[MigrationStatus]:
    """All migrations, oldest first. Only reads: in a new database none of them is applied."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        table = f"{SCHEMA}.{default_migration_table}"
        applied: set[str] = set()
        if connection.execute("select to_regclass(%s)", [table]).fetchone() != (None,):
            applied = {row[0] for row in connection.execute(f"select migration_hash from {table}")}  # noqa: S608
    return [MigrationStatus(m.id, m.hash in applied) for m in _read()]


def hand_over(conninfo: str, owner: str) -> None:
    """Make the dbt target schema `owner` the owner of the feed. Waits for a drain in progress.

    Raises MigrationFailed if the database has no change feed.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        try:
            connection.execute("select chat_rollups.hand_over(%s)", [owner])
        except (sqlstate.UndefinedFunction, sqlstate.InvalidSchemaName) as error:
            raise MigrationFailed("there is no change feed to hand over: run `chat-telemetry migrate` first") from error


def _read() -> list[Migration]:
    migrations: list[Migration] = read_migrations(str(project_directory() / "migrations"))
    return migrations


def _run(operation: Callable[[Migration], None], migration: Migration, notify: Notify) -> str:
    name: str = migration.id
    try:
        operation(migration)
    except psycopg.Error as error:
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise MigrationFailed(f"{name}: {error.diag.message_primary or error}{hint}") from error
    notify(name)
    return name


@contextmanager
def _backend(conninfo: str) -> Iterator[PostgresqlPsycopgBackend]:
    """Hold the lock for migrations of this database, so that two deployments at the same time apply each file once.

    The lock ends with its session. A row in a table would stay if the process was killed.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as lock:
        lock.execute("select pg_catalog.pg_advisory_lock(%s)", [ADVISORY_LOCK])
        _prepare_schema(lock)
        parameters = conninfo_to_dict(conninfo, schema=SCHEMA, connect_timeout=CONNECT_TIMEOUT_S)
        database = parameters.pop("dbname", None)
        uri = DatabaseURI("postgresql+psycopg", None, None, None, None, database, parameters)
        with PostgresqlPsycopgBackend(uri, default_migration_table) as backend:
            backend.init_database()
            backend.break_lock()
            yield backend


def _prepare_schema(connection: psycopg.Connection) -> None:
    if connection.execute("select to_regnamespace(%s)", [SCHEMA]).fetchone() == (None,):
        try:
            connection.execute(f"create schema {SCHEMA}")
        except sqlstate.InsufficientPrivilege as error:
            raise MigrationFailed(
                f"{error.diag.message_primary}: connect as the owner of the database with the privilege to create roles"
            ) from error
    connection.execute(f"revoke all on schema {SCHEMA} from public")
