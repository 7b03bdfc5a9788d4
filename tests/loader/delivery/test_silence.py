"""A connection that stays open and does not answer. Nothing that uses it waits longer than its limit."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry import Stats, TelemetryClient
from chat_telemetry._delivery import connection as connection_module
from chat_telemetry._delivery import store as store_module
from chat_telemetry._delivery.store import Store
from chat_telemetry._errors import DatabaseUnavailable
from tests.conftest import Server
from tests.loader.conftest import WRITER, Log, adds_up, wait_until
from tests.loader.delivery.conftest import limited, lines
from tests.loader.delivery.silent_proxy import SilentProxy

TIMEOUT_S = 0.6
SESSIONS = f"select pid from pg_stat_activity where usename = '{WRITER}' and datname = current_database()"


@pytest.fixture
def proxy(postgres: Server) -> Iterator[SilentProxy]:
    with SilentProxy(*postgres.address()) as proxy:
        yield proxy


def through(proxy: SilentProxy, log: Log) -> str:
    return make_conninfo(log.conninfo, host="127.0.0.1", port=proxy.port)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


@contextmanager
def locked_table(log: Log) -> Iterator[None]:
    with log.database.connect() as other, other.transaction():
        other.execute("lock table public.chat_telemetry_log in access exclusive mode")
        yield


def test_a_batch_on_a_forgotten_connection_is_sent_again_on_a_new_one(log: Log, proxy: SilentProxy) -> None:
    with closing(Store(through(proxy, log))) as store:
        store.insert(lines(log.record()))
        proxy.forget()
        batch = lines(log.record(), log.record())
        not_stored = pytest.raises(DatabaseUnavailable, match=r"did not store a batch within 0\.6 s")
        with at_most(20), limited(store, TIMEOUT_S), not_stored:
            store.insert(batch)
        assert store.insert(batch).stored == 2
        assert proxy.connections >= 2


@pytest.mark.parametrize("megabytes", [0, 8])
def test_neither_a_full_socket_nor_a_cancel_request_nor_a_close_waits_for_a_silent_server(
    log: Log, proxy: SilentProxy, megabytes: int
) -> None:
    with closing(Store(through(proxy, log), connect_timeout=2)) as store:
        store.insert(lines(log.record()))
        proxy.passes_new_connections = False
        proxy.forget()
        batch = lines(*(log.record(ai_response="x" * 2**20) for _ in range(megabytes)), log.record())
        with at_most(20), limited(store, TIMEOUT_S), pytest.raises(DatabaseUnavailable):
            store.insert(batch)
        with at_most(20), pytest.raises(DatabaseUnavailable, match="timeout expired"):
            store.insert(batch)


def test_a_connection_that_hangs_ends_with_the_batch_timeout_even_if_connecting_has_no_limit(
    log: Log, proxy: SilentProxy
) -> None:
    proxy.passes_new_connections = False
    conninfo = make_conninfo(through(proxy, log), connect_timeout=0)
    store = Store(conninfo, batch_timeout=TIMEOUT_S)
    with at_most(20), pytest.raises(DatabaseUnavailable, match="timeout expired"):
        store.insert(lines(log.record()))


@pytest.mark.parametrize("can_cancel", [True, False])
def test_a_locked_table_does_not_collect_the_sessions_of_earlier_attempts(
    log: Log, monkeypatch: pytest.MonkeyPatch, can_cancel: bool
) -> None:
    if not can_cancel:  # as with a libpq before version 17
        monkeypatch.setattr(connection_module, "_can_cancel_in_time", lambda: False)
    batch = lines(log.record())
    with closing(Store(log.conninfo)) as store:
        with locked_table(log), limited(store, TIMEOUT_S):
            for _ in range(3):
                with pytest.raises(DatabaseUnavailable):
                    store.insert(batch)
            wait_until(lambda: len(log.query(SESSIONS)) <= 1)
        result = store.insert(batch)  # the last abandoned session may have stored it when the lock ended
        assert result.stored + result.duplicates == 1


def test_a_stopped_server_process_does_not_stop_delivery(log: Log, postgres: Server) -> None:
    if postgres.cluster is None:
        pytest.skip("the processes of another server cannot be stopped")
    with log.client() as client:
        client.persist(log.record())
        assert client.flush()
        ((pid,),) = log.query(SESSIONS)
        os.kill(pid, signal.SIGSTOP)
        try:
            with limited(client._delivery._store, TIMEOUT_S):
                client.persist(log.record())
                assert client.flush(30)
        finally:
            os.kill(pid, signal.SIGCONT)
        wait_until(lambda: (pid,) not in log.query(SESSIONS))
    assert len(log.stored_ids()) == client.stats().stored + client.stats().duplicates == 2


def test_a_connection_that_was_forgotten_while_it_was_idle_costs_no_failed_attempt(
    log: Log, proxy: SilentProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store_module, "LONG_IDLE_S", 0.0)
    with TelemetryClient(through(proxy, log), max_batch_age=0.01) as client:
        client.persist(log.record())
        assert client.flush()
        proxy.forget()
        client.persist(log.record())
        assert client.flush(30), "without the question whether the server answers, it takes a batch_timeout, 60 s"
    assert caplog.messages == []
    assert store_module.ANSWER_TIMEOUT_S < 2, "as long as a function that is frozen after each request waits"


def test_a_slow_batch_is_told_once(log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(store_module, "TELL_AFTER_S", 0.2)
    with log.client() as client:
        with locked_table(log):
            client.persist(log.record())
            wait_until(lambda: caplog.messages)
            assert not client.flush(0.5)
        assert client.flush()
    assert caplog.messages == [
        "a batch has been under way for 30 s: the database is slow, or something locks the table"
    ]


@pytest.mark.parametrize("has_journal", [False, True])
def test_a_close_during_silence_ends_in_time_and_gives_up_the_batch(
    log: Log, proxy: SilentProxy, tmp_path: Path, has_journal: bool
) -> None:
    client = TelemetryClient(through(proxy, log), max_batch_age=0.01, journal_dir=tmp_path if has_journal else None)
    client.persist(log.record())
    assert client.flush()
    proxy.forget()
    proxy.passes_new_connections = False
    for _ in range(3):
        client.persist(log.record())
    with at_most(20):
        assert not client.flush(0.3)
        assert not client.close(0.3)
    given_up = "left_in_journal" if has_journal else "discarded_at_exit"
    assert client.stats() == Stats(accepted=4, stored=1, **{given_up: 3})
    thread = client._delivery._thread
    assert thread
    assert thread.is_alive()
    proxy.cut()
    wait_until(lambda: not thread.is_alive() or not adds_up(client))
    assert client.stats() == Stats(accepted=4, stored=1, **{given_up: 3})


def answers_nothing(listener: socket.socket) -> str:
    return f"host=127.0.0.1 port={listener.getsockname()[1]} user=app"


@pytest.mark.parametrize("end", [lambda client: client.flush(0.5), lambda client: client.close(0.5)])
def test_without_a_thread_a_flush_and_a_close_also_end_in_time(
    log: Log, monkeypatch: pytest.MonkeyPatch, end: Callable[[TelemetryClient], Any]
) -> None:
    def fail(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", fail)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = TelemetryClient(answers_nothing(silent), connect_timeout=60)
        client.persist(log.record())
        with at_most(20):
            assert not end(client)
        assert adds_up(client)
        client.close(0)
    assert client.stats() == Stats(accepted=1, discarded_at_exit=1)
