# ruff: noqa: PT012, SIM117, TRY301, B904 - these tests are about nested blocks that raise
from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import CancelledError
from itertools import islice
from typing import Any

import pytest

from chat_telemetry._observe.chat import ObservedChat, Step
from chat_telemetry._observe.chat_failures import origins
from tests.loader.observe.conftest import CHUNKS, MODEL_RESPONSE, Kept, elapsed_ms, observe
from tests.providers import SQL

FAILED_IN = [
    ("nl_to_sql", "sql_generation", "understanding"),
    ("sql_validation", "sql_validation", "understanding"),
    ("sql_execution", "sql_execution", "looking_up"),
    ("response_generation", "response_generation", "response"),
]


@pytest.mark.parametrize(("step", "error_type", "failed_step"), FAILED_IN)
def test_an_exception_is_recorded_with_its_step_and_passes_through_unchanged(
    kept: Kept, step: Step, error_type: str, failed_step: str
) -> None:
    error = ValueError("no such thing")
    with pytest.raises(ValueError, match="no such thing") as caught, observe(kept) as chat:
        chat.record.generated_sql = SQL
        with chat.step(step):
            chat.usage(MODEL_RESPONSE)
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


def test_an_exception_raised_while_handling_another_is_recorded_with_the_step_that_failed_first(kept: Kept) -> None:
    with pytest.raises(RuntimeError), observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such table")
        except ValueError:
            raise RuntimeError("sorry")
    assert (kept.records[0].error_type, kept.records[0].error_message) == ("sql_execution", "RuntimeError: sorry")


def test_an_exception_raised_from_one_of_an_inner_step_is_recorded_with_the_inner_step(kept: Kept) -> None:
    with pytest.raises(RuntimeError), observe(kept) as chat, chat.step("nl_to_sql"):
        try:
            with chat.step("sql_validation"):
                raise ValueError("drop table")
        except ValueError as error:
            raise RuntimeError("sorry") from error
    assert kept.records[0].error_type == "sql_validation"


def test_a_handled_failure_does_not_change_how_a_later_failure_is_recorded(kept: Kept) -> None:
    with pytest.raises(OSError, match="overloaded"), observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such column")
        except ValueError:
            with chat.step("nl_to_sql"):
                raise OSError("overloaded")
    assert kept.records[0].error_type == "sql_generation"


def test_a_handled_failure_is_not_recorded(kept: Kept) -> None:
    with observe(kept) as chat:
        try:
            with chat.step("sql_execution"):
                raise ValueError("no such column")
        except ValueError:
            chat.record.generated_sql = SQL
    assert kept.records[0].error_type is None


def test_an_exception_group_is_recorded_with_the_step_of_its_member(kept: Kept) -> None:
    async def look_up(chat: ObservedChat) -> None:
        async with chat.step("sql_execution"):
            raise ValueError("no such table")

    async def handle() -> None:
        async with observe(kept) as chat, asyncio.TaskGroup() as group:
            group.create_task(look_up(chat))

    with pytest.raises(ExceptionGroup):
        asyncio.run(handle())
    assert kept.records[0].error_type == "sql_execution"


@pytest.mark.parametrize("inside", [True, False])
def test_an_exception_that_the_application_handles_is_recorded_by_fail(kept: Kept, inside: bool) -> None:
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
    assert record.error_message == "ValueError: no such table"
    assert record.response_generation_duration_ms is not None
    assert 0 <= record.response_generation_duration_ms <= elapsed_ms(chat)


def test_a_cancelled_request_is_recorded_and_stays_cancelled(kept: Kept) -> None:
    async def handle(started: asyncio.Event) -> None:
        async with observe(kept) as chat, chat.step("response_generation"):
            started.set()
            await asyncio.sleep(60)

    async def serve() -> bool:
        started = asyncio.Event()
        task = asyncio.create_task(handle(started))
        await started.wait()
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(serve())
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("cancelled", "response")
    assert record.error_message == "CancelledError"


def test_closing_a_generator_is_recorded(kept: Kept) -> None:
    def handle() -> Generator[Any, None, None]:
        with observe(kept) as chat, chat.step("response_generation"):
            yield from chat.stream(CHUNKS)

    generator = handle()
    next(generator)
    generator.close()
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("cancelled", "response")
    assert (record.error_message, record.response_model) == ("GeneratorExit", "gpt-4.1-mini-2025-04-14")


