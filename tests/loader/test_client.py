from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_telemetry import Stats, TelemetryClient, TelemetryRecord
from chat_telemetry._encoding import NO_USER
from chat_telemetry._record import COLUMNS
from tests.loader.conftest import USER, Log, adds_up, wait_until

NOWHERE = "host=/nowhere user=app password=hunter2"


def test_a_record_is_stored_in_the_table(log: Log) -> None:
    record = log.record(ai_response="Twelve.", sql_model="gpt-4o-mini-2024-07-18", ttfb_ms=480)
    with log.client() as client:
        assert client.persist(record)
        assert client.flush()
        assert client.stats() == Stats(accepted=1, stored=1)
    assert log.query("select log_id, ai_response, sql_model, ttfb_ms from public.chat_telemetry_log") == [
        (record.log_id, "Twelve.", "gpt-4o-mini-2024-07-18", 480)
    ]


def test_the_end_of_the_with_block_delivers_every_record(log: Log) -> None:
    records = [log.record() for _ in range(1200)]
    with TelemetryClient(log.conninfo, max_batch_age=60) as client:
        assert all(client.persist(record) for record in records)
    assert client.stats() == Stats(accepted=1200, stored=1200)
    assert sorted(log.stored_ids()) == sorted(record.log_id for record in records)


def test_a_change_of_a_record_after_persist_is_not_stored(log: Log) -> None:
    record = log.record(user_question="before")
    with log.client() as client:
        client.persist(record)
        record.user_question = "after"
    assert log.query("select user_question from public.chat_telemetry_log") == [("before",)]


def test_sixteen_threads_lose_and_duplicate_no_record_and_the_counters_always_add_up(log: Log) -> None:
    records = [[log.record() for _ in range(250)] for _ in range(16)]
    with log.client(batch_records=100) as client, ThreadPoolExecutor(16) as pool:
        work = [pool.submit(lambda batch: [client.persist(record) for record in batch], batch) for batch in records]
        while not all(future.done() for future in work):
            assert adds_up(client)
        assert all(all(future.result()) for future in work)
        assert client.flush(30)
        assert client.stats() == Stats(accepted=4000, stored=4000)
    assert sorted(log.stored_ids()) == sorted(record.log_id for batch in records for record in batch)


def test_asyncio_code_can_call_persist_like_any_function(log: Log) -> None:
    async def handle(client: TelemetryClient) -> bool:
        await asyncio.sleep(0)
        return client.persist(log.record())

    async def serve(client: TelemetryClient) -> list[bool]:
        return await asyncio.gather(*(handle(client) for _ in range(300)))

    with log.client() as client:
        assert all(asyncio.run(serve(client)))
    assert len(log.stored_ids()) == 300


def test_rejected_records_are_counted_and_the_others_stored(log: Log) -> None:
    with log.client() as client:
        good = [log.record() for _ in range(100)]
        for number, record in enumerate(good):
            client.persist(record)
            if number % 25 == 0:
                client.persist(log.record(user_id=uuid4()))
        assert client.flush()
        assert client.stats() == Stats(accepted=104, stored=100, rejected=4)
    assert sorted(log.stored_ids()) == sorted(record.log_id for record in good)


def test_a_record_that_is_persisted_twice_is_stored_once(log: Log) -> None:
    with log.client() as client:
        record = log.record()
        client.persist(record)
        client.flush()
        client.persist(record)
    assert client.stats() == Stats(accepted=2, stored=1, duplicates=1)


