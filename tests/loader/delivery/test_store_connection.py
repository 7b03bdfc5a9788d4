from __future__ import annotations

import logging
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry import Stats
from chat_telemetry._delivery.store import Store
from chat_telemetry._errors import DatabaseUnavailable
from tests.conftest import Database, Server
from tests.loader.conftest import WRITER, Log, wait_until
from tests.loader.delivery.conftest import lines


def test_a_connection_that_the_server_ended_is_opened_again_without_an_error(log: Log, store: Store) -> None:
    store.insert(lines(log.record()))
    assert log.cut_connections() == 1
    assert store.insert(lines(log.record())).stored == 1


def test_a_connection_that_is_cut_again_and_again_is_an_error(log: Log, store: Store) -> None:
    log.execute("""
        create function cut() returns trigger language plpgsql security definer as $$
        begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(1); return new; end $$;
    """)
    store.insert(lines(log.record()))
    log.execute("create trigger cut before insert on public.chat_telemetry_log execute function cut()")
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="will be sent again"):
            store.insert(lines(log.record()))


def test_a_pooler_or_server_that_ends_idle_connections_causes_no_warning(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    log.execute(f"alter role {WRITER} in database {log.database.name} set idle_session_timeout = '50ms'")
    sessions = f"select from pg_stat_activity where usename = '{WRITER}' and datname = current_database()"
    with caplog.at_level(logging.DEBUG, logger="chat_telemetry"), log.client() as client:
        for _ in range(3):
            client.persist(log.record())
            assert client.flush()
            wait_until(lambda: not log.query(sessions))
    assert caplog.messages == []
    assert client.stats() == Stats(accepted=3, stored=3)


def test_the_session_has_the_name_of_the_loader_and_no_prepared_statements(log: Log, store: Store) -> None:
    for _ in range(10):  # by default, psycopg prepares a statement that was executed five times
        store.insert(lines(log.record()))
    assert log.query(f"select application_name from pg_stat_activity where usename = '{WRITER}'") == [
        ("chat-telemetry",)
    ]
    with store._connected() as connection:
        assert connection.execute("select count(*) from pg_prepared_statements").fetchone() == (0,)


@pytest.mark.parametrize(("seconds", "sent"), [(0.1, "2"), (7.4, "7")])
def test_a_connection_has_timeouts_for_connecting_and_for_a_dead_server(log: Log, seconds: float, sent: str) -> None:
    with closing(Store(log.conninfo, connect_timeout=seconds)) as store:
        parameters = store._connected().info.get_parameters()
    keepalives = {"keepalives": "1", "keepalives_idle": "15", "keepalives_interval": "5", "keepalives_count": "3"}
    assert parameters.items() >= {"connect_timeout": sent, "tcp_user_timeout": "30000", **keepalives}.items()


def test_a_connection_string_overrides_the_loaders_defaults(log: Log) -> None:
    with closing(Store(make_conninfo(log.conninfo, application_name="orders-chat", connect_timeout=9))) as store:
        parameters = store._connected().info.get_parameters()
    assert (parameters["application_name"], parameters["connect_timeout"]) == ("orders-chat", "9")


@pytest.mark.parametrize(
    ("conninfo", "fault"),
    [
        ("host=127.0.0.1 port=1 user=app password=hunter2", "Connection refused"),
        ("host=/nowhere user=app password=hunter2", "No such file or directory"),
        ("postgresql://app:pass@hunter2@127.0.0.1/chat", "failed to resolve host"),
        ("postgresql://app:pass:w/hunter2@127.0.0.1/chat", "failed to resolve host"),
        ("host=127.0.0.1 sslmode=hunter2", "OperationalError"),
        ("host=127.0.0.1 port=hunter2", "Error"),
        ("hunter2", "the connection string is invalid"),
        ("postgresql://app:%hunter2@127.0.0.1/chat", "the connection string is invalid"),
    ],
)
def test_the_error_of_a_failed_connection_contains_no_part_of_a_password(conninfo: str, fault: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=fault) as failure:
        Store(conninfo).insert([b"{}"])
    assert "hunter2" not in str(failure.value)


def test_the_error_of_a_wrong_database_name_says_that_it_does_not_exist(postgres: Server, database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="does not exist"):
        Store(make_conninfo(database.conninfo, dbname="no_such_database")).insert([b"{}"])


def test_an_insert_commits_by_itself(log: Log, store: Store) -> None:
    store.insert(lines(log.record(), log.record()))
    connection = store._connected()
    assert connection.autocommit
    assert connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
