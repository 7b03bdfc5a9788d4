"""The contenders that write to PostgreSQL: the loader, and code that an application would write without it."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import tempfile
from typing import Any

import psycopg
from msgspec.structs import astuple
from psycopg.types.json import Json

from benchmarks.loader.contenders import Contender
from chat_telemetry import TelemetryClient, TelemetryRecord, observe_chat
from chat_telemetry._record import COLUMNS

INSERT = f"""insert into public.chat_telemetry_log ({", ".join(COLUMNS)})
    values ({", ".join(["%s"] * len(COLUMNS))}) on conflict do nothing""".encode()


def insert_values(columns: dict[str, Any]) -> list[Any]:
    """The values for INSERT, with key and time."""
    values = astuple(TelemetryRecord(**columns))
    return [Json(value) if isinstance(value, list) else value for value in values]


def call_alone(conninfo: str, journal_dir: str | None = None) -> Contender:
    """The call of `persist`, without the creation of the record."""
    client = TelemetryClient(conninfo, journal_dir=journal_dir)
    return Contender(client.persist, lambda columns: TelemetryRecord(**columns))


def call_with_journal(conninfo: str) -> Contender:
    """The same with a journal: each record is on disk before the call returns."""
    return call_alone(conninfo, tempfile.mkdtemp(prefix="chat-telemetry-journal-"))


def record_and_call(conninfo: str) -> Contender:
    """The creation of a record with 24 columns, key and time, and the call."""
    client = TelemetryClient(conninfo)
    return Contender(lambda columns: client.persist(TelemetryRecord(**columns)))


def observed(conninfo: str) -> Contender:
    """An `observe_chat` block around no work: three steps, a first byte, a record."""
    client = TelemetryClient(conninfo)

    def report(columns: dict[str, Any]) -> None:
        question = columns["user_question"]
        with observe_chat(user_id=columns["user_id"], user_question=question, client=client) as chat:
            with chat.step("nl_to_sql"):
                chat.record.generated_sql = columns["generated_sql"]
            with chat.step("sql_execution"):
                chat.record.result_row_count = columns["result_row_count"]
            with chat.step("response_generation"):
                chat.first_byte()
                chat.record.ai_response = columns["ai_response"]

    return Contender(report)


def queue_handler(conninfo: str) -> Contender:
    """A record of `logging` goes through a queue to a thread, which inserts one row for each."""
    insert = synchronous_insert(conninfo).report

    class Insert(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            insert(record.__dict__["columns"])  # the `extra` below

    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logging.handlers.QueueListener(records, Insert()).start()
    logger = logging.getLogger("chat")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(logging.handlers.QueueHandler(records))
    return Contender(lambda columns: logger.info("chat request", extra={"columns": columns}))


def synchronous_insert(conninfo: str) -> Contender:
    """A prepared INSERT of one row on an open connection. A failure is ignored, because telemetry must not raise."""
    connection: psycopg.Connection | None = None

    def report(columns: dict[str, Any]) -> None:
        nonlocal connection
        try:
            connection = connection or psycopg.connect(conninfo, autocommit=True)
            connection.execute(INSERT, insert_values(columns))
        except psycopg.Error:
            if connection is not None:
                connection.close()
                connection = None

    return Contender(report)
