"""Inserts lines into `public.chat_telemetry_log`. On the chat path only `_delivery` imports psycopg.

A batch is one INSERT in its own transaction, idempotent by `log_id`. It can be sent again after any failure and through
any pooler, and needs only the INSERT privilege.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import errors as sqlstate

from chat_telemetry._delivery.batch_size import BatchSize
from chat_telemetry._delivery.connection import Connector, LimitedConnection, TimedOut, leave_to_parent
from chat_telemetry._delivery.writing import UserErased, write
from chat_telemetry._errors import DatabaseNotReady, DatabaseUnavailable

# Prefixes of SQLSTATEs that no row causes: connection, transaction state, deadlock, resources, lock, operator
# intervention, system and corruption errors. The same batch may succeed later.
SERVER_ERRORS = ("08", "25", "40", "53", "55", "57", "58", "XX001", "XX002")
# Of these, the limits of a role or server on the time of a statement, of a lock and of a transaction. Fewer lines may
# stay within them, and within the limit of a pooler or proxy, which ends an attempt after more than SLOW_S.
TIME_LIMITS = ("57014", "55P03", "25P04")
# psycopg before 3.3 has no SQLSTATE of an error that ends the connection, and neither has pgbouncer's.
TIME_LIMIT_TEXTS = ("transaction timeout", "query timeout", "query_timeout")
SLOW_S = 5.0
# Those that an operator has to fix, and how. Every other SQLSTATE is the fault of a row.
SETUP_ERRORS = {
    "42501": "grant the role its privileges: `grant telemetry_writer to <role>`",
    "42": "run `chat-telemetry migrate`",
    "3F": "run `chat-telemetry migrate`",
}
# The text of the server, which quotes names and no contents, if the row is for a part of a log on Citus.
ON_SHARD = re.compile(
    r'(?:null value in column "(?P<column>[^"]+)" of relation|new row for relation|insert or update on table)'
    r' "(?P<table>chat_telemetry_log_\d+)" violates [a-z -]+ constraint(?: "(?P<constraint>[^"]+)")?'
)
# The server checks a foreign key as the owner of the table that the key refers to.
KEY_CHECK = "FOR KEY SHARE"
KEY_CHECK_ADVICE = (
    "the owner of auth.users needs this privilege, for example by `grant usage on schema auth to <owner>`"
)
# If a connection ends after it was idle for this long, a server or pooler ended it for that: it is no outage.
IDLE_S = 1.0
# After this long it may also be dead without a sign: a proxy forgot it, or the process was frozen. It has to answer a
# query first. A batch would wait for its whole timeout.
LONG_IDLE_S = 10.0
ANSWER_TIMEOUT_S = 1.0
# When an insert takes longer than this, `tell_slow` is called once: nothing else is delivered meanwhile.
TELL_AFTER_S = 30.0
USER_ERASED = "its user was erased: to admit the user again, delete the row of public.chat_telemetry_erased_users"


@dataclass(frozen=True)
class Rejection:
    """A line that the database permanently rejects."""

    index: int
    """Its position in the lines of the insert, from 0."""
    reason: str
    """Safe to log: the exception, its SQLSTATE, the constraint or column; no contents."""
    detail: str
    """The text of the server's error. It can quote contents, so it must not be logged."""
    may_be_kept: bool = True
    """Whether the line may become a dead letter. Not if its user was erased."""


@dataclass(frozen=True)
class InsertResult:
    """The outcome of one insert. stored + duplicates + rejected is the number of its lines."""

    stored: int
    duplicates: int
    """Lines whose `log_id` is in the table already, for example from an earlier attempt."""
    rejected: list[Rejection] = field(default_factory=list)


