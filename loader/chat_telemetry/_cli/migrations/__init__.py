"""Applies the SQL files of `migrations/`: one transaction per file, one process at a time.

If a process is killed after a file and before the file is marked as applied, the next one applies it again. Therefore
every file is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

import psycopg
from psycopg import errors as sqlstate
from yoyo import read_migrations
from yoyo.migrations import Migration, default_migration_table

from chat_telemetry._cli.errors import DatabaseFailed
from chat_telemetry._cli.migrations.adoption import build_indexes, correct_fingerprints
from chat_telemetry._cli.migrations.backend import SCHEMA, Backend
from chat_telemetry._cli.migrations.lock import only_one, sessions_with_locks
from chat_telemetry._cli.migrations.rights import foreign_objects, missing_rights
from chat_telemetry._cli.migrations.transactions import short_transaction
from chat_telemetry._cli.options import connect
from chat_telemetry._cli.sql_project import project_directory
from chat_telemetry._errors import TelemetryError

# Each try waits for a lock as long as the lock_timeout of the file, and every other session waits behind it.
LOCK_TRIES = 5
LOCK_PAUSE_S = 1.0

GRANTEES = """
    select distinct case r.grantee when 0 then 'public' else r.grantee::regrole::text end
    from pg_namespace as n cross join aclexplode(n.nspacl) as r
    where n.nspname = %s and r.grantee <> n.nspowner
"""
# The schema of the marks and their table. By the names in the catalog: to_regclass() fails if a role may not use it.
OWNERS_OF_MARKS = """
    select
        o.relname is not null,
        r.rolname,
        r.rolsuper or r.oid = d.datdba or r.rolname = current_user
        or (not me.rolsuper and pg_has_role(r.oid, 'usage'))
    from (
        select nspname, null as relname, nspowner as owner from pg_namespace
        union all
        select n.nspname, c.relname, c.relowner
        from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid
    ) as o
    inner join pg_roles as r on o.owner = r.oid
    inner join pg_database as d on d.datname = current_database()
    inner join pg_roles as me on me.rolname = current_user
    where o.nspname = %s and (o.relname is null or o.relname = %s)
