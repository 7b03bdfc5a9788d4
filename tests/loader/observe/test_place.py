"""Which chat request and which step a model call counts for, wherever the code runs."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

from chat_telemetry import current
from chat_telemetry._observe.chat import ObservedChat
from tests.loader.observe.conftest import MODEL_RESPONSE, Kept, elapsed_ms, observe

IN, OUT = 1412, 38  # of MODEL_RESPONSE


def counted(kept: Kept, number: int = 0) -> tuple[int | None, int | None]:
    """The output tokens that count for the SQL and for the response."""
    return kept.records[number].sql_output_tokens, kept.records[number].response_output_tokens


def test_there_is_no_current_chat_outside_of_a_block(kept: Kept) -> None:
    assert current() is None
    with observe(kept) as chat:
        assert current() is chat
        with chat.step("nl_to_sql"):
            assert current() is chat
    assert current() is None


def test_a_nested_chat_is_the_current_one_until_it_ends(kept: Kept) -> None:
    with observe(kept) as outer, outer.step("nl_to_sql"):
        with observe(kept) as inner:
            assert current() is inner
            outer.usage(MODEL_RESPONSE)
            inner.usage(MODEL_RESPONSE)
        assert current() is outer
        outer.usage(MODEL_RESPONSE)
    assert counted(kept, 0) == (None, OUT)
    assert counted(kept, 1) == (2 * OUT, None)


async def generate(chat: ObservedChat, barrier: asyncio.Barrier) -> None:
    async with chat.step("nl_to_sql"):
        await barrier.wait()
        chat.usage(MODEL_RESPONSE)
        await barrier.wait()


async def respond(chat: ObservedChat, barrier: asyncio.Barrier) -> None:
    await barrier.wait()
    chat.usage(MODEL_RESPONSE)
    await barrier.wait()


def test_tasks_that_run_side_by_side_count_for_their_own_steps(kept: Kept) -> None:
    async def handle() -> None:
        barrier = asyncio.Barrier(4)
        async with observe(kept) as chat:
            await asyncio.gather(*(generate(chat, barrier) for _ in range(3)), respond(chat, barrier))
            chat.usage(MODEL_RESPONSE)  # outside of all steps: no task left its step behind

    asyncio.run(handle())
    assert counted(kept) == (3 * OUT, 2 * OUT)


def test_a_task_group_in_a_step_counts_for_that_step(kept: Kept) -> None:
    async def call(chat: ObservedChat) -> None:
        assert current() is chat
        chat.usage(MODEL_RESPONSE)

    async def handle() -> None:
        async with observe(kept) as chat, chat.step("nl_to_sql"), asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(call(chat))

    asyncio.run(handle())
    assert counted(kept) == (3 * OUT, None)


def test_a_task_that_outlives_its_step_still_counts_for_it(kept: Kept) -> None:
    async def handle() -> None:
        async with observe(kept) as chat:
            ended = asyncio.Event()

            async def call() -> None:
                await ended.wait()
                chat.usage(MODEL_RESPONSE)

            async with chat.step("nl_to_sql"):
                task = asyncio.create_task(call())
            ended.set()
            await task

    asyncio.run(handle())
    assert counted(kept) == (OUT, None)


def test_threads_enter_steps_of_their_own(kept: Kept) -> None:
    barrier = threading.Barrier(4)

    def call(chat: ObservedChat, step: Any) -> None:
        with chat.step(step):
            barrier.wait(timeout=10)
            chat.usage(MODEL_RESPONSE)
            barrier.wait(timeout=10)

    with observe(kept) as chat, ThreadPoolExecutor(4) as pool:
        steps = ["nl_to_sql"] * 3 + ["response_generation"]
        for done in [pool.submit(call, chat, step) for step in steps]:
            done.result()
    assert counted(kept) == (3 * OUT, OUT)


def test_a_thread_with_a_copy_of_the_context_finds_chat_and_step(kept: Kept) -> None:
    def call() -> None:
        chat = current()
        assert chat is not None
        chat.usage(MODEL_RESPONSE)

    with observe(kept) as chat, ThreadPoolExecutor(1) as pool:
        with chat.step("nl_to_sql"):
            context = copy_context()
        pool.submit(context.run, call).result()
    assert counted(kept) == (OUT, None)


def test_a_thread_without_the_context_counts_for_the_only_open_step(kept: Kept) -> None:
    with observe(kept) as chat, ThreadPoolExecutor(1) as pool:
        with chat.step("nl_to_sql"):
            pool.submit(chat.usage, MODEL_RESPONSE).result()
        pool.submit(chat.usage, MODEL_RESPONSE).result()
    assert counted(kept) == (OUT, OUT)


def answer(kept: Kept) -> Generator[int, None, None]:
    with observe(kept) as chat:
        with chat.step("nl_to_sql"):
            yield 1
            chat.usage(MODEL_RESPONSE)
        yield 2
        chat.usage(MODEL_RESPONSE)


def test_a_generator_that_is_resumed_in_other_contexts_counts_for_its_steps(kept: Kept) -> None:
    generator = answer(kept)
    while Context().run(next, generator, None):
        pass
    assert counted(kept) == (OUT, OUT)


def test_generators_that_take_turns_in_one_context_do_not_mix(kept: Kept) -> None:
    generators = [answer(kept) for _ in range(3)]
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        for number in order:
            next(generators[number], None)
    assert [counted(kept, number) for number in range(3)] == [(OUT, OUT)] * 3
    assert current() is None


def test_the_duration_of_a_step_that_runs_side_by_side_is_the_time_in_which_it_is_open(kept: Kept) -> None:
    async def wait(chat: ObservedChat) -> None:
        async with chat.step("nl_to_sql"):
            await asyncio.sleep(0.2)

    async def handle() -> int:
        async with observe(kept) as chat:
            await asyncio.gather(*(wait(chat) for _ in range(10)))
        return elapsed_ms(chat)

    most = asyncio.run(handle())
    assert 200 <= (kept.records[0].nl_to_sql_duration_ms or 0) <= most


def test_one_step_object_in_two_blocks_at_the_same_time_is_two_steps(kept: Kept) -> None:
    with observe(kept) as chat:
        step = chat.step("nl_to_sql")
        with step:
            with step:
                chat.usage(MODEL_RESPONSE)
            chat.usage(MODEL_RESPONSE)
        chat.usage(MODEL_RESPONSE)
    assert counted(kept) == (2 * OUT, OUT)


def test_tasks_may_share_a_step_object(kept: Kept) -> None:
    async def call(chat: ObservedChat, step: Any) -> None:
        async with step:
            await asyncio.sleep(0.01)
            chat.usage(MODEL_RESPONSE)

    async def handle() -> None:
        async with observe(kept) as chat:
            step = chat.step("nl_to_sql")
            async with step:
                await asyncio.gather(*(call(chat, step) for _ in range(3)))
            chat.usage(MODEL_RESPONSE)

    asyncio.run(handle())
    assert counted(kept) == (3 * OUT, OUT)


def test_a_task_may_enter_the_chat_again_after_its_end(kept: Kept) -> None:
    async def later(chat: ObservedChat, ended: asyncio.Event) -> None:
        await ended.wait()
        async with chat:
            chat.usage(MODEL_RESPONSE)

    async def handle() -> None:
        ended = asyncio.Event()
        async with observe(kept) as chat:
            task = asyncio.create_task(later(chat, ended))
        ended.set()
        await task

    asyncio.run(asyncio.wait_for(handle(), 10))
    assert [record.response_output_tokens for record in kept.records] == [None, OUT]


def test_a_chat_that_was_closed_in_another_context_is_not_kept_alive(kept: Kept) -> None:
    def handle() -> Generator[int, None, None]:
        with observe(kept) as chat:
            seen.append(weakref.ref(chat))
            yield 1

    seen: list[weakref.ref[ObservedChat]] = []
    for _ in range(100):
        generator = handle()
        next(generator)
        copy_context().run(generator.close)
    del generator
    kept.records.clear()
    assert sum(chat() is not None for chat in seen) <= 1


def test_a_step_that_an_abandoned_generator_left_elsewhere_is_over(kept: Kept) -> None:
    async def rows(chat: ObservedChat) -> AsyncIterator[int]:
        async with chat.step("sql_execution"):
            for number in range(9):
                yield number

    async def handle() -> None:
        async with observe(kept) as chat:
            async for _ in rows(chat):
                break
            gc.collect()
            await asyncio.sleep(0.05)
            chat.usage(MODEL_RESPONSE)

    asyncio.run(handle())
    assert counted(kept) == (None, OUT)


def test_a_step_that_outlives_its_chat_does_not_disturb_the_next_block(kept: Kept) -> None:
    chat = observe(kept)
    step = chat.step("nl_to_sql")
    with chat:
        step.__enter__()
    with chat:
        step.__exit__(None, None, None)
        chat.usage(MODEL_RESPONSE)
    assert counted(kept, 1) == (None, OUT)
    assert kept.records[1].nl_to_sql_duration_ms is None
