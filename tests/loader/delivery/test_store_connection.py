from __future__ import annotations

from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry._delivery.store import Store
from chat_telemetry._errors import DatabaseUnavailable
from tests.conftest import Database, Server
from tests.loader.conftest import WRITER, Log
from tests.loader.delivery.conftest import lines


def test_a_terminated_connection_is_opened_again(log: Log, store: Store) -> None:
    store.insert(lines(log.record()))
    assert log.cut_connections() == 1
    record = log.record()
    with pytest.raises(DatabaseUnavailable):
        store.insert(lines(record))
    assert store.insert(lines(record)).stored == 1


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
