"""Deletes users from the log, and from the two tables that it refers to if the migrations made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql

from chat_telemetry._cli.errors import CommandError, DatabaseFailed, NotReady
from chat_telemetry._cli.options import transaction
from chat_telemetry._cli.report_rows import found_as

# Each batch is a transaction: nobody waits long for its locks, and a killed command loses one of them at most.
BATCH_ROWS = 5000
# The second pass deletes the rows that were added during the first one. More could never end, if the user chats on.
PASSES = 2
# If the log has no index by conversation, each conversation costs a scan of the log.
BATCH_CONVERSATIONS = 20

LOG = "public.chat_telemetry_log"
USERS = "auth.users"
CONVERSATIONS = "public.chat_conversations"
TABLES = (
    *(LOG, "public.chat_telemetry_changes", "public.chat_telemetry_erased_users"),
    *("chat_rollups.progress", "chat_rollups.drained_changes", "chat_rollups.daily_users", "chat_rollups.report_state"),
)

# By the names in the catalog, because to_regclass() fails if a role may not use the schema.
RIGHTS: LiteralString = """
select
    wanted.name,
    c.oid is not null,
    -- A comment of somebody else proves nothing.
    coalesce(
        obj_description(c.oid, 'pg_class') like 'Made by chat-telemetry%%' and (
            c.relowner = (select relowner from pg_class where oid = to_regclass('public.chat_telemetry_log'))
            or c.relowner in (select oid from pg_roles where rolsuper)
            or c.relowner = (select datdba from pg_database where datname = current_database())
        ),
        false
    ),
    coalesce(pg_has_role(c.relowner, 'usage') and not row_security_active(c.oid), false)
from unnest(%s::text[]) with ordinality as wanted (name, place)
left join (
    pg_class as c inner join pg_namespace as n on n.oid = c.relnamespace
) on n.nspname || '.' || c.relname = wanted.name
order by wanted.place
"""
# Foreign keys of other tables to those from which rows are deleted, each with its first column.
REFERENCES: LiteralString = """
select n.nspname, c.relname, r.rolname, p.relname, a.attname, k.attname
from pg_constraint as f
inner join pg_class as c on c.oid = f.conrelid
inner join pg_namespace as n on n.oid = c.relnamespace
inner join pg_roles as r on r.oid = c.relowner
inner join pg_class as p on p.oid = f.confrelid
inner join pg_attribute as a on a.attrelid = f.conrelid and a.attnum = f.conkey[1]
inner join pg_attribute as k on k.attrelid = f.confrelid and k.attnum = f.confkey[1]
where
    f.contype = 'f' and f.conparentid = 0
    and f.confrelid = any(%(ours)s::regclass[]) and f.conrelid <> all(%(ours)s::regclass[])
order by 1, 2
"""
# Rows that a policy hides are an error then, and no code of a policy runs.
SEE_EVERY_ROW: LiteralString = "set local row_security = off"
NOTE: LiteralString = """
insert into public.chat_telemetry_erased_users as erased (user_digest)
select sha256(convert_to(id::text, 'UTF8')) from unnest(%s::uuid[]) as id
on conflict (user_digest) do update set erased_at = excluded.erased_at
"""
# From the newest row to the oldest one: a batch begins where the last one ended, and reads no dead rows again. Without
# statistics the planner cannot know that a user may have many rows, and would sort all of them for each batch.
IN_ORDER: LiteralString = "set local enable_sort = off"
DELETE_ROWS: LiteralString = """
with batch as materialized (
    select log_id, created_at from public.chat_telemetry_log
    where user_id = %(user)s and created_at <= %(until)s
    order by created_at desc
    limit %(most)s
),

deleted as (
    delete from public.chat_telemetry_log
    where log_id = any(array(select log_id from batch)) and user_id = %(user)s
    returning 1
)

