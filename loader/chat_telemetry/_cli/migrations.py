"""Applies the plain SQL files of `migrations/` with yoyo-migrations, one transaction a file, one process at a time.

yoyo's own tables live in the schema `chat_telemetry_migrations`: in `public`, Supabase would serve them to everybody.
A process killed between a file and its mark runs the file again, so every file can be run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
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

Report = Callable[[str], None]


class MigrationFailed(TelemetryError):
    """A migration was refused by the database and nothing of it was kept; the message names it and the reason."""


@dataclass(frozen=True)
class MigrationStatus:
    """One migration file: its name, and whether this database has it."""

    name: str
    applied: bool


def apply_migrations(conninfo: str, report: Report = lambda name: None) -> list[str]:
    """Apply what the database lacks, oldest first; return the names. `report` is told each one once it is done.

    Raises MigrationFailed, and psycopg.OperationalError where the server cannot be reached.
    """
    with _backend(conninfo) as backend:
        return [_run(backend.apply_one, m, report) for m in backend.to_apply(_read())]


def roll_back_last(conninfo: str, report: Report = lambda name: None) -> str | None:
    """Undo the newest applied migration and return its name, or None where there is none.

    Raises MigrationFailed where the migration refuses, for example because the log still has rows.
    """
    with _backend(conninfo) as backend:
        newest = next(iter(backend.to_rollback(_read())), None)
        return _run(backend.rollback_one, newest, report) if newest else None


def migration_status(conninfo: str) -> list[MigrationStatus]:
    """All migrations, oldest first. Reads only: a database never touched reports none of them as applied."""
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        table = f"{SCHEMA}.{default_migration_table}"
        applied: set[str] = set()
        if connection.execute("select to_regclass(%s)", [table]).fetchone() != (None,):
            applied = {row[0] for row in connection.execute(f"select migration_hash from {table}")}  # noqa: S608
    return [MigrationStatus(m.id, m.hash in applied) for m in _read()]


def hand_over(conninfo: str, owner: str) -> None:
    """Make the dbt target schema `owner` the one whose runs drain the feed; a drain in progress ends first.

    Raises MigrationFailed if the database has no change feed yet.
    """
    with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        try:
            connection.execute("select chat_rollups.hand_over(%s)", [owner])
        except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName) as error:
            raise MigrationFailed("there is no change feed to hand over: run `chat-telemetry migrate` first") from error


def _read() -> list[Migration]:
    migrations: list[Migration] = read_migrations(str(project_directory() / "migrations"))
    return migrations


def _run(step: Callable[[Migration], None], migration: Migration, report: Report) -> str:
    name: str = migration.id
    try:
        step(migration)
    except psycopg.Error as error:
        hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
        raise MigrationFailed(f"{name}: {error.diag.message_primary or error}{hint}") from error
    report(name)
    return name


@contextmanager
def _backend(conninfo: str) -> Iterator[PostgresqlPsycopgBackend]:
    """Hold the lock of this database's migrations, so that two deployments at once apply each file once.

    The lock ends with its session: unlike a row in a table, it cannot be left behind by a killed process.
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
        except psycopg.errors.InsufficientPrivilege as error:
            raise MigrationFailed(
                f"{error.diag.message_primary}: migrate as the owner of the database, who may also create roles"
            ) from error
    connection.execute(f"revoke all on schema {SCHEMA} from public")
