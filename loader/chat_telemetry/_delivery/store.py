"""Inserts lines into `public.chat_telemetry_log`. No other module on the chat path imports psycopg.

A batch is one INSERT in its own transaction, idempotent by `log_id`. It can be sent again after any failure and through
any pooler, and needs only the INSERT privilege.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import psycopg
from psycopg import errors as sqlstate
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable
from chat_telemetry._record import COLUMNS, TelemetryRecord

# A connection string overrides these. A dead server is detected in about 30 s. Startup `options` are missing because
# poolers reject them.
CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "chat-telemetry",
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# Prefixes of SQLSTATEs that no row causes: connection, transaction state, deadlock, resources, lock, operator
# intervention, system and corruption errors. The same batch may succeed later.
SERVER_ERRORS = ("08", "25", "40", "53", "55", "57", "58", "XX001", "XX002")
# Those that an operator has to fix, and how. Every other SQLSTATE is the fault of a row.
SETUP_ERRORS = {
    "42501": "grant the role its privileges: `grant telemetry_writer to <role>`",
    "42": "run `chat-telemetry migrate`",
    "3F": "run `chat-telemetry migrate`",
}
# A failed connection has no SQLSTATE, and libpq's text can quote a mistyped password: only these parts are logged.
CONNECTION_ERRORS = (
    "Connection refused",
    "No such file or directory",
    "timeout expired",
    "failed to resolve host",
    "password authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "not permitted to log in",
    "too many clients",
    "too many connections",
    "the database system is starting up",
    "the database system is shutting down",
    "SSL",
)

# The type that the text of a JSON value is cast to; a type that is not listed is text. Integers are cast to numeric,
# which the assignment to an integer column rounds: a cast of the text 12.5 to integer would fail.
_SQL_TYPES = {UUID: "uuid", datetime: "timestamptz", bool: "boolean", int: "numeric"}

# A NUL character in JSON, behind an even number of backslashes.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

# A forked child shares the sockets of its parent's connections: closing one would end the session of the parent, and
# forgetting one open would be a ResourceWarning.
_connections_of_parents: list[psycopg.Connection] = []


@dataclass(frozen=True)
class Rejection:
    """A line that the database permanently rejects."""

    index: int
    """Its position in the lines of the insert, from 0."""
    reason: str
    """Safe to log: the exception, its SQLSTATE, the constraint or column; no contents."""
    detail: str
    """The text of the server's error. It can quote contents, so it must not be logged."""


@dataclass(frozen=True)
class InsertResult:
    """The outcome of one insert. stored + duplicates + rejected is the number of its lines."""

    stored: int
    duplicates: int
    """Lines whose `log_id` is in the table already, for example from an earlier attempt."""
    rejected: list[Rejection] = field(default_factory=list)


class Store:
    """One connection, opened when it is needed and again after it broke. For one thread at a time."""

    def __init__(self, conninfo: str, *, connect_timeout: float = 5.0) -> None:
        """`conninfo` is a libpq connection string or URL; `connect_timeout` is in seconds, for each host."""
        self._conninfo = conninfo
        self._connect_timeout = max(2, round(connect_timeout))  # libpq takes whole seconds, at least two
        self._connection: psycopg.Connection | None = None

    def insert(self, lines: Sequence[bytes]) -> InsertResult:
        """Store the lines, each made by `encode`.

        If the database rejects a batch, each half is sent separately, until the rejected row is alone.

        Raises DatabaseUnavailable (or its subclass DatabaseNotReady) if the server fails. Some lines may be stored
        then: insert all of them again.
        """
        stored, rejected = 0, []
        ranges = [(0, len(lines))]
        while ranges:
            start, end = ranges.pop()
            try:
                stored += self._write(lines[start:end])
            except psycopg.Error as error:
                if end - start == 1:
                    rejected.append(Rejection(start, _reason(error), error.diag.message_primary or ""))
                else:
                    middle = (start + end) // 2
                    ranges += [(middle, end), (start, middle)]
        return InsertResult(stored, len(lines) - stored - len(rejected), rejected)

    def close(self) -> None:
        """Close the connection; the next insert opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def forget_connection(self) -> None:
        """In a forked child: leave the parent's connection to the parent."""
        if self._connection is not None:
            _connections_of_parents.append(self._connection)
            self._connection = None

    def _write(self, lines: Sequence[bytes]) -> int:
        """Returns how many of the lines are new. Raises psycopg.Error if the database rejects one of them."""
        connection = self._connected()
        try:
            return self._write_with_known_conversations(connection, lines)
        except psycopg.Error as error:
            state = error.sqlstate
            if state and not connection.closed and not state.startswith((*SERVER_ERRORS, *SETUP_ERRORS)):
                raise
            self.close()
            raise _unavailable(error) from error

    def _write_with_known_conversations(self, connection: psycopg.Connection, lines: Sequence[bytes]) -> int:
        try:
            return _execute(connection, _INSERT, lines)
        except sqlstate.ForeignKeyViolation:
            # The error text is localized, so it does not tell which foreign key failed. Only a missing conversation can
            # be repaired.
            if len(lines) == 1:
                return _execute(connection, _INSERT_WITHOUT_CONVERSATION, lines)
            with contextlib.suppress(sqlstate.InsufficientPrivilege):
                return _execute(connection, _INSERT_KNOWN_CONVERSATIONS, lines)
            raise

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            try:
                given = conninfo_to_dict(self._conninfo)
            except psycopg.ProgrammingError:
                raise DatabaseNotReady(
                    "the connection string is invalid: see `Connection Strings` in PostgreSQL's manual, "
                    "and percent-encode special characters of a password in a URL"
                ) from None
            defaults = {**CONNECTION_DEFAULTS, "connect_timeout": self._connect_timeout}
            conninfo = make_conninfo(**{**defaults, **given, "client_encoding": "utf8"})
            try:
                # A pooler runs each transaction in another session, where a prepared statement does not exist.
                self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.Error as error:
                raise _unreachable(error) from error
        return self._connection


