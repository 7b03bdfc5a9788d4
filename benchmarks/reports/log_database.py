"""A database with a log of a given size: filled by SQL, then changed like by chat applications."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.reports.versions import THIS_VERSION, Version
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres

REQUESTS = (Path(__file__).parent / "requests.sql").read_text()
CHUNK_ROWS = 100_000
USERS = 5_000
ERASED_USER_REQUESTS = 300
ERASABLE_USERS = 40
# Users to erase, by the number of days on which they asked.
LONG_USER_DAYS, RECENT_USER_DAYS = 200, 30
FILLED = "filled"
DBT_PASSWORD = "benchmark"  # noqa: S105 - of a server that only this machine reaches

# By Zipf's law: of 5,000 users the first one asks a twelfth of all questions, the last few ask none.
ANY_USER = f"md5('user' || floor(power({USERS + 1}, random()))::integer)::uuid as user_id"
HISTORY = f"""
    select {ANY_USER}, now() - (%(rows)s - number) * interval '1 day' / %(rows_per_day)s as created_at
    from generate_series(%(first)s, %(last)s) as number
"""
NEW = f"select {ANY_USER}, now() as created_at from generate_series(1, %(rows)s)"
LATE = f"""
    select {ANY_USER}, date_trunc('day', now(), 'UTC') - random() * %(days)s * interval '1 day' as created_at
    from generate_series(1, %(rows)s)
"""
ERASABLE_IDS = (
    f"select md5('erasable' || %(days)s || '-' || n)::uuid as id from generate_series(1, {ERASABLE_USERS}) as n"
)
ERASABLE = f"""
    select
        person.id as user_id,
        now() - (number %% least(%(days)s, %(days_of_log)s)) * interval '1 day' as created_at
    from ({ERASABLE_IDS}) as person, generate_series(1, {ERASED_USER_REQUESTS}) as number
"""
# Version.forget_counts runs it in a checkout of the database's version.
FORGET = """
    truncate
        chat_rollups.drained_changes, chat_rollups.daily_requests, chat_rollups.daily_users,
        chat_rollups.daily_durations, chat_rollups.window_durations, chat_rollups.daily_latency,
        chat_rollups.price_periods, chat_rollups.report_state;
    delete from chat_rollups.labels where id >= 100;
    update chat_rollups.progress
    set
        drain_number = case name when 'drained_changes' then 0 end,
        generation = 0,
        revision = 0,
        as_of = null,
        report_timezone = null,
        owner = null;
    do $$
    declare
        report regclass;
    begin
        for report in select oid from pg_class where relkind = 'm' and relnamespace = 'chat_reports'::regnamespace loop
            execute format('drop materialized view %s', report);
        end loop;
    end
    $$;
"""
STORED = """
    select oid::regclass::text, pg_total_relation_size(oid)
    from pg_class
    where
        relkind in ('r', 'm')
        and (
            relnamespace in ('chat_rollups'::regnamespace, 'chat_reports'::regnamespace, 'chat_prices'::regnamespace)
            or oid in ('public.chat_telemetry_log'::regclass, 'public.chat_telemetry_changes'::regclass)
        )
    order by 1
