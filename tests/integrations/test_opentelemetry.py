"""The span processor with OpenAI's package by itself, whose calls chat code does not hand over."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import Any

import openai
import pytest

from tests.integrations.conftest import ASKED_MODEL, QUESTION, Observer, of_response, of_spans, of_sql
from tests.providers import Cut, Failed, Failure, Model, Status

pytestmark = pytest.mark.usefixtures("provider")

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"
ASKED: Any = {"model": ASKED_MODEL, "messages": [{"role": "user", "content": QUESTION}]}
STREAM: Any = {"stream": True, "stream_options": {"include_usage": True}}


def test_calls_count_for_the_step_in_which_they_start(instrumentation: str, model: Model, observer: Observer) -> None:
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            client.responses.create(model=ASKED_MODEL, input=QUESTION)
            list(client.chat.completions.create(**ASKED, **STREAM))
        with chat.step("response_generation"):
            list(client.responses.create(model=ASKED_MODEL, input=QUESTION, stream=True))
        client.chat.completions.create(**ASKED)
    expected = of_sql(*model.calls[:2]) | of_response(*model.calls[2:])
    assert observer.measured == of_spans(instrumentation, expected)


def test_calls_in_asyncio(instrumentation: str, model: Model, observer: Observer) -> None:
    async def ask(client: openai.AsyncOpenAI) -> None:
        async for _ in await client.chat.completions.create(**ASKED, **STREAM):
            pass

    async def chat_request() -> None:
        async with openai.AsyncOpenAI() as client, observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                await asyncio.gather(ask(client), ask(client), ask(client))
            await client.responses.create(model=ASKED_MODEL, input=QUESTION)

    asyncio.run(chat_request())
    expected = of_sql(*model.calls[:3]) | of_response(model.calls[3])
    assert observer.measured == of_spans(instrumentation, expected)


def test_calls_in_a_thread_with_the_context(instrumentation: str, model: Model, observer: Observer) -> None:
    with openai.OpenAI() as client, observer.observe() as chat, chat.step("nl_to_sql"):
        context = copy_context()
        thread = threading.Thread(target=lambda: context.run(lambda: client.chat.completions.create(**ASKED)))
        thread.start()
        thread.join()
    assert observer.measured == of_sql(*model.calls)


def test_a_call_that_is_handed_over_as_well_counts_once(instrumentation: str, model: Model, observer: Observer) -> None:
    with openai.OpenAI() as client, observer.observe() as chat:
        with chat.step("nl_to_sql"):
            chat.usage(client.responses.create(model=ASKED_MODEL, input=QUESTION))
        list(chat.stream(client.chat.completions.create(**ASKED, **STREAM)))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


@pytest.mark.usefixtures("instrumentation")
def test_embeddings_count_nothing(observer: Observer) -> None:
    with openai.OpenAI() as client, observer.observe():
        client.embeddings.create(model="text-embedding-3-small", input=QUESTION)
    assert observer.measured == {}


def test_a_call_outside_of_a_chat_request_counts_nothing(
    instrumentation: str, model: Model, observer: Observer
) -> None:
    with openai.OpenAI() as client:
        client.chat.completions.create(**ASKED)
        with observer.observe():
            client.chat.completions.create(**ASKED)
        client.chat.completions.create(**ASKED)
    assert observer.measured == of_spans(instrumentation, of_response(model.calls[1]))


@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.usefixtures("instrumentation")
def test_a_refused_call_leaves_no_model(model: Model, observer: Observer, status: int) -> None:
    model.failures = [Status(status), Status(status)]
    with openai.OpenAI(max_retries=0) as client, observer.observe():
        with pytest.raises(openai.APIStatusError):
            client.responses.create(model=ASKED_MODEL, input=QUESTION)
        with pytest.raises(openai.APIStatusError):
            client.chat.completions.create(**ASKED)
    assert observer.measured == {}


@pytest.mark.parametrize("failure", [Cut(), Failed()])
@pytest.mark.usefixtures("instrumentation")
def test_an_answer_that_fails_leaves_no_tokens(model: Model, observer: Observer, failure: Failure) -> None:
    model.failures = [failure]
    with openai.OpenAI() as client, observer.observe() as chat:
        try:
            list(client.responses.create(model=ASKED_MODEL, input=WITH_RESULT, stream=True))
        except Exception as error:
            chat.fail(error)
    assert (observer.record.response_input_tokens, observer.record.response_cached_tokens) == (None, None)
