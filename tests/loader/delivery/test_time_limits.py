"""A database that is too slow for a batch. It gets smaller ones until they are stored, and larger ones again later."""

from __future__ import annotations

import logging

import pytest

from chat_telemetry import Stats
from chat_telemetry._delivery import store as store_module
from chat_telemetry._delivery.batch_size import SUCCESSES_TO_GROW, BatchSize
from chat_telemetry._delivery.store import InsertResult, Store
from chat_telemetry._errors import DatabaseUnavailable
from tests.loader.conftest import WRITER, Log, adds_up
from tests.loader.delivery.conftest import limited, lines


def slow_down(log: Log, seconds: float) -> None:
    """Let each row take this long."""
    log.execute(f"""
        create function slow() returns trigger language plpgsql as $$
        begin perform pg_sleep({seconds}); return new; end $$;
        create trigger slow before insert on public.chat_telemetry_log for each row execute function slow();
    """)


def limit(log: Log, setting: str, value: str) -> None:
    log.execute(f"alter role {WRITER} in database {log.database.name} set {setting} = '{value}'")


def fail_at_fifth_row(log: Log, error_code: str) -> None:
    """Let each statement of more than four rows fail, like a limit that four rows stay within."""
    log.execute(f"""
        create function start() returns trigger language plpgsql as $$
        begin perform set_config('test.rows', '0', true); return null; end $$;
        create function fail() returns trigger language plpgsql as $$
        begin
            perform set_config('test.rows', (current_setting('test.rows')::int + 1)::text, true);
            if current_setting('test.rows')::int > 4 then raise 'too slow' using errcode = '{error_code}'; end if;
            return new;
        end $$;
        create trigger a before insert on public.chat_telemetry_log for each statement execute function start();
        create trigger b before insert on public.chat_telemetry_log for each row execute function fail();
    """)


@pytest.mark.parametrize("error_code", ["57014", "55P03", "25P04"])
def test_a_batch_that_exceeds_a_time_limit_is_sent_in_smaller_ones(log: Log, store: Store, error_code: str) -> None:
    fail_at_fifth_row(log, error_code)
    assert store.insert(lines(*(log.record() for _ in range(30)))) == InsertResult(stored=30, duplicates=0)
    assert store.size.limit == 3
    assert len(log.stored_ids()) == 30


def test_records_of_a_role_with_a_statement_timeout_are_delivered_by_a_slow_database(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    slow_down(log, 0.005)
    limit(log, "statement_timeout", "400ms")
    with caplog.at_level(logging.WARNING, logger="chat_telemetry"), log.client(max_batch_age=1) as client:
        for _ in range(200):
            client.persist(log.record())
        while not client.flush(0.05):
            assert adds_up(client)
        assert client.stats() == Stats(accepted=200, stored=200)
    assert caplog.messages == []


def test_records_are_delivered_within_a_transaction_timeout(log: Log) -> None:
    ((version,),) = log.query("select current_setting('server_version_num')::int")
    if version < 170000:
        pytest.skip("a setting of PostgreSQL 17")
    slow_down(log, 0.01)
    limit(log, "transaction_timeout", "400ms")
    with log.client() as client:
        for _ in range(100):
            client.persist(log.record())
        assert client.flush(20)
    assert client.stats().stored + client.stats().duplicates == 100


def test_a_pooler_that_ends_a_slow_statement_gets_smaller_batches(
    log: Log, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SLOW_S", 0.2)
    log.execute("""
        create function cut() returns trigger language plpgsql security definer as $$
        begin
            if (select count(*) from new_rows) > 4 then
                perform pg_sleep(0.3);
                perform pg_terminate_backend(pg_backend_pid());
                perform pg_sleep(1);
            end if;
            return null;
        end $$;
        create trigger cut after insert on public.chat_telemetry_log referencing new table as new_rows
        for each statement execute function cut();
    """)
    assert store.insert(lines(*(log.record() for _ in range(10)))).stored == 10


def test_a_single_record_that_exceeds_a_time_limit_waits_and_is_not_rejected(log: Log) -> None:
    slow_down(log, 0.3)
    limit(log, "statement_timeout", "100ms")
    with log.client() as client:
        for _ in range(3):
            client.persist(log.record())
        assert not client.flush(3)
        assert client.stats() == Stats(accepted=3, pending=3)
        log.execute("drop trigger slow on public.chat_telemetry_log")
        assert client.flush()
        assert client.stats() == Stats(accepted=3, stored=3)


def test_an_unanswered_batch_is_halved_for_the_next_attempt(log: Log, store: Store) -> None:
    store.insert(lines(log.record()))
    slow_down(log, 1)
    batch = lines(*(log.record() for _ in range(8)))
    with limited(store, 0.5), pytest.raises(DatabaseUnavailable):
        store.insert(batch)
    assert store.size.limit == 4
    log.execute("drop trigger slow on public.chat_telemetry_log")
    result = store.insert(batch)
    assert result.stored + result.duplicates == 8


def test_a_size_grows_only_after_many_full_batches_in_a_row() -> None:
    size = BatchSize()
    size.was_too_large(500)
    for _ in range(SUCCESSES_TO_GROW - 1):
        size.was_stored(250)
        size.was_stored(10)
    assert size.limit == 250
    size.was_stored(250)
    assert size.limit == 500
    size.was_too_large(400)
    assert size.limit == 200
    size.was_too_large(1)
    assert size.limit == 1