"""
# The function that the last migration creates.
IS_MIGRATED = "select to_regproc('chat_rollups.make_report')"
MARKS = [f"table {SCHEMA}.{name}" for name in ("_yoyo_log", "_yoyo_migration", "_yoyo_version", "yoyo_lock")]
# For `chat-telemetry run`, which checks that nothing is pending.
GRANT_MARKS = (
    f"grant usage on schema {SCHEMA} to telemetry_transformer;"
    f"grant select on table {SCHEMA}.{default_migration_table} to telemetry_transformer"
)
REVOKE_MARKS = (
    f"revoke all on schema {SCHEMA} from telemetry_transformer;"
    f"revoke all on table {SCHEMA}.{default_migration_table} from telemetry_transformer"
)
MAKE_PRIVATE = "call chat_rollups.make_private({})".format(", ".join(f"'{o}'" for o in (f"schema {SCHEMA}", *MARKS)))


class MigrationFailed(TelemetryError):
    """The database rejected a migration and rolled it back. The message names the migration and the reason."""


@dataclass(frozen=True)
class MigrationStatus:
    """One migration file, and whether it is applied to this database."""

    name: str
    applied: bool


def _ignore(text: str) -> None:
    pass


@dataclass(frozen=True)
class Listener:
    """What is called while migrations run."""

    done: Callable[[str], object] = _ignore
    """With the name of each migration that was applied or rolled back."""
    note: Callable[[str], object] = _ignore
    """With a warning of the server, or what takes long and how far it is."""


def apply_migrations(conninfo: str, listener: Listener = Listener(), *, keep_rights: bool = False) -> list[str]:
    """Apply the migrations that the database lacks, oldest first, and return their names.

    With `keep_rights`, a log that is older than the project keeps its grants and policies. Raises MigrationFailed, also
    if another session migrates, and psycopg.OperationalError if the server cannot be reached.
    """
    is_pending = not all(migration.applied for migration in migration_status(conninfo))
    problems = missing_rights(conninfo) if is_pending else []
    with connect(conninfo) as connection:
        _refuse(foreign_objects(connection) + problems)
    with _prepared(conninfo, listener, keep_rights=keep_rights) as prepared:
        names = [_apply(prepared, conninfo, migration, listener) for migration in prepared.to_apply(_read())]
        prepared.execute(MAKE_PRIVATE)
        prepared.execute(GRANT_MARKS)
    return names


def roll_back_last(conninfo: str, listener: Listener = Listener()) -> str | None:
    """Undo the newest applied migration and return its name. Returns None if no migration is applied.

    Raises MigrationFailed if the rollback stops, for example because the log still has rows.
    """
    with _prepared(conninfo, listener) as prepared:
        newest = next(iter(prepared.to_rollback(_read())), None)
        name = _run(prepared.rollback_one, conninfo, newest, listener) if newest else None
        if newest and not prepared.to_rollback(_read()):
            prepared.execute(REVOKE_MARKS)  # otherwise the role could not be dropped
        return name


def migration_status(conninfo: str) -> list[MigrationStatus]:
    """All migrations, oldest first. Only reads: in a new database none of them is applied."""
    with connect(conninfo) as connection:
        applied = _applied_hashes(connection)
    return [MigrationStatus(m.id, m.hash in applied) for m in _read()]


def pending_migrations(connection: psycopg.Connection) -> list[str] | None:
    """The migrations that are not applied, for a role that may only read the marks.

    None if there are no marks because another tool applied the files. Raises DatabaseFailed and psycopg.Error.
    """
    applied = _applied_hashes(connection)
    with short_transaction(connection):
        is_marked = bool(applied) or connection.execute(IS_MIGRATED).fetchone() == (None,)
    return [m.id for m in _read() if m.hash not in applied] if is_marked else None


def hand_over(conninfo: str, owner: str) -> None:
    """Make the dbt target schema `owner` the owner of the feed. Waits for a drain in progress.

    Raises MigrationFailed if the database has no change feed.
    """
    with connect(conninfo) as connection:
        _refuse(foreign_objects(connection))
        try:
            connection.execute("select chat_rollups.hand_over(%s)", [owner])
        except (sqlstate.UndefinedFunction, sqlstate.InvalidSchemaName) as error:
            raise MigrationFailed("there is no change feed to hand over: run `chat-telemetry migrate` first") from error


def _refuse(problems: list[str]) -> None:
    if problems:
        raise MigrationFailed(f"nothing was changed: {'; '.join(problems)}")


@contextmanager
def _prepared(conninfo: str, listener: Listener, *, keep_rights: bool = False) -> Iterator[Backend]:
    """Hold the lock for migrations, and yield what applies them. Creates the schema of the marks."""
    with only_one(conninfo, listener.note):
        with connect(conninfo) as connection:
            _create_schema(connection)
        with Backend(conninfo, listener.note, keep_rights=keep_rights) as prepared:
            prepared.init_database()
            prepared.break_lock()
            yield prepared


def _create_schema(connection: psycopg.Connection) -> None:
    """Closed from the beginning: a role that may use it by default privileges could add triggers to its tables."""
    with short_transaction(connection):
        connection.execute(f"create schema if not exists {SCHEMA}")
        # Again, because somebody may have created it while this process waited for the lock.
        _refuse(foreign_objects(connection))
        for (grantee,) in connection.execute(GRANTEES, [SCHEMA]).fetchall():
            connection.execute(f"revoke all on schema {SCHEMA} from {grantee} cascade")


def _applied_hashes(connection: psycopg.Connection) -> set[str]:
    """Raises DatabaseFailed if a role that is not trusted owns the marks: its code would run when they are read."""
    table = f"{SCHEMA}.{default_migration_table}"
    with short_transaction(connection):
        owners = connection.execute(OWNERS_OF_MARKS, [SCHEMA, default_migration_table]).fetchall()
        for _, owner, is_trusted in owners:
            if not is_trusted:
                raise _belongs_to_another(f"the schema {SCHEMA}", owner)
        owner_of_table = next((owner for is_table, owner, _ in owners if is_table), None)
        if owner_of_table is None:
            return set()
        connection.execute("set local row_security = off")
        try:
            return {row[0] for row in connection.execute(f"select migration_hash from {table}")}  # noqa: S608
        except sqlstate.InsufficientPrivilege as error:
            raise _belongs_to_another(f"{error.diag.message_primary}, which", owner_of_table) from error


def _belongs_to_another(what: str, owner: str) -> DatabaseFailed:
    return DatabaseFailed(
        f"{what} belongs to another role, {owner}: connect as {owner} if it migrates this database, otherwise drop "
        "the schema"
    )


def _read() -> list[Migration]:
    migrations: list[Migration] = read_migrations(str(project_directory() / "migrations"))
    return migrations


def _apply(prepared: Backend, conninfo: str, migration: Migration, listener: Listener) -> str:
    name: str = migration.id
    if name.endswith("_create_log_indexes"):
        build_indexes(conninfo, listener.note)
    elif name.endswith("_correct_fingerprints"):
        correct_fingerprints(conninfo, listener.note)
        prepared.mark_migrations([migration])
        listener.done(name)
        return name
    return _run(prepared.apply_one, conninfo, migration, listener)


def _run(operation: Callable[[Migration], None], conninfo: str, migration: Migration, listener: Listener) -> str:
    name: str = migration.id
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            operation(migration)
            break
        except sqlstate.LockNotAvailable as error:
            sessions = sessions_with_locks(conninfo)
            if not tries_left:
                raise MigrationFailed(
                    f"{name}: other sessions hold locks on its tables: {sessions}. Run the same command again when "
                    "they have ended; earlier migrations stay applied"
                ) from error
            listener.note(f"{name} waits for a lock: {sessions}")
            sleep(LOCK_PAUSE_S)
        except psycopg.Error as error:
            hint = f" ({error.diag.message_hint})" if error.diag.message_hint else ""
            raise MigrationFailed(f"{name}: {error.diag.message_primary or error}{hint}") from error
    listener.done(name)
    return name
