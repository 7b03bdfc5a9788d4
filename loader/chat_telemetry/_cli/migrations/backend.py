"""yoyo-migrations, which reads the files, splits them and marks what is applied, on connections of ours.

The tables of yoyo are in the schema `chat_telemetry_migrations`, because Supabase serves every table of `public` to API
clients. yoyo would set this schema in the search_path of its session. Here each name has its schema instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg.errors import Diagnostic
from yoyo.backends.base import DatabaseBackend
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from chat_telemetry._cli.migrations.transactions import SETTINGS, short_transaction
from chat_telemetry._cli.options import connect

SCHEMA = "chat_telemetry_migrations"
# Read by the migration that restricts the access to the log.
KEEP_RIGHTS = "set local chat_telemetry.keep_rights = on"


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo has no types
    """Runs each statement in a transaction with SETTINGS. Calls `note` with each warning of the server."""

    def __init__(self, conninfo: str, note: Callable[[str], object], *, keep_rights: bool) -> None:
        self.conninfo, self.note, self.keep_rights = conninfo, note, keep_rights
        super().__init__(DatabaseURI("postgresql+psycopg", *[None] * 5, {}), default_migration_table)

    def copy(self) -> Backend:
        """yoyo runs each migration on a copy."""
        return Backend(self.conninfo, self.note, keep_rights=self.keep_rights)

    def connect(self, _: DatabaseURI) -> psycopg.Connection:
        connection = connect(self.conninfo)
        connection.add_notice_handler(self._on_notice)
        return connection

    def init_connection(self, connection: psycopg.Connection) -> None:
        """Without yoyo's `set search_path`."""

    def quote_identifier(self, name: str) -> str:
        quoted: str = super().quote_identifier(name)
        return f"{SCHEMA}.{quoted}" if name.startswith(("_yoyo_", "yoyo_")) else quoted

    def list_tables(self, **kwargs: Any) -> list[str]:
        tables: list[str] = DatabaseBackend.list_tables(self, schema=SCHEMA, **kwargs)
        return tables

    def begin(self) -> None:
        super().begin()
        self.connection.execute(SETTINGS)
        if self.keep_rights:
            self.connection.execute(KEEP_RIGHTS)

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> psycopg.Cursor:
        if self._in_transaction:
            return self._execute(sql, params)
        with short_transaction(self.connection):
            return self._execute(sql, params)

    def _execute(self, sql: str, params: Mapping[str, Any] | None) -> psycopg.Cursor:
        cursor: psycopg.Cursor = super().execute(sql, params)
        return cursor

    def _on_notice(self, diagnostic: Diagnostic) -> None:
        if diagnostic.severity_nonlocalized == "WARNING":
            hint = f" ({diagnostic.message_hint})" if diagnostic.message_hint else ""
            self.note(f"warning: {diagnostic.message_primary}{hint}")
