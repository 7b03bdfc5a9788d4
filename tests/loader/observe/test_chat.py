# ruff: noqa: PT012, SIM117, TRY301, B904 - blocks that raise, one inside the other, are what is tested here
from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from chat_telemetry import TelemetryClient, TelemetryRecord, close, observe_chat
from chat_telemetry._observe.chat import ObservedChat, Step
from tests.loader.conftest import Log
from tests.providers import ANSWER, SQL, WIRE

RESPONSE = json.loads((WIRE / "openai_responses.json").read_text())
OTHER_RESPONSE = json.loads((WIRE / "anthropic.json").read_text())
CHUNKS = [
    json.loads(line.removeprefix("data: "))
    for line in (WIRE / "openai_responses.sse").read_text().splitlines()
    if line.startswith("data: ")
]
FAILED_IN = [
    ("nl_to_sql", "sql_generation", "understanding"),
    ("sql_validation", "sql_validation", "understanding"),
    ("sql_execution", "sql_execution", "looking_up"),
    ("response_generation", "response_generation", "response"),
]


class Kept:
    """Stands in the place of a client: keeps the records, so that a test sees them before the database does."""

    def __init__(self) -> None:
        self.records: list[TelemetryRecord] = []

    def persist(self, record: TelemetryRecord) -> bool:
        self.records.append(record)
        return True


@pytest.fixture
def kept() -> Kept:
    return Kept()


def observe(kept: Any, **more: Any) -> ObservedChat:
    return observe_chat(user_id="1a9c7d2e-5a1e-4c5c-9a2f-2c1d6f1f0a11", user_question="?", client=kept, **more)


async def as_async(chunks: list[Any]) -> AsyncIterator[Any]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_whole_chat_request_becomes_a_row(log: Log) -> None:
    with TelemetryClient(log.conninfo) as client:
        with observe_chat(
            user_id=log.user_id, user_question="How many?", conversation_id=log.conversation_id, client=client
        ) as chat:
            with chat.step("nl_to_sql"):
                chat.usage(RESPONSE)
                chat.record.generated_sql = SQL
            with chat.step("sql_execution"):
                chat.record.result_row_count = 1
            with chat.step("response_generation"):
                events = list(chat.stream(CHUNKS))
            chat.record.ai_response = ANSWER
            chat.record.follow_up_suggestions = ["And last year?"]
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
            "ai_response": ANSWER,
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
    assert all(0 <= stored[column] < 5_000 for column in measured)


@pytest.mark.parametrize("step", ["nl_to_sql", "sql_execution", "response_generation"])
def test_a_step_is_timed_and_one_that_is_entered_again_adds_up(kept: Kept, step: Step) -> None:
    with observe(kept) as chat:
        for _ in range(2):
            with chat.step(step):
                wait(0.03)
    assert 60 <= getattr(kept.records[0], f"{step}_duration_ms") < 2_000


def test_steps_are_timed_in_asyncio_too(kept: Kept) -> None:
    async def answer() -> list[Any]:
        async with observe(kept) as chat:
            async with chat.step("nl_to_sql"):
                await asyncio.sleep(0.03)
            async with chat.step("response_generation"):
                return [event async for event in chat.stream(as_async(CHUNKS))]

    assert asyncio.run(answer()) == CHUNKS
    assert 30 <= (kept.records[0].nl_to_sql_duration_ms or 0) < 2_000
    assert kept.records[0].response_output_tokens == 24
    assert kept.records[0].ttfb_ms is not None


def test_what_was_not_reached_is_null(kept: Kept) -> None:
    with observe(kept) as chat:
        chat.record.is_off_topic = True
    record = kept.records[0]
    filled = {column for column in record.__struct_fields__ if getattr(record, column) is not None}
    assert filled == {"log_id", "user_id", "user_question", "created_at", "is_off_topic"}


def test_only_the_first_of_several_first_bytes_counts(kept: Kept) -> None:
    with observe(kept) as chat:
        wait(0.02)
        chat.first_byte()
        wait(0.2)
        chat.first_byte()
    assert 20 <= (kept.records[0].ttfb_ms or 0) < 200