select (select count(*) from deleted), min(created_at)::text from batch
"""
CONVERSATIONS_OF: LiteralString = "select conversation_id from public.chat_conversations where user_id = any(%s)"
DELETE_CONVERSATIONS: LiteralString = "delete from public.chat_conversations where conversation_id = any(%s)"
# The loader inserts unknown users, but none who was noted. The lock waits for its statements that began before the
# note. Inserts into the log do not wait for it.
# Foreign keys wait for this lock too.
LOCK_USERS: LiteralString = "lock table auth.users in exclusive mode"
DELETE_USER: LiteralString = "delete from auth.users where id = %s"

Show = Callable[[str], object]


@dataclass
class ErasedUser:
    """What was deleted of one user."""

    user_id: UUID
    log_rows: int = 0
    conversations: int = 0
    auth_users: int = 0
    """Rows of auth.users, if the migrations made it."""
    remains_in_auth_users: bool = False
    """Whether auth.users is the application's or Supabase's, so that it is not changed, and may have the user."""


class Log:
    """The log of a database, for the role that owns it."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Raises NotReady if the database is not migrated, and DatabaseFailed if this role is not its owner."""
        self.connection = connection
        with transaction(connection):
            rights = connection.execute(RIGHTS, [[*TABLES, USERS, CONVERSATIONS]]).fetchall()
        self.own_tables = [name for name, _, is_made, _ in rights if is_made]
        """Those of USERS and CONVERSATIONS that the migrations made. The others are never changed."""
        for name, exists, _, is_owner in rights:
            if name in TABLES and not exists:
                raise NotReady(f"the database has no {name}: run `chat-telemetry migrate`")
            if not is_owner and (name in TABLES or name in self.own_tables):
                raise DatabaseFailed(f"this role does not own {name}: connect as the role that migrates")

    @property
    def has_own_users(self) -> bool:
        """Whether the migrations made auth.users."""
        return USERS in self.own_tables

    def count(self, users: Sequence[UUID]) -> int:
        """The rows of the users in the log."""
        with transaction(self.connection):
            counted = self.connection.execute(
                "select count(*) from public.chat_telemetry_log where user_id = any(%s)", [list(users)]
            )
            (count,) = counted.fetchone() or (0,)
        return int(count)

    def check_references(self, users: Sequence[UUID]) -> None:
        """Raises CommandError if rows of an application refer to what is deleted: they would be changed, too."""
        with transaction(self.connection):
            references = self.connection.execute(REFERENCES, {"ours": [LOG, *self.own_tables]}).fetchall()
        for schema, table, owner, parent, column, key in references:
            with transaction(self.connection):
                keys = self.connection.execute(
                    sql.SQL("select distinct {}::text from {} where {} = any(%s)").format(
                        sql.Identifier(key),
                        sql.Identifier("auth" if parent == "users" else "public", parent),
                        sql.Identifier("id" if parent == "users" else "user_id"),
                    ),
                    [list(users)],
                ).fetchall()
            # With the rights of its owner, because the table can have code. As texts, because its types can, too.
            query = sql.SQL("select from {} where {}::text = any({}::text[])").format(
                sql.Identifier(schema, table), sql.Identifier(column), sql.Literal([text for (text,) in keys])
            )
            try:
                is_found = found_as(self.connection, owner, query)
            except sqlstate.InsufficientPrivilege as error:
                raise CommandError(
                    f"{schema}.{table} refers to {parent}, and this role may not see all of its rows "
                    f"({error.diag.message_primary}): connect as a role that may become {owner}"
                ) from error
            if is_found:
                raise CommandError(
                    f"rows of {schema}.{table} refer to the user, and only tables of chat-telemetry are changed: "
                    "delete them as your application does, then run this command again"
                )

    def note(self, users: Sequence[UUID]) -> None:
        """Note that the users are erased. From then on the loader does not insert them, wherever records come from."""
        with transaction(self.connection):
            self.connection.execute(NOTE, [list(users)])

    def delete(self, user: ErasedUser, show: Show) -> None:
        """Delete what the log and the tables that the migrations made have of the user."""
        for _ in range(PASSES):
            self._delete_rows(user, show)
        if CONVERSATIONS in self.own_tables:
            self._delete_conversations(user, show)
        if self.has_own_users:
            with transaction(self.connection):
                self.connection.execute(LOCK_USERS)
                self.check_references([user.user_id])  # which may have been added since the first look
                # Foreign keys delete what was added since the last batch.
                user.auth_users += self.connection.execute(DELETE_USER, [user.user_id]).rowcount

    def remains_in_auth_users(self, user: UUID) -> bool:
        """Whether auth.users is not made by the migrations, and has the user or may not be read by this role."""
        if self.has_own_users:
            return False
        try:
            with transaction(self.connection):
                self.connection.execute(SEE_EVERY_ROW)
                found = self.connection.execute("select from auth.users where id = %s", [user])
                return found.rowcount > 0
        except sqlstate.InsufficientPrivilege:
            return True

    def _delete_rows(self, user: ErasedUser, show: Show) -> None:
        """Delete the rows that are there now, batch by batch."""
        until = "infinity"
        while until:
            with transaction(self.connection):
                self.connection.execute(IN_ORDER)
                batch = {"user": user.user_id, "until": until, "most": BATCH_ROWS}
                deleted, until = self.connection.execute(DELETE_ROWS, batch).fetchone() or (0, None)
            if not deleted and until == batch["until"]:
                raise CommandError(
                    f"the log keeps rows of {user.user_id} when they are deleted: a trigger of {LOG} prevents it. "
                    "Drop the trigger or change it, then run this command again"
                )
            user.log_rows += deleted
            show(f"{user.log_rows:,} rows of the log")

    def _delete_conversations(self, user: ErasedUser, show: Show) -> None:
        with transaction(self.connection):
            ids = [found for (found,) in self.connection.execute(CONVERSATIONS_OF, [[user.user_id]])]
        for start in range(0, len(ids), BATCH_CONVERSATIONS):
            with transaction(self.connection):
                batch = ids[start : start + BATCH_CONVERSATIONS]
                user.conversations += self.connection.execute(DELETE_CONVERSATIONS, [batch]).rowcount
            show(f"{user.conversations:,} conversations")
