"""Inserts the users and conversations that records refer to, if their tables require nothing but the keys."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._record import TelemetryRecord

# In the order of the keys, so that two loads at the same time do not deadlock. All names are qualified, because the
# triggers of the application on these tables may need the search_path of the login.
INSERT_USERS = """
    insert into auth.users (id)
    select distinct pg_catalog.unnest(%s::pg_catalog.uuid[]) as id order by id
    on conflict do nothing
"""
INSERT_CONVERSATIONS = """
    insert into public.chat_conversations (conversation_id, user_id)
    select distinct on (conversation_id) conversation_id, user_id
    from rows from (
        pg_catalog.unnest(%s::pg_catalog.uuid[]), pg_catalog.unnest(%s::pg_catalog.uuid[])
    ) as pair (conversation_id, user_id)
    order by conversation_id
    on conflict do nothing
"""


def create_referenced_rows(connection: psycopg.Connection, records: Iterable[TelemetryRecord]) -> None:
    """Insert the missing rows of auth.users and public.chat_conversations.

    Raises CommandError if these tables require other columns or the role may not insert, as on Supabase.
    """
    users = {record.user_id for record in records}
    conversations = {record.conversation_id: record.user_id for record in records if record.conversation_id}
    try:
        connection.execute(INSERT_USERS, [list(users)])
        connection.execute(INSERT_CONVERSATIONS, [list(conversations), list(conversations.values())])
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise CommandError(
            f"cannot create users and conversations here ({error.diag.message_primary}): "
            "create them as your application does, then load without --create-parents"
        ) from error
