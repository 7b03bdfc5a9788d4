"""Makes the users and conversations that records refer to, on a database whose tables ask for no more than keys."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from chat_telemetry._cli.errors import CommandError
from chat_telemetry._record import TelemetryRecord

# In the order of their keys, so that two loads at once wait for each other and do not deadlock.
INSERT_USERS = """
    insert into auth.users (id)
    select distinct unnest(%s::uuid[]) as id order by id
    on conflict do nothing
"""
INSERT_CONVERSATIONS = """
    insert into public.chat_conversations (conversation_id, user_id)
    select distinct on (conversation_id) conversation_id, user_id
    from unnest(%s::uuid[], %s::uuid[]) as pair (conversation_id, user_id)
    order by conversation_id
    on conflict do nothing
"""


def create_parents(connection: psycopg.Connection, records: Iterable[TelemetryRecord]) -> None:
    """Insert what is missing in auth.users and public.chat_conversations.

    Raises CommandError where these tables need more than their keys or the role may not write them, as on Supabase.
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
