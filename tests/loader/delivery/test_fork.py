from __future__ import annotations

import gc
from uuid import UUID

import pytest

from chat_telemetry import Stats
from tests.loader.conftest import FORK_AMONG_THREADS, WRITER, Log, run_in_child, under_load, wait_until


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_forked_child_starts_empty_and_does_not_touch_the_connection_of_its_parent(log: Log) -> None:
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
        wait_until(lambda: log.query(sessions) == parents_session)  # the child's ends a little after the child
        assert client.stats() == Stats(accepted=2, stored=2)
    assert len(log.stored_ids()) == 3


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_forked_child_warns_about_no_connection_that_is_left_open(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    ignored: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", ignored.append)  # gets a warning from a destructor, an error here
    with log.client() as client:
        client.persist(log.record())
        assert client.flush()
        assert run_in_child(lambda: gc.collect() >= 0 and not ignored) == 0


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_forks_under_load_lose_and_duplicate_no_record(log: Log) -> None:
    accepted: list[UUID] = []
    with log.client() as client:
        with under_load(client, log, accepted):

            def child() -> bool:
                sent = [client.persist(log.record()) for _ in range(20)]
                return all(sent) and client.close() and client.stats() == Stats(accepted=20, stored=20)

            assert [run_in_child(child) for _ in range(8)] == [0] * 8
        assert client.flush()
    assert len(log.stored_ids()) == len(accepted) + 8 * 20


@pytest.mark.filterwarnings(FORK_AMONG_THREADS)
def test_a_closed_client_is_also_closed_in_a_forked_child(log: Log) -> None:
    with log.client() as client:
        client.persist(log.record())
    assert run_in_child(lambda: not client.persist(log.record())) == 0