class Store:
    """One connection, opened when it is needed and again after it broke. For one thread at a time."""

    def __init__(
        self, conninfo: str, *, connect_timeout: float = 5.0, batch_timeout: float = 60.0, inserts_users: bool = True
    ) -> None:
        """`conninfo` is a libpq connection string or URL. Both timeouts are in seconds: for each host, and for each
        attempt to store lines. With `inserts_users`, unknown users are inserted if the migrations made their table.
        """
        self.size = BatchSize()
        self.until = float("inf")
        """No attempt waits longer than this time of `time.monotonic()`, for a caller that has to end."""
        self.tell_slow: Callable[[], object] = lambda: None
        """Called once for an insert that takes longer than TELL_AFTER_S."""
        self._batch_timeout = batch_timeout
        self._inserts_users = inserts_users
        self._connector = Connector(conninfo, connect_timeout)
        self._connection: LimitedConnection | None = None
        self._used_at = (0.0, 0.0)
        self._tell_at = 0.0

    def insert(self, lines: Sequence[bytes]) -> InsertResult:
        """Store the lines, each made by `encode`.

        If the database rejects a batch, each half is sent separately, until the rejected row is alone. If it is too
        slow for a batch, fewer lines are sent at once.

        Raises DatabaseUnavailable (or its subclass DatabaseNotReady) if the server fails. Some lines may be stored
        then: insert all of them again.
        """
        stored, rejected = 0, []
        ranges = [(0, len(lines))]
        self._tell_at = time.monotonic() + TELL_AFTER_S
        while ranges:
            start, end = ranges.pop()
            if end - start > self.size.limit:
                middle = start + self.size.limit
                ranges += [(middle, end), (start, middle)]
                continue
            try:
                stored += self._write(lines[start:end])
            except _TooSlow:
                if end - start == 1:
                    raise
                ranges.append((start, end))
            except UserErased as erased:
                rejected.append(Rejection(start, USER_ERASED, "", may_be_kept=not erased.is_from_before))
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
            leave_to_parent(self._connection)
            self._connection = None

    def _write(self, lines: Sequence[bytes]) -> int:
        """Returns how many of the lines are new. Raises psycopg.Error if the database rejects one of them."""
        idle = self._idle_seconds()
        if idle > LONG_IDLE_S:
            self._close_if_dead()
        try:
            try:
                new = self._attempt(lines)
            except _ConnectionLost:
                if idle < IDLE_S:
                    raise
                new = self._attempt(lines)
        except _TooSlow:
            self.size.was_too_large(len(lines))
            raise
        finally:
            self._used_at = (time.monotonic(), time.time())
        self.size.was_stored(len(lines))
        return new

    def _attempt(self, lines: Sequence[bytes]) -> int:
        connection = self._connected()
        started = time.monotonic()
        connection.until = min(self.until, started + self._batch_timeout)
        try:
            return write(connection, lines, inserts_users=self._inserts_users)
        except TimedOut as error:
            self._connection = None
            self._connector.abandon(connection, cancels=connection.until < self.until)
            self.size.was_too_large(len(lines))
            seconds = round(connection.until - started, 1)
            raise DatabaseUnavailable(
                f"the database did not store a batch within {seconds:g} s: it will be sent again"
            ) from error
        except psycopg.Error as error:
            is_lost = connection.closed
            if error.sqlstate and not is_lost and not error.sqlstate.startswith((*SERVER_ERRORS, *SETUP_ERRORS)):
                raise
            self.close()
            is_slow = _is_time_limit(error) or time.monotonic() - started > SLOW_S
            raise _unavailable(error, is_slow=is_slow, is_lost=is_lost) from error

    def _idle_seconds(self) -> float:
        """By both clocks, because the monotonic one stands still while some hosts freeze the process."""
        if self._connection is None:
            return 0.0
        return max(time.monotonic() - self._used_at[0], time.time() - self._used_at[1])

    def _close_if_dead(self) -> None:
        if self._connection is not None:
            self._connection.until = min(self.until, time.monotonic() + ANSWER_TIMEOUT_S)
            try:
                self._connection.execute(b"select 1")
            except (psycopg.Error, TimedOut):
                self.close()

    def _connected(self) -> LimitedConnection:
        if self._connection is None:
            self._connection = self._connector.connect(min(self.until, time.monotonic() + self._batch_timeout))
            self._connection.while_waiting = self._tell_if_slow
        return self._connection

    def _tell_if_slow(self) -> None:
        if time.monotonic() > self._tell_at:
            self._tell_at = float("inf")
            self.tell_slow()


class _TooSlow(DatabaseUnavailable):
    """A time limit, which fewer lines may stay within."""


class _ConnectionLost(DatabaseUnavailable):
    """The server, or something before it, ended the connection."""


def _reason(error: psycopg.Error) -> str:
    source = _constraint_or_column(error)
    state = f" ({error.sqlstate})" if error.sqlstate else ""
    is_of_user = isinstance(error, sqlstate.ForeignKeyViolation) and "user" in (source or "")
    advice = ": your application has to insert the user into auth.users first" if is_of_user else ""
    return type(error).__name__ + state + (f" of {source}" if source else "") + advice


def _constraint_or_column(error: psycopg.Error) -> str | None:
    """What the row violates. On Citus the name ends with the number of the shard, and can be in the text only."""
    name, table = error.diag.constraint_name or error.diag.column_name, error.diag.table_name
    if name is None and (match := ON_SHARD.fullmatch(error.diag.message_primary or "")):
        name, table = match["constraint"] or match["column"], match["table"]
    return name and name.removesuffix((table or "").removeprefix("chat_telemetry_log"))


def _is_time_limit(error: psycopg.Error) -> bool:
    return error.sqlstate in TIME_LIMITS or any(text in str(error) for text in TIME_LIMIT_TEXTS)


def _unavailable(error: psycopg.Error, *, is_slow: bool, is_lost: bool) -> DatabaseUnavailable:
    for prefix, advice in SETUP_ERRORS.items():
        if error.sqlstate and error.sqlstate.startswith(prefix):
            is_key_check = KEY_CHECK in f"{error.diag.internal_query}{error.diag.context}"
            what_to_do = KEY_CHECK_ADVICE if is_key_check else advice
            # Of these errors the server's text names objects and quotes no contents.
            text = f", {error.diag.message_primary}" if error.sqlstate == "42501" else ""
            return DatabaseNotReady(f"the database rejects telemetry, {_reason(error)}{text}: {what_to_do}")
    kind = _TooSlow if is_slow else _ConnectionLost if is_lost else DatabaseUnavailable
    return kind(f"the database cannot accept telemetry now, {_reason(error)}: it will be sent again")
