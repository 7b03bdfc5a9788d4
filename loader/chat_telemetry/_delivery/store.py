"""Writes lines to `public.chat_telemetry_log`: the one module on the chat path that knows PostgreSQL.

A batch is one INSERT in its own transaction, idempotent by `log_id`: it can be sent again after any failure, through
any pooler, and needs no more than the right to insert.
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
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Jsonb

from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable
from chat_telemetry._record import COLUMNS, TelemetryRecord

# A connection string overrides these. A dead peer is noticed in about 30 s; no startup `options`, which poolers refuse.
CONNECTION_DEFAULTS: dict[str, Any] = {
    "application_name": "chat-telemetry",
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# SQLSTATEs, by prefix, that no row is to blame for: connection, transaction state, deadlock, resources, lock,
# operator, system and corruption errors: the same batch may pass later.
SERVER_FAULTS = ("08", "25", "40", "53", "55", "57", "58", "XX001", "XX002")
# Those that pass once somebody has acted, and what to do. Every other SQLSTATE is some row's fault.
SETUP_FAULTS = {
    "42501": "grant the loader's role its rights: `grant service_role to <role>`",
    "42": "run `chat-telemetry migrate`",
    "3F": "run `chat-telemetry migrate`",
}
# libpq gives failed connections no SQLSTATE, and its words can quote a mistyped password: only these are repeated.
CONNECTION_FAULTS = (
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

# Of a line's value as text; what is not here is text itself. An integer comes as numeric: assigned to its column it is
# rounded, where the text 12.5 is no integer at all.
_SQL_TYPES = {UUID: "uuid", datetime: "timestamptz", bool: "boolean", int: "numeric"}

# A NUL character in JSON, behind an even number of backslashes.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")

# A forked child shares the sockets of its parent's connections: closing one would end the parent's session.
_connections_of_parents: list[psycopg.Connection] = []


@dataclass(frozen=True)
class Rejection:
    """A line that the database refuses for good."""

    index: int
    """Its place among the lines of the insert, from 0."""
    reason: str
    """Fit for a log: the kind of error, its SQLSTATE, the constraint or column; no contents."""
    detail: str
    """The server's own words, which can quote contents: for whoever sent the line, not for a log."""


@dataclass(frozen=True)
class InsertResult:
    """What became of the lines of one insert: stored + duplicates + rejected are all of them."""

    stored: int
    duplicates: int
    """Lines whose `log_id` was there already, from an earlier try for instance."""
    rejected: list[Rejection] = field(default_factory=list)


