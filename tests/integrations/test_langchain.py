"""LangChain: chains and the SQL agent, by the handler; and `chat.usage` on its messages."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_community.agent_toolkits import create_sql_agent
from langchain_community.utilities import SQLDatabase
from langchain_core.output_parsers import StrOutputParser
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from chat_telemetry.integrations.langchain import ChatTelemetryHandler
from tests.integrations.conftest import (
    ASKED_MODEL,
    QUESTION,
    SECONDS_TO_TEXT,
    Observer,
    of_response,
    of_sql,
    without_id,
)
from tests.providers import RESPONSE_TEXT, SQL, Cut, Model, Status

pytestmark = pytest.mark.usefixtures("provider")

WITH_RESULT = f"{QUESTION} The rows: [(42,)]"


class Query(BaseModel):
    """The SQL that answers the question."""

    sql: str


@pytest.fixture(params=[False, True], ids=["chat_completions", "responses"])
def llm(request: pytest.FixtureRequest, provider: str) -> ChatOpenAI:
    return ChatOpenAI(model=ASKED_MODEL, stream_usage=True, use_responses_api=request.param, max_retries=0)


def test_messages(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            assert chat.usage(llm.invoke(QUESTION)).text == SQL
        with chat.step("response_generation"):
            assert "".join(chunk.text for chunk in chat.stream(llm.stream(WITH_RESULT))) == RESPONSE_TEXT
    assert observer.measured == of_sql(model.calls[0]) | without_id(
        of_response(model.calls[1]), if_=not llm.use_responses_api
    )
    observer.assert_first_text_of(model.calls[1])


def test_messages_in_asyncio(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                chat.usage(await llm.ainvoke(QUESTION))
            async with chat.step("response_generation"):
                async for _ in chat.stream(llm.astream(WITH_RESULT)):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | without_id(
        of_response(model.calls[1]), if_=not llm.use_responses_api
    )
    observer.assert_first_text_of(model.calls[1])


def test_the_id_of_a_whole_response(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    with observer.observe() as chat:
        chat.usage(llm.invoke(WITH_RESULT))
    assert observer.measured == of_response(*model.calls)


def test_a_stream_without_usage_leaves_the_tokens_null(model: Model, observer: Observer) -> None:
    with observer.observe() as chat:
        list(chat.stream(ChatOpenAI(model=ASKED_MODEL).stream(WITH_RESULT)))
    assert observer.measured == {"response_model": model.calls[0].model}


def test_a_structured_output_with_its_message(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    with observer.observe() as chat, chat.step("nl_to_sql"):
        output: Any = llm.with_structured_output(Query, include_raw=True).invoke(QUESTION)
        chat.usage(output["raw"])
    assert output["parsed"].sql == SQL
    assert observer.measured == of_sql(*model.calls)


def test_chains_of_texts(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    """The chunks are texts. They have the first byte, and the handler has the rest."""
    model.seconds_to_text = SECONDS_TO_TEXT
    chain = llm | StrOutputParser()
    with_telemetry: Any = {"callbacks": [ChatTelemetryHandler()]}
    with observer.observe() as chat:
        with chat.step("nl_to_sql"):
            assert chain.invoke(QUESTION, with_telemetry) == SQL
        with chat.step("response_generation"):
            assert "".join(chat.stream(chain.stream(WITH_RESULT, with_telemetry))) == RESPONSE_TEXT
    assert observer.measured == of_sql(model.calls[0]) | without_id(
        of_response(model.calls[1]), if_=not llm.use_responses_api
    )
    observer.assert_first_text_of(model.calls[1])


def test_chains_in_asyncio(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    chain = llm | StrOutputParser()
    with_telemetry: Any = {"callbacks": [ChatTelemetryHandler()]}

    async def chat_request() -> None:
        async with observer.observe() as chat:
            async with chat.step("nl_to_sql"):
                await chain.ainvoke(QUESTION, with_telemetry)
            async with chat.step("response_generation"):
                async for _ in chat.stream(chain.astream(WITH_RESULT, with_telemetry)):
                    pass

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert observer.measured == of_sql(model.calls[0]) | without_id(
        of_response(model.calls[1]), if_=not llm.use_responses_api
    )
    observer.assert_first_text_of(model.calls[1])


def test_a_batch_runs_in_threads(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    with observer.observe() as chat, chat.step("nl_to_sql"):
        (llm | StrOutputParser()).batch([QUESTION] * 3, {"callbacks": [ChatTelemetryHandler()]})
    assert observer.measured == of_sql(*model.calls)
    assert len(model.calls) == 3


def test_the_handler_and_usage_together_count_once(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    with observer.observe() as chat, chat.step("nl_to_sql"):
        chat.usage(llm.invoke(QUESTION, {"callbacks": [ChatTelemetryHandler()]}))
    assert observer.measured == of_sql(*model.calls)


def test_side_by_side_calls_count_for_their_own_steps(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    with_telemetry: Any = {"callbacks": [ChatTelemetryHandler()]}

    async def candidate() -> None:
        async with chat.step("nl_to_sql"):
            await llm.ainvoke(QUESTION, with_telemetry)

    async def suggestions() -> None:
        await llm.ainvoke(WITH_RESULT, with_telemetry)

    async def chat_request() -> None:
        await asyncio.gather(candidate(), candidate(), suggestions())

    with observer.observe() as chat:
        asyncio.run(chat_request())
    response = max(model.calls, key=lambda call: call.response_id == observer.record.response_id)
    candidates = [call for call in model.calls if call is not response]
    assert observer.measured == of_sql(*candidates) | of_response(response)


def test_the_sql_agent(model: Model, observer: Observer) -> None:
    """It streams inside, so it needs stream_usage. It has no step: the call that asks for SQL wrote the SQL."""
    llm = ChatOpenAI(model=ASKED_MODEL, stream_usage=True)
    agent = create_sql_agent(llm, db=SQLDatabase.from_uri("sqlite://"), agent_type="tool-calling")
    with observer.observe():
        result = agent.invoke({"input": QUESTION}, {"callbacks": [ChatTelemetryHandler()]})
    assert result["output"] == RESPONSE_TEXT
    assert observer.record.generated_sql == SQL
    assert observer.measured == of_sql(model.calls[0]) | without_id(
        of_response(model.calls[1]), if_=not llm.use_responses_api
    )
    assert observer.record.nl_to_sql_duration_ms is not None
    assert observer.record.sql_execution_duration_ms is not None


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_of_the_provider_is_an_error_of_its_step(
    llm: ChatOpenAI, model: Model, observer: Observer, status: int
) -> None:
    model.failures = [Status(status)]
    with pytest.raises(Exception, match=str(status)), observer.observe() as chat, chat.step("nl_to_sql"):
        (llm | StrOutputParser()).invoke(QUESTION, {"callbacks": [ChatTelemetryHandler()]})
    assert observer.measured == {"error_type": "sql_generation", "failed_step": "understanding"}
    assert f"refused with {status}" in str(observer.record.error_message)


def test_a_stream_that_breaks_leaves_what_arrived(llm: ChatOpenAI, model: Model, observer: Observer) -> None:
    model.failures = [Cut()]
    model.seconds_to_text = SECONDS_TO_TEXT
    with (
        pytest.raises(Exception, match=r"peer closed|Connection"),
        observer.observe() as chat,
        chat.step("response_generation"),
    ):
        list(chat.stream(llm.stream(WITH_RESULT)))
    assert (observer.record.error_type, observer.record.response_input_tokens) == ("response_generation", None)
    observer.assert_first_text_of(model.calls[0])
