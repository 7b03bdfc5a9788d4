"""A database with a log of a given size: filled in the server, then changed as chat applications change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from chat_telemetry.embedded import EmbeddedPostgres
from chat_telemetry.migrations import apply_migrations

REQUESTS = (Path(__file__).parent / "requests.sql").read_text()
CHUNK_ROWS = 100_000
USERS = 5_000
ERASED_USER_REQUESTS = 300
ERASED_USER_DAYS = 200
ERASABLE_USERS = 40
FILLED = "filled"

# Of 5,000 users the first asks a twelfth of all questions, the last few none (Zipf's law).
ANY_USER = f"md5('user' || floor(power({USERS + 1}, random()))::integer)::uuid as user_id"
HISTORY = f"""
    select {ANY_USER}, now() - (%(rows)s - number) * interval '1 day' / %(rows_per_day)s as created_at
    from generate_series(%(first)s, %(last)s) as number
"""
NEW = f"select {ANY_USER}, now() as created_at from generate_series(1, %(rows)s)"
LATE = f"""
    select {ANY_USER}, now() - random() * %(days)s * interval '1 day' as created_at
    from generate_series(1, %(rows)s)
"""
ERASABLE = f"""
    select
        md5('erasable' || person)::uuid as user_id,
        now() - (number %% %(days)s) * interval '1 day' as created_at
    from generate_series(1, {ERASABLE_USERS}) as person, generate_series(1, {ERASED_USER_REQUESTS}) as number
"""
FORGET = """
    drop materialized view if exists chat_reports.sql_patterns;
    drop table if exists
        chat_tallies.drained_changes, chat_tallies.daily_requests, chat_tallies.daily_users, chat_tallies.daily_latency
    cascade;
    delete from chat_tallies.tally_progress where name != 'drained_changes';
    drop schema if exists chat_tallies_windowed, chat_tallies_whole_log cascade;
"""
STORED = """
    select oid::regclass::text, pg_total_relation_size(oid)
    from pg_class
    where
        relkind in ('r', 'm')
        and (
            relnamespace in ('chat_tallies'::regnamespace, 'chat_reports'::regnamespace)
            or oid in ('public.chat_telemetry_log'::regclass, 'public.chat_telemetry_changes'::regclass)
        )
    order by 1
"""


class LogDatabase:
    """A migrated database with `rows` chat requests, `rows_per_day` a day up to now; `report` is told how far it is."""

    def __init__(self, server: EmbeddedPostgres, name: str, rows: int, rows_per_day: int) -> None:
        self.name = name
        self.rows = rows
        self.rows_per_day = rows_per_day
        self.days = max(1, rows // rows_per_day)
        self._server = server

    @property
    def conninfo(self) -> str:
        return self._server.conninfo(self.name)

    def is_filled(self) -> bool:
        """Whether an earlier measurement left the database, filled."""
        with psycopg.connect(self._server.conninfo(), autocommit=True) as connection:
            found = connection.execute(
                "select from pg_database where datname = %s and shobj_description(oid, 'pg_database') = %s",
                [self.name, FILLED],
            )
            return found.rowcount > 0

    def create(self) -> None:
        """Make the database anew, with its users and without requests."""
        with psycopg.connect(self._server.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(self.name)))
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(self.name)))
        apply_migrations(self.conninfo)
        with self.connect() as connection:
            for kind, count in (("user", USERS), ("erasable", ERASABLE_USERS)):
                connection.execute(
                    "insert into auth.users select md5(%s || n)::uuid from generate_series(1, %s::integer) as n",
                    [kind, count],
                )

    def forget_counts(self) -> None:
        """Take away what dbt made of the log, so that the next run is the first one."""
        with self.connect() as connection:
            connection.execute(FORGET)

    def fill(self, report: Callable[[int], None]) -> None:
        """Insert the requests past the triggers, as a log that was there before the project was."""
        with self.connect() as connection:
            indexes = connection.execute(
                "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index"
                " where indrelid = 'public.chat_telemetry_log'::regclass and not indisprimary"
            ).fetchall()
            for name, _ in indexes:
                connection.execute(f"drop index {name}")
            connection.execute("set session_replication_role = replica")
            connection.execute("select setseed(0.5)")
            for first in range(1, self.rows + 1, CHUNK_ROWS):
                last = min(first + CHUNK_ROWS - 1, self.rows)
                _insert(connection, HISTORY, rows=self.rows, rows_per_day=self.rows_per_day, first=first, last=last)
                report(last)
            _insert(connection, ERASABLE, days=self.days_of_an_erased_user)
            for _, definition in indexes:
                connection.execute(definition)
            connection.execute("vacuum analyze")
            connection.execute(f"comment on database {self.name} is '{FILLED}'")

    @property
    def days_of_an_erased_user(self) -> int:
        return min(ERASED_USER_DAYS, self.days)

    def add_new(self, rows: int) -> None:
        with self.connect() as connection:
            _insert(connection, NEW, rows=rows)

    def add_late(self, rows: int) -> None:
        """Requests of any time of the past year (or of the whole log, where it is shorter)."""
        with self.connect() as connection:
            _insert(connection, LATE, rows=rows, days=min(365, self.days))

    def erase_user(self) -> None:
        """Delete one of the users who asked 300 times on 200 days."""
        with self.connect() as connection:
            erasable = f"select md5('erasable' || number)::uuid from generate_series(1, {ERASABLE_USERS}) as number"
            connection.execute(
                f"delete from auth.users where id = (select id from auth.users where id in ({erasable}) limit 1)"
            )

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.conninfo, autocommit=True)

    def sizes(self) -> dict[str, dict[str, int]]:
        """Rows and bytes, indexes included, of the log and of all that the project keeps beside it."""
        with self.connect() as connection:
            relations = connection.execute(STORED).fetchall()
            return {
                name: {"rows": count, "bytes": size}
                for name, size in relations
                for (count,) in connection.execute(f"select count(*) from {name}")
            }


def _insert(connection: psycopg.Connection, requests: str, **parameters: Any) -> None:
    # Bound by the client, so that the server sees numbers of no particular type.
    psycopg.ClientCursor(connection).execute(REQUESTS.replace("%", "%%").replace("{requests}", requests), parameters)