def _value(position: int, annotation: Any) -> str:
    """The SQL expression for the value at this position of a line, from 0."""
    (plain,) = {*(get_args(annotation) or [annotation])} - {NoneType}
    if get_origin(plain) is list:
        return f"nullif(line -> {position}, 'null')"
    return f"(line ->> {position})::{_SQL_TYPES[plain]}" if plain in _SQL_TYPES else f"line ->> {position}"


_TYPES = get_type_hints(TelemetryRecord)
_VALUES = {column: _value(position, _TYPES[column]) for position, column in enumerate(COLUMNS)}
_CONVERSATION_ID = _VALUES["conversation_id"]


def _statement(conversation_id: str) -> bytes:
    """The insert, with an SQL expression for the conversation. The table has one key, so a conflict needs no target.

    It returns a row per stored line, because on Citus the command tag also counts lines that are in the table already.
    """
    values = {**_VALUES, "conversation_id": conversation_id}
    return f"""
        insert into public.chat_telemetry_log ({", ".join(values)})
        select {", ".join(values.values())}
        from pg_catalog.jsonb_array_elements(%s) as line
        on conflict do nothing
        returning true
    """.encode()  # noqa: S608 - made of column names


_INSERT = _statement(_CONVERSATION_ID)
_INSERT_WITHOUT_CONVERSATION = _statement("null")
# If row level security filters conversations for this role, a conversation that it cannot see may still exist.
_INSERT_KNOWN_CONVERSATIONS = _statement(f"""
    case when pg_catalog.row_security_active('public.chat_conversations') then {_CONVERSATION_ID} else (
        select known.conversation_id from public.chat_conversations as known
        where known.conversation_id = {_CONVERSATION_ID}
    ) end
""")  # noqa: S608 - made of column names


def _execute(connection: psycopg.Connection, statement: bytes, lines: Sequence[bytes]) -> int:
    try:
        return connection.execute(statement, [Jsonb(lines, dumps=_to_array)]).rowcount
    except sqlstate.UntranslatableCharacter:
        # PostgreSQL cannot store NUL in a text. It is so rare that a search in each batch would cost more than a retry.
        sanitized = [_NUL.sub(rb"\1\\ufffd", line) for line in lines]
        return connection.execute(statement, [Jsonb(sanitized, dumps=_to_array)]).rowcount


def _to_array(lines: Sequence[bytes]) -> bytes:
    if len(lines) < 2:
        return b"[%b]" % b"".join(lines)
    # The brackets are added to the first and the last line, so that the batch is copied once.
    return b",".join([b"[" + lines[0], *lines[1:-1], lines[-1] + b"]"])


def _reason(error: psycopg.Error) -> str:
    source = error.diag.constraint_name or error.diag.column_name
    state = f" ({error.sqlstate})" if error.sqlstate else ""
    return type(error).__name__ + state + (f" of {source}" if source else "")


def _unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    for prefix, advice in SETUP_ERRORS.items():
        if error.sqlstate and error.sqlstate.startswith(prefix):
            return DatabaseNotReady(f"the database rejects telemetry, {_reason(error)}: {advice}")
    return DatabaseUnavailable(f"the database cannot accept telemetry now, {_reason(error)}: it will be sent again")


def _unreachable(error: psycopg.Error) -> DatabaseUnavailable:
    reason = next((text for text in CONNECTION_ERRORS if text in str(error)), type(error).__name__)
    return DatabaseUnavailable(f"cannot connect to the database ({reason}): try the same connection string in psql")
