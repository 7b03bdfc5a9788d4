"""The package `google-genai`, by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from google import genai
from google.genai.errors import ServerError
from google.genai.types import GenerateContentConfig, HttpOptions

from tests.integrations.conftest import QUESTION, SECONDS_TO_TEXT, Observer, of_response, of_sql
from tests.providers import SQL, Cut, Model, Status

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"
ASKED_MODEL = "gemini-2.5-flash"


@pytest.fixture
def client(provider: str) -> Iterator[genai.Client]:
    with genai.Client(api_key="none", http_options=HttpOptions(base_url=provider)) as client:
        yield client


def test_generate_content(client: genai.Client, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(client.models.generate_content(model=ASKED_MODEL, contents=QUESTION))
        with chat.step("response_generation"):
            list(chat.stream(client.models.generate_content_stream(model=ASKED_MODEL, contents=WITH_RESULT)))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_generate_content_in_asyncio(client: genai.Client, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await client.aio.models.generate_content(model=ASKED_MODEL, contents=QUESTION))
            async with chat.step("response_generation"):
                chunks = await client.aio.models.generate_content_stream(model=ASKED_MODEL, contents=WITH_RESULT)
                async for _ in chat.stream(chunks):
                    pass
        await client.aio.aclose()

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_a_conversation(client: genai.Client, model: Model, observer: Observer) -> None:
    conversation = client.chats.create(model=ASKED_MODEL)
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(conversation.send_message(QUESTION))
        with chat.step("response_generation"):
            list(chat.stream(conversation.send_message_stream(WITH_RESULT)))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


def test_a_function_that_the_package_calls_hides_the_model_call_before_it(
    client: genai.Client, model: Model, observer: Observer
) -> None:
    """The package returns the last model response only."""

    def run_sql(query: str) -> str:
        """Run a query."""
        chat.record.generated_sql = query
        return "[(42,)]"

    with observer.observe() as chat:
        chat.usage(
            client.models.generate_content(
                model=ASKED_MODEL, contents=QUESTION, config=GenerateContentConfig(tools=[run_sql])
            )
        )
    assert observer.record.generated_sql == SQL
    assert len(model.calls) == 2
    assert observer.measured == of_response(model.calls[1])


def test_a_refusal_of_the_provider_is_an_error_of_its_step(
    client: genai.Client, model: Model, observer: Observer
) -> None:
    model.failures = [Status(503)]
    with pytest.raises(ServerError), observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(client.models.generate_content(model=ASKED_MODEL, contents=QUESTION))
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}


def test_a_stream_that_breaks_leaves_the_tokens_that_it_reported(
    client: genai.Client, model: Model, observer: Observer
) -> None:
    """Each chunk of Gemini reports the input, and the output so far."""
    model.failures = [Cut()]
    with (
        pytest.raises(Exception, match=r"peer closed|payload"),
        observer.observe() as chat,
        chat.step("response_generation"),
    ):
        list(chat.stream(client.models.generate_content_stream(model=ASKED_MODEL, contents=WITH_RESULT)))
    assert (observer.record.response_model, observer.record.response_id) == (
        model.calls[0].model,
        model.calls[0].response_id,
    )
    assert observer.record.error_type == "response_generation"
    assert (observer.record.response_output_tokens or 0) < model.calls[0].output_tokens
