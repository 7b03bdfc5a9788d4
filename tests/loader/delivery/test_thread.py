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
from weakref import WeakSet

import pytest

from chat_telemetry import Stats, TelemetryClient
from chat_telemetry._delivery import queue as queue_module
from chat_telemetry._delivery import recovery
from chat_telemetry._delivery import thread as thread_module
from chat_telemetry._delivery.locked_files import open_locked
from chat_telemetry._delivery.queue import LineQueue
from chat_telemetry._delivery.store import Store
from chat_telemetry._delivery.thread import DeliveryThread
from chat_telemetry._record import encode
from chat_telemetry._settings import Settings
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


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The lengths of the pauses after failures, which no thread waits for."""
    pauses: list[float] = []
    monkeypatch.setattr(LineQueue, "pause", lambda _, seconds: pauses.append(seconds))
    return pauses


def backoff(failures: int) -> list[float]:
    """The longest pause after each failure in a row."""
    return [min(15, 0.25 * 2**number) for number in range(failures)]


def are_jittered(pauses: list[float], longest: list[float]) -> bool:
    """Whether each pause is between half of its longest value and that value."""
    return all(0.5 * limit <= pause <= limit for pause, limit in zip(pauses, longest, strict=True))


def test_pauses_double_up_to_fifteen_seconds_and_differ_between_clients(pauses: list[float]) -> None:
    delivery = DeliveryThread(Store("host=/nowhere"), Settings(max_batch_age=0.001))
    delivery.queue.put(b"[]")
    for _ in range(12):
        assert delivery._process_one_batch()
    assert are_jittered(pauses, backoff(12))
    assert len({pause / longest for pause, longest in zip(pauses, backoff(12), strict=True)}) > 1
    delivery.queue.close(0)


def test_after_an_outage_the_pauses_begin_again_and_its_end_is_logged_once(
    log: Log, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    delivery = DeliveryThread(Store(log.conninfo), Settings(max_batch_age=0.001))

    def deliver(batches: int) -> None:
        for _ in range(batches):
            delivery.queue.put(encode(log.record()))
            delivery._process_one_batch()

    with caplog.at_level(logging.INFO, logger="chat_telemetry"):
        for _ in range(2):
            log.execute("alter table public.chat_telemetry_log rename to elsewhere")
            deliver(3)
            log.execute("alter table public.elsewhere rename to chat_telemetry_log")
            deliver(2)
    delivery._store.close()
    assert are_jittered(pauses, backoff(3) * 2)
    assert caplog.messages.count("the database accepts telemetry again") == 2
    assert delivery.queue.stats() == Stats(accepted=10, stored=10)


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


def test_a_client_that_never_got_a_thread_releases_its_journal_when_it_is_closed(
    log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def reject(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", reject)
    client = TelemetryClient(log.conninfo, journal_dir=tmp_path)
    assert client.persist(log.record())
    (path,) = tmp_path.iterdir()
    assert open_locked(path, os.O_RDWR) is None
    assert not client.close(0)
    descriptor = open_locked(path, os.O_RDWR)
    assert descriptor is not None
    os.close(descriptor)


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


def test_all_clients_of_a_program_share_the_time_of_its_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_module, "_delivery_threads", WeakSet())
    clients = [TelemetryClient("host=/nowhere", exit_timeout=0.3) for _ in range(3)]
    for client in clients:
        client._queue.put(b"no thread takes it")
    started = time.monotonic()
    thread_module._close_all()
    assert 0.3 <= time.monotonic() - started < 1
    assert [client.stats() for client in clients] == [Stats(accepted=1, discarded_at_exit=1)] * 3