"""


class LogDatabase:
    """A database of a version with `rows` chat requests, `rows_per_day` a day up to now.

    New requests are random from seeds, so two databases with the same calls get the same requests.
    """

    def __init__(
        self, server: EmbeddedPostgres, name: str, rows: int, rows_per_day: int, version: Version = THIS_VERSION
    ) -> None:
        self.name = name
        self.rows = rows
        self.rows_per_day = rows_per_day
        self.version = version
        self.days = max(1, rows // rows_per_day)
        self._server = server
        self._additions = 0

    @property
    def conninfo(self) -> str:
        return self._server.conninfo(self.name)

    def is_filled(self) -> bool:
        """Whether the database exists and is filled, by an earlier measurement."""
        with psycopg.connect(self._server.conninfo(), autocommit=True) as connection:
            found = connection.execute(
                "select from pg_database where datname = %s and shobj_description(oid, 'pg_database') = %s",
                [self.name, FILLED],
            )
            return found.rowcount > 0

    def create(self) -> None:
        """Create the database again, with its users and without requests."""
        with psycopg.connect(self._server.conninfo(), autocommit=True) as connection:
            connection.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(self.name)))
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(self.name)))
        self.version.migrate(self.conninfo)
        with self.connect() as connection:
            connection.execute(f"alter role telemetry_transformer login password '{DBT_PASSWORD}'")
            connection.execute(
                f"insert into auth.users select md5('user' || n)::uuid from generate_series(1, {USERS}) as n"
            )
            for days in (LONG_USER_DAYS, RECENT_USER_DAYS):
                _execute(connection, f"insert into auth.users {ERASABLE_IDS}", days=days)

    def forget_counts(self) -> None:
        """Delete everything that dbt made from the log, so that the next run is a first run."""
        self.version.forget_counts(self.conninfo)

    def fill(self, notify: Callable[[int], None], requests: str = HISTORY) -> None:
        """Insert the requests without the triggers, like a log that is older than the project."""
        with self._bare_log() as connection:
            connection.execute("select setseed(0.5)")
            for first in range(1, self.rows + 1, CHUNK_ROWS):
                last = min(first + CHUNK_ROWS - 1, self.rows)
                _insert(connection, requests, rows=self.rows, rows_per_day=self.rows_per_day, first=first, last=last)
                notify(last)
            for days in (LONG_USER_DAYS, RECENT_USER_DAYS):
                _insert(connection, ERASABLE, days=days, days_of_log=self.days)

    def fill_from(self, other: LogDatabase) -> None:
        """Insert the requests of another database instead, in the order of its disk."""
        self._additions = other._additions
        with self._bare_log() as connection, other.connect() as source:
            header = connection.execute("select * from public.chat_telemetry_log limit 0").description
            columns = ", ".join(column.name for column in header or [])
            source.execute("set synchronize_seqscans = off")
            reading = source.cursor().copy(f"copy public.chat_telemetry_log ({columns}) to stdout (format binary)")
            writing = connection.cursor().copy(f"copy public.chat_telemetry_log ({columns}) from stdin (format binary)")
            with reading as rows, writing as copy:
                for data in rows:
                    copy.write(data)

    @contextmanager
    def _bare_log(self) -> Iterator[psycopg.Connection]:
        """The log without triggers and secondary indexes while it is filled. The indexes are created afterwards."""
        with self.connect() as connection:
            indexes = connection.execute(
                "select indexrelid::regclass::text, pg_get_indexdef(indexrelid) from pg_index"
                " where indrelid = 'public.chat_telemetry_log'::regclass and not indisprimary"
            ).fetchall()
            for name, _ in indexes:
                connection.execute(f"drop index {name}")
            connection.execute("set session_replication_role = replica")
            yield connection
            for _, definition in indexes:
                connection.execute(definition)
            connection.execute("vacuum analyze")
            connection.execute(f"comment on database {self.name} is '{FILLED}'")

    def add_new(self, rows: int) -> None:
        self._add(NEW, rows=rows)

    def add_late(self, rows: int, days: int = 365) -> None:
        """Requests at random times of the `days` before today (or of the whole log, if it is shorter)."""
        self._add(LATE, rows=rows, days=min(days, self.days))

    def erase_user(self, days: int = LONG_USER_DAYS) -> None:
        """Delete a user with 300 requests on `days` days: LONG_USER_DAYS or RECENT_USER_DAYS."""
        with self.connect() as connection:
            _execute(
                connection,
                "delete from auth.users where id = ("
                f"select user_id from public.chat_telemetry_log where user_id in ({ERASABLE_IDS}) order by 1 limit 1)",
                days=days,
            )

    def _add(self, requests: str, **parameters: Any) -> None:
        self._additions += 1
        with self.connect() as connection:
            connection.execute("select setseed(%s)", [1 / (self._additions + 2)])
            _insert(connection, requests, **parameters)

    def tidy(self) -> None:
        """Vacuum and checkpoint, so that autovacuum and the checkpointer have nothing to do."""
        with self.connect() as connection:
            connection.execute("vacuum analyze")
            connection.execute("checkpoint")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.conninfo, autocommit=True)

    def sizes(self) -> dict[str, dict[str, int]]:
        """Rows and bytes, indexes included, of the log and of all tables of the project."""
        with self.connect() as connection:
            relations = connection.execute(STORED).fetchall()
            return {
                name: {"rows": count, "bytes": size}
                for name, size in relations
                for (count,) in connection.execute(f"select count(*) from {name}")
            }


def _insert(connection: psycopg.Connection, requests: str, **parameters: Any) -> None:
    _execute(connection, REQUESTS.replace("%", "%%").replace("{requests}", requests), **parameters)


def _execute(connection: psycopg.Connection, statement: str, **parameters: Any) -> None:
    # The client inserts the parameters, so that the server sees number literals without a fixed type.
    psycopg.ClientCursor(connection).execute(statement, parameters)
