from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from chat_telemetry import Stats, TelemetryClient
from chat_telemetry._delivery import queue as queue_module
from chat_telemetry._delivery import recovery
from chat_telemetry._delivery.locked_files import open_locked
from tests.conftest import Server
from tests.loader.conftest import WRITER, Log, adds_up, under_load, wait_until


def test_every_record_is_stored_once_when_the_server_crashes_and_restarts(log: Log, postgres: Server) -> None:
    accepted: list[UUID] = []
    with log.client() as client:
        with under_load(client, log, accepted):
            wait_until(lambda: client.stats().stored > 50)
            if postgres.cluster:
                postgres.cluster.stop("immediate")
                wait_until(lambda: client.stats().pending > 100)
                postgres.cluster.start()
            else:
                log.cut_connections()
            before = client.stats().accepted
            wait_until(lambda: client.stats().accepted > before + 50)
        assert client.flush(30)
        assert adds_up(client)
    assert sorted(log.stored_ids()) == sorted(accepted)


def test_terminated_connections_lose_and_duplicate_no_record(log: Log) -> None:
    accepted: list[UUID] = []
    with log.client() as client:
        with under_load(client, log, accepted):
            cuts = 0
            while cuts < 5:
                wait_until(log.cut_connections)
                cuts += 1
                client.flush(1)
        assert client.flush(30)
        stats = client.stats()
        assert stats.stored + stats.duplicates == stats.accepted == len(accepted)
    assert sorted(log.stored_ids()) == sorted(accepted)


def test_records_wait_until_the_table_exists(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.execute("alter table public.chat_telemetry_log rename to not_yet")
    with caplog.at_level(logging.INFO, logger="chat_telemetry"), log.client() as client:
        client.persist(log.record())
        wait_until(lambda: caplog.messages)
        assert not client.flush(0)
        assert client.stats() == Stats(accepted=1, pending=1)
        log.execute("alter table public.not_yet rename to chat_telemetry_log")
        assert client.flush()
        assert client.stats() == Stats(accepted=1, stored=1)
    assert caplog.messages == [
        "the database rejects telemetry, UndefinedTable (42P01): run `chat-telemetry migrate`; records wait in memory",
        "the database accepts telemetry again",
    ]


def test_a_locked_table_does_not_block_chat_code(log: Log) -> None:
    with log.database.connect() as other, log.client() as client:
        with other.transaction():
            other.execute("lock table public.chat_telemetry_log in access exclusive mode")
            started = time.monotonic()
            assert client.persist(log.record())
            assert not client.flush(0.3)
            assert time.monotonic() - started < 30
        assert client.flush()
    assert len(log.stored_ids()) == 1


def test_the_thread_survives_unexpected_exceptions(
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


def test_records_wait_while_the_process_cannot_start_a_thread(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with log.client() as client:
        with monkeypatch.context() as limits:
            limits.setattr(threading.Thread, "start", fail)
            assert client.persist(log.record())
            assert not client.flush(0)
        assert client.persist(log.record())
        assert client.flush()
        assert client.stats() == Stats(accepted=2, stored=2)


def test_many_records_start_one_thread(log: Log) -> None:
    with log.client() as client:
        started = set(threading.enumerate())
        client.persist(log.record())
        thread = client._delivery._thread
        client.persist(log.record())
        assert client._delivery._thread is thread
        assert set(threading.enumerate()) - started == {thread}


def test_a_client_whose_thread_never_started_releases_its_journal_at_close(
    log: Log, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    client = TelemetryClient(log.conninfo, journal_dir=tmp_path)
    assert client.persist(log.record())
    (path,) = tmp_path.iterdir()
    assert open_locked(path, os.O_RDWR) is None
    assert not client.close(0)
    descriptor = open_locked(path, os.O_RDWR)
    assert descriptor is not None
    os.close(descriptor)


def test_close_waits_for_the_end_of_the_thread_and_its_session(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
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

    with log.client(journal_dir=tmp_path if has_journal else None) as client:
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


def test_the_first_rejection_of_each_kind_is_told_at_once(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    incompressible = "".join(uuid4().hex for _ in range(500))
    with log.client(max_name_chars=100_000) as client:
        for _ in range(2):
            client.persist(log.record(error_type=incompressible))
            client.persist(log.record(user_id=uuid4()))
            assert client.flush()
    assert caplog.messages == [
        f"the database permanently rejected a record: {reason}; stats() counts how many"
        for reason in (
            "ProgramLimitExceeded (54000)",
            "ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey: "
            "your application has to insert the user into auth.users first",
        )
    ]
