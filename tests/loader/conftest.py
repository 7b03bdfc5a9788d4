"""What the loader's tests share: a login role that may only write, and records for an existing user."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chat_telemetry import TelemetryClient, TelemetryRecord
from tests.conftest import Database, Server

WRITER = "loader_test_writer"


@dataclass(frozen=True)
class Log:
    """A migrated database as the loader sees it: `conninfo` logs in as a role that is a member of service_role only."""

    database: Database
    conninfo: str
    user_id: UUID
    conversation_id: UUID

    def record(self, **columns: object) -> TelemetryRecord:
        return TelemetryRecord(**{"user_id": self.user_id, "user_question": "How many orders?", **columns})

    def stored_ids(self) -> list[UUID]:
        return [row[0] for row in self.query("select log_id from public.chat_telemetry_log")]

    def query(self, statement: str) -> list[tuple]:
        with self.database.connect() as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        with self.database.connect() as connection:
            connection.execute(statement)

    def cut_connections(self) -> int:
        """Terminate the loader's sessions, as a crashed server or a restarted pooler would."""
        return len(
            self.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                f"where usename = '{WRITER}' and datname = current_database()"
            )
        )

    @contextmanager
    def client(self, **settings: Any) -> Iterator[TelemetryClient]:
        """A client with short waits; closed at the end, whatever is left."""
        client = TelemetryClient(self.conninfo, **{"max_batch_age": 0.02, **settings})
        try:
            yield client
        finally:
            client.close(timeout=5)


@pytest.fixture(scope="session")
def writer(postgres: Server) -> Iterator[str]:
    """The name of the login role, which exists as long as the server is tested."""
    role = sql.Identifier(WRITER)
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as connection:
        postgres.template()  # its migrations make service_role
        with suppress(psycopg.errors.DuplicateObject):  # by another worker, on one external server
            connection.execute(sql.SQL("create role {} login password {} in role service_role").format(role, WRITER))
        # A crash of the server must not take back what it has acknowledged, as it may with the tests' settings.
        connection.execute(sql.SQL("alter role {} set synchronous_commit = on").format(role))
    return WRITER


@pytest.fixture
def log(database: Database, writer: str) -> Log:
    (user_id,) = database.add_users(1)
    (conversation_id,) = database.add_conversations([user_id])
    conninfo = make_conninfo(database.conninfo, user=writer, password=writer)
    return Log(database, conninfo, user_id, conversation_id)


def wait_until(is_so: Callable[[], object], timeout: float = 20.0) -> None:
    """Poll until it is so; fail after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(0.01)


def adds_up(client: TelemetryClient) -> bool:
    """Whether the counters add up: to be asserted at any moment."""
    stats = client.stats()
    answered = stats.stored + stats.duplicates + stats.rejected
    return (
        stats.accepted + stats.recovered == answered + stats.discarded_at_exit + stats.left_in_journal + stats.pending
    )
