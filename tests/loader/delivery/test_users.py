"""Users that the database does not know: inserted if the migrations made their table, and never after an erasure."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from chat_telemetry import ANONYMOUS_USER, Stats, TelemetryClient, observe_chat, user_key
from chat_telemetry._delivery.store import USER_ERASED, InsertResult, Store
from tests.conftest import Database
from tests.loader.conftest import Log, record, wait_until
from tests.loader.delivery.conftest import lines


@pytest.fixture
def stand_in(log: Log) -> Log:
    """The log, with the users' table as the migrations made it."""
    log.execute(
        "comment on table auth.users is 'Made by chat-telemetry in place of Supabase''s table: one row per user.'"
    )
    return log


@pytest.fixture(params=["telemetry_writer", "service_role"])
def login(request: pytest.FixtureRequest, stand_in: Log) -> Iterator[Log]:
    """The log, for a login role that is a member of one of the two roles for chat code."""
    role = f"login_{request.param}_{uuid4().hex[:8]}"
    stand_in.execute(f"create role {role} login password '{role}' in role {request.param}")
    conninfo = make_conninfo(stand_in.conninfo, user=role, password=role)
    yield Log(stand_in.database, conninfo, stand_in.user_id, stand_in.conversation_id)
    stand_in.execute(f"drop role {role}")


def users(log: Log) -> set[UUID]:
    return {row[0] for row in log.query("select id from auth.users")}


def test_the_steps_of_the_readme_store_a_record_of_any_user(login: Log) -> None:
    with login.client() as client:
        for user_id in (uuid4(), user_key(42), user_key("auth0|65f1"), ANONYMOUS_USER):
            with observe_chat(user_id=user_id, user_question="How many orders?", client=client):
                pass
        assert client.flush()
        assert client.stats() == Stats(accepted=4, stored=4)
    assert {user_key(42), user_key("auth0|65f1"), ANONYMOUS_USER} < users(login)


def test_the_unknown_users_of_a_batch_are_inserted_once(stand_in: Log) -> None:
    unknown = [uuid4() for _ in range(20)]
    records = [record(user_id=user, conversation_id=uuid4()) for user in unknown * 10] + [stand_in.record()]
    store = Store(stand_in.conninfo)
    assert store.insert(lines(*records)) == InsertResult(stored=201, duplicates=0)
    assert store.insert(lines(*records)) == InsertResult(stored=0, duplicates=201)
    assert users(stand_in) == {*unknown, stand_in.user_id}
    store.close()


def test_no_user_is_inserted_into_a_table_of_the_application(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.execute("grant insert on table auth.users to public")
    with log.client() as client:
        client.persist(record(user_id=uuid4()))
        assert client.flush()
        assert client.stats() == Stats(accepted=1, rejected=1)
    assert users(log) == {log.user_id}
    assert caplog.messages == [
        "the database permanently rejected a record: ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey: "
        "your application has to insert the user into auth.users first; stats() counts how many"
    ]


@pytest.mark.parametrize("missing", ["revoke insert on auth.users from {}", "revoke usage on schema auth from {}"])
def test_a_role_without_the_right_to_insert_users_stores_those_of_known_ones(stand_in: Log, missing: str) -> None:
    stand_in.execute(missing.format("service_role"))
    store = Store(stand_in.conninfo)
    result = store.insert(lines(stand_in.record(), record(user_id=uuid4()), stand_in.record()))
    assert (result.stored, [rejection.index for rejection in result.rejected]) == (2, [1])
    store.close()


def test_a_database_without_the_table_of_erased_users_still_rejects_only_the_row(stand_in: Log) -> None:
    stand_in.execute("drop trigger trg_note_erased_users on auth.users; drop table public.chat_telemetry_erased_users")
    store = Store(stand_in.conninfo)
    result = store.insert(lines(stand_in.record(), record(user_id=uuid4())))
    assert (result.stored, [rejection.index for rejection in result.rejected]) == (1, [1])
    store.close()


def test_an_erased_user_does_not_come_back_through_a_journal(stand_in: Log, tmp_path: Path) -> None:
    victim = uuid4()
    stand_in.execute(f"insert into auth.users values ('{victim}')")
    down = TelemetryClient("host=/nowhere", journal_dir=tmp_path / "journal")
    assert down.persist(record(user_id=victim, user_question="XYZZY"))
    assert down.persist(stand_in.record())
    down.close(0)
    stand_in.execute(f"delete from auth.users where id = '{victim}'")
    with stand_in.client(journal_dir=tmp_path / "journal") as client:
        client.persist(stand_in.record())
        assert client.flush()
        _wait_for_recovery(client, 2)
        assert client.stats() == Stats(accepted=1, stored=2, rejected=1, recovered=2)
    assert users(stand_in) == {stand_in.user_id}
    assert stand_in.query("select count(*) from public.chat_telemetry_log") == [(2,)]
    assert _texts_in(tmp_path) == ""


def test_an_erased_user_stays_erased_until_the_row_is_deleted(stand_in: Log) -> None:
    victim, now = uuid4(), datetime.now(UTC)
    stand_in.execute(f"insert into auth.users values ('{victim}'); delete from auth.users where id = '{victim}'")
    old = record(user_id=victim, created_at=now - timedelta(minutes=1))
    new = record(user_id=victim, created_at=now + timedelta(minutes=1))
    store = Store(stand_in.conninfo)
    result = store.insert(lines(new, stand_in.record(), old))
    assert result.stored == 1
    assert [(rejection.index, rejection.may_be_kept) for rejection in result.rejected] == [(0, True), (2, False)]
    assert {rejection.reason for rejection in result.rejected} == {USER_ERASED}
    stand_in.execute("delete from public.chat_telemetry_erased_users")
    assert store.insert(lines(new)).stored == 1
    store.close()


def test_each_erasure_of_a_statement_is_noted_and_of_a_user_the_last_one(database: Database) -> None:
    with database.connect() as connection:
        erased = database.add_users(3)
        connection.execute("delete from auth.users")
        noted = connection.execute("select user_digest from public.chat_telemetry_erased_users").fetchall()
        assert {row[0] for row in noted} == {digest(user) for user in erased}
        connection.execute("update public.chat_telemetry_erased_users set erased_at = '2020-01-01'")
        connection.execute("insert into auth.users values (%s)", [erased[0]])
        connection.execute("delete from auth.users")
        later = "select user_digest from public.chat_telemetry_erased_users where erased_at > '2021-01-01'"
        assert connection.execute(later).fetchall() == [(digest(erased[0]),)]


@pytest.mark.parametrize("role", ["telemetry_writer", "service_role"])
def test_the_loader_reads_the_erased_users_and_nobody_else_writes_them(database: Database, role: str) -> None:
    with database.connect() as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        assert connection.execute("select * from public.chat_telemetry_erased_users").fetchall() == []
        for statement in (
            "insert into public.chat_telemetry_erased_users values ('x')",
            "delete from public.chat_telemetry_erased_users",
            "select public.chat_telemetry_note_erased_users()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def digest(user: UUID) -> bytes:
    return hashlib.sha256(str(user).encode()).digest()


def _texts_in(directory: Path) -> str:
    return "".join(path.read_text() for path in directory.rglob("*.jsonl"))


def _wait_for_recovery(client: TelemetryClient, count: int) -> None:
    wait_until(lambda: client.stats().recovered == count)


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "chat_telemetry")
