from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import MagicMock

import openai
import pytest

from chat_telemetry import TelemetryClient, TelemetryRecord, close, observe_chat
from chat_telemetry._observe.chat import ObservedChat, Step
from tests.loader.conftest import Log
from tests.loader.observe.conftest import CHUNKS, MODEL_RESPONSE, Kept, elapsed_ms, observe
from tests.providers import RESPONSE_TEXT, SQL, WIRE

OTHER_MODEL_RESPONSE = json.loads((WIRE / "anthropic.json").read_text())


async def as_async(chunks: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_chat_request_becomes_one_row(log: Log) -> None:
    with TelemetryClient(log.conninfo) as client:
        with observe_chat(
            user_id=log.user_id, user_question="How many?", conversation_id=log.conversation_id, client=client
        ) as chat:
            with chat.step("nl_to_sql"):
                chat.usage(MODEL_RESPONSE)
                chat.record.generated_sql = SQL
            with chat.step("sql_execution"):
                chat.record.result_row_count = 1
            with chat.step("response_generation"):
                events = list(chat.stream(CHUNKS))
            chat.record.ai_response = RESPONSE_TEXT
            chat.record.follow_up_suggestions = ["And last year?"]
        most = elapsed_ms(chat)
        assert client.flush()
    assert events == CHUNKS
    (row,) = log.query("select to_jsonb(log) from public.chat_telemetry_log as log")
    stored = row[0]
    assert (
        stored.items()
        >= {
            "log_id": str(chat.record.log_id),
            "user_id": str(log.user_id),
            "conversation_id": str(log.conversation_id),
            "user_question": "How many?",
            "response_id": "resp_7d41c0de",
            "ai_response": RESPONSE_TEXT,
            "generated_sql": SQL,
            "result_row_count": 1,
            "follow_up_suggestions": ["And last year?"],
            "error_type": None,
            "error_message": None,
            "failed_step": None,
            "is_off_topic": False,
            "sql_model": "gpt-4o-mini-2024-07-18",
            "sql_input_tokens": 1412,
            "sql_output_tokens": 38,
            "sql_cached_tokens": 1024,
            "response_model": "gpt-4.1-mini-2025-04-14",
            "response_input_tokens": 512,
            "response_output_tokens": 24,
            "response_cached_tokens": 128,
        }.items()
    )
    measured = ("nl_to_sql_duration_ms", "sql_execution_duration_ms", "response_generation_duration_ms", "ttfb_ms")
    assert all(0 <= stored[column] <= most for column in measured)


@pytest.mark.parametrize("step", ["nl_to_sql", "sql_execution", "response_generation"])
def test_the_durations_of_a_step_that_is_entered_twice_add_up(kept: Kept, step: Step) -> None:
    with observe(kept) as chat:
        for _ in range(2):
            with chat.step(step):
                wait(0.03)
    assert 60 <= getattr(kept.records[0], f"{step}_duration_ms") <= elapsed_ms(chat)


def test_steps_of_asyncio_code_are_timed(kept: Kept) -> None:
    most = 0

    async def handle() -> list[Any]:
        nonlocal most
        async with observe(kept) as chat:
            async with chat.step("nl_to_sql"):
                await asyncio.sleep(0.03)
            most = elapsed_ms(chat)
            async with chat.step("response_generation"):
                return [event async for event in chat.stream(as_async(CHUNKS))]

    assert asyncio.run(handle()) == CHUNKS
    assert 30 <= (kept.records[0].nl_to_sql_duration_ms or 0) <= most
    assert kept.records[0].response_output_tokens == 24
    assert kept.records[0].ttfb_ms is not None


def test_columns_of_steps_that_did_not_run_are_null(kept: Kept) -> None:
    with observe(kept) as chat:
        chat.record.is_off_topic = True
    record = kept.records[0]
    filled = {column for column in record.__struct_fields__ if getattr(record, column) is not None}
    assert filled == {"log_id", "user_id", "user_question", "created_at", "is_off_topic"}


def test_only_the_first_call_of_first_byte_counts(kept: Kept) -> None:
    with observe(kept) as chat:
        wait(0.02)
        chat.first_byte()
        until_first = elapsed_ms(chat)
        wait(0.2)
        chat.first_byte()
    assert 20 <= (kept.records[0].ttfb_ms or 0) <= until_first


def test_the_first_byte_is_the_first_text_of_a_stream_and_not_its_first_event(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("response_generation"):
        for event in chat.stream(CHUNKS):
            if event["type"] == "response.created":
                wait(0.05)
    assert (kept.records[0].ttfb_ms or 0) >= 50


def test_streamed_sql_is_not_the_first_byte(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("nl_to_sql"):
        list(chat.stream(CHUNKS))
    assert (kept.records[0].sql_output_tokens, kept.records[0].ttfb_ms) == (24, None)


def test_the_tokens_of_several_calls_add_up_and_the_last_model_is_kept(kept: Kept) -> None:
    with observe(kept) as chat:
        with chat.step("nl_to_sql"):
            chat.usage(MODEL_RESPONSE)
        with chat.step("sql_execution"):
            chat.usage(OTHER_MODEL_RESPONSE)
    record = kept.records[0]
    assert record.sql_model == "claude-sonnet-4-5-20250929"
    assert (record.sql_input_tokens, record.sql_output_tokens, record.sql_cached_tokens) == (3421, 91, 2824)
    assert (record.response_model, record.response_id) == (None, None)


def test_a_call_outside_of_any_step_counts_for_the_response(kept: Kept) -> None:
    with observe(kept) as chat:
        assert chat.usage(MODEL_RESPONSE) is MODEL_RESPONSE
    assert (kept.records[0].response_output_tokens, kept.records[0].response_id) == (38, "resp_6867f1cae59481a0")


def test_a_stream_that_is_left_early_keeps_the_values_read_so_far(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("response_generation"):
        next(iter(chat.stream(CHUNKS)))
    assert (kept.records[0].response_model, kept.records[0].response_output_tokens) == ("gpt-4.1-mini-2025-04-14", None)


def test_values_that_the_application_sets_are_not_overwritten(kept: Kept) -> None:
    with observe(kept) as chat:
        chat.record.sql_model, chat.record.ttfb_ms, chat.record.sql_cached_tokens = "house-model", 7, 0
        chat.first_byte()
        with chat.step("nl_to_sql"):
            chat.usage(MODEL_RESPONSE)
    record = kept.records[0]
    assert (record.sql_model, record.ttfb_ms, record.sql_cached_tokens) == ("house-model", 7, 0)


def test_a_mock_is_iterated_over_like_without_telemetry(kept: Kept) -> None:
    async def handle(chat: ObservedChat, stream: Any) -> list[Any]:
        return [chunk async for chunk in chat.stream(stream)]

    stream = MagicMock()
    stream.__iter__.return_value = iter([1, 2])
    stream.__aiter__.return_value = [3, 4]
    with observe(kept) as chat:
        assert list(chat.stream(stream)) == [1, 2]
        assert asyncio.run(handle(chat, stream)) == [3, 4]


def test_a_stream_that_cannot_be_iterated_over_raises_like_without_telemetry(kept: Kept) -> None:
    with observe(kept) as chat:
        stream: Any = chat.stream(None)
        with pytest.raises(TypeError):
            list(stream)


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def test_a_model_response_that_raises_does_not_fail_the_chat_request(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "chat_telemetry")
    hostile = [Hostile(), Hostile()]
    with observe(kept) as chat:
        chat.usage(hostile[0])
        assert list(chat.stream(hostile)) == hostile
    assert len(kept.records) == 1
    assert "RuntimeError in _read" in caplog.text
    assert "RuntimeError in stream" in caplog.text


class Broken:
    def persist(self, record: TelemetryRecord) -> bool:
        raise RuntimeError("no client")


def test_a_client_that_raises_does_not_fail_the_chat_request() -> None:
    with observe(Broken()) as chat:
        chat.record.ai_response = RESPONSE_TEXT
    assert chat.record.ai_response == RESPONSE_TEXT


def test_the_default_client_persists_if_no_client_is_given(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_telemetry._default_client._default.client", TelemetryClient(log.conninfo))
    with observe_chat(user_id=log.user_id, user_question="How many?") as chat:
        pass
    assert close()
    assert log.stored_ids() == [chat.record.log_id]


def test_concurrent_chat_requests_do_not_mix(kept: Kept) -> None:
    async def handle(number: int) -> None:
        async with observe(kept) as chat:
            chat.record.ai_response = str(number)
            async with chat.step("nl_to_sql" if number % 2 else "response_generation"):
                await asyncio.sleep(0)
                chat.usage(MODEL_RESPONSE)

    async def serve() -> None:
        await asyncio.gather(*(handle(number) for number in range(100)))

    asyncio.run(serve())
    assert len(kept.records) == 100
    for record in kept.records:
        is_odd = int(record.ai_response or 0) % 2 == 1
        assert (record.sql_output_tokens, record.response_output_tokens) == ((38, None) if is_odd else (None, 38))


@pytest.mark.parametrize("name", ["sql_generation", "response", "", None, 7, ["nl_to_sql"]])
def test_a_step_with_an_unknown_name_is_told_once_and_changes_nothing(
    kept: Kept, caplog: pytest.LogCaptureFixture, name: Any
) -> None:
    with pytest.raises(ValueError, match="x"), observe(kept) as chat, chat.step("nl_to_sql"), chat.step(name):  # noqa: PT012
        chat.usage(MODEL_RESPONSE)
        with chat.step(name):
            raise ValueError("x")
    record = kept.records[0]
    assert (record.sql_output_tokens, record.error_type) == (38, "sql_generation")
    assert caplog.messages == [
        f"unknown step {str(name)!r}: use nl_to_sql, sql_validation, sql_execution, response_generation"
    ]


def test_an_unknown_step_outside_of_all_steps_counts_as_outside(kept: Kept) -> None:
    async def handle() -> None:
        async with observe(kept) as chat, chat.step("retrieval"):  # type: ignore[arg-type]
            chat.usage(MODEL_RESPONSE)

    asyncio.run(handle())
    assert (kept.records[0].sql_output_tokens, kept.records[0].response_output_tokens) == (None, 38)


def test_the_number_of_texts_of_advice_is_bounded(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    with observe(kept) as chat:
        for number in range(200):
            chat.step(f"step {number}")  # type: ignore[arg-type]
        with chat:
            pass
    assert len(caplog.messages) == 21
    assert "entered twice" in caplog.messages[-1]


def test_a_coroutine_is_no_model_response(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    async def create() -> Any:
        return MODEL_RESPONSE

    async def handle() -> None:
        async with observe(kept) as chat:
            for _ in range(2):
                assert await chat.usage(create()) is MODEL_RESPONSE

    asyncio.run(handle())
    assert caplog.messages == ["chat.usage got a coroutine, which is no model response: write chat.usage(await …)"]


def test_a_raw_http_response_is_no_model_response(kept: Kept, provider: str, caplog: pytest.LogCaptureFixture) -> None:
    with openai.OpenAI(base_url=f"{provider}/v1", api_key="none") as client, observe(kept) as chat:
        raw = chat.usage(client.responses.with_raw_response.create(model="m", input="How many?"))
        chat.usage(raw.parse())
    assert caplog.messages == ["chat.usage got a raw HTTP response: hand it what its parse() returns"]
    assert kept.records[0].response_output_tokens == 38


def test_an_unknown_object_leaves_a_line_for_who_looks_for_the_reason(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "chat_telemetry")
    with observe(kept) as chat:
        chat.usage(object())
    assert caplog.messages == ["an object of type object is no model response that is known"]


LATE = "observe_chat was used after its block, which persisted the record: put the block where the chat request ends"


def test_a_chat_that_is_used_after_its_block_is_reported_once(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    with observe(kept) as chat:
        pass
    with chat.step("nl_to_sql"):
        chat.usage(MODEL_RESPONSE)
    assert list(chat.stream(CHUNKS)) == CHUNKS
    assert caplog.messages == [LATE]
    assert len(kept.records) == 1


def test_a_chat_that_is_entered_twice_persists_two_records(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    chat = observe(kept)
    for _ in range(2):
        with chat, chat.step("nl_to_sql"):
            chat.usage(MODEL_RESPONSE)
            chat.record.ai_response = RESPONSE_TEXT
    first, second = kept.records
    assert first.log_id != second.log_id
    assert (first.sql_output_tokens, second.sql_output_tokens) == (38, 38)
    assert caplog.messages == ["one observe_chat was entered twice: call observe_chat for each chat request"]


def test_a_chat_that_is_entered_within_itself_persists_one_record(kept: Kept) -> None:
    chat = observe(kept)
    with chat:
        with chat:
            chat.usage(MODEL_RESPONSE)
        chat.usage(MODEL_RESPONSE)
    assert [record.response_output_tokens for record in kept.records] == [76]


def test_a_chat_is_freed_without_the_garbage_collector(kept: Kept) -> None:
    def handle() -> weakref.ref[ObservedChat]:
        with contextlib.suppress(ValueError), observe(kept) as chat, chat.step("nl_to_sql"):
            list(chat.stream(CHUNKS))
            raise ValueError("x")
        return weakref.ref(chat)

    gc.disable()
    try:
        assert handle()() is None
    finally:
        gc.enable()
