"""Writes to the log in every way that SQL has. A seed decides what is written, and in which transaction."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import errors as sqlstate
from psycopg import sql
from psycopg.pq import TransactionStatus

from tests.conftest import Database
from tests.reports.random_log import DURATIONS, TOKENS, random_request

USERS = 40
KNOWN_REQUESTS = 2_500
COUNTED = ["user_id", "error_type", "failed_step", "is_off_topic", "sql_model", "response_model", *DURATIONS, *TOKENS]
COLUMNS = ["log_id", "user_id", "created_at", "user_question", "generated_sql", "result_row_count", *COUNTED[1:]]
MOVES = ["1 microsecond", "-1 microsecond", "30 minutes", "1 hour", "-1 day", "7 days", "-30 days", "-400 days"]
# Per session, the chance that a transaction ends after a write: the first session commits each statement, transactions
# of the last one stay open during several runs of dbt.
PATIENCE = [1.0, 0.2, 0.02, 0.002]
# Errors that a write may get: because of another session, of a user that was erased, or of a time that is too late.
# A repeatable read sees a user twice if another session erased it and this one inserted it again: CardinalityViolation.
REFUSALS = (
    *[sqlstate.LockNotAvailable, sqlstate.ForeignKeyViolation, sqlstate.UniqueViolation],
    *[sqlstate.SerializationFailure, sqlstate.DeadlockDetected, sqlstate.DatetimeFieldOverflow],
    sqlstate.CardinalityViolation,
)


class Writer:
    """Four sessions that share the log, its users and their conversations."""

    def __init__(self, database: Database, rng: random.Random, as_of: dt.date, zone: ZoneInfo) -> None:
        self.writes = self.refused = 0
        self.zone = zone
        self._rng = rng
        self._as_of = as_of
        self._users = [uuid.UUID(int=rng.getrandbits(128)) for _ in range(USERS)]
        self._conversations = [uuid.UUID(int=rng.getrandbits(128)) for _ in range(USERS)]
        self._known: list[str] = []
        self._columns, self._counted = list(COLUMNS), list(COUNTED)
        self._added: dict[str, list[str | None]] = {}
        self._place = 0
        self._sessions: list[psycopg.Connection] = []
        self.connect(database)
        self._bring_back(self._sessions[0], USERS)

    def connect(self, database: Database) -> None:
        """Close all sessions without a commit, and open new ones."""
        self.close()
        self._sessions = [database.connect() for _ in PATIENCE]
        for session in self._sessions:
            session.execute("set lock_timeout = '15ms'")

    def add_column(self, name: str, values: list[str | None]) -> None:
        """Write one of the values to a new column of the log in each request from now on."""
        self._added[name] = values
        self._columns.append(name)
        self._counted.append(name)

    def write(self) -> str:
        """Make one write in one of the sessions; returns its description."""
        self.writes += 1
        self._place = self._rng.randrange(len(self._sessions))
        session, patience = self._sessions[self._place], PATIENCE[self._place]
        if patience < 1 and session.info.transaction_status is TransactionStatus.IDLE:
            session.execute(self._rng.choice(["begin", "begin", "begin isolation level repeatable read"]))
        (write,) = self._rng.choices(list(WRITES), weights=list(WRITES.values()))
        ending = self._make(session, write)
        if patience < 1 and self._rng.random() < patience:
            ending += f", {self._end(session)}"
        return f"session {self._place}: {write.__name__.strip('_')}{ending}"

    def end_transactions(self) -> None:
        for session in self._sessions:
            self._end(session)

    def close(self) -> None:
        for session in self._sessions:
            session.close()

    @property
    def _incoming(self) -> str:
        """Requests from JSON, without those of erased users; a deleted conversation is null."""
        return f"""
        select {", ".join(f"r.{column}" for column in self._columns)}, c.conversation_id
        from json_populate_recordset(null::public.chat_telemetry_log, %(requests)s) as r
        inner join auth.users as u on r.user_id = u.id
        left join public.chat_conversations as c on r.conversation_id = c.conversation_id
        """

    @property
    def _into(self) -> str:
        return f"public.chat_telemetry_log ({', '.join(self._columns)}, conversation_id)"

    def _make(self, session: psycopg.Connection, write: Write) -> str:
        is_undone = self._rng.random() < 0.1
        try:
            # A savepoint if a transaction is open, otherwise a transaction.
            with session.transaction(force_rollback=is_undone):
                write(self, session)
        except REFUSALS as error:
            self.refused += 1
            if isinstance(error, sqlstate.SerializationFailure):
                session.execute("rollback")  # no later write of this transaction could be committed
            return f" refused ({type(error).__name__})"
        return " undone" if is_undone else ""

    def _end(self, session: psycopg.Connection) -> str:
        ending = self._rng.choice(["commit", "commit", "rollback"])
        try:
            session.execute(ending)
        except sqlstate.SerializationFailure:
            self.refused += 1
            return f"{ending} refused"
        return ending

    def _request(self) -> dict[str, Any]:
        """A random request by a user of the session's quarter: an open transaction blocks the erasure of its users."""
        quarter = slice(self._place, None, len(PATIENCE))
        users, conversations = self._users[quarter], self._conversations[quarter]
        request = random_request(self._rng, users, conversations, self._as_of, self.zone)
        return request | {name: self._rng.choice(values) for name, values in self._added.items()}

    def _requests(self, new: int, known: int = 0) -> dict[str, Any]:
        """Random requests with new ids and with ids that were written before, if there are any."""
        requests = [self._request() for _ in range(new + known)]
        repeated = self._pick(known)
        for request, log_id in zip(requests, repeated, strict=False):
            request["log_id"] = log_id
        self._known = [*self._known, *(str(request["log_id"]) for request in requests[len(repeated) :])]
        self._known = self._known[-KNOWN_REQUESTS:]
        return {"requests": json.dumps(requests, default=str)}

    def _pick(self, count: int) -> list[str]:
        return self._rng.sample(self._known, min(count, len(self._known)))

    def _few(self, most: int = 30) -> int:
        return self._rng.choice([1, 1, self._rng.randint(1, most)])

    def _insert_one(self, session: psycopg.Connection) -> None:
        request = self._request()
        statement = sql.SQL("insert into public.chat_telemetry_log ({}) values ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, request)), sql.SQL(", ").join(map(sql.Placeholder, request))
        )
        session.execute(statement, request)

    def _insert_some(self, session: psycopg.Connection) -> None:
        again = self._rng.choice([0, 0, 5])
        session.execute(
            f"insert into {self._into} {self._incoming} on conflict do nothing", self._requests(self._few(), again)
        )

    def _copy(self, session: psycopg.Connection) -> None:
        requests = json.loads(self._requests(self._few())["requests"])
        with session.cursor().copy(f"copy {self._into} from stdin") as copy:
            for request in requests:
                copy.write_row([request[column] for column in self._columns] + [None])

    def _upsert(self, session: psycopg.Connection) -> None:
        columns = self._rng.sample([*self._counted, "created_at"], 3)
        assignments = ", ".join(f"{column} = excluded.{column}" for column in columns)
        statement = f"insert into {self._into} {self._incoming} on conflict (log_id) do update set {assignments}"
        session.execute(statement, self._requests(self._few(10), self._few(10)))

    def _merge(self, session: psycopg.Connection) -> None:
        columns = [*self._columns, "conversation_id"]
        names, values = ", ".join(columns), ", ".join(f"r.{column}" for column in columns)
        session.execute(
            f"""
            merge into public.chat_telemetry_log as l using ({self._incoming}) as r on l.log_id = r.log_id
            when matched and r.is_off_topic then delete
            when matched then update set created_at = r.created_at, user_id = r.user_id, ttfb_ms = r.ttfb_ms
            when not matched then insert ({names}) values ({values})
            """,
            self._requests(self._few(10), self._few(10)),
        )

    def _change_one_column(self, session: psycopg.Connection) -> None:
        column = self._rng.choice(self._counted)
        session.execute(
            f"update public.chat_telemetry_log as l set {column} = r.{column} from ({self._incoming}) as r"
            " where l.log_id = r.log_id",
            self._requests(0, self._few()),
        )

    def _move_in_time(self, session: psycopg.Connection) -> None:
        session.execute(
            "update public.chat_telemetry_log set created_at = created_at + %s::interval"
            " where log_id = any(%s::uuid[])",
            [self._rng.choice(MOVES), self._pick(self._few())],
        )

    def _change_what_no_report_counts(self, session: psycopg.Connection) -> None:
        session.execute(
            "update public.chat_telemetry_log set user_question = user_question || '?' where log_id = any(%s::uuid[])",
            [self._pick(self._few())],
        )

    def _change_nothing(self, session: psycopg.Connection) -> None:
        session.execute("update public.chat_telemetry_log set is_off_topic = not is_off_topic where false")

    def _delete(self, session: psycopg.Connection) -> None:
        session.execute("delete from public.chat_telemetry_log where log_id = any(%s::uuid[])", [self._pick(8)])

    def _delete_insert_and_update_at_once(self, session: psycopg.Connection) -> None:
        gone, changed = self._pick(self._few(10)), self._pick(self._few(10))
        names = ", ".join([*self._columns[1:], "conversation_id"])
        session.execute(
            f"""
            with gone as (delete from public.chat_telemetry_log where log_id = any(%s::uuid[]) returning *),
            again as (insert into public.chat_telemetry_log ({names}) select {names} from gone)
            update public.chat_telemetry_log set sql_input_tokens = sql_output_tokens
            where log_id = any(%s::uuid[]) and log_id != all(%s::uuid[])
            """,
            [gone, changed, gone],
        )

    def _end_conversations(self, session: psycopg.Connection) -> None:
        ended = self._rng.sample(self._conversations, self._few(5))
        session.execute("delete from public.chat_conversations where conversation_id = any(%s)", [ended])

    def _erase_users(self, session: psycopg.Connection) -> None:
        session.execute("delete from auth.users where id = any(%s)", [self._rng.sample(self._users, self._few(3))])

    def _bring_back(self, session: psycopg.Connection, most: int = 5) -> None:
        """Insert a few users and their conversations again, without their requests, if they were erased."""
        places = self._rng.sample(range(USERS), most)
        users = [self._users[place] for place in places]
        conversations = [self._conversations[place] for place in places]
        session.execute("insert into auth.users (id) select unnest(%s::uuid[]) on conflict do nothing", [users])
        session.execute(
            "insert into public.chat_conversations (conversation_id, user_id) select c.conversation_id, c.user_id"
            " from unnest(%s::uuid[], %s::uuid[]) as c (conversation_id, user_id)"
            " inner join auth.users on c.user_id = users.id on conflict do nothing",
            [conversations, users],
        )


Write = Callable[[Writer, psycopg.Connection], None]
# The weights of the writes. The log grows to a few thousand rows and then keeps this size.
WRITES: dict[Write, int] = {
    Writer._insert_one: 20,
    Writer._insert_some: 6,
    Writer._copy: 4,
    Writer._upsert: 6,
    Writer._merge: 6,
    Writer._change_one_column: 10,
    Writer._move_in_time: 8,
    Writer._change_what_no_report_counts: 2,
    Writer._change_nothing: 1,
    Writer._delete: 6,
    Writer._delete_insert_and_update_at_once: 3,
    Writer._end_conversations: 2,
    Writer._erase_users: 3,
    Writer._bring_back: 8,
}
