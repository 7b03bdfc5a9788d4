from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chat_telemetry import Stats, TelemetryClient
from chat_telemetry._delivery import queue as queue_module
from chat_telemetry._delivery import recovery
from tests.conftest import Server
from tests.loader.conftest import WRITER, Log, adds_up, wait_until

FORK_AMONG_THREADS = "ignore:.*multi-threaded, use of fork:DeprecationWarning"


@contextmanager
def load(client: TelemetryClient, log: Log, accepted: list) -> Iterator[None]:
    """Persist a record every millisecond meanwhile; append the keys of those that were accepted."""
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


def test_a_server_that_crashes_and_comes_back_gets_every_record_once(log: Log, postgres: Server) -> None:
    accepted: list = []
    with log.client() as client:
        with load(client, log, accepted):
            wait_until(lambda: client.stats().stored > 50)
            if postgres.embedded:
                postgres.embedded.stop("immediate")
                wait_until(lambda: client.stats().pending > 100)
                postgres.embedded.start()
            else:
                log.cut_connections()
            before = client.stats().accepted
            wait_until(lambda: client.stats().accepted > before + 50)
        assert client.flush(30)
        assert adds_up(client)
    assert sorted(log.stored_ids()) == sorted(accepted)


def test_connections_cut_again_and_again_lose_and_double_nothing(log: Log) -> None:
    accepted: list = []
    with log.client() as client:
        with load(client, log, accepted):
            cuts = 0
            while cuts < 5:
                wait_until(log.cut_connections)
                cuts += 1
                client.flush(1)
        assert client.flush(30)
        stats = client.stats()
        assert stats.stored + stats.duplicates == stats.accepted == len(accepted)
    assert sorted(log.stored_ids()) == sorted(accepted)


