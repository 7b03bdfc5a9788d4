"""llama-index: its query engines by spans, and `chat.usage` and `chat.stream` on what a model of it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core import SQLDatabase
from llama_index.core.llms import ChatMessage
from llama_index.core.query_engine import NLSQLTableQueryEngine
from llama_index.llms.openai import OpenAI, OpenAIResponses
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

from tests.integrations.conftest import ASKED_MODEL, QUESTION, SECONDS_TO_TEXT, Observer, of_response, of_spans, of_sql
from tests.providers import RESPONSE_TEXT, SQL, Model, Status

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"
WITH_USAGE = {"stream_options": {"include_usage": True}}


def chat_completions(provider: str) -> OpenAI:
    return OpenAI(model=ASKED_MODEL, api_base=f"{provider}/v1", max_retries=0, additional_kwargs=WITH_USAGE)


@pytest.fixture
def database() -> Iterator[SQLDatabase]:
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.execute(text("create table orders (id int)"))
    yield SQLDatabase(engine)
    engine.dispose()


def query_engine(database: SQLDatabase, llm: Any, **more: Any) -> NLSQLTableQueryEngine:
    return NLSQLTableQueryEngine(database, tables=["orders"], llm=llm, embed_model="mock", **more)


@pytest.fixture(params=["chat_completions", "responses"])
def llm(request: pytest.FixtureRequest, provider: str) -> Any:
    if request.param == "responses":
        return OpenAIResponses(model=ASKED_MODEL, api_base=f"{provider}/v1", max_retries=0)
    return OpenAI(model=ASKED_MODEL, api_base=f"{provider}/v1", max_retries=0)


@pytest.fixture(params=["chat_completions", "responses"])
def streaming_llm(request: pytest.FixtureRequest, provider: str) -> Any:
    if request.param == "responses":
        return OpenAIResponses(model=ASKED_MODEL, api_base=f"{provider}/v1")
    return chat_completions(provider)


def test_completions(llm: Any, model: Model, observer: Observer) -> None:
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            assert chat.usage(llm.complete(QUESTION)).text == SQL
        with chat.step("response_generation"):
            chat.usage(llm.chat([ChatMessage(WITH_RESULT)]))
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


def test_streams_of_completions(streaming_llm: Any, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            list(chat.stream(streaming_llm.stream_complete(QUESTION)))
        with chat.step("response_generation"):
            pieces = [chunk.delta or "" for chunk in chat.stream(streaming_llm.stream_chat([ChatMessage(WITH_RESULT)]))]
    assert "".join(pieces) == RESPONSE_TEXT
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])
    observer.assert_first_text_of(model.calls[1])


def test_streams_of_completions_in_asyncio(streaming_llm: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await streaming_llm.achat([ChatMessage(WITH_RESULT)]))
            async with chat.step("response_generation"):
                async for _ in chat.stream(await streaming_llm.astream_chat([ChatMessage(WITH_RESULT)])):
                    pass

    streaming_llm.additional_kwargs = {}
    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    observer.assert_first_text_of(model.calls[1])


def test_a_query_engine(
    instrumentation: str, llm: Any, database: SQLDatabase, model: Model, observer: Observer
) -> None:
    """It writes SQL, runs it and responds in one call. Without steps all of that counts for the response."""
    with observer.observe():
        response = query_engine(database, llm).query(QUESTION)
    assert (str(response), response.metadata["sql_query"]) == (RESPONSE_TEXT, SQL)
    assert len(model.calls) == 2
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))


def test_a_query_engine_in_asyncio(
    instrumentation: str, llm: Any, database: SQLDatabase, model: Model, observer: Observer
) -> None:
    async def chat_request() -> None:
        async with observer.observe():
            await query_engine(database, llm).aquery(QUESTION)

    asyncio.run(chat_request())
    assert len(model.calls) == 2
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))


def test_a_query_engine_that_streams(
    instrumentation: str, streaming_llm: Any, database: SQLDatabase, model: Model, observer: Observer
) -> None:
    """Its pieces are texts."""
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        response = query_engine(database, streaming_llm, streaming=True).query(QUESTION)
        pieces = list(chat.stream(response.response_gen))
    assert "".join(pieces) == RESPONSE_TEXT
    assert observer.measured == of_spans(instrumentation, of_response(*model.calls))
    observer.assert_first_text_of(model.calls[1])


def test_steps_around_a_query_engine_that_does_not_respond(
    instrumentation: str, llm: Any, database: SQLDatabase, model: Model, observer: Observer
) -> None:
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            query_engine(database, llm, synthesize_response=False).query(QUESTION)
        with chat.step("response_generation"):
            llm.complete(WITH_RESULT)
    assert observer.measured == of_sql(model.calls[0]) | of_spans(instrumentation, of_response(model.calls[1]))


@pytest.mark.usefixtures("instrumentation")
@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_of_the_provider_is_an_error(
    llm: Any, database: SQLDatabase, model: Model, observer: Observer, status: int
) -> None:
    model.failures = [Status(status)]
    with pytest.raises(Exception, match=f"refused with {status}"), observer.observe() as chat, chat.step("nl_to_sql"):
        query_engine(database, llm).query(QUESTION)
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}
