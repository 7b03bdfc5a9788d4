"""pydantic-ai: its own spans, and `chat.usage` and `chat.stream` on its results and events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.instrumented import InstrumentationSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

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
)
from tests.integrations.instrumentation import instrumented, tracer_provider_of_chats
from tests.providers import RESPONSE_TEXT, SQL, Model, Status


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat_completions", "responses"])
def agent(request: pytest.FixtureRequest, provider: str) -> Any:
    api = OpenAIProvider(openai_client=AsyncOpenAI(base_url=f"{provider}/v1", max_retries=0))
    agent = Agent(request.param(ASKED_MODEL, provider=api))

    @agent.tool_plain
    def run_sql(query: str) -> str:
        """Run a query."""
        chat = chat_telemetry.current()
        assert chat is not None
        with chat.step("sql_execution"):
            chat.record.generated_sql = query
            return "[(42,)]"

    return agent


@pytest.fixture
def spans() -> Iterator[Any]:
    """The tracer provider of the agents' spans."""
    tracer_provider = tracer_provider_of_chats()
    Agent.instrument_all(InstrumentationSettings(tracer_provider=tracer_provider))
    yield tracer_provider
    Agent.instrument_all(False)


def assert_is_right(observer: Observer, model: Model, instrumentation: str = "") -> None:
    """Without steps, the call that asks for the SQL counts for the response too."""
    assert len(model.calls) == 2
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))
    assert observer.record.generated_sql == SQL
    assert observer.record.sql_execution_duration_ms is not None


@pytest.mark.usefixtures("spans")
def test_a_run(agent: Any, model: Model, observer: Observer) -> None:
    with observer.observe():
        assert agent.run_sync(QUESTION).output == RESPONSE_TEXT
    assert_is_right(observer, model)


@pytest.mark.usefixtures("spans")
def test_a_run_that_streams_texts(agent: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat, agent.run_stream(QUESTION) as result:
            async for _ in chat.stream(result.stream_text(delta=True, debounce_by=None)):
                pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert_is_right(observer, model)
    observer.assert_first_text_of(model.calls[1])


@pytest.mark.usefixtures("spans")
def test_a_run_that_streams_events(agent: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat, agent.run_stream_events(QUESTION) as events:
            async for _ in chat.stream(events):
                pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert_is_right(observer, model)
    observer.assert_first_text_of(model.calls[1])


@pytest.mark.parametrize("instrumentation", ["opentelemetry", "openinference"])
def test_the_spans_of_the_openai_package_below_count_once(
    agent: Any, spans: Any, instrumentation: str, model: Model, observer: Observer
) -> None:
    with instrumented(instrumentation, spans), observer.observe():
        agent.run_sync(QUESTION)
    assert_is_right(observer, model, instrumentation)


def test_the_messages_of_a_run_without_spans(agent: Any, model: Model, observer: Observer) -> None:
    """Chat code knows which message wrote the SQL, so it can hand each over in its step."""
    with observer.observe() as chat:
        result = agent.run_sync(QUESTION)
        written, response = [message for message in result.new_messages() if message.kind == "response"]
        with chat.step("nl_to_sql"):
            chat.usage(written)
        chat.usage(response)
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


def test_the_last_response_of_a_run_without_spans(agent: Any, model: Model, observer: Observer) -> None:
    with observer.observe() as chat:
        chat.usage(agent.run_sync(QUESTION).response)
    assert observer.measured == of_response(model.calls[1])


@pytest.mark.usefixtures("spans")
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_of_the_provider_is_an_error(agent: Any, model: Model, observer: Observer, status: int) -> None:
    model.failures = [Status(status)]
    with pytest.raises(ModelHTTPError), observer.observe() as chat, chat.step("nl_to_sql"):
        agent.run_sync(QUESTION)
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}


@pytest.mark.usefixtures("spans")
def test_a_cancelled_stream_leaves_the_tokens_of_the_calls_that_ended(
    agent: Any, model: Model, observer: Observer
) -> None:
    async def chat_request(has_text: asyncio.Event) -> None:
        async with observer.observe() as chat, agent.run_stream(QUESTION) as result:
            async for _ in chat.stream(result.stream_text(delta=True, debounce_by=None)):
                has_text.set()

    model.seconds_to_text = SECONDS_TO_TEXT
    cancel_at_first_text(chat_request)
    assert observer.record.error_type == "cancelled"
    assert (observer.record.response_input_tokens or 0) >= model.calls[0].input_tokens