def test_records_wait_for_a_table_that_is_not_there_yet(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.execute("alter table public.chat_telemetry_log rename to not_yet")
    with caplog.at_level(logging.INFO, logger="chat_telemetry"), log.client() as client:
        client.persist(log.record())
        assert not client.flush(0.5)
        assert client.stats() == Stats(accepted=1, pending=1)
        log.execute("alter table public.not_yet rename to chat_telemetry_log")
        assert client.flush()
        assert client.stats() == Stats(accepted=1, stored=1)
    assert caplog.messages == [
        "the database rejects telemetry, UndefinedTable (42P01): run `chat-telemetry migrate`; records wait in memory",
        "the database accepts telemetry again",
    ]


def test_a_locked_table_holds_up_nobody(log: Log) -> None:
    with log.database.connect() as other, log.client() as client:
        with other.transaction():
            other.execute("lock table public.chat_telemetry_log in access exclusive mode")
            started = time.monotonic()
            assert client.persist(log.record())
            assert not client.flush(0.3)
            assert time.monotonic() - started < 3
        assert client.flush()
    assert len(log.stored_ids()) == 1


def test_the_thread_survives_an_error_that_nobody_foresaw(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with log.client() as client:
        store = client._delivery._store
        insert = store.insert
        faults = iter([ZeroDivisionError("hunter2"), MemoryError()])

        def fail_twice(lines: list[bytes]) -> object:
            for fault in faults:
                raise fault
            return insert(lines)

        monkeypatch.setattr(store, "insert", fail_twice)
        client.persist(log.record())
        assert client.flush()
    assert caplog.messages == [
        "delivery failed (ZeroDivisionError); records wait in memory",
        "delivery failed (MemoryError); records wait in memory",
    ]
    assert len(log.stored_ids()) == 1


def test_a_process_that_may_start_no_thread_keeps_its_records_until_it_may(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with log.client() as client:
        with monkeypatch.context() as limits:
            limits.setattr(threading.Thread, "start", refuse)
            assert client.persist(log.record())
            assert not client.flush(0)
        assert client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=2, stored=2)


def test_a_closed_client_has_ended_its_thread_and_its_session(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    with log.client() as client:
        client.persist(log.record())
        assert client.flush()
        delivery = client._delivery
        close = delivery._store.close

        def close_slowly() -> None:
            threading.Event().wait(0.3)
            close()

        monkeypatch.setattr(delivery._store, "close", close_slowly)
        assert client.close()
        assert delivery._thread
        assert not delivery._thread.is_alive()


@pytest.mark.parametrize("has_journal", [False, True])
def test_an_idle_client_holds_no_connection(
    log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_journal: bool
) -> None:
    def sessions() -> int:
        return len(
            log.query(f"select from pg_stat_activity where usename = '{WRITER}' and datname = current_database()")
        )

    with log.client(**({"journal_dir": tmp_path} if has_journal else {})) as client:
        client.persist(log.record())
        assert client.flush()
        assert sessions() == 1
        monkeypatch.setattr(queue_module, "IDLE_S", 0.05)
        monkeypatch.setattr(recovery, "LOOK_EVERY_S", 0.04)
        client.persist(log.record())
        wait_until(lambda: sessions() == 0)
        client.persist(log.record())
        assert client.flush()
    assert client.stats().stored == 3


def run_in_child(action: object) -> int:
    """Fork, run the action in the child, and return its exit status: 0 if it returned true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if action() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_forked_child_starts_empty_and_leaves_the_parents_connection_alone(log: Log) -> None:
    sessions = f"select pid from pg_stat_activity where usename = '{WRITER}' and datname = current_database()"
    with log.client() as client:
        client.persist(log.record())
        assert client.flush()
        parents_session = log.query(sessions)

        def child() -> bool:
            started_empty = client.stats() == Stats()
            return started_empty and client.persist(log.record()) and client.flush() and client.close()

        assert run_in_child(child) == 0
        assert client.persist(log.record())
        assert client.flush()
        assert log.query(sessions) == parents_session
        assert client.stats() == Stats(accepted=2, stored=2)
    assert len(log.stored_ids()) == 3


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_forks_under_load_lose_and_double_nothing(log: Log) -> None:
    accepted: list = []
    with log.client() as client:
        with load(client, log, accepted):

            def child() -> bool:
                sent = [client.persist(log.record()) for _ in range(20)]
                return all(sent) and client.close() and client.stats() == Stats(accepted=20, stored=20)

            assert [run_in_child(child) for _ in range(8)] == [0] * 8
        assert client.flush()
    assert len(log.stored_ids()) == len(accepted) + 8 * 20


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_closed_client_is_closed_in_a_child_too(log: Log) -> None:
    with log.client() as client:
        client.persist(log.record())
    assert run_in_child(lambda: not client.persist(log.record())) == 0


SCRIPT = """
import sys
from uuid import UUID
from chat_telemetry import TelemetryRecord, persist_telemetry
for _ in range(int(sys.argv[2])):
    assert persist_telemetry(TelemetryRecord(user_id=UUID(sys.argv[1]), user_question="How many orders?"))
"""


def run_script(log: Log, database_url: str, records: int = 50) -> tuple[float, str]:
    """Run a program that ends right after its last record; return its seconds and what it wrote."""
    environment = {
        **os.environ,
        "CHAT_TELEMETRY_DATABASE_URL": database_url,
        "CHAT_TELEMETRY_EXIT_TIMEOUT": "1",
        "CHAT_TELEMETRY_MAX_BATCH_AGE": "60",
    }
    started = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-X", "dev", "-c", SCRIPT, str(log.user_id), str(records)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return time.monotonic() - started, finished.stderr


def test_a_program_that_ends_has_delivered_its_records(log: Log) -> None:
    _, written = run_script(log, log.conninfo, records=1200)
    assert written == ""
    assert len(log.stored_ids()) == 1200


def test_a_program_ends_in_time_though_nothing_listens(log: Log) -> None:
    seconds, written = run_script(log, "host=127.0.0.1 port=1 user=app")
    assert seconds < 10
    assert "Connection refused" in written
    assert "closed before everything was delivered: Stats(accepted=50, stored=0" in written


def test_a_program_ends_in_time_though_the_server_says_nothing(log: Log) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        seconds, written = run_script(log, f"host=127.0.0.1 port={silent.getsockname()[1]} user=app")
    assert seconds < 10
    assert "closed before everything was delivered" in written


def test_a_program_ends_in_time_though_the_table_is_locked(log: Log) -> None:
    with log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        seconds, written = run_script(log, log.conninfo)
        assert seconds < 10
        assert "closed before everything was delivered" in written