def test_the_first_byte_is_the_first_text_and_not_the_announcement_of_a_stream(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("response_generation"):
        for event in chat.stream(CHUNKS):
            if event["type"] == "response.created":
                wait(0.05)
    assert (kept.records[0].ttfb_ms or 0) >= 50


def test_a_stream_of_the_sql_is_no_first_byte(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("nl_to_sql"):
        list(chat.stream(CHUNKS))
    assert (kept.records[0].sql_output_tokens, kept.records[0].ttfb_ms) == (24, None)


def test_several_calls_in_one_step_add_up_and_the_last_model_stays(kept: Kept) -> None:
    with observe(kept) as chat:
        with chat.step("nl_to_sql"):
            chat.usage(RESPONSE)
        with chat.step("sql_execution"):
            chat.usage(OTHER_RESPONSE)
    record = kept.records[0]
    assert record.sql_model == "claude-sonnet-4-5-20250929"
    assert (record.sql_input_tokens, record.sql_output_tokens, record.sql_cached_tokens) == (3421, 91, 2824)
    assert (record.response_model, record.response_id) == (None, None)


def test_a_call_outside_of_any_step_counts_for_the_response(kept: Kept) -> None:
    with observe(kept) as chat:
        assert chat.usage(RESPONSE) is RESPONSE
    assert (kept.records[0].response_output_tokens, kept.records[0].response_id) == (38, "resp_6867f1cae59481a0")


def test_a_stream_that_is_left_early_keeps_what_it_told(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("response_generation"):
        next(iter(chat.stream(CHUNKS)))
    assert (kept.records[0].response_model, kept.records[0].response_output_tokens) == ("gpt-4.1-mini-2025-04-14", None)


def test_what_the_application_sets_is_not_overwritten(kept: Kept) -> None:
    with observe(kept) as chat:
        chat.record.sql_model, chat.record.ttfb_ms, chat.record.sql_cached_tokens = "house-model", 7, 0
        chat.first_byte()
        with chat.step("nl_to_sql"):
            chat.usage(RESPONSE)
    record = kept.records[0]
    assert (record.sql_model, record.ttfb_ms, record.sql_cached_tokens) == ("house-model", 7, 0)


@pytest.mark.parametrize(("step", "error_type", "failed_step"), FAILED_IN)
def test_an_exception_is_recorded_by_its_step_and_passes_through_unchanged(
    kept: Kept, step: Step, error_type: str, failed_step: str
) -> None:
    error = ValueError("no such thing")
    with pytest.raises(ValueError, match="no such thing") as caught, observe(kept) as chat:
        chat.record.generated_sql = SQL
        with chat.step(step):
            chat.usage(RESPONSE)
            raise error
    assert caught.value is error
    assert (error.__cause__, error.__context__, getattr(error, "__notes__", [])) == (None, None, [])
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == (error_type, failed_step)
    assert record.error_message == "ValueError: no such thing"
    assert record.generated_sql == SQL
    assert 38 in (record.sql_output_tokens, record.response_output_tokens)
    if step != "sql_validation":
        assert getattr(record, f"{step}_duration_ms") is not None


def test_an_exception_outside_of_any_step_is_unexpected(kept: Kept) -> None:
    with pytest.raises(KeyError), observe(kept) as chat:
        with chat.step("nl_to_sql"):
            pass
        raise KeyError("x")
    assert (kept.records[0].error_type, kept.records[0].failed_step) == ("unexpected", None)


def test_an_exception_belongs_to_the_innermost_step(kept: Kept) -> None:
    with pytest.raises(ValueError, match="drop"), observe(kept) as chat, chat.step("nl_to_sql"):
        with chat.step("sql_validation"):
            raise ValueError("drop table")
    assert (kept.records[0].error_type, kept.records[0].failed_step) == ("sql_validation", "understanding")
    assert kept.records[0].nl_to_sql_duration_ms is not None


def test_an_error_that_the_application_makes_of_a_failure_belongs_to_the_step_that_failed(kept: Kept) -> None:
    with pytest.raises(RuntimeError), observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such table")
        except ValueError:
            raise RuntimeError("sorry")
    assert (kept.records[0].error_type, kept.records[0].error_message) == ("sql_execution", "RuntimeError: sorry")


def test_an_error_made_in_an_outer_step_belongs_to_the_inner_one_that_it_was_raised_from(kept: Kept) -> None:
    with pytest.raises(RuntimeError), observe(kept) as chat, chat.step("nl_to_sql"):
        try:
            with chat.step("sql_validation"):
                raise ValueError("drop table")
        except ValueError as error:
            raise RuntimeError("sorry") from error
    assert kept.records[0].error_type == "sql_validation"


def test_a_failure_that_was_mended_leaves_no_trace_in_what_fails_later(kept: Kept) -> None:
    with pytest.raises(OSError, match="overloaded"), observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such column")
        except ValueError:
            with chat.step("nl_to_sql"):
                raise OSError("overloaded")
    assert kept.records[0].error_type == "sql_generation"


def test_a_failure_that_was_mended_is_no_error(kept: Kept) -> None:
    with observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such column")
        except ValueError:
            chat.record.generated_sql = SQL
    assert kept.records[0].error_type is None


def test_a_group_of_exceptions_is_recorded_by_the_step_of_the_one_in_it(kept: Kept) -> None:
    async def look_up(chat: ObservedChat) -> None:
        async with chat.step("sql_execution"):
            raise ValueError("no such table")

    async def answer() -> None:
        async with observe(kept) as chat, asyncio.TaskGroup() as group:
            group.create_task(look_up(chat))

    with pytest.raises(ExceptionGroup):
        asyncio.run(answer())
    assert kept.records[0].error_type == "sql_execution"


@pytest.mark.parametrize("inside", [True, False])
def test_an_exception_that_the_application_answers_itself_is_recorded_when_told(kept: Kept, inside: bool) -> None:
    with observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                try:
                    raise ValueError("no such table")
                except ValueError as error:
                    if inside:
                        chat.fail(error)
                    raise
        except ValueError as error:
            chat.fail(error)
        with chat.step("response_generation"):
            chat.record.ai_response = "Sorry, I could not look that up."
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("sql_execution", "looking_up")
    assert (record.error_message, record.response_generation_duration_ms) == ("ValueError: no such table", 0)


def test_a_cancelled_request_is_recorded_and_stays_cancelled(kept: Kept) -> None:
    async def answer(started: asyncio.Event) -> None:
        async with observe(kept) as chat, chat.step("response_generation"):
            started.set()
            await asyncio.sleep(60)

    async def serve() -> bool:
        started = asyncio.Event()
        task = asyncio.create_task(answer(started))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(serve())
    record = kept.records[0]
    assert (record.error_type, record.error_message) == ("response_generation", "CancelledError")


def test_a_generator_that_is_closed_is_recorded(kept: Kept) -> None:
    def answer() -> Iterator[Any]:
        with observe(kept) as chat, chat.step("response_generation"):
            yield from chat.stream(CHUNKS)

    generator = answer()
    next(generator)
    generator.close()
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("response_generation", "response")
    assert (record.error_message, record.response_model) == ("GeneratorExit", "gpt-4.1-mini-2025-04-14")


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_recorded_and_interrupts(kept: Kept, kind: type[BaseException]) -> None:
    with pytest.raises(kind), observe(kept):
        raise kind
    assert kept.records[0].error_message == kind.__name__


def test_an_error_s_message_is_cut(kept: Kept) -> None:
    with pytest.raises(ValueError, match="x"), observe(kept):
        raise ValueError("x" * 1_000_000)
    assert len(kept.records[0].error_message or "") == 2_000


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


def test_an_error_that_cannot_be_printed_is_recorded_by_its_type(kept: Kept) -> None:
    with pytest.raises(Unspeakable), observe(kept):
        raise Unspeakable
    assert kept.records[0].error_message == "Unspeakable"


def test_a_mock_in_somebody_s_tests_is_iterated_over_as_without_telemetry(kept: Kept) -> None:
    async def answer(chat: ObservedChat, stream: Any) -> list[Any]:
        return [chunk async for chunk in chat.stream(stream)]

    stream = MagicMock()
    stream.__iter__.return_value = iter([1, 2])
    stream.__aiter__.return_value = [3, 4]
    with observe(kept) as chat:
        assert list(chat.stream(stream)) == [1, 2]
        assert asyncio.run(answer(chat, stream)) == [3, 4]


def test_an_error_of_a_stream_comes_where_it_came_before(kept: Kept) -> None:
    with observe(kept) as chat:
        stream = chat.stream(None)
        with pytest.raises(TypeError):
            list(stream)


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"no {name}")


def test_a_response_that_raises_is_no_reason_to_fail(kept: Kept, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "chat_telemetry")
    hostile = [Hostile(), Hostile()]
    with observe(kept) as chat:
        chat.usage(hostile[0])
        assert list(chat.stream(hostile)) == hostile
    assert len(kept.records) == 1
    assert "RuntimeError in read" in caplog.text


class Broken:
    def persist(self, record: TelemetryRecord) -> bool:
        raise RuntimeError("no client")


def test_a_client_that_raises_is_no_reason_to_fail() -> None:
    with observe(Broken()) as chat:
        chat.record.ai_response = ANSWER
    assert chat.record.ai_response == ANSWER


def test_without_a_client_the_default_one_persists(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chat_telemetry._default_client._default.client", TelemetryClient(log.conninfo))
    with observe_chat(user_id=log.user_id, user_question="How many?") as chat:
        pass
    assert close()
    assert log.stored_ids() == [chat.record.log_id]


def test_requests_side_by_side_do_not_mix(kept: Kept) -> None:
    async def answer(number: int) -> None:
        async with observe(kept) as chat:
            chat.record.ai_response = str(number)
            async with chat.step("nl_to_sql" if number % 2 else "response_generation"):
                await asyncio.sleep(0)
                chat.usage(RESPONSE)

    async def serve() -> None:
        await asyncio.gather(*(answer(number) for number in range(100)))

    asyncio.run(serve())
    assert len(kept.records) == 100
    for record in kept.records:
        is_odd = int(record.ai_response or 0) % 2 == 1
        assert (record.sql_output_tokens, record.response_output_tokens) == ((38, None) if is_odd else (None, 38))
