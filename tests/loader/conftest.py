"""What the loader's tests share: records, a log with an existing user, and a login role that may only write."""

from __future__ import annotations

import os
import threading
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
USER = UUID("6f0f6a3e-3f7b-5a0e-9d2e-0c7d8a4b1f00")
FORK_AMONG_THREADS = "ignore:.*multi-threaded, use of fork:DeprecationWarning"


def record(**columns: object) -> TelemetryRecord:
    """A record with these values, which may have wrong types on purpose. The user does not exist in any database."""
    values: dict[str, Any] = {"user_id": USER, "user_question": "How many orders?", **columns}
    return TelemetryRecord(**values)


@dataclass(frozen=True)
class Log:
    """A migrated database as the loader sees it. `conninfo` logs in as a role that is only a member of service_role."""

    database: Database
    conninfo: str
    user_id: UUID
    conversation_id: UUID

    def record(self, **columns: object) -> TelemetryRecord:
        """A record of the existing user, unless `columns` has another one."""
        return record(**{"user_id": self.user_id, **columns})

    def stored_ids(self) -> list[UUID]:
        return [row[0] for row in self.query("select log_id from public.chat_telemetry_log")]

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        with self.database.connect() as connection:
            connection.execute(statement)

    def cut_connections(self) -> int:
        """Terminate the loader's sessions, like a server that crashes or a pooler that restarts. Returns how many."""
        return len(
            self.query(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                f"where usename = '{WRITER}' and datname = current_database()"
            )
        )

    @contextmanager
    def client(self, **settings: Any) -> Iterator[TelemetryClient]:
        """A client that waits only briefly for a batch. It is closed at the end, even if records are left."""
        client = TelemetryClient(self.conninfo, **{"max_batch_age": 0.02, **settings})
        try:
            yield client
        finally:
            client.close(timeout=30)


@pytest.fixture(scope="session")
def writer(postgres: Server) -> str:
    """The name of the login role. It is created once per server."""
    role = sql.Identifier(WRITER)
    with psycopg.connect(postgres.conninfo("postgres"), autocommit=True) as connection:
        postgres.template()  # its migrations create service_role
        with suppress(psycopg.errors.DuplicateObject):  # another worker created it on the same external server
            connection.execute(sql.SQL("create role {} login password {} in role service_role").format(role, WRITER))
        # What the server has acknowledged must survive its crash. The settings of the tests do not promise that.
        connection.execute(sql.SQL("alter role {} set synchronous_commit = on").format(role))
    return WRITER


@pytest.fixture
def log(database: Database, writer: str) -> Log:
    (user_id,) = database.add_users(1)
    (conversation_id,) = database.add_conversations([user_id])
    database.let_the_application_own_users()
    conninfo = make_conninfo(database.conninfo, user=writer, password=writer)
    return Log(database, conninfo, user_id, conversation_id)


def wait_until(condition: Callable[[], object], timeout: float = 90.0) -> None:
    """Poll until the condition is true. Fails after `timeout` seconds; a client looks for journals once a minute."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not true within {timeout} s"
        time.sleep(0.01)


def adds_up(client: TelemetryClient) -> bool:
    """Whether the counters add up, which they do at every moment."""
    stats = client.stats()
    answered = stats.stored + stats.duplicates + stats.rejected
    return (
        stats.accepted + stats.recovered == answered + stats.discarded_at_exit + stats.left_in_journal + stats.pending
    )


@contextmanager
def under_load(client: TelemetryClient, log: Log, accepted: list[UUID]) -> Iterator[None]:
    """During the block, persist a record every millisecond and append the keys of the accepted ones."""
    stop = threading.Event()

    def persist() -> None:
        while not stop.wait(0.001):
            record = log.record()
            if client.persist(record):
                accepted.append(record.log_id)

    thread = threading.Thread(target=persist, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def run_in_child(action: Callable[[], bool]) -> int:
    """Fork, run the action in the child, and return its exit status: 0 if it returned true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
