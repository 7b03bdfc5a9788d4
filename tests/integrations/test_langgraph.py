"""LangGraph: an agent with SQL tools, and a graph of steps."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_community.agent_toolkits import SQLDatabaseToolkit
from langchain_community.utilities import SQLDatabase
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

import chat_telemetry
from chat_telemetry.integrations.langchain import ChatTelemetryHandler
from tests.integrations.conftest import (
    ASKED_MODEL,
    QUESTION,
    SECONDS_TO_TEXT,
    Observer,
    cancel_at_first_text,
    of_response,
    of_sql,
    without_id,
)
from tests.providers import RESPONSE_TEXT, SQL, Model, Status

pytestmark = pytest.mark.usefixtures("provider")

ASKED: Any = {"messages": [{"role": "user", "content": QUESTION}]}


def with_telemetry() -> Any:
    return {"callbacks": [ChatTelemetryHandler()], "configurable": {"thread_id": "1"}}


@pytest.fixture(params=[False, True], ids=["chat_completions", "responses"])
def agent(request: pytest.FixtureRequest, provider: str) -> Any:
    llm = ChatOpenAI(model=ASKED_MODEL, stream_usage=True, use_responses_api=request.param, max_retries=0)
    tools = SQLDatabaseToolkit(db=SQLDatabase.from_uri("sqlite://"), llm=llm).get_tools()
    return create_agent(llm, tools, checkpointer=InMemorySaver())


def assert_is_right(observer: Observer, model: Model) -> None:
    """The call that asks for the SQL tool wrote the SQL. A stream of Chat Completions has no id in LangChain."""
    sql, response = model.calls
    has_no_id = response.api == "openai_chat" and response.is_stream
    assert observer.measured == of_sql(sql) | without_id(of_response(response), if_=has_no_id)
    assert observer.record.generated_sql == SQL
    assert observer.record.nl_to_sql_duration_ms is not None
    assert observer.record.sql_execution_duration_ms is not None


def test_an_agent_that_is_invoked(agent: Any, model: Model, observer: Observer) -> None:
    with observer.observe():
        result = agent.invoke(ASKED, with_telemetry())
    assert result["messages"][-1].text == RESPONSE_TEXT
    assert_is_right(observer, model)


def test_an_agent_in_asyncio(agent: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe():
            await agent.ainvoke(ASKED, with_telemetry())

    asyncio.run(chat_request())
    assert_is_right(observer, model)


def test_a_second_question_of_a_conversation_counts_only_its_own_calls(
    agent: Any, model: Model, observer: Observer
) -> None:
    config = with_telemetry()
    agent.invoke(ASKED, config)
    earlier = len(model.calls)
    with observer.observe():
        agent.invoke(ASKED, config)
    assert observer.measured == of_response(*model.calls[earlier:])


def test_an_agent_that_streams_messages(agent: Any, model: Model, observer: Observer) -> None:
    model.seconds_to_text = SECONDS_TO_TEXT
    pieces = []
    with observer.observe() as chat:
        for chunk, _ in agent.stream(ASKED, with_telemetry(), stream_mode="messages"):
            if isinstance(chunk, AIMessageChunk) and chunk.text:
                chat.first_byte()
                pieces.append(chunk.text)
    assert "".join(pieces) == RESPONSE_TEXT
    assert_is_right(observer, model)
    observer.assert_first_text_of(model.calls[1])


def test_an_agent_that_streams_messages_in_asyncio(agent: Any, model: Model, observer: Observer) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            async for chunk, _ in agent.astream(ASKED, with_telemetry(), stream_mode="messages"):
                if isinstance(chunk, AIMessageChunk) and chunk.text:
                    chat.first_byte()

    model.seconds_to_text = SECONDS_TO_TEXT
    asyncio.run(chat_request())
    assert_is_right(observer, model)
    observer.assert_first_text_of(model.calls[1])


@pytest.mark.parametrize("mode", ["updates", "values", "messages"])
def test_events_in_chat_stream_have_no_first_text(agent: Any, model: Model, observer: Observer, mode: str) -> None:
    """The events of an agent are not all for the user, so `chat.stream` takes none as the first byte."""
    with observer.observe() as chat:
        list(chat.stream(agent.stream(ASKED, with_telemetry(), stream_mode=mode)))
    assert_is_right(observer, model)
    assert observer.record.ttfb_ms is None


@pytest.mark.parametrize("is_watched", [False, True])
def test_the_events_of_an_agent(agent: Any, model: Model, observer: Observer, is_watched: bool) -> None:
    async def chat_request() -> None:
        async with observer.observe() as chat:
            events = agent.astream_events(ASKED, with_telemetry(), version="v2")
            async for _ in chat.stream(events) if is_watched else events:
                pass

    asyncio.run(chat_request())
    assert_is_right(observer, model)
    assert observer.record.ttfb_ms is None


def test_a_tool_of_ones_own(model: Model, observer: Observer) -> None:
    @tool
    def run_sql(query: str) -> str:
        """Run a query."""
        return "[(42,)]"

    agent = create_agent(ChatOpenAI(model=ASKED_MODEL), [run_sql])
    with observer.observe():
        agent.invoke(ASKED, {"callbacks": [ChatTelemetryHandler(sql_tools=["run_sql"])]})
    assert_is_right(observer, model)


class State(TypedDict, total=False):
    """The state of a graph."""

    question: str
    sql: str
    answer: str


@pytest.mark.parametrize("is_async", [False, True])
def test_a_graph_whose_nodes_are_steps(model: Model, observer: Observer, is_async: bool) -> None:
    """`current()` finds the chat request in the nodes, and each call counts for the step of its node."""
    llm = ChatOpenAI(model=ASKED_MODEL)

    def write_sql(state: State) -> State:
        chat = chat_telemetry.current()
        assert chat is not None
        with chat.step("nl_to_sql"):
            return {"sql": llm.invoke(state["question"]).text}

    def write_response(state: State) -> State:
        chat = chat_telemetry.current()
        assert chat is not None
        with chat.step("response_generation"):
            return {"answer": llm.invoke(f"{state['question']} [(42,)]").text}

    graph = StateGraph(State).add_sequence([write_sql, write_response]).add_edge(START, "write_sql").compile()
    with observer.observe():
        if is_async:
            asyncio.run(graph.ainvoke({"question": QUESTION}, with_telemetry()))
        else:
            graph.invoke({"question": QUESTION}, with_telemetry())
    assert observer.measured == of_sql(model.calls[0]) | of_response(model.calls[1])


@pytest.mark.parametrize(
    ("failures", "error_type"),
    [([Status(400)], "sql_generation"), ([None, Status(429)], "response_generation")],
)
def test_a_refusal_of_the_provider_is_an_error_of_what_the_call_was_for(
    agent: Any, model: Model, observer: Observer, failures: list[Any], error_type: str
) -> None:
    model.failures = list(failures)
    with pytest.raises(Exception, match="refused with"), observer.observe():
        agent.invoke(ASKED, with_telemetry())
    assert observer.record.error_type == error_type


def test_a_cancelled_stream_leaves_the_tokens_of_the_call_that_ended(
    agent: Any, model: Model, observer: Observer
) -> None:
    async def chat_request(has_text: asyncio.Event) -> None:
        async with observer.observe() as chat:
            async for chunk, _ in agent.astream(ASKED, with_telemetry(), stream_mode="messages"):
                if isinstance(chunk, AIMessageChunk) and chunk.text:
                    chat.first_byte()
                    has_text.set()

    model.seconds_to_text = SECONDS_TO_TEXT
    cancel_at_first_text(chat_request)
    assert observer.measured == {**of_sql(model.calls[0]), "error_type": "cancelled"}
    observer.assert_first_text_of(model.calls[1])
