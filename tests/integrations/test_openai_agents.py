"""openai-agents: `chat.usage` on its results and `chat.stream` on its events; spans have the model as well."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool
from openai import AsyncOpenAI

import chat_telemetry
from tests.integrations.conftest import (
    ASKED_MODEL,
    QUESTION,
    SECONDS_TO_TEXT,
    Observer,
    cancel_at_first_text,
    of_response,
    of_spans,
    of_sql,
    without_id,
)
from tests.providers import RESPONSE_TEXT, SQL, Model, Status


@function_tool
def run_sql(query: str) -> str:
    """Run a query."""
    chat = chat_telemetry.current()
    assert chat is not None
    with chat.step("sql_execution"):
        chat.record.generated_sql = query
        return "[(42,)]"


@pytest.fixture
def responses_agent(provider: str) -> Any:
    api = AsyncOpenAI(base_url=f"{provider}/v1", max_retries=0)
    return Agent(name="orders", model=OpenAIResponsesModel(ASKED_MODEL, api), tools=[run_sql])


@pytest.fixture
def chat_completions_agent(provider: str) -> Any:
    api = AsyncOpenAI(base_url=f"{provider}/v1", max_retries=0)
    settings = ModelSettings(include_usage=True)
    model = OpenAIChatCompletionsModel(ASKED_MODEL, api)
    return Agent(name="orders", model=model, model_settings=settings, tools=[run_sql])


@pytest.fixture(params=["responses_agent", "chat_completions_agent"])
def agent(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def without_model(columns: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in columns.items() if not name.endswith("_model")}


def test_a_run(responses_agent: Any, model: Model, observer: Observer) -> None:
    """Its model responses do not name their model."""
    with observer.observe() as chat:
        result = chat.usage(Runner.run_sync(responses_agent, QUESTION))
    assert (result.final_output, observer.record.generated_sql) == (RESPONSE_TEXT, SQL)
    assert len(model.calls) == 2
    assert observer.measured == without_model(of_response(*model.calls))


def test_a_run_with_chat_completions(chat_completions_agent: Any, model: Model, observer: Observer) -> None:
    """Its model responses have no id either."""
    with observer.observe() as chat:
        chat.usage(Runner.run_sync(chat_completions_agent, QUESTION))
    assert observer.measured == without_id(without_model(of_response(*model.calls)), if_=True)


def test_each_model_response_in_its_step(responses_agent: Any, model: Model, observer: Observer) -> None:
    with observer.observe() as chat:
        written, response = Runner.run_sync(responses_agent, QUESTION).raw_responses
        with chat.step("nl_to_sql"):
            chat.usage(written)
        chat.usage(response)
    assert observer.measured == without_model(of_sql(model.calls[0]) | of_response(model.calls[1]))


def test_a_run_that_streams(responses_agent: Any, model: Model, observer: Observer) -> None:
    """The events hold those of the API."""

    async def chat_request() -> None:
        async with observer.observe() as chat:
            async for _ in chat.stream(Runner.run_streamed(responses_agent, QUESTION).stream_events()):
                pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_response(*model.calls)
    observer.assert_first_text_of(model.calls[1])


def test_a_run_that_streams_chat_completions(chat_completions_agent: Any, model: Model, observer: Observer) -> None:
    """The package makes events of its own, with the model that was asked for and without an id."""

    async def chat_request() -> None:
        async with observer.observe() as chat:
            async for _ in chat.stream(Runner.run_streamed(chat_completions_agent, QUESTION).stream_events()):
                pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    expected = without_id(of_response(*model.calls), if_=True) | {"response_model": ASKED_MODEL}
    assert observer.measured == expected
    observer.assert_first_text_of(model.calls[1])


def test_spans_of_a_run(agent: Any, instrumentation: str, model: Model, observer: Observer) -> None:
    with observer.observe():
        Runner.run_sync(agent, QUESTION)
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))


def test_spans_of_a_run_that_streams_chat_completions(
    chat_completions_agent: Any, instrumentation: str, model: Model, observer: Observer
) -> None:
    async def chat_request() -> None:
        async with observer.observe():
            async for _ in Runner.run_streamed(chat_completions_agent, QUESTION).stream_events():
                pass

    asyncio.run(chat_request())
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))


@pytest.mark.usefixtures("instrumentation")
def test_the_events_of_a_run_and_its_spans_count_once(agent: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async for _ in chat.stream(Runner.run_streamed(agent, QUESTION).stream_events()):
                pass

    asyncio.run(chat_request())
    assert observer.record.response_input_tokens == sum(call.input_tokens for call in model.calls)
    assert observer.record.response_cached_tokens == sum(call.cached_tokens for call in model.calls)


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_of_the_provider_is_an_error(agent: Any, model: Model, observer: Observer, status: int) -> None:
    model.failures = [Status(status)]
    with pytest.raises(openai.APIStatusError), observer.observe() as chat, chat.step("nl_to_sql"):
        Runner.run_sync(agent, QUESTION)
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}


def test_a_cancelled_stream_leaves_the_tokens_of_the_calls_that_ended(
    responses_agent: Any, model: Model, observer: Observer
) -> None:
    async def chat_request(has_text: asyncio.Event) -> None:
        async with observer.observe() as chat:
            async for event in chat.stream(Runner.run_streamed(responses_agent, QUESTION).stream_events()):
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    has_text.set()

    model.seconds_to_text = SECONDS_TO_TEXT
    cancel_at_first_text(chat_request)
    cancelled = {"response_id": model.calls[1].response_id, "error_type": "cancelled"}
    assert observer.measured == of_response(model.calls[0]) | cancelled