cyclic: list[object] = []
cyclic.append(cyclic)
garbage: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.sampled_from([object(), cyclic, 10**400, Exception, 1j, "2026", "NaN"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3) | st.tuples(inner),
    max_leaves=6,
)
garbage_record = st.dictionaries(st.sampled_from(COLUMNS), garbage, max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(garbage | garbage_record, max_size=20), columns=st.lists(garbage_record, max_size=20))
def test_garbage_never_raises_and_never_blocks_valid_records(
    log: Log, values: list[Any], columns: list[dict[str, Any]]
) -> None:
    with log.client() as client:
        assert not any(client.persist(value) for value in values)
        for chosen in columns:
            assert client.persist(log.record(**chosen)) in {True, False}
        good = log.record()
        assert client.persist(good)
        assert client.flush(20)
        stats = client.stats()
    assert stats.accepted + stats.invalid == len(values) + len(columns) + 1
    assert stats.stored + stats.duplicates + stats.rejected == stats.accepted
    assert good.log_id in log.stored_ids()


def test_without_a_server_a_client_uses_limited_memory_and_never_waits(log: Log) -> None:
    client = TelemetryClient(NOWHERE, max_queue_records=1000)
    started = time.monotonic()
    assert sum(client.persist(log.record()) for _ in range(20_000)) == 1000
    assert time.monotonic() - started < 30
    assert not client.flush(0.2)
    assert client.stats() == Stats(accepted=1000, pending=1000, dropped=19_000)
    assert not client.close(0.2)
    wait_until(lambda: client.stats() == Stats(accepted=1000, discarded_at_exit=1000, dropped=19_000))
    assert time.monotonic() - started < 60


def test_records_are_dropped_after_close(log: Log) -> None:
    client = TelemetryClient(log.conninfo)
    assert client.persist(log.record())
    assert client.close()
    assert client.close(), "closing twice is harmless"
    assert not client.persist(log.record())
    assert client.stats() == Stats(accepted=1, stored=1, dropped=1)


