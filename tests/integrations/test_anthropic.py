"""The package `anthropic`, by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import beta_tool

from tests.integrations.conftest import QUESTION, SECONDS_TO_TEXT, Observer, of_response, of_sql
from tests.providers import RESPONSE_TEXT, SQL, Cut, Model, Status


def asked(content: str) -> Any:
    return {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": content}]}


WITH_RESULT = asked(f"{QUESTION} The rows: [(42,)]")


@pytest.fixture
def client(provider: str) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=provider, max_retries=0) as client:
        yield client


def test_messages(client: anthropic.Anthropic, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(client.messages.create(**asked(QUESTION)))
        with chat.step("response_generation"):
            list(chat.stream(client.messages.create(**WITH_RESULT, stream=True)))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_messages_in_asyncio(provider: str, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider) as client, observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await client.messages.create(**asked(QUESTION)))
            async with chat.step("response_generation"), client.messages.stream(**WITH_RESULT) as stream:
                async for _ in chat.stream(stream):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_the_text_stream_of_the_streaming_helper(client: anthropic.Anthropic, model: Model, observer: Observer) -> None:
    """Its chunks are texts. They have the first byte, and the final message has the tokens."""
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat, chat.step("response_generation"), client.messages.stream(**WITH_RESULT) as stream:
        text = "".join(chat.stream(stream.text_stream))
        chat.usage(stream.get_final_message())
    assert text == RESPONSE_TEXT
    assert observer.measured == of_response(model.calls[0])
    observer.assert_first_text_of(model.calls[0])


def test_the_tool_runner(client: anthropic.Anthropic, model: Model, observer: Observer) -> None:
    @beta_tool
    def run_sql(query: str) -> str:
        """Run a query.

        Args:
            query: The SQL.
        """
        chat.record.generated_sql = query
        return "[(42,)]"

    with observer.observe() as chat:
        for message in client.beta.messages.tool_runner(**asked(QUESTION), tools=[run_sql]):
            chat.usage(message)
    assert observer.record.generated_sql == SQL
    assert observer.measured == of_response(*model.calls)
    assert len(model.calls) == 2


def test_a_refusal_of_the_provider_is_an_error_of_its_step(
    client: anthropic.Anthropic, model: Model, observer: Observer
) -> None:
    model.failures = [Status(529)]
    with pytest.raises(anthropic.APIStatusError), observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(client.messages.create(**asked(QUESTION)))
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}


def test_a_stream_that_breaks_leaves_the_tokens_that_it_reported(
    client: anthropic.Anthropic, model: Model, observer: Observer
) -> None:
    """Anthropic reports the input at the beginning, and one token of output."""
    model.failures = [Cut()]
    with (
        pytest.raises(Exception, match="peer closed connection"),
        observer.observe() as chat,
        chat.step("response_generation"),
    ):
        list(chat.stream(client.messages.create(**WITH_RESULT, stream=True)))
    failed = {"response_output_tokens": 1, "error_type": "response_generation", "failed_step": "response"}
    assert observer.measured == of_response(model.calls[0]) | failed