class Store:
    """One connection, made when it is needed and made again after it broke. For one thread at a time."""

    def __init__(self, conninfo: str, *, connect_timeout: float = 5.0) -> None:
        """`conninfo` is a libpq connection string or URL; `connect_timeout` is in seconds, for each host in it."""
        self._conninfo = conninfo
        self._connect_timeout = max(2, round(connect_timeout))  # libpq knows whole seconds, two at least
        self._connection: psycopg.Connection | None = None

    def insert(self, lines: Sequence[bytes]) -> InsertResult:
        """Store the lines, each made by `encode`; halve the batch around those that the database refuses.

        Raises DatabaseUnavailable (or its DatabaseNotReady) if the server fails; then lines may have been stored or
        not, and inserting all of them again is right.
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
        """How many of the lines were new. Raises psycopg.Error if one of them is at fault."""
        connection = self._connected()
        try:
            return self._write_whatever_the_conversation(connection, lines)
        except psycopg.Error as error:
            state = error.sqlstate
            if state and not connection.closed and not state.startswith((*SERVER_FAULTS, *SETUP_FAULTS)):
                raise
            self.close()
            raise _unavailable(error) from error

    def _write_whatever_the_conversation(self, connection: psycopg.Connection, lines: Sequence[bytes]) -> int:
        try:
            return _execute(connection, _INSERT, lines)
        except errors.ForeignKeyViolation:
            # Which key it was the server does not say in one voice, but only a conversation can be mended.
            if len(lines) == 1:
                return _execute(connection, _INSERT_WITHOUT_CONVERSATION, lines)
            with contextlib.suppress(errors.InsufficientPrivilege):
                return _execute(connection, _INSERT_KNOWN_CONVERSATIONS, lines)
            raise

    def _connected(self) -> psycopg.Connection:
        if self._connection is None:
            try:
                given = conninfo_to_dict(self._conninfo)
            except psycopg.ProgrammingError:
                raise DatabaseNotReady(
                    "the connection string cannot be read: see `Connection Strings` in PostgreSQL's manual, "
                    "and percent-encode special characters of a password in a URL"
                ) from None
            defaults = {**CONNECTION_DEFAULTS, "connect_timeout": self._connect_timeout}
            conninfo = make_conninfo(**{**defaults, **given, "client_encoding": "utf8"})
            try:
                # Poolers hand each transaction to another session, where a prepared statement would be unknown.
                self._connection = psycopg.connect(conninfo, autocommit=True, prepare_threshold=None)
            except psycopg.Error as error:
                raise _unreachable(error) from error
        return self._connection


def _value(place: int, annotation: Any) -> str:
    """The SQL expression for the value at this place of a line, from 0."""
    (plain,) = {*(get_args(annotation) or [annotation])} - {NoneType}
    if get_origin(plain) is list:
        return f"nullif(line -> {place}, 'null')"
    return f"(line ->> {place})::{_SQL_TYPES[plain]}" if plain in _SQL_TYPES else f"line ->> {place}"


_TYPES = get_type_hints(TelemetryRecord)
_VALUES = {column: _value(place, _TYPES[column]) for place, column in enumerate(COLUMNS)}
_CONVERSATION_ID = _VALUES["conversation_id"]


def _statement(conversation_id: str) -> bytes:
    """The insert, with an SQL expression for the conversation. A conflict needs no target: the table has one key.

    It returns a row per stored line. The command tag would not do: on Citus it counts lines that were there already.
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
# Where row level security may hide conversations from this role, not seeing one proves nothing.
_INSERT_KNOWN_CONVERSATIONS = _statement(f"""
    case when pg_catalog.row_security_active('public.chat_conversations') then {_CONVERSATION_ID} else (
        select known.conversation_id from public.chat_conversations as known
        where known.conversation_id = {_CONVERSATION_ID}
    ) end
""")  # noqa: S608 - made of column names


def _execute(connection: psycopg.Connection, statement: bytes, lines: Sequence[bytes]) -> int:
    try:
        return connection.execute(statement, [Jsonb(lines, dumps=_to_array)]).rowcount
    except errors.UntranslatableCharacter:
        # PostgreSQL stores no NUL in a text. They are so rare that looking for them in each batch costs more than this.
        mended = [_NUL.sub(rb"\1\\ufffd", line) for line in lines]
        return connection.execute(statement, [Jsonb(mended, dumps=_to_array)]).rowcount


def _to_array(lines: Sequence[bytes]) -> bytes:
    if len(lines) < 2:
        return b"[%b]" % b"".join(lines)
    # With brackets on the first and the last line, the batch is copied once.
    return b",".join([b"[" + lines[0], *lines[1:-1], lines[-1] + b"]"])


def _reason(error: psycopg.Error) -> str:
    place = error.diag.constraint_name or error.diag.column_name
    state = f" ({error.sqlstate})" if error.sqlstate else ""
    return type(error).__name__ + state + (f" of {place}" if place else "")


def _unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    for prefix, advice in SETUP_FAULTS.items():
        if error.sqlstate and error.sqlstate.startswith(prefix):
            return DatabaseNotReady(f"the database refuses telemetry, {_reason(error)}: {advice}")
    return DatabaseUnavailable(f"the database cannot take telemetry now, {_reason(error)}: it is sent again later")


def _unreachable(error: psycopg.Error) -> DatabaseUnavailable:
    fault = next((words for words in CONNECTION_FAULTS if words in str(error)), type(error).__name__)
    return DatabaseUnavailable(f"cannot connect to the database ({fault}): check it with psql and the same string")
