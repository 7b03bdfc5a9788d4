"""The loader on a distributed log, through the coordinator and through a worker, as a login with few rights."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from chat_telemetry import TelemetryClient
from chat_telemetry._delivery.store import USER_ERASED, Store
from tests.citus.conftest import ON_CITUS
from tests.citus.feed import counts
from tests.citus.server import CitusServer
from tests.conftest import Database
from tests.loader.conftest import record, wait_until
from tests.loader.delivery.conftest import lines, raw

pytestmark = ON_CITUS


@pytest.fixture(params=["service_role", "telemetry_writer"])
def login(request: pytest.FixtureRequest, logins: dict[str, str]) -> str:
    return logins[request.param]


@pytest.fixture(params=[0, -1], ids=["coordinator", "worker"])
def node(request: pytest.FixtureRequest, cluster: CitusServer, database: Database, login: str) -> str:
    """The connection string of the login for a node."""
    place: int = request.param
    return cluster.nodes(database.name, login)[place]


@pytest.fixture
def store(node: str) -> Iterator[Store]:
    store = Store(node)
    yield store
    store.close()


def test_what_is_stored_and_what_was_there_already_is_counted(store: Store, database: Database) -> None:
    (user,) = database.add_users()
    batch = lines(*(record(user_id=user) for _ in range(300)))
    first = store.insert(batch)
    assert (first.stored, first.duplicates, first.rejected) == (300, 0, [])
    again = store.insert(batch)
    assert (again.stored, again.duplicates) == (0, 300)
    some = store.insert([*batch[:100], *lines(*(record(user_id=user) for _ in range(50)))])
    assert (some.stored, some.duplicates) == (50, 100)
    assert counts(database) == (350, 350)


def test_unknown_users_are_inserted_and_unknown_conversations_left_out(store: Store, database: Database) -> None:
    batch = lines(*(record(user_id=uuid.uuid4(), conversation_id=uuid.uuid4()) for _ in range(30)))
    result = store.insert(batch)
    assert (result.stored, result.rejected) == (30, [])
    (user,) = database.add_users()
    (conversation,) = database.add_conversations([user])
    known = record(user_id=user, conversation_id=conversation)
    store.insert(lines(known, record(user_id=user, conversation_id=uuid.uuid4())))
    with database.connect() as connection:
        kept = connection.execute(
            "select conversation_id from public.chat_telemetry_log where user_id = %s and conversation_id is not null",
            [user],
        ).fetchall()
    assert kept == [(conversation,)]
    assert counts(database) == (32, 32)


def test_an_erased_user_stays_erased(store: Store, database: Database) -> None:
    user = uuid.uuid4()
    before = record(user_id=user)
    store.insert(lines(before))
    with database.connect() as connection:
        connection.execute("delete from auth.users where id = %s", [user])
    (rejection,) = store.insert(lines(before)).rejected
    assert (rejection.reason, rejection.may_be_kept) == (USER_ERASED, False)
    with database.connect() as connection:
        connection.execute("delete from public.chat_telemetry_changes where true")
    assert counts(database) == (0, 0)


def test_one_bad_line_is_rejected_with_its_reason_and_the_others_are_stored(store: Store, database: Database) -> None:
    (user,) = database.add_users()
    database.let_the_application_own_users()
    with database.connect() as connection:
        connection.execute("select run_command_on_workers('comment on table auth.users is null')")
    batch = [
        *lines(*(record(user_id=user) for _ in range(40))),
        raw(record(user_id=user, ttfb_ms=2**40)),
        *lines(record(user_id=uuid.uuid4())),
        raw(record(user_id=user, user_question=None)),
    ]
    result = store.insert(batch)
    assert (result.stored, result.duplicates) == (40, 0)
    reasons = {rejection.index: rejection.reason for rejection in result.rejected}
    assert reasons[40].startswith("NumericValueOutOfRange (22003)")
    assert reasons[41].startswith("ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey: your application")
    assert reasons[42].startswith("NotNullViolation (23502) of user_question")
    assert counts(database) == (40, 40)


def test_the_client_stores_each_record_once_although_its_sessions_are_ended(
    node: str, cluster: CitusServer, database: Database
) -> None:
    (user,) = database.add_users()
    accepted = 0
    with TelemetryClient(node, max_batch_age=0.01) as client:
        for n in range(2_000):
            accepted += client.persist(record(user_id=user))
            if n % 400 == 200:
                end_sessions(cluster, database)
        wait_until(lambda: client.stats().pending == 0)
        stats = client.stats()
    assert accepted == 2_000
    assert stats.stored + stats.duplicates == accepted
    assert counts(database) == (2_000, 2_000)


def end_sessions(cluster: CitusServer, database: Database) -> None:
    """On every node: those of the loader, and those of Citus for it."""
    for node in cluster.nodes(database.name):
        with psycopg.connect(node, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and usename like 'citus_test_%'"
            )
