"""The statements that insert lines into `public.chat_telemetry_log`, made of its columns, and their parameter.

The search_path of the login may begin with a schema in which others create functions and operators. Therefore every
name is qualified: a type, a function, an operator. NULLIF is not used, because it calls the first `=` in that path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

from chat_telemetry._record import COLUMNS, TelemetryRecord

# The type that the text of a JSON value is cast to; a type that is not listed is text. Integers are cast to numeric,
# which the assignment to an integer column rounds: a cast of the text 12.5 to integer would fail.
_SQL_TYPES = {UUID: "uuid", datetime: "timestamptz", bool: "bool", int: "numeric"}

# A NUL character in JSON, behind an even number of backslashes.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def as_array(lines: Sequence[bytes]) -> bytes:
    """The lines as one JSON array."""
    if len(lines) < 2:
        return b"[%b]" % b"".join(lines)
    # The brackets are added to the first and the last line, so that the batch is copied once.
    return b",".join([b"[" + lines[0], *lines[1:-1], lines[-1] + b"]"])


def without_nul(lines: Sequence[bytes]) -> list[bytes]:
    """The lines with U+FFFD in place of NUL, which PostgreSQL cannot store in a text."""
    return [_NUL.sub(rb"\1\\ufffd", line) for line in lines]


def _value(position: int, annotation: Any) -> str:
    """The SQL expression for the value at this position of a line, from 0."""
    (plain,) = {*(get_args(annotation) or [annotation])} - {NoneType}
    if get_origin(plain) is list:
        array = f"(line operator(pg_catalog.->) {position})"
        return f"case when {array} operator(pg_catalog.<>) 'null'::pg_catalog.jsonb then {array} end"
    text = f"(line operator(pg_catalog.->>) {position})"
    return f"{text}::pg_catalog.{_SQL_TYPES[plain]}" if plain in _SQL_TYPES else text


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


INSERT = _statement(_CONVERSATION_ID)
INSERT_WITHOUT_CONVERSATION = _statement("null")
# If row level security filters conversations for this role, a conversation that it cannot see may still exist.
INSERT_KNOWN_CONVERSATIONS = _statement(f"""
    case when pg_catalog.row_security_active('public.chat_conversations') then {_CONVERSATION_ID} else (
        select known.conversation_id from public.chat_conversations as known
        where known.conversation_id operator(pg_catalog.=) {_CONVERSATION_ID}
    ) end
""")  # noqa: S608 - made of column names

_USER_DIGEST = f"pg_catalog.sha256(pg_catalog.convert_to({_VALUES['user_id']}::pg_catalog.text, 'UTF8'))"
# The users of the lines, into the table that the migrations made. A user who was erased stays erased.
INSERT_USERS = f"""
    insert into auth.users (id)
    select distinct {_VALUES["user_id"]} as user_id
    from pg_catalog.jsonb_array_elements(%s) as line
    where pg_catalog.starts_with(
            pg_catalog.obj_description('auth.users'::pg_catalog.regclass, 'pg_class'), 'Made by chat-telemetry'
        )
        and not exists (
            select from public.chat_telemetry_erased_users as erased
            where erased.user_digest operator(pg_catalog.=) {_USER_DIGEST}
        )
    order by user_id
    on conflict do nothing
    returning true
""".encode()  # noqa: S608 - made of column names
# For a line whose user was erased: whether the line is from before that.
IS_OF_ERASED_USER = f"""
    select erased.erased_at operator(pg_catalog.>=) {_VALUES["created_at"]}
    from pg_catalog.jsonb_array_elements(%s) as line
    inner join public.chat_telemetry_erased_users as erased
        on erased.user_digest operator(pg_catalog.=) {_USER_DIGEST}
""".encode()  # noqa: S608 - made of column names