def named(module: str, name: str) -> BaseException:
    """An exception of a package that is not installed."""
    kind = type(name, (BaseException,), {"__module__": module})
    error: BaseException = kind("addresses and paths")
    return error


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError("by <Task pending at /path>"),
        GeneratorExit(),
        CancelledError(),
        named("trio._core._exceptions", "Cancelled"),
        named("greenlet", "GreenletExit"),
        named("starlette.requests", "ClientDisconnect"),
        named("starlette.websockets", "WebSocketDisconnect"),
        named("websockets.exceptions", "ConnectionClosedOK"),
        named("uvicorn.protocols.utils", "ClientDisconnected"),
        named("django.core.exceptions", "RequestAborted"),
        type("MyCancelled", (asyncio.CancelledError,), {})("x"),
        BaseExceptionGroup("g", [asyncio.CancelledError("x"), GeneratorExit()]),
    ],
)
def test_a_user_who_leaves_is_no_error(kept: Kept, error: BaseException) -> None:
    with pytest.raises(type(error)), observe(kept) as chat, chat.step("sql_execution"):
        raise error
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("cancelled", "looking_up")
    assert record.error_message in (
        type(error).__name__,
        "BaseExceptionGroup: CancelledError; GeneratorExit",
    )


@pytest.mark.parametrize(
    "error", [named("google.api_core.exceptions", "Cancelled"), named("psycopg.errors", "QueryCanceled")]
)
def test_an_exception_of_the_same_name_in_another_package_is_an_error(kept: Kept, error: BaseException) -> None:
    with pytest.raises(type(error)), observe(kept) as chat, chat.step("sql_execution"):
        raise error
    assert kept.records[0].error_type == "sql_execution"


def test_a_timeout_inside_of_the_chat_is_an_error_of_the_step_that_it_ended(kept: Kept) -> None:
    async def handle() -> None:
        async with observe(kept) as chat, asyncio.timeout(0.01):
            async with chat.step("sql_execution"):
                await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(handle())
    assert (kept.records[0].error_type, kept.records[0].failed_step) == ("sql_execution", "looking_up")


def test_a_group_shows_its_leaves_and_a_cancelled_sibling_is_not_the_cause(kept: Kept) -> None:
    async def look_up(chat: ObservedChat) -> None:
        async with chat.step("sql_execution"):
            await asyncio.sleep(0.01)
            raise ValueError("no such table")

    async def suggest(chat: ObservedChat) -> None:
        async with chat.step("response_generation"):
            await asyncio.sleep(60)

    async def handle() -> None:
        async with observe(kept) as chat, chat.step("nl_to_sql"), asyncio.TaskGroup() as group:
            group.create_task(look_up(chat))
            group.create_task(suggest(chat))

    with pytest.raises(ExceptionGroup):
        asyncio.run(handle())
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("sql_execution", "looking_up")
    assert record.error_message == "ExceptionGroup: ValueError: no such table"


def test_the_message_of_a_group_of_groups_has_each_leaf_once(kept: Kept) -> None:
    group = ExceptionGroup("a", [ValueError("x"), ExceptionGroup("b", [KeyError("y"), ValueError("x")])])
    with pytest.raises(ExceptionGroup), observe(kept):
        raise group
    assert kept.records[0].error_message == "ExceptionGroup: ValueError: x; KeyError: 'y'"


FAILED = {"id": "r", "model": "m", "status": "failed", "error": {"code": "server_error"}, "usage": None}