def test_a_client_without_a_database_drops_records_and_logs_how_to_configure_one(
    log: Log, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("CHAT_TELEMETRY_DATABASE_URL", raising=False)
    with TelemetryClient() as client:
        assert not any(client.persist(log.record()) for _ in range(10))
        assert client.stats() == Stats(dropped=10)
    assert caplog.messages == ["no database is configured, so records are dropped: set CHAT_TELEMETRY_DATABASE_URL"]


def test_the_default_database_comes_from_the_environment(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_TELEMETRY_DATABASE_URL", log.conninfo)
    with TelemetryClient() as client:
        client.persist(log.record())
    assert client.stats().stored == 1


def test_a_garbage_collected_client_still_delivers_its_records(log: Log) -> None:
    client = TelemetryClient(log.conninfo, max_batch_age=60)
    client.persist(log.record())
    thread = client._delivery._thread
    collected = weakref.ref(client)
    del client
    gc.collect()
    assert collected() is None
    assert thread
    thread.join(20)
    assert not thread.is_alive()
    assert len(log.stored_ids()) == 1


def test_each_kind_of_failure_is_logged_once_a_minute_without_contents_or_credentials(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    secret = {"user_question": "hunter2", "ai_response": "hunter2", "generated_sql": "hunter2"}
    with caplog.at_level(logging.DEBUG):
        with log.client(max_queue_records=20) as client:
            for _ in range(3):
                client.persist(log.record(**secret, user_id="hunter2"))
                client.persist(log.record(**secret, error_type="hunter2", ttfb_ms="hunter2"))
                client.persist(log.record(**secret, user_id=USER))
                client.persist("hunter2")  # type: ignore[arg-type]
                client.flush()
        client.persist(log.record(**secret))
        with TelemetryClient(NOWHERE, max_queue_records=1) as client:
            client.persist(log.record(**secret))
            client.persist(log.record(**secret))
            client.flush(0)
            wait_until(lambda: "cannot connect" in caplog.text)
            client.close(0)
    logged = "\n".join(f"{record.name} {record.getMessage()} {record.exc_info}" for record in caplog.records)
    assert "hunter2" not in logged
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [
        f"a record is invalid: {NO_USER}",
        "odd values were replaced, see `repaired` in stats(): ttfb_ms",
        "a record is invalid: expected TelemetryRecord, got str",
        "the database permanently rejected a record: ForeignKeyViolation (23503) of chat_telemetry_log_user_id_fkey: "
        "your application has to insert the user into auth.users first; "
        "stats() counts how many",
        "the client is closed: records are dropped",
        "the queue is full, so records are dropped: see `dropped` in stats()",
        "cannot connect to the database (No such file or directory): try the same connection string in psql; "
        "records wait in memory",
        "closed before everything was delivered: " + str(client.stats()),
    ]


def test_no_thread_starts_before_the_first_record(log: Log) -> None:
    before = threading.active_count()
    with log.client() as client:
        assert client.flush()
        assert threading.active_count() == before
        client.persist(log.record())
        client.persist(log.record())
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_an_invalid_setting_raises_in_the_constructor() -> None:
    with pytest.raises(ValueError, match="batch_records must be above zero, not 0"):
        TelemetryClient(NOWHERE, batch_records=0)


def test_the_redact_hook_changes_a_copy_and_not_the_record_of_the_application(log: Log) -> None:
    def hide(record: TelemetryRecord) -> TelemetryRecord:
        record.user_question = "hidden"
        return record

    with TelemetryClient(log.conninfo, redact=hide) as client:
        record = log.record(user_question="My password is hunter2")
        assert client.persist(record)
    assert record.user_question == "My password is hunter2"
    assert log.query("select user_question from public.chat_telemetry_log") == [("hidden",)]


def test_nothing_is_stored_if_the_redact_hook_returns_none_or_raises_or_returns_another_type(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    def redact(record: TelemetryRecord) -> TelemetryRecord | None:
        if record.user_question == "none":
            return None
        if record.user_question == "raise":
            raise ValueError("hunter2")
        return "hunter2"  # type: ignore[return-value]

    with caplog.at_level(logging.DEBUG), TelemetryClient(log.conninfo, redact=redact) as client:
        assert not any(client.persist(log.record(user_question=text)) for text in ("none", "raise", "a text"))
        assert not client.persist(None)  # type: ignore[arg-type]
    assert client.stats() == Stats(redacted=3, invalid=1)
    assert log.stored_ids() == []
    assert caplog.messages == [
        "the redact hook raised ValueError: such records are not stored",
        "a record is invalid: expected TelemetryRecord, got str",
    ]


def test_a_disabled_client_only_counts(log: Log, tmp_path: Path) -> None:
    seen: list[TelemetryRecord] = []
    before = threading.active_count()
    with TelemetryClient(log.conninfo, enabled=False, journal_dir=tmp_path / "journal", redact=seen.append) as client:
        assert not client.persist(log.record())
        assert client.flush()
        assert threading.active_count() == before
        assert client.stats() == Stats(dropped=1)
    assert (seen, list(tmp_path.iterdir()), log.stored_ids()) == ([], [], [])


def test_with_a_journal_an_outage_is_not_limited_by_memory(log: Log, tmp_path: Path) -> None:
    client = TelemetryClient(NOWHERE, max_queue_records=10, journal_dir=tmp_path)
    assert all(client.persist(log.record()) for _ in range(1000))
    assert not client.close(0.2)
    assert client.stats() == Stats(accepted=1000, left_in_journal=1000)
    with log.client(journal_dir=tmp_path) as successor:
        successor.persist(log.record())
        wait_until(lambda: successor.stats().recovered == 1000)
    assert len(log.stored_ids()) == 1001


def test_failed_journal_writes_are_logged_once_a_minute(
    log: Log, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "journal").touch()
    with log.client(journal_dir=tmp_path / "journal") as client:
        for _ in range(5):
            assert client.persist(log.record())
            assert client.flush()
        assert client.stats() == Stats(accepted=5, stored=5, journal_failures=5)
    assert caplog.messages == ["the journal cannot be written (File exists): records are in memory only"]


def test_a_record_of_a_subclass_is_stored(log: Log) -> None:
    class ChatRecord(TelemetryRecord):
        tenant: str = "a"

    with log.client() as client:
        client.persist(ChatRecord(user_id=log.user_id, user_question="q"))
    assert client.stats() == Stats(accepted=1, stored=1)
