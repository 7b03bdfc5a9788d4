"""Writes lines in one statement. A missing user is inserted if the log allows it, a missing conversation left out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psycopg
from psycopg import errors as sqlstate
from psycopg.types.json import Jsonb

from chat_telemetry._delivery.statements import (
    INSERT,
    INSERT_KNOWN_CONVERSATIONS,
    INSERT_USERS,
    INSERT_WITHOUT_CONVERSATION,
    IS_OF_ERASED_USER,
    as_array,
    without_nul,
)


class UserErased(Exception):
    """The user of the only line was erased."""

    def __init__(self, *, is_from_before: bool) -> None:
        super().__init__()
        self.is_from_before = is_from_before
        """Whether the chat request was before the erasure. Then nothing of it may be kept."""


def write(connection: psycopg.Connection, lines: Sequence[bytes], *, inserts_users: bool) -> int:
    """Insert the lines, and return how many of them are new.

    With `inserts_users`, unknown users are inserted first, if the migrations made their table. Unknown conversations
    become null. Raises psycopg.Error if the database rejects one of the lines, and UserErased if the user of the only
    line was erased.
    """
    try:
        return _execute(connection, INSERT, lines)
    except sqlstate.ForeignKeyViolation:
        # The error text is localized, so it does not tell which foreign key failed.
        with contextlib.suppress(sqlstate.ForeignKeyViolation):
            if inserts_users and _insert_users(connection, lines):
                return _execute(connection, INSERT, lines)
        if len(lines) > 1:
            with contextlib.suppress(sqlstate.InsufficientPrivilege):
                return _execute(connection, INSERT_KNOWN_CONVERSATIONS, lines)
            raise
    try:
        return _execute(connection, INSERT_WITHOUT_CONVERSATION, lines)
    except sqlstate.ForeignKeyViolation:
        _raise_if_erased(connection, lines)
        raise


def _insert_users(connection: psycopg.Connection, lines: Sequence[bytes]) -> bool:
    """Whether there are new users. Not if the table is the application's, or if this role has no right to insert."""
    try:
        return _execute(connection, INSERT_USERS, lines) > 0
    except psycopg.ProgrammingError:
        return False


def _raise_if_erased(connection: psycopg.Connection, lines: Sequence[bytes]) -> None:
    with contextlib.suppress(psycopg.ProgrammingError):
        row = connection.execute(IS_OF_ERASED_USER, [Jsonb(lines, dumps=as_array)]).fetchone()
        if row is not None:
            raise UserErased(is_from_before=row[0]) from None


def _execute(connection: psycopg.Connection, statement: bytes, lines: Sequence[bytes]) -> int:
    try:
        return connection.execute(statement, [Jsonb(lines, dumps=as_array)]).rowcount
    except sqlstate.UntranslatableCharacter:
        # NUL is so rare that a search in each batch would cost more than a retry.
        return connection.execute(statement, [Jsonb(without_nul(lines), dumps=as_array)]).rowcount