def test_a_response_that_failed_is_an_error_of_its_step(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("nl_to_sql"):
        chat.usage(FAILED)
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("sql_generation", "understanding")
    assert record.error_message == "response failed: server_error"


def test_a_stream_that_ends_incomplete_is_an_error_of_its_step(kept: Kept) -> None:
    response = {"id": "r", "model": "m", "status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    with observe(kept) as chat, chat.step("response_generation"):
        list(chat.stream([*CHUNKS[:-1], {"type": "response.incomplete", "response": response}]))
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("response_generation", "response")
    assert record.error_message == "response incomplete: content_filter"


def test_a_response_that_the_provider_cancelled_is_no_error(kept: Kept) -> None:
    with observe(kept) as chat:
        chat.usage({**FAILED, "status": "cancelled", "error": None})
    assert (kept.records[0].error_type, kept.records[0].error_message) == ("cancelled", "response cancelled")


def test_a_failed_response_that_is_tried_again_is_no_error(kept: Kept) -> None:
    with observe(kept) as chat:
        with chat.step("nl_to_sql"):
            chat.usage(FAILED)
            chat.usage(MODEL_RESPONSE)
        with chat.step("response_generation"):
            chat.stream([])
    assert kept.records[0].error_type is None


def test_an_exception_comes_before_a_failed_response(kept: Kept) -> None:
    with pytest.raises(ValueError, match="no SQL"), observe(kept) as chat, chat.step("nl_to_sql"):
        chat.usage(FAILED)
        raise ValueError("no SQL")
    assert kept.records[0].error_message == "ValueError: no SQL"


def test_a_generator_that_is_closed_late_took_until_its_last_chunk(kept: Kept) -> None:
    chat = observe(kept)

    def handle() -> Generator[Any, None, None]:
        with chat, chat.step("response_generation"):
            yield from chat.stream(CHUNKS)

    generator = handle()
    for _ in range(5):
        next(generator)
    most = elapsed_ms(chat)
    threading.Event().wait(0.3)
    generator.close()
    assert (kept.records[0].response_generation_duration_ms or 0) <= most
    assert kept.records[0].ttfb_ms is not None


def test_a_generator_that_is_closed_late_has_no_duration_if_nothing_was_observed(kept: Kept) -> None:
    def handle() -> Generator[int, None, None]:
        with observe(kept) as chat, chat.step("response_generation"):
            yield 1

    generator = handle()
    next(generator)
    generator.close()
    assert kept.records[0].response_generation_duration_ms is None


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_is_recorded_and_passes_through(kept: Kept, kind: type[BaseException]) -> None:
    with pytest.raises(kind), observe(kept):
        raise kind
    assert kept.records[0].error_message == kind.__name__


def test_a_long_error_message_is_cut(kept: Kept) -> None:
    with pytest.raises(ValueError, match="x"), observe(kept):
        raise ValueError("x" * 1_000_000)
    assert len(kept.records[0].error_message or "") == 2_000


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_that_cannot_be_printed_is_recorded_by_its_type(kept: Kept) -> None:
    with pytest.raises(Unprintable), observe(kept):
        raise Unprintable
    assert kept.records[0].error_message == "Unprintable"


def test_exceptions_that_cause_each_other_are_each_visited_once() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    second.__context__ = second
    assert list(islice(origins(first), 10)) == [first, second]


def test_causes_contexts_and_members_of_groups_are_visited() -> None:
    cause, context, member = ValueError("cause"), ValueError("context"), ValueError("member")
    member.__cause__, member.__context__ = cause, context
    group = ExceptionGroup("group", [ExceptionGroup("inner", [member])])
    visited = list(islice(origins(group), 10))
    assert {str(error) for error in visited if type(error) is ValueError} == {"cause", "context", "member"}


class HostileCause(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no cause")


class WithoutModule(Exception):
    __module__ = None  # type: ignore[assignment]


def nested_group() -> BaseException:
    group: BaseException = ValueError("x")
    for _ in range(5000):
        group = BaseExceptionGroup("g", [group])
    return group


@pytest.mark.parametrize("make", [HostileCause, WithoutModule, nested_group])
def test_an_odd_exception_passes_through_and_the_rest_is_recorded(kept: Kept, make: Any) -> None:
    error = make()
    with pytest.raises(type(error)) as caught, observe(kept) as chat, chat.step("nl_to_sql"):
        chat.usage(MODEL_RESPONSE)
        raise error
    assert caught.value is error
    assert kept.records[0].sql_output_tokens == 38
    assert kept.records[0].nl_to_sql_duration_ms is not None


def test_a_generator_inside_of_a_generator_that_is_closed_is_recorded(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    def inner(chat: ObservedChat) -> Generator[Any, None, None]:
        with chat.step("response_generation"):
            yield from chat.stream(CHUNKS)

    def handle() -> Generator[Any, None, None]:
        with observe(kept) as chat:
            for chunk in inner(chat):  # noqa: UP028 - the inner generator is closed on its own
                yield chunk

    generator = handle()
    for _ in range(5):
        next(generator)
    generator.close()
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("cancelled", "response")
    assert record.response_generation_duration_ms is not None
    assert caplog.messages == []


def test_an_asynchronous_generator_inside_of_one_that_is_closed_is_recorded(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    async def inner(chat: ObservedChat) -> AsyncGenerator[Any, None]:
        async with chat.step("response_generation"):
            for chunk in chat.stream(CHUNKS):
                yield chunk

    async def handle() -> AsyncGenerator[Any, None]:
        async with observe(kept) as chat:
            async for chunk in inner(chat):
                yield chunk

    async def serve() -> None:
        generator = handle()
        for _ in range(5):
            await anext(generator)
        await generator.aclose()

    asyncio.run(serve())
    gc.collect()
    record = kept.records[0]
    assert (record.error_type, record.failed_step) == ("cancelled", "response")
    assert record.response_generation_duration_ms is not None
    assert caplog.messages == []
