from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chat_telemetry import Stats
from chat_telemetry._cli.embedded_postgres import EmbeddedPostgres
from chat_telemetry._delivery import store as store_module
from chat_telemetry._delivery.connection import _unreachable
from chat_telemetry._delivery.store import Store
from chat_telemetry._errors import DatabaseUnavailable
from tests.conftest import SERVERS, Database, Server
from tests.loader.conftest import WRITER, Log, wait_until
from tests.loader.delivery.conftest import lines


def test_a_terminated_connection_is_opened_again(log: Log, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "IDLE_S", 3600)
    store.insert(lines(log.record()))
    assert log.cut_connections() == 1
    record = log.record()
    with pytest.raises(DatabaseUnavailable):
        store.insert(lines(record))
    assert store.insert(lines(record)).stored == 1


def test_a_connection_that_ended_while_it_was_idle_is_opened_again_without_an_error(
    log: Log, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "IDLE_S", 0.0)
    store.insert(lines(log.record()))
    assert log.cut_connections() == 1
    assert store.insert(lines(log.record())).stored == 1


def test_a_connection_that_is_cut_again_and_again_is_an_error(
    log: Log, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "IDLE_S", 0.0)
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
    log.execute(f"alter role {WRITER} in database {log.database.name} set idle_session_timeout = '1200ms'")
    sessions = f"select from pg_stat_activity where usename = '{WRITER}' and datname = current_database()"
    with caplog.at_level(logging.DEBUG, logger="chat_telemetry"), log.client() as client:
        for _ in range(2):
            client.persist(log.record())
            assert client.flush()
            wait_until(lambda: not log.query(sessions))
    assert caplog.messages == []
    assert client.stats() == Stats(accepted=2, stored=2)


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


@pytest.fixture
def standby(log: Log, postgres: Server) -> Iterator[EmbeddedPostgres]:
    """A server that accepts the same login, and no writes."""
    if postgres.cluster is None:
        pytest.skip("this needs a second server")
    directory = Path(tempfile.mkdtemp(prefix="ctpg-"))
    server = EmbeddedPostgres(directory, version=18)
    server.start()
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        connection.execute(f"create role {WRITER} login password '{WRITER}'")
        connection.execute(f"create database {log.database.name}")
        connection.execute("alter system set default_transaction_read_only = on")
        connection.execute("select pg_reload_conf()")
    yield server
    server.stop("immediate")
    shutil.rmtree(directory)


@pytest.mark.parametrize("postgres", SERVERS[-1:], indirect=True, scope="session")
def test_of_several_hosts_the_one_that_accepts_writes_is_used(
    log: Log, postgres: Server, standby: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts, ports = "127.0.0.1,127.0.0.1", f"{standby.port},{postgres.address()[1]}"
    several = make_conninfo(log.conninfo, host=hosts, port=ports)
    with closing(Store(several)) as store:
        assert store.insert(lines(log.record())).stored == 1
    chosen = make_conninfo(several, target_session_attrs="any")
    with closing(Store(chosen)) as store, pytest.raises(DatabaseUnavailable):
        store.insert(lines(log.record()))
    monkeypatch.setenv("PGHOST", hosts)
    monkeypatch.setenv("PGPORT", ports)
    from_environment = f"dbname={log.database.name} user={WRITER} password={WRITER}"
    with closing(Store(from_environment)) as store:
        assert store.insert(lines(log.record())).stored == 1
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "any")
    with closing(Store(from_environment)) as store, pytest.raises(DatabaseUnavailable):
        store.insert(lines(log.record()))
    monkeypatch.delenv("PGTARGETSESSIONATTRS")
    only_standby = make_conninfo(several, port=f"{standby.port},{standby.port}")
    with pytest.raises(DatabaseUnavailable, match="session is read-only"):
        Store(only_standby).insert(lines(log.record()))


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'FATAL:  too many connections for role "hunter2"',
        "could not open certificate file: Too many open files",
        "FATAL:  unsupported startup parameter: hunter2",
        'FATAL:  database "hunter2" is not currently accepting connections',
        "FATAL:  the database system is in recovery mode",
        "FATAL:  Max client connections reached",
        "FATAL:  no such user: hunter2",
        "could not receive data from server: Connection reset by peer",
        'could not translate host name "hunter2" to address: Name or service not known',
        'FATAL:  LDAP authentication failed for user "hunter2"',
    ],
)
def test_the_reason_of_a_failed_connection_is_told_in_the_words_of_the_server(text: str) -> None:
    message = str(_unreachable(psycopg.OperationalError(f"connection failed: {text}")))
    assert "OperationalError" not in message
    assert "hunter2" not in message


def test_a_role_that_may_not_connect_any_more_is_told(log: Log) -> None:
    log.execute(f"alter role {WRITER} connection limit 0")
    try:
        with pytest.raises(DatabaseUnavailable, match=r"\(too many connections\)"):
            Store(log.conninfo).insert(lines(log.record()))
    finally:
        log.execute(f"alter role {WRITER} connection limit -1")
