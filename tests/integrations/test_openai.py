"""The package `openai`, by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest

from tests.integrations.conftest import (
    ASKED_MODEL,
    QUESTION,
    SECONDS_TO_TEXT,
    Observer,
    cancel_at_first_text,
    of_response,
    of_sql,
)
from tests.providers import RESPONSE_TEXT, SQL, Cut, Failed, Model, Status

pytestmark = pytest.mark.usefixtures("provider")

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"
ASKED: Any = {"model": ASKED_MODEL, "messages": [{"role": "user", "content": WITH_RESULT}]}
WITH_USAGE: Any = {"stream_options": {"include_usage": True}}


def test_the_responses_api(model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            response = chat.usage(client.responses.create(model=ASKED_MODEL, input=QUESTION))
        with chat.step("response_generation"):
            events = chat.stream(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True))
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert (response.output_text, text) == (SQL, RESPONSE_TEXT)
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_the_responses_api_in_asyncio(model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with openai.AsyncOpenAI() as client, observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await client.responses.create(model=ASKED_MODEL, input=QUESTION))
            async with chat.step("response_generation"):
                stream = await client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True)
                async for _ in chat.stream(stream):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_chat_completions(model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(client.chat.completions.create(**ASKED))
        with chat.step("response_generation"):
            list(chat.stream(client.chat.completions.create(**ASKED, **WITH_USAGE, stream=True)))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_chat_completions_in_asyncio(model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with openai.AsyncOpenAI() as client, observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await client.chat.completions.create(**ASKED))
            async with chat.step("response_generation"):
                async for _ in chat.stream(await client.chat.completions.create(**ASKED, **WITH_USAGE, stream=True)):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_the_streaming_helpers_keep_their_methods(model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with openai.OpenAI() as client, observer.observe() as chat:
        with (
            chat.step("nl_to_sql"),
            client.chat.completions.stream(**ASKED, **WITH_USAGE) as stream,
            chat.stream(stream) as chunks,
        ):
            list(chunks)
            assert chunks.get_final_completion().choices[0].message.content == RESPONSE_TEXT
        with (
            chat.step("response_generation"),
            chat.stream(client.responses.stream(model=ASKED_MODEL, input=WITH_RESULT)) as events,
        ):
            list(events)
            assert events.get_final_response().output_text == RESPONSE_TEXT
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_a_raw_response_is_parsed_first(model: Model, observer: Observer) -> None:
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(client.responses.with_raw_response.create(model=ASKED_MODEL, input=QUESTION).parse())
        with client.chat.completions.with_streaming_response.create(**ASKED) as response:
            chat.usage(response.parse())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


def test_attempts_that_the_package_repeats_count_nothing(model: Model, observer: Observer) -> None:
    model.failures = [Status(500), Status(500)]
    with openai.OpenAI() as client, observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(client.responses.create(model=ASKED_MODEL, input=QUESTION))
    assert [call.status for call in model.calls] == [500, 500, 200]
    assert observer.measured == of_sql(model.calls[2])


@pytest.mark.parametrize(
    ("status", "error"), [(400, "BadRequestError"), (429, "RateLimitError"), (500, "InternalServerError")]
)
def test_a_refusal_of_the_provider_is_an_error_of_its_step(
    model: Model, observer: Observer, status: int, error: str
) -> None:
    model.failures = [Status(status)]
    with (
        pytest.raises(openai.APIStatusError),
        openai.OpenAI(max_retries=0) as client,
        observer.observe() as chat,
        chat.step("nl_to_sql"),
    ):
        chat.usage(client.responses.create(model=ASKED_MODEL, input=QUESTION))
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}
    assert error in str(observer.record.error_message)


def test_a_stream_that_breaks_leaves_the_model_and_no_tokens(model: Model, observer: Observer) -> None:
    model.failures = [Cut()]
    model.seconds_to_text = SECONDS_TO_TEXT
    with (
        pytest.raises(Exception, match="peer closed connection"),
        openai.OpenAI() as client,
        observer.observe() as chat,
        chat.step("response_generation"),
    ):
        list(chat.stream(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True)))
    assert observer.measured == {
        "response_model": model.calls[0].model,
        "response_id": model.calls[0].response_id,
        "error_type": "response_generation",
        "failed_step": "response",
    }
    observer.assert_first_text_of(model.calls[0])


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_response_with_the_status_failed_is_an_error_of_its_step(
    model: Model, observer: Observer, is_stream: bool
) -> None:
    """The package raises nothing then."""
    model.failures = [Failed()]
    with openai.OpenAI() as client, observer.observe() as chat, chat.step("response_generation"):
        if is_stream:
            list(chat.stream(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True)))
        else:
            chat.usage(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT))
    assert observer.record.response_model == model.calls[0].model
    assert (observer.record.error_type, observer.record.failed_step) == ("response_generation", "response")
    assert "The model failed." in str(observer.record.error_message)


def test_a_cancelled_stream_leaves_the_model_and_no_tokens(model: Model, observer: Observer) -> None:
    async def chat_request(has_text: asyncio.Event) -> None:
        async with openai.AsyncOpenAI() as client, observer.observe() as chat, chat.step("response_generation"):
            stream = await client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True)
            async for event in chat.stream(stream):
                if event.type == "response.output_text.delta":
                    has_text.set()

    model.seconds_to_text = SECONDS_TO_TEXT
    cancel_at_first_text(chat_request)
    assert observer.measured == {
        "response_model": model.calls[0].model,
        "response_id": model.calls[0].response_id,
        "error_type": "cancelled",
        "failed_step": "response",
    }
    observer.assert_first_text_of(model.calls[0])
