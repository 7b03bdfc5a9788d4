"""The package `openai`, by itself: the numbers of `chat.usage` and `chat.stream`, and what failures leave."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.integrations.conftest import ASKED_MODEL, QUESTION, SECONDS_TO_TEXT, Observer, of_response, of_sql
from tests.providers import RESPONSE_TEXT, SQL, Cut, Failed, Model, Status

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"
MESSAGES: Any = [{"role": "user", "content": QUESTION}]
WITH_USAGE: Any = {"stream_options": {"include_usage": True}}


def test_responses_whole_and_streamed(provider: str, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            response = chat.usage(client.responses.create(model=ASKED_MODEL, input=QUESTION))
        with chat.step("response_generation"):
            events = chat.stream(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True))
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert (response.output_text, text) == (SQL, RESPONSE_TEXT)
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    assert observer.is_first_text(model.calls[1])


async def chat_completions(observer: Observer) -> None:
    async with openai.AsyncOpenAI() as client, observer.observe() as chat:
        async with chat.step("nl_to_sql"):
            chat.usage(await client.chat.completions.create(model=ASKED_MODEL, messages=MESSAGES))
        async with chat.step("response_generation"):
            chunks = await client.chat.completions.create(
                model=ASKED_MODEL, messages=MESSAGES, stream=True, **WITH_USAGE
            )
            async for _ in chat.stream(chunks):
                pass
