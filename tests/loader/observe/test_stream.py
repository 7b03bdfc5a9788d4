"""A stream that is observed stays the stream that it is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import anthropic
import openai
import pytest

from chat_telemetry._observe.chat import ObservedChat
from tests.loader.observe.conftest import CHUNKS, Kept, observe
from tests.loader.observe.providers.conftest import MESSAGES
from tests.providers import RESPONSE_TEXT

STREAMED = ("gpt-4.1-mini-2025-04-14", 512, 24, 128)


def response_of(kept: Kept) -> tuple[Any, ...]:
    record = kept.records[0]
    return (
        record.response_model,
        record.response_input_tokens,
        record.response_output_tokens,
        record.response_cached_tokens,
    )


class Stream:
    """What the streams of provider packages can do."""

    def __init__(self) -> None:
        self.chunks: Iterator[Any] = iter(CHUNKS)
        self.response = SimpleNamespace(headers={"x-request-id": "req_1"})
        self.is_closed = False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.chunks)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.is_closed = True


class AsyncStream:
    def __init__(self) -> None:
        self.chunks = iter(CHUNKS)
        self.is_closed = False

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.sleep(0)
        try:
            return next(self.chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_stream_is_used_as_a_context_manager(kept: Kept) -> None:
    stream = Stream()
    with observe(kept) as chat, chat.stream(stream) as observed:
        assert list(observed) == CHUNKS
    assert stream.is_closed
    assert response_of(kept) == STREAMED


def test_a_stream_is_asked_for_the_next_chunk(kept: Kept) -> None:
    with observe(kept) as chat:
        observed = chat.stream(Stream())
        assert [next(observed) for _ in CHUNKS] == CHUNKS
        with pytest.raises(StopIteration):
            next(observed)
    assert response_of(kept) == STREAMED


def test_a_stream_has_the_attributes_of_the_stream_inside(kept: Kept) -> None:
    with observe(kept) as chat:
        stream = Stream()
        observed = chat.stream(stream)
        assert observed.response.headers["x-request-id"] == "req_1"
        assert isinstance(observed, Stream)
        with contextlib.closing(observed):
            pass
        assert stream.is_closed
        with pytest.raises(AttributeError, match="no_such"):
            observed.no_such  # type: ignore[attr-defined]  # noqa: B018


def test_an_asynchronous_stream_is_used_in_every_way(kept: Kept) -> None:
    async def handle() -> list[Any]:
        stream = AsyncStream()
        async with observe(kept) as chat, chat.stream(stream) as observed:
            first = await anext(observed)
            rest = [chunk async for chunk in observed]
            await observed.aclose()
        assert stream.is_closed
        return [first, *rest]

    assert asyncio.run(handle()) == CHUNKS
    assert response_of(kept) == STREAMED


def test_a_stream_that_is_still_to_be_awaited_is_awaited(kept: Kept) -> None:
    async def create() -> AsyncStream:
        return AsyncStream()

    async def handle() -> list[Any]:
        async with observe(kept) as chat:
            return [chunk async for chunk in await chat.stream(create())]

    assert asyncio.run(handle()) == CHUNKS
    assert response_of(kept) == STREAMED


def test_a_stream_has_the_protocols_of_the_stream_inside_and_no_others(kept: Kept) -> None:
    """Web frameworks ask for them, to choose between `for` and `async for`."""
    with observe(kept) as chat:
        assert isinstance(chat.stream(Stream()), Iterable)
        assert not isinstance(chat.stream(Stream()), AsyncIterable)
        assert isinstance(chat.stream(AsyncStream()), AsyncIterable)
        assert not isinstance(chat.stream(AsyncStream()), Iterable)
        assert len(chat.stream([1, 2])) == 2
        assert chat.stream([1, 2])[1] == 2
        assert 2 in chat.stream([1, 2])
        assert not chat.stream([])


@pytest.mark.parametrize("use", [next, len, lambda stream: stream.__enter__()])
def test_what_a_stream_cannot_do_raises_as_without_telemetry(kept: Kept, use: Any) -> None:
    def chunks() -> Iterable[int]:
        return iter(range(3)) if use is not next else range(3)

    with pytest.raises((TypeError, AttributeError)) as without:
        use(chunks())
    with observe(kept) as chat, pytest.raises(without.type):
        use(chat.stream(chunks()))
    with (
        observe(kept) as chat,
        pytest.raises(TypeError, match="context manager protocol"),
        chat.stream(iter([1])),  # type: ignore[attr-defined]
    ):
        pass


def test_a_context_manager_that_swallows_an_exception_still_does(kept: Kept) -> None:
    with observe(kept) as chat:
        with chat.stream(contextlib.suppress(ValueError)):
            raise ValueError("ends the stream")
        chat.record.ai_response = "42"
    assert kept.records[0].error_type is None


def test_the_helper_of_openai_is_entered_through_its_manager(kept: Kept, provider: str) -> None:
    with (
        openai.OpenAI(base_url=f"{provider}/v1", api_key="none") as client,
        observe(kept) as chat,
        chat.stream(client.responses.stream(model="m", input="How many?")) as stream,
    ):
        response = stream.get_final_response()
    assert response.output_text == RESPONSE_TEXT
    assert response_of(kept) == STREAMED


def test_the_texts_of_a_helper_of_anthropic_are_the_first_byte_and_its_message_is_read(
    kept: Kept, provider: str
) -> None:
    with (
        anthropic.Anthropic(base_url=provider, api_key="none") as client,
        observe(kept) as chat,
        chat.stream(client.messages.stream(model="m", max_tokens=9, messages=MESSAGES)) as stream,
    ):
        assert "".join(stream.text_stream) == RESPONSE_TEXT
    assert response_of(kept) == ("claude-haiku-4-5-20251001", 25 + 2048, 64, 2048)
    assert kept.records[0].ttfb_ms is not None


def test_the_helpers_of_asynchronous_clients_are_read(kept: Kept, provider: str) -> None:
    async def handle() -> None:
        async with (
            anthropic.AsyncAnthropic(base_url=provider, api_key="none") as client,
            observe(kept) as chat,
            chat.stream(client.messages.stream(model="m", max_tokens=9, messages=MESSAGES)) as stream,
        ):
            assert [text async for text in stream.text_stream]
            assert (await stream.get_final_message()).usage.output_tokens == 64

    asyncio.run(handle())
    assert response_of(kept) == ("claude-haiku-4-5-20251001", 25 + 2048, 64, 2048)
    assert kept.records[0].ttfb_ms is not None


def test_a_stream_that_is_read_after_the_block_passes_through_and_is_reported(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    with observe(kept) as chat:
        stream = chat.stream(iter(CHUNKS))
    assert list(stream) == CHUNKS
    assert response_of(kept) == (None, None, None, None)
    assert caplog.messages == [
        "observe_chat was used after its block, which persisted the record: put the block where the chat request ends"
    ]


def test_the_stream_and_its_final_response_are_one_model_call(kept: Kept) -> None:
    with observe(kept) as chat, chat.step("response_generation"):
        list(chat.stream(CHUNKS))
        chat.usage(CHUNKS[-1]["response"])
    assert response_of(kept) == STREAMED


def test_a_stream_that_is_awaited_by_a_task_is_observed(kept: Kept) -> None:
    async def create() -> AsyncStream:
        return AsyncStream()

    async def handle() -> None:
        async with observe(kept) as chat:
            (gathered,) = await asyncio.gather(chat.stream(create()))
            created = await asyncio.create_task(chat.stream(create()))
            waited = await asyncio.wait_for(chat.stream(asyncio.ensure_future(create())), 5)
            for stream in (gathered, created, waited):
                assert [chunk async for chunk in stream] == CHUNKS

    asyncio.run(handle())
    assert response_of(kept) == (STREAMED[0], *(3 * count for count in STREAMED[1:]))


def test_a_helper_that_is_read_until_done_is_observed(kept: Kept, provider: str) -> None:
    with openai.OpenAI(base_url=f"{provider}/v1", api_key="none") as client, observe(kept) as chat:
        with chat.stream(client.responses.stream(model="m", input="How many?")) as stream:
            assert stream.until_done().get_final_response().output_text == RESPONSE_TEXT
        with (
            anthropic.Anthropic(base_url=provider, api_key="none") as other,
            chat.step("nl_to_sql"),
            chat.stream(other.messages.stream(model="m", max_tokens=9, messages=MESSAGES)) as message,
        ):
            message.until_done()
    assert response_of(kept) == STREAMED
    assert (kept.records[0].sql_input_tokens, kept.records[0].sql_output_tokens) == (25 + 2048, 64)


def test_an_asynchronous_helper_that_is_read_until_done_is_observed(kept: Kept, provider: str) -> None:
    async def handle() -> None:
        async with (
            openai.AsyncOpenAI(base_url=f"{provider}/v1", api_key="none") as client,
            observe(kept) as chat,
            chat.stream(client.responses.stream(model="m", input="How many?")) as stream,
        ):
            await stream.until_done()

    asyncio.run(handle())
    assert response_of(kept) == STREAMED


def test_a_generator_is_sent_values_and_returns_one(kept: Kept) -> None:
    def numbers() -> Generator[Any, str, str]:
        received = 0
        for chunk in CHUNKS:
            yield chunk
            received += 1
        return str(received)

    def outer(chat: ObservedChat) -> Generator[Any, None, None]:
        chat.record.ai_response = yield from chat.stream(numbers())

    with observe(kept) as chat:
        sent = chat.stream(numbers())
        assert next(sent) == CHUNKS[0]
        assert [sent.send("x") for _ in CHUNKS[1:]] == CHUNKS[1:]
        assert list(outer(chat)) == CHUNKS
    assert kept.records[0].ai_response == str(len(CHUNKS))
    assert response_of(kept)[1:] == tuple(2 * count for count in STREAMED[1:])


def test_a_stream_that_is_observed_twice_counts_once(kept: Kept) -> None:
    with observe(kept) as chat:
        assert list(chat.stream(chat.stream(CHUNKS))) == CHUNKS
    assert response_of(kept) == STREAMED


def test_a_context_manager_binds_what_it_binds_without_telemetry(kept: Kept) -> None:
    with observe(kept) as chat, chat.stream(contextlib.nullcontext()) as nothing:
        assert nothing is None
    with observe(kept) as chat, chat.stream(contextlib.nullcontext("path")) as text:
        assert list(text) == list("path")


class Unhashable(type):
    __hash__ = None  # type: ignore[assignment]


def test_a_stream_of_a_class_that_cannot_be_hashed_is_observed(kept: Kept) -> None:
    class Odd(Stream, metaclass=Unhashable):
        pass

    with observe(kept) as chat, chat.stream(Odd()) as stream:
        assert list(stream) == CHUNKS
    assert response_of(kept) == STREAMED


def test_an_attribute_that_is_set_reaches_the_stream_inside(kept: Kept) -> None:
    stream = Stream()
    with observe(kept) as chat:
        chat.stream(stream).is_closed = True
    assert stream.is_closed
